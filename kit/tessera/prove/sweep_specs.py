"""The specs of a sweep: on another platform, without a `given`, with a constant's range narrowed.

Goal: each question of a sweep is asked of an ordinary spec, made from the one that was given.
Non-goals: the questions (see `tessera.prove.sweep`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang import typed as t
from tessera.lang.diagnostics import nearest
from tessera.lang.load import load_layout
from tessera.lang.types import BOOL, IntType
from tessera.lang.walk import walk

WIDTH_PROPERTIES = ("lookup", "inside_secure", "no_wrap")
"""The pool's properties that speak about widths and places, and so about how large a pool is."""

_PLATFORMS = "models/optee/platforms"


@dataclass(frozen=True, slots=True)
class Subject:
    """A spec on one platform; `own` is the size of the platform's region `pool` in granules."""

    platform: str
    spec: t.Spec
    own: int | None


def shipped_platforms() -> dict[str, Path]:
    """The files of the platforms that ship with the kit, by name."""
    files = sorted(resources.path(_PLATFORMS).glob("*.tess"))
    return {file.stem: file for file in files}


def subjects(spec_file: Path, platforms: Iterable[tuple[str, Path]]) -> list[Subject]:
    """The spec on each platform; the spec's own platform, where there is one, is replaced.

    A parameter with a range is proved for all its values, so where the configured one does not fit
    on a platform its lowest is taken. Raises `TesseraError` for what the language still refuses.
    """
    params = load(spec_file).params.values()
    lowest = {p.name: p.low.value for p in params if isinstance(p.low, t.IntLit)}
    return [_subject(name, _on_platform(spec_file, file, lowest)) for name, file in platforms]


def own_subject(spec: t.Spec) -> Subject:
    """The spec as it is."""
    return _subject(spec.platform.name if spec.platform else "-", spec)


def _subject(name: str, spec: t.Spec) -> Subject:
    if spec.platform is None:
        return Subject(name, spec, None)
    pools = [region for region in spec.platform.regions if region.name == "pool"]
    own = pools[0].size >> spec.platform.granule_shift if pools else None
    return Subject(name, spec, own)


def _on_platform(spec_file: Path, platform_file: Path, lowest: Mapping[str, int]) -> t.Spec:
    """The last platform used counts, so the spec's own gives way to one that is used after it."""
    lines = ["spec sweep", f'use "{spec_file.resolve()}"', f'use "{platform_file.resolve()}"']
    with tempfile.TemporaryDirectory(prefix="tessera-sweep-") as folder:
        outer = Path(folder) / "sweep.tess"
        outer.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            return load(outer)
        except TesseraError:
            if not lowest:
                raise
            return load(outer, lowest)


def size_const(spec: t.Spec, wanted: str | None) -> str:
    """The constant to sweep: the one named, or the one in the `length` of the spec's first view.

    Raises `TesseraError` when there is no such constant, or when its range is not made of numbers.
    """
    known = [c.name for c in spec.consts.values() if not c.params and isinstance(c.type, IntType)]
    if wanted is None:
        lengths = [i for view in spec.views for i in view.items if i.kind == "length"]
        read = [_consts(item.exprs[0]) for item in lengths]
        wanted = read[0][0] if read and len(read[0]) == 1 else None
        if wanted is None:
            raise TesseraError(
                "no view tells which constant is the size",
                where=spec.file,
                remedy=f"name it with --size-const; there are: {', '.join(known) or 'none'}",
            )
    if wanted not in known:
        raise TesseraError(
            f"there is no integer constant '{wanted}'",
            where=spec.file,
            remedy=nearest(wanted, known) or f"there are: {', '.join(known) or 'none'}",
        )
    bounds(spec, wanted)
    return wanted


def _consts(expr: t.Expr) -> list[str]:
    found = [e.name for e in walk(expr) if isinstance(e, t.Apply) and e.kind == "const"]
    return list(dict.fromkeys(found))


def bounds(spec: t.Spec, name: str) -> tuple[int, int]:
    """The lowest and highest value of an integer constant."""
    const = spec.consts[name]
    assert isinstance(const.type, IntType)
    ends = []
    for expr, otherwise in ((const.low, 0), (const.high, (1 << const.type.width) - 1)):
        if expr is not None and not isinstance(expr, t.IntLit):
            raise TesseraError(
                f"the range of '{name}' is not made of numbers",
                where=const.span,
                remedy="sweep a constant with a plain range, such as 1 granules .. 64 Ki granules",
            )
        ends.append(otherwise if expr is None else expr.value)
    return ends[0], ends[1]


def resized(spec: t.Spec, name: str, low: int, high: int) -> t.Spec:
    """The spec with another range for one constant."""
    const = spec.consts[name]
    made = replace(
        const,
        low=t.IntLit(low, const.type, const.span),
        high=t.IntLit(high, const.type, const.span),
    )
    return replace(spec, consts={**spec.consts, name: made})


def bare(spec: t.Spec, name: str) -> t.Spec:
    """The spec with the property as if it had no `given`, and without expectations; invariants that
    are expected to be violated can help no proof and are left out."""
    properties = tuple(
        replace(p, given=t.BoolLit(True, BOOL, p.span)) if p.name == name else p
        for p in spec.properties
        if p.name == name or p.name not in spec.expects
    )
    return replace(spec, properties=properties, expects={})


def chosen_properties(spec: t.Spec, wanted: Sequence[str]) -> tuple[str, ...]:
    """What to sweep: the properties named, else the width properties that the spec has, else the
    invariants that it expects to be violated.

    Raises `TesseraError` for names that the spec does not have, and when nothing is left.
    """
    known = [p.name for p in spec.properties if p.kind in ("invariant", "step", "promise")]
    for name in wanted:
        if name not in known:
            raise TesseraError(
                f"there is no invariant, step property or promise '{name}'",
                where=spec.file,
                remedy=nearest(name, known) or f"there are: {', '.join(known) or 'none'}",
            )
    broken = [n for n in known if n in spec.expects and spec.expects[n].verdict == "violated"]
    usual = [n for n in WIDTH_PROPERTIES if n in known]
    chosen = tuple(dict.fromkeys(wanted)) or tuple(usual or broken)
    if not chosen:
        raise TesseraError(
            "the spec has none of the properties that are swept when none is named",
            where=spec.file,
            remedy=f"name one with --property: {', '.join(known)}",
        )
    return chosen


def chosen_platforms(wanted: Sequence[str]) -> list[tuple[str, Path]]:
    """The shipped platforms named, or files; all that ship and have all places fixed by default."""
    shipped = shipped_platforms()
    if not wanted:
        return [(n, f) for n, f in shipped.items() if not load_layout(f).open_areas]
    out = []
    for name in wanted:
        if name in shipped:
            out.append((name, shipped[name]))
        elif Path(name).is_file():
            out.append((Path(name).stem, Path(name)))
        else:
            raise TesseraError(
                f"there is no platform '{name}'",
                remedy=nearest(name, list(shipped))
                or f"give a file, or one of: {', '.join(shipped)}",
            )
    return out


__all__ = ["WIDTH_PROPERTIES", "Subject", "bounds", "chosen_properties", "size_const", "subjects"]
