"""Negative controls: known mistakes put into the emitted patch, and which tier sees them.

Goal: `run_controls` applies every control of the catalogue and runs the tiers on what comes out; a
control that no tier catches is said to be so.
Non-goals: the mistakes themselves (see `control_catalogue`), and mistakes of specs (see
`tessera.mutate`).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tessera.conform import cbmc, smt
from tessera.conform.cbmc import Harness
from tessera.conform.cbmc_run import Bounds
from tessera.conform.control_catalogue import CONTROLS, Control
from tessera.conform.controls_chosen import is_tried
from tessera.conform.patched import FOBJ, HEADER, MEMORY, POOL, TA_STORE
from tessera.conform.prepared import Prepared, prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options, Tier, silent
from tessera.emit import make_patch
from tessera.errors import EXIT_OK, EXIT_UNMET, TesseraError
from tessera.lang.typed import Spec

TIERS = ("smt", "host")
SEEN = ("DIFFERS", "REFUSED", "ENDLESS")
NOT_TRIED = "NOT TRIED"
CONTEXT = 8
"""Lines around a change: enough to put a statement where it does not belong."""

_DEADLINES: dict[str, float] = {"host": 600}
"""Seconds of a processor for a tier that runs the C, which a mistake may keep from ending."""
_LOOK = 0.25  # seconds between two looks at it
_ON_THE_CLOCK = 10
"""So many times as long it may take on the clock: on a busy machine that says nothing of the C."""


_BOUNDS = Bounds(seconds=120, mebibytes=4096)
_FIRST = {
    "window": ("window.",),
    "bounds": ("window.hi",),
    "search": ("offset", "search"),
    "class": ("uuids", "class"),
    "spill": ("spill",),
    "width": ("pages", "window."),
    "pools": ("pages",),
    "scrub": ("scrub/",),
}
"""By the kind of a mistake: the checks of the tier smt that are asked before the others."""
_GROUPS = ("asked", "promise", "memory", "list", "reserve_kept", "inside", "spill_last", "refused")
"""What the model checker is asked of a changed search, in this order; `asked` has the loops."""


@dataclass(frozen=True, slots=True)
class Caught:
    """What one tier said about one control.

    `verdict` is that of the first check that does not agree: DIFFERS; UNKNOWN, which refuses the
    patch without calling it wrong; REFUSED when the C does not compile; ENDLESS when it runs for
    ever; AGREES when nothing was seen; NOT TRIED for a slow tier and a control that it is not given
    (see `controls_chosen`). `processor` is in seconds, too, those of all processes that were run.
    """

    tier: str
    verdict: str
    check: str
    detail: str
    seconds: float
    processor: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One control and what every tier said."""

    control: Control
    tiers: tuple[Caught, ...]

    @property
    def caught(self) -> bool:
        """Whether some tier saw it; a patch that was merely not read is not caught."""
        return any(tier.verdict in SEEN for tier in self.tiers)

    @property
    def tried(self) -> bool:
        """Whether any tier was given it."""
        return any(tier.verdict != NOT_TRIED for tier in self.tiers)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when every control that was tried was caught by some tier, else 1; 1 when none was."""
    tried = [outcome for outcome in outcomes if outcome.tried]
    return EXIT_OK if tried and all(outcome.caught for outcome in tried) else EXIT_UNMET


def run_controls(
    spec: Spec,
    tree: Path,
    options: Options,
    tiers: Sequence[str] = TIERS,
    only: Sequence[str] = (),
) -> Iterator[Outcome]:
    """Every control that changes the patch of this spec and tree, in the catalogue's order.

    `only` names the controls that are wanted; every tier is then given them. Raises TesseraError as
    `make_patch` does, for an unknown name, and when no control applies.
    """
    _check_names(only)
    text = make_patch(spec, tree, context=CONTEXT).text
    applied = 0
    for control in CONTROLS:
        if only and control.name not in only:
            continue
        changed = control.change(text)
        if changed == text:
            continue
        applied += 1
        options.progress(control.name)
        files = changed_files(text, changed)
        said = tuple(
            _ask(tier, spec, tree, changed, options, _About(control.kind, files))
            if is_tried(tier, control.name, by_name=bool(only))
            else Caught(tier, NOT_TRIED, "", "the tier takes minutes for one", 0.0)
            for tier in tiers
        )
        yield Outcome(control, said)
    if not applied:
        raise TesseraError(
            f"no control applies to the patch of '{spec.name}'",
            where=spec.file,
            remedy="take a spec that emits windows, such as priority",
        )


def _check_names(only: Sequence[str]) -> None:
    known = [control.name for control in CONTROLS]
    strange = [name for name in only if name not in known]
    if strange:
        raise TesseraError(
            f"there is no control '{strange[0]}'", remedy=f"one of: {', '.join(known)}"
        )


def changed_files(before: str, after: str) -> tuple[str, ...]:
    """The files whose part of a patch is another than before."""
    old, new = _by_file(before), _by_file(after)
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _by_file(text: str) -> dict[str, str]:
    parts = text.split("\n--- a/")[1:]
    return {part.partition("\n")[0].split("\t")[0]: part for part in parts}


@dataclass(frozen=True, slots=True)
class _About:
    """What a mistake concerns: its kind, and the files that it changes."""

    kind: str
    files: tuple[str, ...]


def _smt(spec: Spec, ready: Prepared, options: Options, *, kind: str) -> Iterator[Check]:
    """The tier smt, the checks that a mistake of this kind is for before the others."""
    checks = smt.plan(spec, ready, options)
    first = _FIRST.get(kind, ())
    for name in sorted(checks, key=lambda name: not name.startswith(("patch", "order", *first))):
        yield checks[name]()


def _harnesses(files: Sequence[str]) -> tuple[Harness, ...]:
    """For the model checker: the operations that the files are for, the quickest question first."""
    out: list[Harness] = []
    if {POOL, HEADER, MEMORY} & {*files}:
        out += [Harness("alloc", (n,), "", (group,)) for n in (0, 1) for group in _GROUPS]
    if FOBJ in files:
        out.append(Harness("scrub", (1,), "", ("scrub", "memory")))
    if TA_STORE in files:
        out.append(Harness("image", (1,), "", ("scrub", "memory")))
    return tuple(out)


def _ask(tier: str, spec: Spec, tree: Path, text: str, options: Options, about: _About) -> Caught:
    """What the tier says about a changed patch; a tier that runs the C gets an end set."""
    began, used = time.perf_counter(), _processor()
    with tempfile.TemporaryDirectory(prefix="tessera-control-") as scratch:
        patch = Path(scratch, "control.patch")
        patch.write_text(text, encoding="utf-8")
        with prepared(spec, tree, patch) as ready:
            answer = (_apart if tier in _DEADLINES else _first_difference)(
                tier, spec, ready, options, about
            )
    return Caught(tier, *answer, time.perf_counter() - began, _processor() - used)


def _processor() -> float:
    """Seconds that this process and those that it waited for have had."""
    return sum(os.times()[:4])


def _first_difference(
    tier: str, spec: Spec, ready: Prepared, options: Options, about: _About
) -> tuple[str, str, str]:
    """The verdict, check and detail of the first check that differs, or of the last unknown one."""
    run: Tier = importlib.import_module(f"tessera.conform.{tier}").run
    if tier == "cbmc":
        run = functools.partial(cbmc.run, harnesses=_harnesses(about.files), bounds=_BOUNDS)
    elif tier == "smt":
        run = functools.partial(_smt, kind=about.kind)
    found = ("AGREES", "", "nothing was seen")
    try:
        for one in run(spec, ready, options):
            if one.verdict not in ("AGREES", "SKIPPED"):
                found = one.verdict, one.name, one.detail
            if one.verdict == "DIFFERS":
                break
    except TesseraError as error:
        refused = "does not compile" in error.message
        return "REFUSED" if refused else "UNKNOWN", tier, error.message
    return found


def _apart(
    tier: str, spec: Spec, ready: Prepared, options: Options, about: _About
) -> tuple[str, str, str]:
    """The same in a process group of its own, which is ended when the C does not end."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        os.setpgid(0, 0)
        quiet = replace(options, progress=silent)
        theirs.send(_first_difference(tier, spec, ready, quiet, about))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    theirs.close()
    deadline, began = _DEADLINES[tier], time.perf_counter()
    try:
        while not ours.poll(_LOOK):
            if _spent(process.pid or 0) > deadline:
                return "ENDLESS", tier, f"the C did not end in {deadline} s of a processor"
            if time.perf_counter() - began > deadline * _ON_THE_CLOCK:
                return "UNKNOWN", tier, f"no answer in {deadline * _ON_THE_CLOCK} s on the clock"
        answer: tuple[str, str, str] = ours.recv()
    except EOFError:
        return "UNKNOWN", tier, "the tier itself ended without an answer"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    return answer


def _spent(group: int) -> float:
    """Processor seconds of a process group, with those of its children that have ended."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended in the meantime
            fields = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
