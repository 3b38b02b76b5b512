"""State machine to obligations to verdicts; the only package that imports z3."""

from tessera.prove.check import check

__all__ = ["check"]
