"""Which tensors of a network become integers, and which of them have to mean the same.

Goal: a decision about names, before any number is known. A node is covered when it has a rule
(`passes.integer_rules`) and its operands allow it; a tensor is quantised when a covered node makes
or reads it, unless a ReLU or clip right behind can be taken into the node that makes it.
Non-goals: numbers (`choose`) and nodes (`qdq`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.graph import DType, Graph, Node
from tessera.plan.graph_ops import GemmAttrs
from tessera.plan.passes.integer_rules import ABSORBING, RULES, clamp_of, moves

WEIGHTED = ("Conv", "Gemm")
"""Ops whose second input has to be constant weights."""


@dataclass(frozen=True, slots=True)
class Cover:
    """`nodes`: names of covered nodes. `classes`: quantised tensors, those together that share
    scale and zero point. `inner`: by clamp, the tensor before it, which may stay unquantised."""

    nodes: frozenset[str]
    classes: tuple[tuple[str, ...], ...]
    inner: dict[str, str]


def weight_axis(node: Node, graph: Graph) -> int | None:
    """The axis of constant float weights with a scale each; None when the node has none."""
    if len(node.inputs) < 2:
        return None
    w = graph.tensors[node.inputs[1]]
    if w.data is None or w.dtype is not DType.FLOAT32:
        return None
    match node.op:
        case "Conv":
            return 0
        case "Gemm":
            return 0 if isinstance(node.attrs, GemmAttrs) and node.attrs.transpose_b else 1
        case "MatMul":
            return 1 if len(w.shape) == 2 else None
        case _:
            return None


def data_inputs(node: Node, graph: Graph) -> tuple[str, ...]:
    """Inputs that are not constant."""
    return tuple(one for one in node.inputs if graph.tensors[one].data is None)


def _bias_is_a_row(node: Node, graph: Graph) -> bool:
    if len(node.inputs) < 3:
        return True
    bias, made = graph.tensors[node.inputs[2]], graph.tensors[node.outputs[0]]
    channels = made.shape[1 if node.op == "Conv" else -1]
    return bias.data is not None and bias.values in (1, channels)


def covered(node: Node, graph: Graph) -> bool:
    """Whether the node can run on integers."""
    names = (*data_inputs(node, graph), *node.outputs)
    if any(graph.tensors[one].dtype is not DType.FLOAT32 for one in names):
        return False
    if node.op not in RULES or not data_inputs(node, graph):
        return False
    if node.op in WEIGHTED and weight_axis(node, graph) is None:
        return False
    if isinstance(node.attrs, GemmAttrs):
        plain = node.attrs.alpha == 1 and not node.attrs.transpose_a
        if not plain or (len(node.inputs) == 3 and node.attrs.beta != 1):
            return False
    constants = len(node.inputs) - len(data_inputs(node, graph))
    if weight_axis(node, graph) is None and constants:
        return False  # a constant operand of a sum or a concat would have to be quantised too
    return (node.op not in ("Concat", "Resize") or moves(node)) and _bias_is_a_row(node, graph)


def _inner(graph: Graph, nodes: Collection[str]) -> dict[str, str]:
    """By the output of each clamp: the output of the covered node before it, read by it alone."""
    producers, consumers = graph.producers(), graph.consumers()
    found = {}
    for node in graph.nodes:
        before = producers.get(node.inputs[0])
        if before is None or clamp_of(node) is None or node.name not in nodes:
            continue
        alone = len(consumers[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
        if before.name in nodes and before.op in ABSORBING and alone:
            found[node.outputs[0]] = node.inputs[0]
    return found


def _classes(graph: Graph, names: list[str], nodes: Collection[str]) -> list[tuple[str, ...]]:
    """The quantised tensors, joined across ops that only move values."""
    leader = {name: name for name in names}

    def top(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for node in graph.nodes:
        if node.name in nodes and moves(node):
            for name in data_inputs(node, graph):
                leader[top(name)] = top(node.outputs[0])
    joined: dict[str, list[str]] = {}
    for name in names:
        joined.setdefault(top(name), []).append(name)
    return [tuple(one) for one in joined.values()]


def cover(graph: Graph, keep: Collection[str] = ()) -> Cover:
    """What is quantised; nodes named in `keep` stay in float32.

    Raises `TesseraError` for a name that no node has, or when nothing is left to quantise.
    """
    known = {node.name for node in graph.nodes}
    for name in keep:
        if name not in known:
            raise TesseraError(
                f"the network has no node '{name}'",
                where=graph.name,
                remedy="`tessera model show` lists the nodes",
            )
    chosen = [one for one in graph.nodes if one.name not in keep and covered(one, graph)]
    if not chosen:
        raise TesseraError(
            "no node of the network can run on integers",
            where=graph.name,
            remedy=f"ops with a rule are {', '.join(sorted(RULES))}",
        )
    nodes = frozenset(one.name for one in chosen)
    names = list(
        dict.fromkeys(n for one in chosen for n in (*data_inputs(one, graph), *one.outputs))
    )
    return Cover(nodes, tuple(_classes(graph, names, nodes)), _inner(graph, nodes))
