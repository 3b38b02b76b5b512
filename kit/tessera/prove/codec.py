"""Answers as plain JSON data, and back.

Goal: a `Done` survives the way through a file exactly: tuples stay tuples, dicts keep their order
and keys of any kind. Only the few record types of answers are ever built on the way back, so a
file cannot make anything else happen.
Non-goals: where files lie and whether they are whole (see `tessera.prove.cache`).
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from tessera.model.script import Event, Script, World
from tessera.prove.bounded import Found
from tessera.prove.solver import Answer
from tessera.prove.tasks import Done, Task

_RECORDS: dict[str, type] = {
    record.__name__: record for record in (Answer, Done, Event, Found, Script, Task, World)
}
_PLAIN = (str, int, float, bool, type(None))


class Unreadable(ValueError):
    """Data that is not an answer."""


def encode(value: object) -> Any:
    """The value as JSON-ready data. Raises TypeError for a type that answers do not have."""
    match value:
        case str() | int() | float() | bool() | None:
            return value
        case tuple():
            return {"tuple": [encode(item) for item in value]}
        case list():
            return {"list": [encode(item) for item in value]}
        case dict():
            return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    name = type(value).__name__
    if _RECORDS.get(name) is not type(value) or not is_dataclass(value):
        raise TypeError(f"{name} is no part of an answer")
    return {name: [encode(getattr(value, field.name)) for field in fields(value)]}


def decode(data: Any) -> Any:
    """The value that `encode` wrote. Raises `Unreadable`."""
    if isinstance(data, _PLAIN):
        return data
    if not isinstance(data, dict) or len(data) != 1:
        raise Unreadable("not a value")
    ((kind, items),) = data.items()
    if not isinstance(items, list):
        raise Unreadable(f"{kind} without a list")
    try:
        match kind:
            case "tuple":
                return tuple(decode(item) for item in items)
            case "list":
                return [decode(item) for item in items]
            case "dict":
                return {decode(key): decode(item) for key, item in items}
        return _RECORDS[kind](*(decode(item) for item in items))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{kind}: {error}") from error
