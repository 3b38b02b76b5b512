"""Text to checked spec: grammar, syntax tree, types, diagnostics.

`load(path)` is the entry point; `typed` is what it gives.
"""

from tessera.lang.diagnostics import SpecError
from tessera.lang.load import load
from tessera.lang.typed import Spec

__all__ = ["Spec", "SpecError", "load"]
