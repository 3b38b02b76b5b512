"""A results document read back.

Goal: `read_results(path)` gives the `Results` in a file that `tessera check --json` or
`tessera report` wrote; `recorded_traces` the traces in them that can be replayed.
Non-goals: judging them; documents of other tools.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from tessera.errors import TesseraError
from tessera.model.recorded import Recorded
from tessera.results import SCHEMA_VERSION, Results


def read_json(path: Path) -> Any:
    """The JSON in a file. Raises TesseraError when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TesseraError(
            f"cannot read it: {error.strerror or error}",
            where=str(path),
            remedy="give a file that tessera wrote",
        ) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise TesseraError(
            f"this is not JSON: {error}", where=str(path), remedy="give a file that tessera wrote"
        ) from None


def read_results(path: Path) -> tuple[Results, ...]:
    """The results in a file: one document, or a list of them as `check --json` prints for several.

    Raises TesseraError for anything else, or another version of the document.
    """
    return results_in(read_json(path), str(path))


def results_in(data: Any, where: str) -> tuple[Results, ...]:
    """The results in data already read; see `read_results`."""
    remedy = "write it anew: tessera check SPEC --json > results.json"
    documents = data if isinstance(data, list) else [data]
    out: list[Results] = []
    for document in documents:
        if not isinstance(document, dict) or "obligations" not in document:
            raise TesseraError("this is not a results document", where=where, remedy=remedy)
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            raise TesseraError(
                f"this document has version {version}, not {SCHEMA_VERSION}",
                where=where,
                remedy=remedy,
            )
        try:
            out.append(_built(Results, document, "results"))
        except (TypeError, ValueError) as error:
            raise TesseraError(
                f"this is not a results document: {error}", where=where, remedy=remedy
            ) from None
    return tuple(out)


def _built(kind: Any, data: Any, at: str) -> Any:
    """A value of an annotated type from plain data; TypeError says what does not fit and where."""
    origin = get_origin(kind)
    if origin is types.UnionType or origin is Union:
        if data is None:
            return None
        (kind,) = [k for k in get_args(kind) if k is not type(None)]
        return _built(kind, data, at)
    if is_dataclass(kind):
        return _record(kind, data, at)
    if origin is tuple:
        if not isinstance(data, list):
            raise TypeError(f"{at} is not a list")
        return tuple(_built(get_args(kind)[0], d, f"{at}[{i}]") for i, d in enumerate(data))
    wanted = origin or kind
    if wanted is Any:
        return data
    if wanted is float and isinstance(data, int):
        data = float(data)
    if not isinstance(data, wanted) or (wanted is int and isinstance(data, bool)):
        raise TypeError(f"{at} is not of type {wanted.__name__}")
    return data


def _record(kind: Any, data: Any, at: str) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{at} is not an object")
    hints = get_type_hints(kind)
    out = {}
    for field in fields(kind):
        if field.name in data:
            out[field.name] = _built(hints[field.name], data[field.name], f"{at}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{at} has no '{field.name}'")
    return kind(**out)


def recorded_traces(results: Iterable[Results]) -> list[Recorded]:
    """The traces that can be replayed, in order of their obligations."""
    out = []
    for document in results:
        for o in document.obligations:
            if o.trace is None or not o.trace.script:
                continue
            name = o.id.split("/", 1)[0]
            own = name == document.spec
            out.append(
                Recorded(
                    o.id,
                    name,
                    document.file if own else "",
                    document.digest if own else "",
                    o.trace.script,
                    tuple(step.state for step in o.trace.steps),
                )
            )
    return out
