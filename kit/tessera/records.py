"""Annotated frozen records from plain data, as JSON has it.

Goal: `built` gives a value of a dataclass, tuple, dict or plain type, or says what does not fit
and where; one reader for every document that the kit reads back.
Non-goals: schemas of other tools; judging what a document says.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints


def built(kind: Any, data: Any, at: str) -> Any:
    """A value of an annotated type; TypeError says what does not fit, and at which place."""
    origin = get_origin(kind)
    if origin is types.UnionType or origin is Union:
        if data is None:
            return None
        (kind,) = [k for k in get_args(kind) if k is not type(None)]
        return built(kind, data, at)
    if is_dataclass(kind):
        return _record(kind, data, at)
    if origin is tuple:
        return _items(get_args(kind), data, at)
    wanted = origin or kind
    if wanted is Any:
        return data
    if wanted is float and isinstance(data, int):
        data = float(data)
    if not isinstance(data, wanted) or (wanted is int and isinstance(data, bool)):
        raise TypeError(f"{at} is not of type {wanted.__name__}")
    return data


def _items(kinds: tuple[Any, ...], data: Any, at: str) -> tuple[Any, ...]:
    """Any number of one type (`tuple[T, ...]`), or one of each type in order."""
    if not isinstance(data, list | tuple):
        raise TypeError(f"{at} is not a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        raise TypeError(f"{at} has {len(data)} items, not {len(kinds)}")
    return tuple(
        built(kind, one, f"{at}[{place}]")
        for place, (kind, one) in enumerate(zip(kinds, data, strict=True))
    )


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _record(kind: Any, data: Any, at: str) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{at} is not an object")
    hints = _hints(kind)
    out = {}
    for field in fields(kind):
        if field.name in data:
            out[field.name] = built(hints[field.name], data[field.name], f"{at}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{at} has no '{field.name}'")
    return kind(**out)
