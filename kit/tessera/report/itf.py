"""Traces in the Informal Trace Format of Apalache, for its tools, Quint's and others.

Goal: `to_itf` writes a trace as ADR-015 of Apalache describes it (revision of 2023-09-14: every
integer is a `#bigint`), `from_itf` reads back what it wrote. A map over integers becomes a `#map`
from `#tup`s `(lo, hi)`, half-open, to values; constants are `params`, set in the first state. What
the format has no place for (universes, the property, arguments and choices) stands in `#meta`.
Source: https://apalache-mc.org/docs/adr/015adr-trace.html
Non-goals: traces that other tools wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.errors import TesseraError
from tessera.model.recorded import Recorded
from tessera.results import Obligation, Results

DESCRIPTION = "https://apalache-mc.org/docs/adr/015adr-trace.html"
SUFFIX = ".itf.json"


# --- writing --------------------------------------------------------------------------------------


def to_itf(results: Results, obligation: Obligation) -> dict[str, Any]:
    """One obligation's trace as an ITF object. Raises TesseraError when it has none."""
    trace = obligation.trace
    if trace is None or not trace.script:
        raise TesseraError(
            "this obligation has no trace to export",
            where=obligation.id,
            remedy="choose one that is violated, covered or has a counterexample to induction",
        )
    script = trace.script
    own = obligation.id.split("/", 1)[0] == results.spec
    world = script["world"]
    params = {n: _value(v) for n, v in world["scalars"].items()}
    params |= {n: _table(rows) for n, rows in world["tables"].items()}
    states: list[dict[str, Any]] = []
    for number, step in enumerate(trace.steps):
        meta: dict[str, Any] = {"index": number, "action": step.action}
        if number:
            meta["event"] = script["events"][number - 1]
        state: dict[str, Any] = {"#meta": meta}
        if number == 0:
            state |= params
        states.append(state | {name: _value(v) for name, v in step.state.items()})
    about = {
        "id": obligation.id,
        "verdict": obligation.verdict,
        "spec": obligation.id.split("/", 1)[0],
        "file": results.file if own else "",
        "digest": results.digest if own else "",
        "property": script["property"],
        "kind": trace.kind,
        "world": world,
        "assumed": script.get("assumed", []),
        "broken": trace.broken,
        "conjunct": trace.conjunct,
        "conjunct_span": trace.conjunct_span,
    }
    return {
        "#meta": {
            "format": "ITF",
            "format-description": DESCRIPTION,
            "source": results.file if own else "",
            "description": f"{obligation.id}: {obligation.verdict}, written by tessera",
            "tessera": about,
        },
        "params": list(params),
        "vars": list(trace.steps[0].state),
        "states": states,
    }


def _value(data: Any) -> Any:
    """Plain data (see `tessera.model.plain`) as an ITF expression."""
    if isinstance(data, bool | str):
        return data
    if isinstance(data, int):
        return {"#bigint": str(data)}
    if isinstance(data, Mapping):
        return {"#map": [[key, _value(part)] for key, part in data.items()]}
    return {"#map": [[_tuple([lo, hi]), _value(value)] for lo, hi, value in data]}


def _tuple(parts: list[Any]) -> dict[str, Any]:
    return {"#tup": [_value(part) for part in parts]}


def _table(rows: list[list[Any]]) -> dict[str, Any]:
    return {
        "#map": [
            [_value(args[0]) if len(args) == 1 else _tuple(args), _value(value)]
            for args, value in rows
        ]
    }


# --- reading --------------------------------------------------------------------------------------


def is_itf(data: Any) -> bool:
    """Whether data is meant to be an ITF trace."""
    return isinstance(data, dict) and "states" in data and "vars" in data


def from_itf(data: Any, where: str) -> Recorded:
    """The trace in an ITF object that `to_itf` wrote. Raises TesseraError for any other."""
    try:
        about = data["#meta"]["tessera"]
    except (KeyError, TypeError):
        raise TesseraError(
            "this ITF trace was not written by tessera: it does not say which events it has",
            where=where,
            remedy="export one with: tessera export RESULTS.json --format itf",
        ) from None
    try:
        names = [str(name) for name in data["vars"]]
        states = [{n: _plain(state[n]) for n in names} for state in data["states"]]
        script: dict[str, Any] = {
            "property": about["property"],
            "world": about["world"],
            "events": [state["#meta"]["event"] for state in data["states"][1:]],
        }
        if about["kind"] == "cti":
            script |= {"start": states[0], "assumed": about["assumed"]}
        id_, spec, file, digest = (str(about[key]) for key in ("id", "spec", "file", "digest"))
        return Recorded(id_, spec, file, digest, script, tuple(states))
    except KeyError as error:
        raise TesseraError(f"this ITF trace has no {error}", where=where, remedy=_AGAIN) from None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise TesseraError(
            f"this ITF trace cannot be read: {error}", where=where, remedy=_AGAIN
        ) from None


_AGAIN = "export the trace again with: tessera export RESULTS.json --format itf"


def _plain(data: Any) -> Any:
    """An ITF expression as plain data."""
    if isinstance(data, bool | str):
        return data
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError(f"{str(data)[:60]!r} is not an ITF expression that tessera writes")
    ((kind, content),) = data.items()
    if kind == "#bigint":
        return int(content)
    if kind != "#map":
        raise ValueError(f"an expression of kind {kind!r} is not one that tessera writes")
    if content and isinstance(content[0][0], dict):
        return [[*(_plain(end) for end in key["#tup"]), _plain(value)] for key, value in content]
    return {str(key): _plain(value) for key, value in content}
