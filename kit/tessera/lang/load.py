"""From a path to a checked spec: follow `use`, parse every file once, check all of it.

Goal: `load(path)` is the one entry point of the language; all its errors are `TesseraError`.
Non-goals: the checks themselves (see `tessera.lang.check`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check import SpecChecker
from tessera.lang.check_platform import check_layout
from tessera.lang.diagnostics import Diagnostic, Diagnostics, SpecError, nearest
from tessera.lang.parse import parse
from tessera.lang.scope import Symbols
from tessera.lang.source import Source, read
from tessera.lang.typed_layout import Layout

LIBRARY = ("models", "specs", "specs/policies")
MOST_FILES = 64


@dataclass(slots=True)
class _Files:
    """The files read so far, in order of use."""

    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    done: dict[Path, tuple[Source, tuple[s.Item, ...]]] = field(default_factory=dict)
    overrides: list[s.Override] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A spec and all it uses, parsed; `items` of all files, `own` of the one asked for."""

    source: Source
    own: tuple[s.Item, ...]
    items: list[s.Item]
    digest: str
    used_with: list[s.Override]
    diagnostics: Diagnostics


def gather(path: Path | str) -> Gathered:
    """Read and parse a spec and everything it uses; raises as `load` does."""
    files = _Files()
    root = Path(path)
    _visit(files, _resolved(root) or root, (), None)
    digest = hashlib.sha256()
    items: list[s.Item] = []
    for source, parsed in files.done.values():
        digest.update(source.text.encode())
        digest.update(b"\0")
        items += parsed
    source, own = next(reversed(files.done.values()))
    return Gathered(source, own, items, digest.hexdigest(), files.overrides, files.diagnostics)


def load(path: Path | str, overrides: Mapping[str, int] | None = None) -> t.Spec:
    """Read, parse and check a spec and everything it uses.

    `overrides` replaces parameter values (in the parameter's own unit). Raises `TesseraError` for
    files that cannot be read and `SpecError` for mistakes in the text.
    """
    read_in = gather(path)
    checker = SpecChecker(read_in.diagnostics, read_in.source.name)
    given = dict(overrides or {})
    return checker.check(read_in.items, read_in.own, read_in.digest, read_in.used_with, given)


def load_layout(path: Path | str) -> Layout:
    """Read and check only the platform of a spec or of a platform's own file; it may be open.

    Raises `TesseraError` as `load` does, and when there is no platform.
    """
    read_in = gather(path)
    platforms = [item for item in read_in.items if isinstance(item, s.Platform)]
    if not platforms:
        raise TesseraError(
            "there is no platform here, so there is nothing to lay out",
            where=read_in.source.name,
            remedy='use one, e.g. use "optee/platforms/qemu_armv8a.tess"',
        )
    layout = check_layout(Symbols(read_in.diagnostics), platforms[-1])
    read_in.diagnostics.raise_if_any()
    assert layout is not None
    return replace(
        layout,
        file=read_in.source.name,
        digest=read_in.digest,
        lines=dict(read_in.diagnostics.lines),
    )


def _resolved(path: Path) -> Path | None:
    """The one real path of a file that exists, so that no file is read twice."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, a loop of links, a NUL in the name
        return None


def _visit(files: _Files, path: Path, above: tuple[Path, ...], use: s.Use | None) -> None:
    if path in above:
        names = " -> ".join(p.name for p in (*above[above.index(path) :], path))
        raise _at(files, use, f"include cycle: {names}", "drop one of these 'use' lines")
    if path in files.done:
        return
    if len(files.done) + len(above) >= MOST_FILES:
        raise _at(files, use, f"more than {MOST_FILES} files are used", "join some of them")
    try:
        source = read(path)
    except SpecError:
        raise
    except TesseraError as error:
        raise (_at(files, use, error.message, error.remedy) if use else error) from None
    files.diagnostics.lines[source.name] = source.lines
    items = parse(source)
    for item in items:
        if isinstance(item, s.Use):
            _visit(files, _find(files, item, path), (*above, path), item)
            # After those of the used file: whoever stands further out decides.
            files.overrides += item.overrides
    files.done[path] = (source, items)


def _at(files: _Files, use: s.Use | None, message: str, remedy: str) -> TesseraError:
    """An error that shows the `use` that led to it."""
    assert use is not None
    return SpecError((Diagnostic(use.span, message, remedy),), files.diagnostics.lines)


def _find(files: _Files, use: s.Use, user: Path) -> Path:
    """Relative to the using file first, then in the kit's own library."""
    library = [resources.path(folder) for folder in LIBRARY]
    for place in (user.parent, *library):
        found = _resolved(place / use.path)
        if found is not None and not found.is_dir():
            return found
        if found is not None:
            raise _at(files, use, f"{use.path} is a folder", "name a .tess file in it")
    known = _beside(user.parent / use.path, use.path)
    known += [str(file.relative_to(base)) for base in library for file in base.rglob("*.tess")]
    remedy = "give a path relative to this file, or one of the kit's models and specs"
    raise _at(files, use, f"no such file: {use.path}", nearest(use.path, known) or remedy)


def _beside(wanted: Path, written: str) -> list[str]:
    """The specs in the folder where a file was looked for, as one would write them."""
    prefix = written[: len(written) - len(wanted.name)]
    try:
        return [prefix + file.name for file in wanted.parent.glob("*.tess")]
    except (OSError, ValueError):
        return []
