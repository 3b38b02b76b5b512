"""The graph itself: what is well formed, what tensors weigh, what a user may name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.plan import graph_load, zoo
from tessera.plan import graph_ops as ops
from tessera.plan.darknet_weights import HEADER
from tessera.plan.execute import OPERATORS, run
from tessera.plan.graph import Attrs, DType, Graph, Source, Tensor, validate
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.graph_count import multiply_adds
from tessera.plan.graph_shapes import RULES

HERE = Source("test")


def chain() -> Graph:
    builder = GraphBuilder("chain")
    builder.input("x", (1, 4, 5), DType.FLOAT32, HERE)
    builder.constant("w", np.ones((5, 7), np.float32), HERE)
    builder.node("MatMul", ["x", "w"], Attrs(), HERE, name="product", output="a")
    builder.node("Relu", ["a"], Attrs(), HERE, name="relu", output="y")
    return builder.finish(["y"])


def test_every_op_has_a_rule_and_an_operator() -> None:
    assert set(ops.OPS) == set(RULES) == set(OPERATORS)


@pytest.mark.parametrize("dtype", list(DType))
def test_bytes_are_those_of_numpy(dtype: DType) -> None:
    tensor = Tensor("t", (3, 5), dtype, HERE)
    assert tensor.bytes == np.empty((3, 5), dtype.numpy).nbytes
    assert Tensor("s", (), dtype, HERE).bytes == dtype.bytes


def test_who_makes_and_who_reads() -> None:
    graph = chain()
    assert {name: node.name for name, node in graph.producers().items()} == {
        "a": "product",
        "y": "relu",
    }
    readers = {name: [node.name for node in nodes] for name, nodes in graph.consumers().items()}
    assert readers == {"x": ["product"], "w": ["product"], "a": ["relu"], "y": []}
    assert graph.weight_bytes == 140
    assert [multiply_adds(graph, node) for node in graph.nodes] == [4 * 7 * 5, 0]


def test_graphs_that_are_not_well_formed() -> None:
    graph = chain()
    first, second = graph.nodes
    tensors = dict(graph.tensors)
    wrong = [
        (replace(graph, nodes=(second, first)), "read before anything makes it"),
        (replace(graph, nodes=(first, second, second)), "made twice"),
        (replace(graph, outputs=("ghost",)), "nothing makes the output 'ghost'"),
        (replace(graph, inputs=("x", "w")), "not a tensor of its own"),
        (replace(graph, nodes=(first,), outputs=("a",)), "nothing makes the tensor 'y'"),
        (replace(graph, tensors={**tensors, "z": tensors["a"]}), "stands under the name 'z'"),
        (
            replace(graph, tensors={**tensors, "w": replace(tensors["w"], shape=(7, 5))}),
            "not of its shape",
        ),
        (
            replace(graph, tensors={**tensors, "a": replace(tensors["a"], shape=(0,))}),
            "holds nothing",
        ),
    ]
    validate(graph)
    for broken, words in wrong:
        with pytest.raises(TesseraError, match=words):
            validate(broken)


def test_constants_cannot_be_written_to() -> None:
    data = chain().tensors["w"].data
    assert data is not None
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 3


def test_a_name_is_given_once() -> None:
    builder = GraphBuilder("twice")
    builder.input("x", (1,), DType.FLOAT32, HERE)
    with pytest.raises(TesseraError, match="given to two tensors"):
        builder.constant("x", np.ones(1, np.float32), HERE)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "'x' is given nothing"),
        ({"x": np.ones((1, 4, 6), np.float32)}, r"given float32 \(1, 4, 6\)"),
        ({"x": np.ones((1, 4, 5))}, "given float64"),
        ({"x": np.ones((1, 4, 5), np.float32), "y": np.ones(1)}, "has no input 'y'"),
    ],
)
def test_inputs_that_are_not_those_of_the_network(
    inputs: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(TesseraError, match=words):
        run(chain(), inputs)


def test_the_table_of_a_network() -> None:
    done = CliRunner().invoke(app, ["model", "show", "lenet_digits"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == (
        "lenet_digits: 12 nodes, 78,966 parameters in 315,864 bytes, 191,304 multiply-adds"
    )
    told = json.loads(CliRunner().invoke(app, ["model", "show", "lenet_digits", "--json"]).output)
    assert told["inputs"] == {"image": [1, 1, 8, 8]}
    assert sum(row["multiply_adds"] for row in told["nodes"]) == told["multiply_adds"] == 191_304


def test_a_written_network_is_shown_the_same(tmp_path: Path) -> None:
    words = ["model", "zoo", "lenet_digits", "-o", str(tmp_path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    path = str(tmp_path / "lenet_digits.onnx")
    shown = [
        json.loads(CliRunner().invoke(app, ["model", "show", name, "--json"]).output)
        for name in (path, "lenet_digits")
    ]
    same = [
        [(row["op"], row["output"], row["multiply_adds"]) for row in one["nodes"]] for one in shown
    ]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("name", "dims", "words"),
    [
        ("vgg", [], "neither a model file nor a network of the zoo"),
        ("lenet_digits", ["side"], "'side' is not the size"),
        ("lenet_digits", ["side=0"], "'side=0' is not the size"),
        ("missing.onnx", [], "cannot read the file"),
        ("missing.cfg", [], "cannot read"),
    ],
)
def test_networks_that_there_are_not(name: str, dims: list[str], words: str) -> None:
    with pytest.raises(TesseraError, match=words):
        graph_load.load(name, dims=graph_load.sizes(dims))


def test_a_darknet_network_finds_its_weights(tmp_path: Path) -> None:
    cfg = tmp_path / "tiny.cfg"
    cfg.write_text("[net]\nchannels=1\nheight=4\nwidth=4\n[maxpool]\nsize=2\nstride=2\n")
    (tmp_path / "tiny.weights").write_bytes(HEADER)
    assert graph_load.load(str(cfg)).tensors["data"].shape == (1, 1, 4, 4)


def test_zoo_names_are_found_without_files() -> None:
    assert graph_load.load(zoo.NAMES[0]).name == zoo.NAMES[0]
