"""The naive runtime that others are compared with: it has to be right, or the comparison is not."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from c_runtime import DNN, Edit, compile_c, run_program

from tessera.errors import TesseraError
from tessera.plan import graph_ops as ops
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Array, Attrs, DType, Graph, Source, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.prepare import prepared

HERE = Source("hand")
SOURCES = (
    *(DNN / "baseline" / name for name in ("host.c", "network.c", "layers.c")),
    DNN / "runtime/tm_exp.c",
)
INCLUDES = (DNN / "baseline", DNN / "runtime")
UNITS = 16.0
"""Spacings of float32 at the largest output: sums of at most 768 products."""


@pytest.fixture(scope="module")
def export() -> ModuleType:
    """models/dnn/baseline/export.py."""
    path = DNN / "baseline/export.py"
    found = importlib.util.spec_from_file_location("baseline_export", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    sys.modules["baseline_export"] = made
    found.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host program under sanitizers."""
    return compile_c(tmp_path_factory.mktemp("baseline"), SOURCES, includes=INCLUDES)


class Net:
    """A network under construction, with weights from a seed."""

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(5)
        self.builder = GraphBuilder("hand")
        self.x = self.builder.input("x", shape, DType.FLOAT32, HERE)

    def weights(self, *shape: int) -> Tensor:
        data = self.rng.standard_normal(shape).astype(np.float32)
        return self.builder.constant(self.builder.fresh("w"), data, HERE)

    def node(self, op: str, inputs: Sequence[Tensor], attrs: Attrs | None = None) -> Tensor:
        return self.builder.node(op, [one.name for one in inputs], attrs or Attrs(), HERE)

    def conv(self, x: Tensor, channels: int, window: ops.ConvAttrs, bias: bool = True) -> Tensor:
        w = self.weights(channels, x.shape[1] // window.group, *window.kernel)
        return self.node("Conv", [x, w, *([self.weights(channels)] if bias else [])], window)

    def done(self, *outputs: Tensor) -> Graph:
        return self.builder.finish([one.name for one in outputs])


def window(size: int, stride: int = 1, dilation: int = 1, group: int = 1) -> ops.ConvAttrs:
    pad = dilation * (size // 2)
    return ops.ConvAttrs((size,) * 2, (stride,) * 2, (pad,) * 4, (dilation,) * 2, group)


def mixed() -> Graph:
    """Every operation of the baseline, groups, depthwise, dilation, uneven padding, two outputs."""
    net = Net(1, 3, 17, 14)
    a = net.node("Relu", [net.conv(net.x, 8, window(3))])
    b = net.node("Clip", [net.conv(a, 8, window(3, group=8))], ops.ClipAttrs(0.0, 6.0))
    c = net.node("Add", [net.conv(b, 8, window(1), bias=False), a])
    uneven = ops.ConvAttrs((3, 2), (2, 1), (1, 0, 0, 1), (1, 2), 2)
    d = net.node("LeakyRelu", [net.conv(c, 12, uneven)], ops.AlphaAttrs(0.1))
    e = net.node("MaxPool", [d], ops.PoolAttrs((3, 3), (2, 2), (1,) * 4, (1, 1)))
    f = net.node("AveragePool", [d], ops.PoolAttrs((3, 3), (2, 2), (1,) * 4, (1, 1)))
    whole = ops.PoolAttrs((3, 3), (2, 2), (1,) * 4, (1, 1), False, True)
    g = net.node("Concat", [e, f, net.node("AveragePool", [d], whole)], ops.AxisAttrs(1))
    h = net.node("Sigmoid", [net.conv(g, 6, window(3, stride=2, dilation=2, group=3))])
    sizes = (1, 6, 2 * h.shape[2], 2 * h.shape[3])
    resize = ops.ResizeAttrs("nearest", "asymmetric", "floor", (1.0, 1.0, 2.0, 2.0), sizes)
    i = net.node("Resize", [h], resize)
    flat = net.node("Reshape", [net.node("GlobalAveragePool", [i])], ops.ShapeAttrs((1, 6)))
    dense = [flat, net.weights(6, 7), net.weights(7)]
    j = net.node("Gemm", dense, ops.GemmAttrs(alpha=0.5, beta=2.0))
    return net.done(net.node("Softmax", [j], ops.AxisAttrs(1)), i)


def execute(
    program: Path, folder: Path, dumped: bytes, graph: Graph, x: Array
) -> tuple[list[Array], dict[str, Any]]:
    """Outputs, and what it said."""
    (folder / "network").write_bytes(dumped)
    (folder / "in").write_bytes(x.tobytes())
    words: list[str | Path] = [folder / "network", "--in", folder / "in", "--times", "2"]
    for index in range(len(graph.outputs)):
        words += ["--out", folder / f"out{index}"]
    done = run_program(program, *words)
    assert done.returncode == 0, done.stderr
    outputs = [
        np.fromfile(folder / f"out{index}", "<f4").reshape(graph.tensors[name].shape)
        for index, name in enumerate(graph.outputs)
    ]
    return outputs, json.loads(done.stdout)


def compare(program: Path, folder: Path, export: ModuleType, graph: Graph) -> dict[str, Any]:
    """Every output beside the reference's; gives out what the program said."""
    inputs = zoo.sample(graph, 3)
    made, said = execute(program, folder, export.dump(graph), graph, inputs[graph.inputs[0]])
    reference = run(graph, inputs)
    for name, one in zip(graph.outputs, made, strict=True):
        unit = np.spacing(np.abs(reference[name]).max())
        difference = np.abs(one.astype(np.float64) - reference[name]).max()
        assert difference <= UNITS * unit, (name, difference / unit)
    return said


def memory(graph: Graph) -> dict[str, int]:
    """What an inference has to hold, worked out from the graph alone."""
    columns = 0
    for node in graph.nodes:
        if isinstance(node.attrs, ops.ConvAttrs):
            w, y = (graph.tensors[name].shape for name in (node.inputs[1], node.outputs[0]))
            if node.attrs.kernel != (1, 1):
                columns = max(columns, int(np.prod(w[1:])) * y[2] * y[3])
    kept = [graph.inputs[0], *(node.outputs[0] for node in graph.nodes)]
    return {
        "weight_bytes": graph.weight_bytes,
        "tensor_bytes": sum(graph.tensors[name].bytes for name in kept),
        "column_bytes": 4 * columns,
    }


@pytest.mark.parametrize("name", ["lenet_digits", "mixed"])
def test_as_the_reference(program: Path, tmp_path: Path, export: ModuleType, name: str) -> None:
    graph = mixed() if name == "mixed" else prepared(zoo.build(name))
    said = compare(program, tmp_path, export, graph)
    assert said["layers"] == len(graph.nodes) and len(said["cpu_seconds"]) == 2
    assert memory(graph).items() <= said.items()


def test_the_mixed_network_has_every_operation(export: ModuleType) -> None:
    assert {node.op for node in mixed().nodes} == set(export.RULES)


WRONG: tuple[Edit, ...] = (
    ("layers.c", "* w->dilation_rows -\n\t\t\t      w->pad_top;", "* w->dilation_rows;"),
    ("layers.c", "layer->weight + group * outputs * k", "layer->weight"),
    ("layers.c", "w->whole && row", "row"),
    ("layers.c", "r / factor", "r % x->shape.rows"),
    ("layers.c", "layer->low * v", "v"),
)


@pytest.mark.parametrize("edit", WRONG, ids=lambda edit: edit[1][:24])
def test_a_wrong_runtime_is_noticed(tmp_path: Path, export: ModuleType, edit: Edit) -> None:
    broken = compile_c(tmp_path, SOURCES, [edit], includes=INCLUDES)
    with pytest.raises(AssertionError):
        compare(broken, tmp_path, export, mixed())


def put(data: bytes, word: int, value: int) -> bytes:
    """A file with one word changed."""
    return data[: 4 * word] + struct.pack("<I", value) + data[4 * word + 4 :]


def test_files_that_do_not_hold_are_refused(
    program: Path, tmp_path: Path, export: ModuleType
) -> None:
    graph = prepared(zoo.build("lenet_digits"))
    data = export.dump(graph)
    x = zoo.sample(graph, 3)[graph.inputs[0]]
    # Words: magic, format, layers, outputs, shape, output; the first layer begins at word 8:
    # operation, inputs, input, shape, 12 of the window, low, high, weights, biases
    cases = {
        "not a network": [b"", b"TSBL", put(data, 0, 7), put(data, 1, 2)],
        "no layers": [put(data, 2, 0), put(data, 3, 0), put(data, 3, 5), put(data, 2, 1 << 30)],
        "the input has no size": [put(data, 4, 0), put(data, 4, 1 << 20)],
        "an output is not there": [put(data, 7, len(graph.nodes) + 1)],
        "a layer has no inputs": [put(data, 9, 0), put(data, 9, 9)],
        "a layer reads": [put(data, 10, 1)],
        "the output of a layer": [put(data, 11, 0), put(data, 12, 1 << 31)],
        "do not fit": [
            *(put(data, 8, value) for value in (0, 3, 14)),
            *(put(data, 11 + i, 5) for i in (0,)),
            *(put(data, 14 + i, 0) for i in (0, 1, 2, 3, 4, 5, 10)),
            *(put(data, 14 + i, 1 << 16) for i in range(11)),
            put(data, 24, 3),
        ],
        "cut off": [data[:60]],
        "not all there": [put(data, 28, 1 << 30), data[:-4]],
        "too long": [data + bytes(4)],
    }
    for words, files in cases.items():
        for number, one in enumerate(files):
            (tmp_path / "network").write_bytes(one)
            (tmp_path / "in").write_bytes(x.tobytes())
            done = run_program(program, tmp_path / "network", "--in", tmp_path / "in")
            assert done.returncode == 2 and words in done.stderr, (words, number, done.stderr)
            assert not done.stdout

    (tmp_path / "network").write_bytes(data)
    (tmp_path / "in").write_bytes(x.tobytes()[:-4])
    done = run_program(program, tmp_path / "network", "--in", tmp_path / "in")
    assert done.returncode == 2 and "inputs and outputs" in done.stderr
    assert run_program(program).returncode == 2


ITSELF = ops.ConvAttrs((6, 6), (1, 1), (0,) * 4, (1, 1))
REFUSED: dict[str, Callable[[Net], Tensor]] = {
    "no such operation": lambda net: net.node("Tanh", [net.x]),
    "constant operand": lambda net: net.node("Add", [net.x, net.weights(1, 3, 6, 6)]),
    "different shapes": lambda net: net.node("Add", [net.x, net.weights(1, 3, 1, 1)]),
    "axis 2": lambda net: net.node("Concat", [net.x, net.x], ops.AxisAttrs(2)),
    "along axis 1": lambda net: net.node("Softmax", [net.x], ops.AxisAttrs(1)),
    "tensor of shape": lambda net: net.node("Reshape", [net.x], ops.ShapeAttrs((3, 36))),
    "weights that are computed": lambda net: net.node("Conv", [net.x, net.x], ITSELF),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_the_baseline_does_not_have_is_refused(export: ModuleType, words: str) -> None:
    net = Net(1, 3, 6, 6)
    graph = net.done(REFUSED[words](net))
    with pytest.raises(TesseraError, match=words):
        export.dump(graph)


def test_the_exporter_as_a_program(tmp_path: Path, export: ModuleType) -> None:
    target = tmp_path / "lenet"
    assert export.main(["lenet_digits", "-o", str(target)]) == 0
    assert target.read_bytes() == export.dump(prepared(zoo.build("lenet_digits")))
    assert export.main(["nothing", "-o", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()
