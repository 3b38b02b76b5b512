"""Coefficients of the cost model from a file, so that measured ones take the place of assumed ones.

Goal: a JSON object of numbers, every one of them checked; what the file does not say stays assumed.
Non-goals: measuring.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import NoReturn

from tessera.errors import TesseraError
from tessera.plan.cost import Coefficients

_LARGEST = 1e12
_NAMES = tuple(field.name for field in fields(Coefficients))


def read_rates(path: Path) -> Coefficients:
    """The coefficients in a file: cost of one byte loaded, byte moved, multiply-add, change of
    worlds, code word decoded, all in one unit of the user's choice.

    A byte moved, a byte loaded, a multiply-add and a change of worlds must be there, as they are
    weighed against each other; `word_decoded` may be left out and is then as many multiply-adds as
    it is assumed to be. Raises `TesseraError` for anything else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(path, f"cannot read the rates: {error.strerror}")
    except (ValueError, RecursionError) as error:
        _refuse(path, f"the rates are no JSON: {error}")
    if not isinstance(data, dict):
        _refuse(path, "the rates are no JSON object")
    unknown = sorted(set(data) - {*_NAMES})
    missing = [name for name in _NAMES if name not in data and name != "word_decoded"]
    if unknown or missing:
        said = f"'{unknown[0]}' is no rate" if unknown else f"'{missing[0]}' is missing"
        _refuse(path, said)
    for name, value in data.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= _LARGEST:
            _refuse(path, f"the rate '{name}' is {json.dumps(value)[:40]}")
    if not any(data.values()):
        _refuse(path, "all rates are 0: every plan would cost the same")
    assumed = Coefficients()
    words = assumed.word_decoded / assumed.multiply_add * data["multiply_add"]
    return replace(assumed, **{"word_decoded": words} | {k: float(v) for k, v in data.items()})


def _refuse(path: Path, what: str) -> NoReturn:
    example = json.dumps(asdict(Coefficients()))
    raise TesseraError(
        what, where=str(path), remedy=f"give numbers from 0 to {_LARGEST:g}: {example}"
    )
