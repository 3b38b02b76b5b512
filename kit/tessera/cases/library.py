"""Which cases there are: one folder each in `specs/cases/`, with its facts in `case.toml`.

Goal: every case as one record, in a stable order; a folder that is not as `docs/cases/README.md`
says is one clear error.
Non-goals: checking the specs (see `tessera.cases.verdicts`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tessera import resources
from tessera.errors import TesseraError

FACTS = "case.toml"
GROUPS = ("advisory", "history", "design", "width")
DEFECT, FIXED, MODEL = "defect", "fixed", "model"

_TEXTS = ("title", "group", "place", "affected", "happened", "model", "fix")
_LISTS = ("advisories", "fixes")
_RULES = "docs/cases/README.md says how a case is written"


@dataclass(frozen=True, slots=True)
class Case:
    """One defect: its facts, and the names of its specs without `.tess`, those with it first."""

    id: str
    folder: Path
    title: str
    group: str
    place: str
    affected: str
    happened: str
    model: str
    fix: str
    advisories: tuple[str, ...]
    fixes: tuple[str, ...]
    specs: tuple[str, ...]

    def spec(self, name: str) -> Path:
        """The path of one of its specs."""
        return self.folder / f"{name}.tess"


def read_cases(wanted: list[str] | None = None, folder: Path | None = None) -> tuple[Case, ...]:
    """The cases asked for, or all of them: by group, then by id.

    `folder` is where they lie, the kit's own by default. Raises `TesseraError` for an id that there
    is not, with the nearest ones, and for a folder that is not as it should be.
    """
    root = folder or resources.path(f"specs/{resources.CASES}")
    known = [place.name for place in sorted(root.iterdir()) if place.is_dir()]
    for name in wanted or []:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or known
            raise TesseraError(
                f"there is no case `{name}`", remedy=f"name one of these: {', '.join(near)}"
            )
    cases = [read_case(root / name) for name in dict.fromkeys(wanted or known)]
    return tuple(sorted(cases, key=lambda case: (GROUPS.index(case.group), case.id)))


def read_case(folder: Path) -> Case:
    """The case in one folder. Raises `TesseraError` when something is missing or not known."""
    facts = _facts(folder / FACTS)
    specs = sorted(file.stem for file in folder.glob("*.tess") if file.stem != MODEL)
    stray = [name for name in specs if not _is(DEFECT, name) and not _is(FIXED, name)]
    defects = [name for name in specs if _is(DEFECT, name)]
    fixed = [name for name in specs if _is(FIXED, name)]
    if stray or not defects or not fixed:
        wrong = f"{stray[0]}.tess has no part in a case" if stray else "a side is missing"
        raise TesseraError(
            wrong, where=str(folder), remedy=f"name the specs {DEFECT}*.tess and {FIXED}*.tess"
        )
    return Case(id=folder.name, folder=folder, specs=(*defects, *fixed), **facts)


def _is(side: str, name: str) -> bool:
    return name == side or name.startswith(f"{side}_")


def has_defect(name: str) -> bool:
    """Whether a spec of a case is a side with the defect."""
    return _is(DEFECT, name)


def _facts(file: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TesseraError(
            f"the facts of a case cannot be read: {error}", where=str(file), remedy=_RULES
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise TesseraError(f"not TOML: {error}", where=str(file), remedy=_RULES) from error
    known = {*_TEXTS, *_LISTS}
    for key in [*(k for k in (*_TEXTS, *_LISTS) if k not in given), *(given.keys() - known)]:
        wrong = f"`{key}` is missing" if key in known else f"`{key}` is not a fact of a case"
        raise TesseraError(wrong, where=str(file), remedy=_RULES)
    for key in _TEXTS:
        if not isinstance(given[key], str) or not given[key].strip():
            raise TesseraError(f"`{key}` must be a text", where=str(file), remedy=_RULES)
        given[key] = " ".join(given[key].split())
    for key in _LISTS:
        if not isinstance(given[key], list) or not all(isinstance(x, str) for x in given[key]):
            raise TesseraError(f"`{key}` must be a list of texts", where=str(file), remedy=_RULES)
        given[key] = tuple(given[key])
    if given["group"] not in GROUPS:
        raise TesseraError(
            f"no such group: {given['group']}",
            where=str(file),
            remedy=f"one of {', '.join(GROUPS)}",
        )
    return given
