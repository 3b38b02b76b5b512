"""From a spec to validated facts: emit its patch, boot OP-TEE with and without it, compare.

Goal: what the scenarios are expected to show follows from the spec itself, so that a change of the
policy, of the classes or of the list of inference TAs changes the expectations with it.
Non-goals: proofs (see `tessera.prove`) and rendering (see `tessera.report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.emit import make_patch
from tessera.guest import machine, process, scenarios, toolchain
from tessera.guest.scenarios import crash, residue, starve
from tessera.lang.typed import Spec
from tessera.results import PatchInfo, Results, Scenario

INFERENCE_TA = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"  # the TA that the scenarios open


@dataclass(frozen=True, slots=True)
class Validation:
    """What was emitted, what the scenarios showed, and what with."""

    patch: PatchInfo
    scenarios: tuple[Scenario, ...]
    versions: dict[str, str]

    @property
    def met(self) -> bool:
        """Whether every scenario did on both sides what was expected."""
        return all(scenario.met for scenario in self.scenarios)

    def results(self, spec: Spec) -> Results:
        """The results document that holds this validation alone."""
        return Results(
            spec=spec.name,
            doc=spec.doc,
            file=spec.file,
            digest=spec.digest,
            patch=self.patch,
            scenarios=self.scenarios,
            versions=self.versions,
        )


def validate(
    spec: Spec,
    *,
    tree: Path | None = None,
    names: Sequence[str] = (),
    progress: process.Progress = process.silent,
    log_folder: Path = machine.LOG_FOLDER,
) -> Validation:
    """Emit the patch for `tree` (default: the fetched source) and run the scenarios `names`.

    Raises `TesseraError` when the guest's parts are missing, the policy has no patch for the tree,
    or a build fails.
    """
    parts = toolchain.require()
    patch = make_patch(spec, tree if tree is not None else parts.optee_source)
    shown = scenarios.run_scenarios(
        patch.text,
        tree=tree,
        names=names,
        expect_patched=expectations(spec),
        progress=progress,
        log_folder=log_folder,
    )
    return Validation(patch, shown, scenarios.versions(tree))


def expectations(spec: Spec) -> dict[str, bool]:
    """Which scenarios the patched side should pass, as the spec's own words have it.

    `starve` needs the promise and an inference TA of higher class; `residue` and `crash` need that
    nothing is left at rest. The other scenarios hold with any policy.
    """
    wiped = not _given_up(spec, "no_residue_at_rest")
    return {
        starve.NAME: serves(spec, INFERENCE_TA)
        and not _given_up(spec, "promise")
        and not _given_up(spec, "reserve_kept"),
        residue.NAME: wiped,
        crash.NAME: wiped,
    }


def serves(spec: Spec, uuid: str) -> bool:
    """Whether the spec gives the TA a class above another one."""
    return any(
        spec.outranks(high.name, low.name)
        for high in spec.classes
        if any(ta.uuid.lower() == uuid for ta in high.tas)
        for low in spec.classes
    )


def _given_up(spec: Spec, name: str) -> bool:
    """Whether the spec itself expects a property to be violated."""
    expect = spec.expects.get(name)
    return expect is not None and expect.verdict == "violated"
