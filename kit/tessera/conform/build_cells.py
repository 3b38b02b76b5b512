"""The patched files in one configuration after another, before the patch and after it.

Goal: `compiled` makes the objects of the files that a patch touches, unpatched and patched, in each
configuration, and says of each: does the tree offer it, does it compile, which warnings are new.
Non-goals: which trees (see `builds`), and linking: what is not touched is not compiled.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tessera.conform.build_said import Complaint, complaints, new_ones
from tessera.conform.result import Check
from tessera.conform.tiers import Progress, silent
from tessera.errors import TesseraError
from tessera.guest import hosttools, optee, process, releases

PLATFORM = (
    "PLATFORM=vexpress-qemu_armv8a",
    "CFG_ARM_GICV3=y",
    # Without it the part of ree_fs_ta.c that buffers TA images is not compiled.
    "CFG_REE_FS_TA_BUFFERED=y",
    "WARNS=3",
)
_MAKE_SECONDS = 900
# What a makefile says with $(error): its own place stands before it, not the word make.
_REFUSED = re.compile(r"^\S+:\d+: \*\*\* (.*?)(?:\.\s+Stop\.)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Core:
    """A width of the core: its compiler's prefix, what makes it that wide, make's other words."""

    name: str
    cross: str
    settings: dict[str, str]
    words: tuple[str, ...]


CORE_64 = Core(
    "64",
    optee.CROSS,
    {"CFG_ARM64_core": "y"},
    (
        "CFG_USER_TA_TARGETS=ta_arm64",
        *(f"CROSS_COMPILE{end}={optee.CROSS}" for end in ("64", "_core", "_ta_arm64")),
    ),
)
_CROSS_32 = "arm-linux-gnueabihf-"
CORE_32 = Core(
    "32",
    _CROSS_32,
    {"CFG_ARM64_core": "n"},
    (
        "CFG_USER_TA_TARGETS=ta_arm32",
        *(f"CROSS_COMPILE{end}={_CROSS_32}" for end in ("", "32", "_core", "_ta_arm32")),
    ),
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is compiled: a core, and settings that the tree must take over as they are."""

    name: str
    core: Core
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, str]:
        """Every setting that the tree must take over."""
        return {**self.core.settings, **self.settings}


_SETTINGS = {
    "stats": {"CFG_WITH_STATS": "y"},
    "no-stats": {"CFG_WITH_STATS": "n"},
    "virtualization-stats": {"CFG_WITH_STATS": "y", "CFG_NS_VIRTUALIZATION": "y"},
    "virtualization-no-stats": {"CFG_WITH_STATS": "n", "CFG_NS_VIRTUALIZATION": "y"},
    "pager": {"CFG_WITH_STATS": "y", "CFG_WITH_PAGER": "y"},
}
CONFIGURATIONS = (
    *(Configuration(f"64/{name}", CORE_64, asked) for name, asked in _SETTINGS.items()),
    *(Configuration(f"32/{name}", CORE_32, asked) for name, asked in _SETTINGS.items()),
    Configuration("32/lpae", CORE_32, {"CFG_WITH_STATS": "y", "CFG_WITH_LPAE": "y"}),
)


@dataclass(frozen=True, slots=True)
class _Made:
    """One run of make: whether it came to its end, and what was said."""

    ended: bool
    said: str
    seconds: float


def compiled(
    label: str,
    tree: Path,
    patch_text: str,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    progress: Progress = silent,
) -> Iterator[Check]:
    """A check for each configuration, named `builds/<label>/<configuration>`.

    `tree` is a copy of our own: it is patched on the way, and `out.*` folders are left beside it.
    Raises `TesseraError` when the patch does not apply, and when there is no make.
    """
    files = optee.patched_files(tree, patch_text)
    objects = [file.with_suffix(".o") for file in files if file.suffix == ".c"]
    if not objects:
        raise TesseraError("the patch touches no C file, so there is nothing to compile")
    before = []
    for one in configurations:
        progress(f"builds {label} {one.name}, unpatched")
        before.append(_settled(tree, one) or _objects(tree, one, objects))
    optee.apply_patch(tree, patch_text)
    for one, first in zip(configurations, before, strict=True):
        name = f"builds/{label}/{one.name}"
        if isinstance(first, Check):
            yield Check("builds", name, first.verdict, first.detail, remedy=first.remedy)
            continue
        progress(f"builds {label} {one.name}, patched")
        yield _judged(name, first, _objects(tree, one, objects), len(objects))


