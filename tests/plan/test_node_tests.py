"""The node tests that the onnx package ships, for every op that the reader claims.

A test is run (read, executed, compared) or it is not applicable for one of the reasons listed here;
what is neither is a failure. Inputs that the reader needs to know (shapes, scales) are bound as
constants first, as an exporter writes them.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.backend.test.case.node as cases
import pytest
from onnx import TensorProto, numpy_helper

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph_build import dtype_of
from tessera.plan.onnx_file import OLDEST_OPSET
from tessera.plan.onnx_reader import CONVERTERS, convert

BOUND: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "Clip", "Dropout"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(("Pad", "Resize"), (1, 2, 3)),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Expand", "Tile", "Split"), (1,)),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), (1,)),
    **dict.fromkeys(("Trilu", "Upsample"), (1,)),
    "Slice": (1, 2, 3, 4),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
}
"""Inputs that the reader wants to be constants; `Range` and `ConstantOfShape` make constants."""

EXPANDED = ("LayerNormalization",)
"""Ops of which the tests are also run as the package spells them out in simpler ops. The package
has no test of `Cast` between types that we have; here it is used."""

FIRST_OUTPUT = ("LayerNormalization",)
"""Ops whose tests ask for more outputs than inference uses: the first is compared. (Spelt out in
simpler ops, all are.)"""

NOT_APPLICABLE = {
    "element type": r"has elements of type|elements of type|supported is float32 to int8 or uint8"
    r"|an input of type|is not float32",
    "zero-sized tensor": r"holds nothing|nothing is left|sizes from 1|axis \d+ .* has no size",
    "training mode": r"training mode|'training_mode' is 1|running mean",
    "second output": r"'Indices' is asked for|'mask' is asked for|mean or deviation",
    "cubic or cropping resize": r"'mode' is 'cubic'|tf_crop_and_resize|'antialias' is 1",
    "blocks of scales": r"several axes|'block_size' is",
    "column-major indices": r"'storage_order' is 1",
    "sequences and optional values": r"is no tensor",
}
"""Why a node test does not apply: the error that the reader has to give for it."""


class Outcome(NamedTuple):
    """What became of one node test."""

    op: str
    name: str
    result: str


@cache
def collected() -> dict[str, list[Any]]:
    """Node tests by op, made by importing every module of the package that has some."""
    folder = Path(cases.__file__).parent
    np.random.seed(0)
    expand = cases.function_testcase_helper

    def expand_few(node: onnx.NodeProto, *rest: Any, **more: Any) -> Any:
        return expand(node, *rest, **more) if node.op_type in EXPANDED else ([], 1)

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "function_testcase_helper", expand_few)
        warnings.simplefilter("ignore")
        for file in sorted(folder.glob("*.py")):
            if file.stem != "__init__":
                importlib.import_module(f"{cases.__name__}.{file.stem}")
    found: dict[str, list[Any]] = {op: [] for op in CONVERTERS}
    for case in cases._NodeTestCases:
        kinds = {node.op_type for node in case.model.graph.node}
        alone = len(case.model.graph.node) == 1
        for op in kinds & set(found) if alone or kinds <= set(found) else ():
            found[op].append(case)
    return found


def bind(model: onnx.ModelProto, values: dict[str, Any]) -> onnx.ModelProto:
    """The model with inputs that the reader needs to know as initialisers."""
    bound = onnx.ModelProto()
    bound.CopyFrom(model)
    node = bound.graph.node[0]
    for index in BOUND.get(node.op_type, ()):
        name = node.input[index] if index < len(node.input) else ""
        if name in values:
            value = values.pop(name)
            if not isinstance(value, onnx.TensorProto):
                value = numpy_helper.from_array(np.asarray(value), name)
            value.name = name
            bound.graph.initializer.append(value)
    if node.op_type in FIRST_OUTPUT:
        del node.output[1:], bound.graph.output[1:]
    return bound


def opset_of(model: onnx.ModelProto) -> int:
    """The opset to read with: the test's, or our oldest where the op is still the same there."""
    given = int(model.opset_import[0].version)
    if given >= OLDEST_OPSET:
        return given
    ops = {node.op_type for node in model.graph.node}
    if all(onnx.defs.get_schema(op, OLDEST_OPSET).since_version <= given for op in ops):
        return OLDEST_OPSET
    return given


