"""Passes keep what a network computes: on random small graphs, and each on what it is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.errors import TesseraError
from tessera.plan import graph_ops as ops
from tessera.plan.execute import run
from tessera.plan.graph import Array, Attrs, DType, Graph, Quantisation, Source, Tensor, validate
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.passes.batchnorm import fold_batch_norms
from tessera.plan.passes.constants import fold_constants
from tessera.plan.passes.dead import drop_dead, skip_identities
from tessera.plan.passes.rewrite import close
from tessera.plan.passes.simplify import simplify
from tessera.plan.zoo import sample

HERE = Source("test")
PASSES = [fold_batch_norms, fold_constants, drop_dead, skip_identities, simplify]
KINDS = (
    *("conv", "norm", "relu", "identity", "reshape", "add", "constant", "dead", "pool"),
    *("transpose", "output"),
)


class Drawn:
    """A random graph: every step takes tensors that are there, all (1, 4, 5, 5)."""

    def __init__(self, seed: int) -> None:
        self.builder = GraphBuilder("drawn")
        self.random = np.random.default_rng(seed)
        self.count = 0
        self.there = [self.builder.input("x", (1, 4, 5, 5), DType.FLOAT32, HERE)]
        self.outputs: list[str] = []

    def constant(self, *shape: int) -> Tensor:
        self.count += 1
        data = self.random.uniform(0.5, 1.5, shape).astype(np.float32)
        return self.builder.constant(f"c{self.count}", data, HERE)

    def add(self, op: str, inputs: list[Tensor], attrs: Attrs | None = None) -> Tensor:
        return self.builder.node(op, [one.name for one in inputs], attrs or Attrs(), HERE)

    def step(self, kind: str, pick: int) -> None:
        x = self.there[pick % len(self.there)]
        match kind:
            case "conv":
                bias = [self.constant(4)] if pick % 2 else []
                attrs = ops.ConvAttrs((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
                y = self.add("Conv", [x, self.constant(4, 4, 3, 3), *bias], attrs)
            case "norm":
                parts = [self.constant(4) for _ in range(4)]
                y = self.add("BatchNormalization", [x, *parts], ops.EpsilonAttrs(1e-3))
            case "relu" | "identity":
                y = self.add({"relu": "Relu", "identity": "Identity"}[kind], [x])
            case "reshape":
                y = self.add("Reshape", [x], ops.ShapeAttrs(x.shape))
            case "add":
                y = self.add("Add", [x, self.there[-1]])
            case "constant":
                y = self.add("Mul", [self.constant(1, 4, 5, 5), self.constant(4, 1, 1)])
            case "transpose":
                y = self.add("Transpose", [x], ops.TransposeAttrs((0, 1, 3, 2)))
            case "pool":
                attrs = ops.PoolAttrs((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
                y = self.add("MaxPool", [x], attrs)
            case "dead":
                self.add("Relu", [x])
                return
            case _:
                self.outputs.append(x.name)
                return
        self.there.append(y)

    def graph(self) -> Graph:
        return self.builder.finish(list(dict.fromkeys([*self.outputs, self.there[-1].name])))


def compared(before: Graph, after: Graph, tolerance: float) -> None:
    """The same outputs, up to a share of the largest value."""
    validate(after)
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    wanted, made = (run(graph, sample(before)) for graph in (before, after))
    for name, value in wanted.items():
        assert made[name].shape == value.shape
        assert np.abs(made[name] - value).max() <= tolerance * max(1.0, np.abs(value).max())


steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30)), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), steps=steps)
def test_random_graphs_compute_the_same_after_each_pass(
    seed: int, steps: list[tuple[str, int]]
) -> None:
    drawn = Drawn(seed)
    for kind, pick in steps:
        drawn.step(kind, pick)
    graph = drawn.graph()
    for one in PASSES:
        rounds = one in (fold_batch_norms, simplify)
        compared(graph, one(graph), 1e-5 if rounds else 0.0)


def drawn(*kinds: str) -> Graph:
    """A chain: each kind applied to the tensor before."""
    made = Drawn(7)
    for kind in kinds:
        made.step(kind, len(made.there) - 1)
    return made.graph()


@pytest.mark.parametrize(
    ("change", "kinds", "left"),
    [
        (fold_batch_norms, ("conv", "norm", "relu"), ["Conv", "Relu"]),
        (fold_batch_norms, ("relu", "norm"), ["Relu", "BatchNormalization"]),
        (fold_batch_norms, ("conv", "output", "norm"), ["Conv", "BatchNormalization"]),
        (fold_batch_norms, ("conv", "dead", "norm"), ["Conv", "Relu", "BatchNormalization"]),
        (fold_batch_norms, ("conv", "norm", "norm"), ["Conv", "BatchNormalization"]),
        (fold_constants, ("constant", "relu", "pool"), []),
        (fold_constants, ("relu",), ["Relu"]),
        (drop_dead, ("relu", "dead", "pool"), ["Relu", "MaxPool"]),
        (skip_identities, ("identity", "reshape", "relu"), ["Relu"]),
        (skip_identities, ("relu", "identity"), ["Relu", "Identity"]),
        (skip_identities, ("transpose", "relu"), ["Transpose", "Relu"]),
        (simplify, ("conv", "identity", "norm", "dead", "relu"), ["Conv", "Relu"]),
    ],
)
def test_what_each_pass_leaves(
    change: Callable[[Graph], Graph], kinds: tuple[str, ...], left: list[str]
) -> None:
    graph = drawn(*kinds)
    after = change(graph)
    assert [node.op for node in after.nodes] == left
    compared(graph, after, 1e-5)


def test_a_dense_layer_takes_its_batch_norm() -> None:
    builder = GraphBuilder("dense")
    random = np.random.default_rng(1)
    builder.input("x", (1, 6), DType.FLOAT32, HERE)

    def constant(name: str, *shape: int) -> str:
        data = random.uniform(0.5, 1.5, shape).astype(np.float32)
        return builder.constant(name, data, HERE).name

    for index, transposed in enumerate((True, False)):
        shape = (3, 6) if transposed else (6, 3)
        inputs = ["x", constant(f"w{index}", *shape), constant(f"b{index}", 3)]
        made = builder.node("Gemm", inputs, ops.GemmAttrs(transpose_b=transposed), HERE)
        parts = [constant(f"{role}{index}", 3) for role in ("scale", "shift", "mean", "var")]
        builder.node(
            "BatchNormalization",
            [made.name, *parts],
            ops.EpsilonAttrs(1e-5),
            HERE,
            output=f"y{index}",
        )
    graph = builder.finish(["y0", "y1"])
    after = fold_batch_norms(graph)
    assert [node.op for node in after.nodes] == ["Gemm", "Gemm"]
    compared(graph, after, 1e-6)


def test_unused_constants_go_and_inputs_stay() -> None:
    made = Drawn(3)
    made.builder.input("unused", (2,), DType.FLOAT32, HERE)
    made.step("conv", 0)
    made.step("dead", 0)
    graph = made.builder.finish(["x"])
    after = drop_dead(graph)
    assert after.nodes == ()
    assert after.inputs == ("x", "unused")
    assert after.constants() == ()
    assert graph.weight_bytes == 4 * 4 * 9 * 4


def test_quantised_weights_stay_integers() -> None:
    """Folding would make them four times as large."""
    builder = GraphBuilder("quantised")
    builder.input("x", (4,), DType.FLOAT32, HERE)
    data: Array = np.arange(4, dtype=np.int8)
    builder.constant("w", data, HERE, Quantisation((0.5,), (0,)))
    made = builder.node("DequantizeLinear", ["w"], Attrs(), HERE)
    out = builder.node("Add", ["x", made.name], Attrs(), HERE)
    graph = builder.finish([out.name])
    assert fold_constants(graph).tensors["w"].dtype is DType.INT8
    assert len(fold_constants(graph).nodes) == 2


def test_folding_does_not_make_weights_grow() -> None:
    builder = GraphBuilder("growing")
    builder.input("x", (1,), DType.FLOAT32, HERE)
    builder.constant("one", np.ones(1, np.float32), HERE)
    wide = builder.node("Expand", ["one"], ops.ShapeAttrs((1 << 20,)), HERE)
    out = builder.node("Add", ["x", wide.name], Attrs(), HERE)
    graph = builder.finish([out.name])
    assert [node.op for node in fold_constants(graph).nodes] == ["Expand", "Add"]


def test_a_pass_that_breaks_a_graph_is_noticed() -> None:
    """The check that closes every pass refuses a node that reads what nothing makes."""
    graph = drawn("conv", "relu")
    with pytest.raises(TesseraError, match="before anything makes it"):
        close(graph, graph.nodes[1:], graph.tensors)
