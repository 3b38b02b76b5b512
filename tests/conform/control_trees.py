"""Where the small tree of the emitter's tests is."""

from __future__ import annotations

from pathlib import Path

TOY_TREE = Path(__file__).parents[1] / "emit" / "tree"
