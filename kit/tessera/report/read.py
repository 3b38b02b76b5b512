"""A results document read back.

Goal: `read_results(path)` gives the `Results` in a file that `tessera check --json` or
`tessera report` wrote; `recorded_traces` the traces in them that can be replayed.
Non-goals: judging them; documents of other tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tessera.errors import TesseraError
from tessera.model.recorded import Recorded
from tessera.records import built
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
            out.append(built(Results, document, "results"))
        except (TypeError, ValueError) as error:
            raise TesseraError(
                f"this is not a results document: {error}", where=where, remedy=remedy
            ) from None
    return tuple(out)


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
