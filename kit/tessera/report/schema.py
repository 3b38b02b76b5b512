"""The JSON Schema of the results document, read off the records themselves.

Goal: a schema that cannot go stale, because every object, field and type in it is derived from
the dataclasses of `tessera.results`.
Non-goals: validating documents at run time (the tests and readers do that).
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from tessera.results import OneOf, Results

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
}


def results_schema() -> dict[str, Any]:
    """The schema of `Results.to_json()`, JSON Schema 2020-12."""
    return schema_of(Results)


def schema_of(record: type[Any]) -> dict[str, Any]:
    """The schema of a frozen record as `dataclasses.asdict` writes it.

    Raises `TypeError` for a field type that the document may not have.
    """
    defs: dict[str, Any] = {}
    top = _type(record, defs)
    return {"$schema": DIALECT, "title": record.__name__, **top, "$defs": defs}


def _type(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if kind is Any:
        return {}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words = [
            word for extra in arguments[1:] if isinstance(extra, OneOf) for word in extra.words
        ]
        return _type(arguments[0], defs) | ({"enum": words} if words else {})
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _type(arguments[0], defs)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _type(arguments[1], defs)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(argument, defs) for argument in arguments]}
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, defs)
    raise TypeError(f"a results document has no fields of type {kind!r}")


def _record(record: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    if record.__name__ not in defs:
        defs[record.__name__] = {}  # holds the place while its own fields are read
        hints = get_type_hints(record, include_extras=True)
        properties = {field.name: _type(hints[field.name], defs) for field in fields(record)}
        defs[record.__name__] = {
            "type": "object",
            "description": (record.__doc__ or "").strip().splitlines()[0],
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{record.__name__}"}
