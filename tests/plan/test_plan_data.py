"""A plan as data: read back equal, and refused where it is not one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tessera.errors import TesseraError
from tessera.plan.plan import (
    Access,
    BufferRow,
    Costs,
    GroupRow,
    LayerRow,
    Model,
    NodeRow,
    Offsets,
    Plan,
    Rates,
    StepRow,
    TensorRow,
    Untiled,
    Way,
    from_json,
)

COSTS = Costs(0, 24, 4, 0, 28.0)
WAY = Way(None, False, "resident", 1, False, "whole")
BOX = ((0, 1), (0, 4))
TINY = Plan(
    Model("tiny", "0" * 64, ("x",), ("y",), 0, 4),
    64,
    16,
    16,
    Offsets("search", 16, 16, 0, 0.0),
    COSTS,
    Rates(8.0, 1.0, 1.0, 2e4),
    Untiled(16, 16, 16),
    (TensorRow("x", (1, 4), "float32", 16, False), TensorRow("y", (1, 4), "float32", 16, False)),
    (NodeRow("relu", "Relu", ("x",), ("y",), {}, "hand"),),
    (BufferRow("x", "x", BOX, None, 16, 0, 2, 0),),
    (
        StepRow("fetch", 0, "", None, None, False, (), (Access("x", "x", BOX),)),
        StepRow(
            *("compute", 0, "relu", None, None, False),
            (Access("x", "x", BOX),),
            (Access("x", "y", BOX),),
        ),
    ),
    (GroupRow(("relu",), WAY, 16, 0, "y", COSTS, 0, ()),),
    (LayerRow("relu", 0, 16, 1, COSTS),),
)


def test_a_plan_is_read_back_equal() -> None:
    assert from_json(json.loads(json.dumps(TINY.to_json()))) == TINY
    other = replace(TINY, budget=None)
    assert from_json(json.loads(json.dumps(other.to_json()))) == other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "tessera-arena-plan"}, "not a plan of a network"),
        ({"plan_version": "0"}, "version 0, not 1"),
        ({"peak": "16"}, "plan.peak"),
        ({"steps": [{"kind": "fetch"}]}, "plan.steps[0]"),
        ({"buffers": {}}, "plan.buffers is not a list"),
        ({"offsets": None}, "plan.offsets"),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, Any], said: str) -> None:
    data = json.loads(json.dumps(TINY.to_json())) | change
    with pytest.raises(TesseraError) as error:
        from_json(data, "plan.json")
    assert said in error.value.message


def test_a_box_has_two_ends_per_axis() -> None:
    data = json.loads(json.dumps(TINY.to_json()))
    data["buffers"][0]["origin"][0] = [0, 1, 2]
    with pytest.raises(TesseraError, match="has 3 items, not 2"):
        from_json(data)
