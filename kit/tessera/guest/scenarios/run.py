"""Running the scenarios on both sides and comparing with what was expected.

Goal: outcomes, expectations and the verdict `met` of each scenario.
Non-goals: the trials themselves (one file each).
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import build, machine, process, qemu, toolchain
from tessera.guest.scenarios import churn, cost, crash, infer, isolate, residue, starve, xtest
from tessera.guest.scenarios.bench import Bench, InconclusiveError, prepare
from tessera.results import Cost, Outcome, Scenario

Trial = Callable[[Bench], Outcome]


@dataclass(frozen=True, slots=True)
class Definition:
    """A scenario: its trial, and what an OP-TEE without any policy is known to do."""

    name: str
    doc: str
    trial: Trial
    unpatched_passes: bool
    asked: bool = False  # takes minutes: runs only when it is asked for by name
    chosen: Callable[[str], Trial] | None = None  # what `name:text` asks for
    differs: Callable[[Outcome, Outcome], tuple[str, ...]] | None = None  # must be the same
    costs: Callable[[Outcome, Outcome], tuple[Cost, ...]] | None = None


DEFINITIONS = (
    Definition(infer.NAME, infer.DOC, infer.trial, True),
    Definition(starve.NAME, starve.DOC, starve.trial, False),
    Definition(residue.NAME, residue.DOC, residue.trial, False),
    Definition(isolate.NAME, isolate.DOC, isolate.trial, True),
    Definition(churn.NAME, churn.DOC, churn.trial, True, asked=True),
    Definition(crash.NAME, crash.DOC, crash.trial, False, asked=True),
    Definition(
        xtest.NAME,
        xtest.DOC,
        xtest.trial,
        True,
        asked=True,
        chosen=xtest.chosen,
        differs=xtest.differs,
    ),
    Definition(
        cost.NAME,
        cost.DOC,
        cost.trial,
        True,
        asked=True,
        chosen=cost.chosen,
        costs=cost.costs,
    ),
)

QUICK = tuple(definition for definition in DEFINITIONS if not definition.asked)


def run_scenarios(
    patch_text: str,
    *,
    tree: Path | None = None,
    names: Sequence[str] = (),
    expect_patched: Mapping[str, bool] | None = None,
    progress: process.Progress = process.silent,
    log_folder: Path = machine.LOG_FOLDER,
) -> tuple[Scenario, ...]:
    """Put OP-TEE without and with `patch_text` to the scenarios `names`, or to the quick ones.

    A name may say more: `xtest:1004,1006` runs these cases, `cost:2` counts everything twice.
    `expect_patched` says which scenarios the patched side passes (default: all of them). Logs go
    below `log_folder`. Raises `TesseraError` when parts are missing or a build fails; a guest that
    panics is an outcome, not an error.
    """
    wanted = _select(names)
    expected = expect_patched or {}
    sources = {"unpatched": None, "patched": patch_text}
    benches = [
        prepare(build.build(text, tree, progress), side, log_folder)
        for side, text in sources.items()
    ]
    found = []
    for definition in wanted:
        sides = []
        for bench in benches:
            progress(f"{definition.name}: {bench.side}")
            sides.append(_try(definition, bench))
        found.append(_compare(definition, sides, expected.get(definition.name, True)))
    return tuple(found)


def _select(names: Sequence[str]) -> list[Definition]:
    return [_named(name) for name in names] or list(QUICK)


def _named(text: str) -> Definition:
    known = {definition.name: definition for definition in DEFINITIONS}
    name, colon, more = text.partition(":")
    if name not in known:
        raise TesseraError(
            f"there is no scenario {name}",
            where="--scenario",
            remedy=f"one of: {', '.join(known)}",
        )
    if not colon:
        return known[name]
    chosen = known[name].chosen
    if chosen is None:
        able = ", ".join(f"{d.name}:" for d in DEFINITIONS if d.chosen)
        raise TesseraError(
            f"the scenario {name} takes nothing after a colon",
            where=f"--scenario {text}",
            remedy=f"--scenario {name}; these take something: {able}",
        )
    return dataclasses.replace(known[name], trial=chosen(more))


def _try(definition: Definition, bench: Bench) -> tuple[Outcome, bool]:
    """The outcome of one side, and whether it is conclusive."""
    log = f"{definition.name}.{bench.side}.linux.log"
    path = os.path.relpath(bench.log_folder / log, bench.log_folder.parent)
    version = f"OP-TEE {bench.build.version}"
    try:
        outcome = definition.trial(bench)
    except InconclusiveError as reason:
        return Outcome(False, f"{version}: inconclusive: {reason}", log=path), False
    except machine.GuestError as error:
        # A panic is no answer to any trial's question, not even where a failure is expected.
        return Outcome(False, f"{version}: {error.message}", log=path), False
    detail = f"{version}: {outcome.detail}"
    return dataclasses.replace(outcome, detail=detail, log=path), True


def _compare(
    definition: Definition, sides: Sequence[tuple[Outcome, bool]], expect_patched: bool
) -> Scenario:
    (unpatched, told_unpatched), (patched, told_patched) = sides
    as_expected = (
        unpatched.passed == definition.unpatched_passes and patched.passed == expect_patched
    )
    told = told_unpatched and told_patched
    # What only one side did is named even where the other one broke off.
    differs = definition.differs(unpatched, patched) if definition.differs else ()
    return Scenario(
        name=definition.name,
        doc=definition.doc,
        unpatched=unpatched,
        patched=patched,
        expect_unpatched=definition.unpatched_passes,
        expect_patched=expect_patched,
        # A trial that could not tell is never what was expected, even where a failure was.
        met=as_expected and told and not differs,
        differs=differs,
        costs=definition.costs(unpatched, patched) if definition.costs and told else (),
    )


def versions(tree: Path | None = None) -> dict[str, str]:
    """What the figures were measured with: part -> version. Raises `TesseraError` when missing."""
    parts = toolchain.require()
    made = build.build(None, tree)
    emulator = process.run([qemu.PROGRAM, "--version"])
    compiler = process.run(["aarch64-linux-gnu-gcc", "-dumpfullversion"])
    number = re.search(r"version (\S+)", emulator)
    return {
        "OP-TEE": made.version if tree is not None else f"{made.version} ({parts.optee})",
        "TF-A": parts.tfa,
        "Linux": parts.packages[parts.kernel],
        "OP-TEE client": parts.packages["libteec2"],
        "OP-TEE test": parts.packages["optee-test-qemu"],
        "QEMU": number.group(1) if number else emulator.split("\n", 1)[0],
        "gcc (aarch64)": compiler.strip(),
    }
