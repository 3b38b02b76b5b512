"""From a path to a checked spec: follow `use`, parse every file once, check all of it.

Goal: `load(path)` is the one entry point of the language; all its errors are `TesseraError`.
Non-goals: the checks themselves (see `tessera.lang.check`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tessera import resources
from tessera.errors import Span, TesseraError
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check import SpecChecker
from tessera.lang.diagnostics import Diagnostics
from tessera.lang.parse import parse
from tessera.lang.source import Source, read

LIBRARY = ("models", "specs", "specs/policies")


@dataclass(slots=True)
class _Files:
    """The files read so far, in order of use."""

    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    done: dict[Path, tuple[Source, tuple[s.Item, ...]]] = field(default_factory=dict)
    overrides: list[s.Override] = field(default_factory=list)


def load(path: Path | str, overrides: Mapping[str, int] | None = None) -> t.Spec:
    """Read, parse and check a spec and everything it uses.

    `overrides` replaces parameter values (in the parameter's own unit). Raises `TesseraError` for
    files that cannot be read and `SpecError` for mistakes in the text.
    """
    files = _Files()
    root = Path(path)
    _visit(files, root.resolve() if root.exists() else root, (), None)
    digest = hashlib.sha256()
    items: list[s.Item] = []
    for source, parsed in files.done.values():
        digest.update(source.text.encode())
        digest.update(b"\0")
        items += parsed
    own = next(reversed(files.done.values()))
    checker = SpecChecker(files.diagnostics, own[0].name)
    return checker.check(items, own[1], digest.hexdigest(), files.overrides, dict(overrides or {}))


def _visit(files: _Files, path: Path, above: tuple[Path, ...], where: Span | None) -> None:
    if path in above:
        names = " -> ".join(p.name for p in (*above[above.index(path) :], path))
        raise TesseraError(
            f"include cycle: {names}", where=where, remedy="drop one of these 'use' lines"
        )
    if path in files.done:
        return
    source = read(path, where)
    files.diagnostics.lines[source.name] = source.text.splitlines()
    items = parse(source)
    for item in items:
        if isinstance(item, s.Use):
            files.overrides += item.overrides
            _visit(files, _find(item, path), (*above, path), item.span)
    files.done[path] = (source, items)


def _find(use: s.Use, user: Path) -> Path:
    """Relative to the using file first, then in the kit's own library."""
    places = [user.parent, *(resources.path(folder) for folder in LIBRARY)]
    for place in places:
        candidate = (place / use.path).resolve()
        if candidate.exists():
            return candidate
    raise TesseraError(
        f"no such file: {use.path}",
        where=use.span,
        remedy="give a path relative to this file, or one of the kit's models and specs",
    )
