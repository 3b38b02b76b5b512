"""A trace from a file, taken again and compared with what the file says.

Goal: `replay_recorded` replays a script and holds every recorded state against the simulator's; the
trace it gives is `replayed` only when all of them are equal and the property fails (or is reached).
Non-goals: reading files (see `tessera.report.itf`, `tessera.report.read`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.model.plain import script_of
from tessera.model.replay import replay
from tessera.results import Trace


@dataclass(frozen=True, slots=True)
class Recorded:
    """A trace as a file has it: where the spec was and which, the script, the states in order."""

    id: str
    spec: str  # name of the spec
    file: str  # path of the spec as it was checked; empty when the file does not say
    digest: str  # of the spec as it was checked; empty when the file does not say
    script: Mapping[str, Any]
    states: Sequence[Mapping[str, Any]]


def replay_recorded(spec: Spec, recorded: Recorded) -> Trace:
    """The trace of a recorded run. Raises TesseraError for a script that cannot be read, or that
    names a property that the spec does not have."""
    name = recorded.script.get("property")
    if not isinstance(name, str):
        raise TesseraError(
            "this trace does not say which property it is about",
            where=recorded.id,
            remedy="export the trace again with this version of tessera",
        )
    trace = replay(spec, script_of(recorded.script, recorded.id), name)
    if not trace.replayed:
        return trace
    if len(recorded.states) != len(trace.steps):
        said = f"{len(recorded.states)} states are recorded, the run has {len(trace.steps)}"
        return replace(trace, broken=f"not reproduced: {said}", replayed=False)
    for number, (step, state) in enumerate(zip(trace.steps, recorded.states, strict=True)):
        differing = [n for n in step.state if n not in state or step.state[n] != state[n]]
        if differing:
            said = f"not reproduced, step {number}: another value of '{differing[0]}' is recorded"
            return replace(trace, broken=said, replayed=False)
    return trace
