"""Policy to C to a patch against a tree; the only package that imports tree-sitter."""

from tessera.emit.patch import BUDGET, make_patch

__all__ = ["BUDGET", "make_patch"]