def close(got: Any, wanted: Any, case: Any) -> None:
    """Integers and booleans are equal; floats as close as the onnx package asks."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    if got.dtype.kind == "f":
        np.testing.assert_allclose(got, wanted, rtol=case.rtol, atol=max(case.atol, 1e-6))
    else:
        np.testing.assert_array_equal(got, wanted)


def attempt(case: Any) -> str:
    """`run`, or the reason why the test does not apply. Raises when it fails."""
    opset = opset_of(case.model)
    if opset < OLDEST_OPSET:
        return f"opset {opset}"
    names = [one.name for one in case.model.graph.input]
    for inputs, outputs in case.data_sets:
        values = dict(zip(names, inputs, strict=True))
        try:
            graph = convert(bind(case.model, values), opset)
        except TesseraError as error:
            for reason, words in NOT_APPLICABLE.items():
                if re.search(words, f"{error.message} {error.remedy}"):
                    return reason
            raise
        fed = {name: np.asarray(value) for name, value in values.items()}
        made = run(graph, fed)
        assert len(made) in (1, len(outputs))
        if case.model.graph.node[0].op_type == "Dropout":
            assert "Identity" in {node.op for node in graph.nodes}
        for value, wanted in zip(case.model.graph.output, outputs, strict=True):
            if value.name in made:
                close(made[value.name], np.asarray(wanted), case)
    return "run"


@cache
def outcomes() -> tuple[Outcome, ...]:
    """Every node test of every claimed op, with what became of it."""
    found, known = [], dict[str, str]()
    for op, tests in collected().items():
        for case in tests:
            if case.name not in known:
                known[case.name] = judged(case)
            found.append(Outcome(op, case.name, known[case.name]))
    return tuple(found)


def judged(case: Any) -> str:
    """As `attempt`, with a failure in words."""
    try:
        return attempt(case)
    except Exception as error:
        return f"FAILED {type(error).__name__}: {str(error)[:300]}"


def table() -> str:
    """A line per op: node tests run, and not applicable by reason."""
    lines = []
    for op in sorted(CONVERTERS):
        results = Counter(one.result for one in outcomes() if one.op == op)
        ran = results.pop("run", 0)
        rest = ", ".join(f"{count} {reason}" for reason, count in sorted(results.items()))
        lines.append(f"{op:<24}{ran:>4} passed{'; not applicable: ' + rest if rest else ''}")
    return "\n".join(lines)


@pytest.mark.parametrize("op", sorted(CONVERTERS))
def test_every_claimed_op_passes_its_node_tests(op: str) -> None:
    mine = [one for one in outcomes() if one.op == op]
    assert [one for one in mine if one.result.startswith("FAILED")] == []
    assert [one for one in mine if one.result == "run"], f"no node test was run for {op}"


def test_most_node_tests_of_claimed_ops_apply() -> None:
    """Reasons are for exceptions: with a broken harness nearly all would be 'not applicable'."""
    results = Counter({one.name: one.result for one in outcomes()}.values())
    assert results["run"] >= 450, table()
    assert results["run"] > 0.6 * sum(results.values()), table()


def test_a_wrong_result_is_noticed() -> None:
    """The comparison fails when an output is off by a little, or an operator is another one."""
    case = collected()["Sigmoid"][0]
    wrong = onnx.ModelProto()
    wrong.CopyFrom(case.model)
    wrong.graph.node[0].op_type = "Tanh"
    broken = type(case)(**{**vars(case), "model": wrong})
    with pytest.raises(AssertionError):
        attempt(broken)


def test_a_type_that_we_do_not_have_is_no_array_of_ours() -> None:
    assert dtype_of(np.zeros(1, np.float64)) is None
    assert TensorProto.DOUBLE not in {TensorProto.FLOAT, TensorProto.INT8}
