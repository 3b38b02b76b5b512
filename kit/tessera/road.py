"""The whole road in one call: check, emit, build, boot, validate; one results document.

Goal: `walk` runs what the machine allows and says, in the document itself, exactly what was left
out and the command that mends it; with TESSERA_REQUIRE_GUEST=1 nothing may be left out.
Non-goals: the work of each part (see their packages) and rendering (see `tessera.report`).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tessera import __version__, prove, resources
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import scenarios, toolchain, validation
from tessera.lang import Spec, load
from tessera.results import Obligation, PatchInfo, Results, Scenario

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to walk: the spec, others only to be checked, the tree, and how far to go."""

    spec: str
    beside: tuple[str, ...] = ()  # specs whose obligations are shown next to the spec's
    tree: Path | None = None  # the user's own OP-TEE; None takes the fetched source
    guest: bool = True
    setup: bool = False  # fetch and install the guest's parts when they are missing
    logs: Path = Path("out/logs")


def walk(plan: Plan, progress: Progress) -> Results:
    """Walk the road as far as the plan and the machine allow.

    Raises `TesseraError` for a spec or tree that cannot be used, for a failed build, and, with
    TESSERA_REQUIRE_GUEST=1, for missing guest parts.
    """
    spec = load(resources.find_spec(plan.spec))
    others = [load(resources.find_spec(name)) for name in plan.beside]
    obligations: list[Obligation] = []
    for one in (spec, *others):
        obligations += prove.check(one, progress=_told(progress, one.name))
    done = Results(
        spec.name, spec.doc, spec.file, spec.digest, tuple(obligations), versions=own_versions()
    )
    refuted = [o.id for o in obligations if not o.met and o.id.startswith(f"{spec.name}/")]
    if refuted:
        why = f"the policy is not proved, see {refuted[0]}; to run it nevertheless: "
        return _without_guest(done, spec, plan, f"{why}tessera validate {plan.spec}")
    if not plan.guest:
        return _without_guest(done, spec, plan, "not asked for: run again without --no-guest")
    try:
        if plan.setup:
            toolchain.setup(progress)
        toolchain.require()
    except TesseraError as error:
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            raise
        return _without_guest(done, spec, plan, f"{error.message}; to mend it: {error.remedy}")
    shown = validation.validate(spec, tree=plan.tree, progress=progress, log_folder=plan.logs)
    return replace(
        done,
        patch=shown.patch,
        scenarios=shown.scenarios,
        versions={**done.versions, **shown.versions},
    )


def _told(progress: Progress, name: str) -> Callable[[int, int, str], None]:
    """The proofs' progress as words; a line per tenth, so that a log stays short."""
    last = -1

    def tell(done: int, everything: int, what: str) -> None:
        nonlocal last
        tenth = 10 * done // max(everything, 1)
        if tenth != last:
            last = tenth
            progress(f"checking {name}: {done} of {everything} questions answered, {what}")

    return tell


def own_versions() -> dict[str, str]:
    """The parts that a verdict depends on, without the guest's."""
    return {
        "tessera": __version__,
        "python": platform.python_version(),
        "z3": importlib.metadata.version("z3-solver"),
        "tree-sitter-c": importlib.metadata.version("tree-sitter-c"),
    }


def _without_guest(done: Results, spec: Spec, plan: Plan, why: str) -> Results:
    """The results with every scenario skipped; the patch is still made where there is a tree."""
    return replace(done, patch=_patch(spec, plan.tree), scenarios=skipped(why))


def _patch(spec: Spec, tree: Path | None) -> PatchInfo | None:
    here = toolchain.at_hand()
    source = tree or (here.optee_source if here else None)
    return make_patch(spec, source) if source else None


def skipped(why: str, names: Sequence[str] = ()) -> tuple[Scenario, ...]:
    """Every scenario as not run, for the given reason."""
    return tuple(
        Scenario(d.name, d.doc, None, None, d.unpatched_passes, True, False, why)
        for d in (scenarios.DEFINITIONS if names else scenarios.QUICK)
        if not names or d.name in names
    )