def _out(tree: Path, one: Configuration) -> Path:
    return tree.parent / f"out.{one.name.replace('/', '.')}"


def _make(tree: Path, one: Configuration, targets: Sequence[Path]) -> _Made:
    out = _out(tree, one)
    out.mkdir(exist_ok=True)
    log = out / "make.log"
    settings = [f"{name}={value}" for name, value in one.wanted.items()]
    began = time.perf_counter()
    ended, said = True, ""
    try:
        said = process.run(
            [
                "make",
                "-s",
                f"-j{min(os.cpu_count() or 1, len(targets))}",
                f"O={out}",
                *PLATFORM,
                *one.core.words,
                *settings,
                f"PYTHON3={hosttools.PYTHON}",
                *(out / target for target in targets),
            ],
            cwd=tree,
            env=optee.EPOCH,
            clean=True,
            log=log,
            timeout=_MAKE_SECONDS,
        )
    except process.KilledError:
        raise
    except TesseraError:
        if not log.is_file():
            raise  # make itself is missing
        ended, said = False, log.read_text(encoding="utf-8")
    return _Made(ended, said, time.perf_counter() - began)


def _settled(tree: Path, one: Configuration) -> Check | None:
    """Why a configuration is not compiled; None when the tree offers it and a compiler is there."""
    gcc = f"{one.core.cross}gcc"
    if shutil.which(gcc) is None:
        return Check("builds", "", "SKIPPED", f"there is no {gcc}", remedy=releases.MEND)
    made = _make(tree, one, [Path("conf.mk")])
    if not made.ended:
        refused = _REFUSED.search(made.said)
        if refused is None:
            return Check("builds", "", "UNKNOWN", f"no configuration: {_last_word(made.said)}")
        return Check("builds", "", "SKIPPED", f"not offered: {refused.group(1)}")
    text = (_out(tree, one) / "conf.mk").read_text(encoding="utf-8", errors="replace")
    taken = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    for name, value in one.wanted.items():
        found = taken.get(name, "")
        if (found or "n") != value:
            why = f"the tree sets {name}={found or 'n'}"
            told = re.search(rf"Disabling {name} (\[.*?\])", made.said)
            return Check(
                "builds", "", "SKIPPED", f"not offered: {why}{f' {told.group(1)}' if told else ''}"
            )
    return None


def _objects(tree: Path, one: Configuration, objects: Sequence[Path]) -> _Made:
    for target in objects:
        (_out(tree, one) / target).unlink(missing_ok=True)
    made = _make(tree, one, objects)
    absent = [target for target in objects if not (_out(tree, one) / target).is_file()]
    if made.ended and absent:
        return _Made(False, f"make ended, but there is no {absent[0]}", made.seconds)
    return made


def _judged(name: str, before: _Made, after: _Made, objects: int) -> Check:
    seconds = before.seconds + after.seconds
    old, new = complaints(before.said), complaints(after.said)
    if not before.ended:
        wrong, where = _first_error(before.said, old)
        told = f"the unpatched tree does not compile: {wrong}"
        return Check("builds", name, "UNKNOWN", told, seconds=seconds, where=where)
    if not after.ended:
        wrong, where = _first_error(after.said, new)
        told = f"the patched tree does not compile: {wrong}"
        return Check("builds", name, "DIFFERS", told, seconds=seconds, where=where)
    more = new_ones(old, new)
    counts = {"objects": objects, "warnings_before": len(old), "warnings_after": len(new)}
    if more:
        told = f"{len(more)} new warning{'s' * (len(more) > 1)}: {more[0].text}"
        lines = tuple(f"{one.where}: {one.kind}: {one.text}" for one in more)
        return Check(
            "builds", name, "DIFFERS", told, counts, seconds, where=more[0].where, trace=lines
        )
    told = f"{objects} files, {len(old)} warnings before, {len(new)} after"
    return Check("builds", name, "AGREES", told, counts, seconds)


def _first_error(said: str, found: Sequence[Complaint]) -> tuple[str, str]:
    """The compiler's first error and its place; make's last words when there is none."""
    for one in found:
        if one.kind in ("error", "fatal error"):
            return one.text, one.where
    return _last_word(said), ""


def _last_word(said: str) -> str:
    """The reason that make gave for stopping, without its own folder."""
    stops = re.findall(r"^(?:\S+:\d+: )?(?:make\S*: )?\*\*\* (.*?)(?:\.\s+Stop\.)?$", said, re.M)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return stops[-1] if stops else lines[-1] if lines else "make said nothing"
