"""Which channels of which tensors belong together: a removed one leaves all of them.

Goal: one rule per op says how the channels of its output (axis 1) hang together with those of its
inputs and with the axes of its constants: a convolution makes new ones, a sum joins its operands, a
concat puts them one after the other, a flattening repeats each for every pixel. What no rule knows,
and the inputs and outputs of the network, keep all their channels.
Non-goals: which channels go (`importance`), and removing them (`remove`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Array, Graph, Node, Tensor
from tessera.plan.prune.labels import Labels

MAKES, TAKES, CARRIES = "makes", "takes", "carries"
"""What an axis of a constant has to do with channels: its values make them (rows of weights), sum
over them (columns of weights), or go along with them (a batch norm, a depthwise filter)."""

CHANNELS = 1


@dataclass(frozen=True, slots=True)
class Slices:
    """An axis of a constant; `sets` has for each index the set of channels it belongs to."""

    constant: str
    axis: int
    role: str
    sets: Array


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The sets of a graph. `channels`: by activation, the set of each index of axis 1.

    `free` are the sets that may go, ascending.
    """

    channels: Mapping[str, Array]
    slices: tuple[Slices, ...]
    free: tuple[int, ...]


class _Finder:
    """Labels of all tensors, as the nodes are gone through in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.labels = Labels()
        self.channels: dict[str, Array] = {}
        self.slices: list[tuple[str, int, str, Array]] = []

    def tensor(self, name: str) -> Tensor:
        """A tensor by name."""
        return self.graph.tensors[name]

    def constant(self, name: str) -> bool:
        """Whether a tensor is constant."""
        return self.tensor(name).data is not None

    def fresh(self, name: str) -> Array:
        """New labels for a tensor's channels; of a tensor without an axis 1, none."""
        shape = self.tensor(name).shape
        return self.labels.new(shape[CHANNELS] if len(shape) > CHANNELS else 0)

    def slice(self, name: str, axis: int, role: str, labels: Array) -> None:
        """The axis of a constant belongs to these labels."""
        assert self.tensor(name).shape[axis] == len(labels)
        self.slices.append((name, axis, role, labels))

    def keep(self, node: Node) -> Array:
        """All channels of the node's inputs stay; its output has new ones, which stay."""
        for name in node.inputs:
            if name in self.channels:
                self.labels.fix(self.channels[name])
        made = self.fresh(node.outputs[0])
        self.labels.fix(made)
        return made


Rule = Callable[[_Finder, Node], Array | None]
"""Labels of the output's channels; None when the rule does not know the case."""


def _same(find: _Finder, node: Node) -> Array | None:
    return find.channels.get(node.inputs[0])


def _conv(find: _Finder, node: Node) -> Array | None:
    attrs, given = node.attrs, find.channels.get(node.inputs[0])
    if given is None or not isinstance(attrs, ops.ConvAttrs):
        return None
    if not all(find.constant(name) for name in node.inputs[1:]):
        return None
    weights = find.tensor(node.inputs[1]).shape
    if attrs.group == 1:
        made = find.fresh(node.outputs[0])
        find.slice(node.inputs[1], 0, MAKES, made)
        find.slice(node.inputs[1], 1, TAKES, given)
        role = MAKES
    elif attrs.group == len(given) and weights[1] == 1:
        made, role = np.repeat(given, weights[0] // attrs.group), CARRIES
        find.slice(node.inputs[1], 0, CARRIES, made)
    else:
        return None
    for name in node.inputs[2:]:
        find.slice(name, 0, role, made)
    return made


def _product(find: _Finder, node: Node) -> Array | None:
    """Gemm, or MatMul of a matrix, with constant weights."""
    given, gemm = find.channels.get(node.inputs[0]), node.attrs
    shape = find.tensor(node.inputs[1]).shape
    if given is None or len(find.tensor(node.inputs[0]).shape) != 2 or len(shape) != 2:
        return None
    if not all(find.constant(name) for name in node.inputs[1:]):
        return None
    turned = isinstance(gemm, ops.GemmAttrs) and gemm.transpose_b
    if isinstance(gemm, ops.GemmAttrs) and gemm.transpose_a:
        return None
    made = find.fresh(node.outputs[0])
    find.slice(node.inputs[1], 0 if turned else 1, MAKES, made)
    find.slice(node.inputs[1], 1 if turned else 0, TAKES, given)
    for name in node.inputs[2:]:
        bias = find.tensor(name).shape
        if bias and bias[-1] == len(made):
            find.slice(name, len(bias) - 1, MAKES, made)
    return made


def _norm(find: _Finder, node: Node) -> Array | None:
    given = find.channels.get(node.inputs[0])
    if given is None or not all(find.constant(name) for name in node.inputs[1:]):
        return None
    for name in node.inputs[1:]:
        find.slice(name, 0, CARRIES, given)
    return given


def _binary(find: _Finder, node: Node) -> Array | None:
    """Channels of both operands are the same, but for one that is broadcast along them."""
    shape = find.tensor(node.outputs[0]).shape
    if len(shape) < 2:
        return None
    made: Array | None = None
    for name in node.inputs:
        labels = find.channels.get(name)
        if labels is None or len(labels) != shape[CHANNELS]:
            continue
        if len(find.tensor(name).shape) != len(shape):
            return None
        if made is not None:
            find.labels.join(made, labels)
        made = labels if made is None else made
    if made is None:
        return None
    for name in node.inputs:
        own = find.tensor(name).shape
        axis = CHANNELS - (len(shape) - len(own))
        wide = axis >= 0 and own[axis] == shape[CHANNELS] > 1
        if find.constant(name) and wide:
            find.slice(name, axis, CARRIES, made)
        elif not find.constant(name) and wide and name not in find.channels:
            return None
        elif not find.constant(name) and not wide and name in find.channels:
            find.labels.fix(find.channels[name])
    return made


def _concat(find: _Finder, node: Node) -> Array | None:
    parts = [find.channels.get(name) for name in node.inputs]
    known = [one for one in parts if one is not None]
    if len(known) < len(parts) or not isinstance(node.attrs, ops.AxisAttrs):
        return None
    if node.attrs.axis == CHANNELS:
        return np.concatenate(known)
    for one in known[1:]:
        find.labels.join(known[0], one)
    return known[0]


def _reshape(find: _Finder, node: Node) -> Array | None:
    before, after = (find.tensor(name).shape for name in (node.inputs[0], node.outputs[0]))
    given = find.channels.get(node.inputs[0])
    if given is None or len(after) < 2 or before[0] != after[0]:
        return None
    if before[CHANNELS] == after[CHANNELS]:
        return given
    flat = len(after) == 2 and after[CHANNELS] == np.prod(before[1:], dtype=np.int64)
    return np.repeat(given, after[CHANNELS] // len(given)) if flat else None


def _along_others(find: _Finder, node: Node) -> Array | None:
    """Ops that leave channels alone when they work along other axes."""
    whole = find.tensor(node.inputs[0]).shape
    match node.attrs:
        case ops.AxisAttrs(axis):
            alone = axis > CHANNELS
        case ops.ReduceAttrs(axes, keepdims):
            alone = min(axes, default=0) > CHANNELS and (keepdims or len(axes) < len(whole))
        case ops.ResizeAttrs():
            alone = node.attrs.scales[:2] == (1.0, 1.0) and node.attrs.sizes[:2] == whole[:2]
        case ops.PadAttrs(pads, _, _):
            rank = len(whole)
            alone = not any((*pads[:2], *pads[rank : rank + 2]))
        case ops.SliceAttrs(starts, sizes, steps):
            alone = starts[:2] == (0, 0) and sizes[:2] == whole[:2] and steps[:2] == (1, 1)
        case _:
            alone = False
    return _same(find, node) if alone else None


_SAME = (*ops.UNARY, "LeakyRelu", "Elu", "Swish", "HardSigmoid", "Clip", "Gelu")
_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
_OTHERS = ("Softmax", "LogSoftmax", *ops.REDUCE, "Resize", "Pad", "Slice")

RULES: Mapping[str, Rule] = {
    **dict.fromkeys((*_SAME, *_POOLS), _same),
    **dict.fromkeys(ops.BINARY, _binary),
    **dict.fromkeys(_OTHERS, _along_others),
    **dict.fromkeys(("Gemm", "MatMul"), _product),
    "Conv": _conv,
    "BatchNormalization": _norm,
    "Concat": _concat,
    "Reshape": _reshape,
}


def _fix_shared(find: _Finder) -> None:
    """Channels of a constant that is read in several places stay: it could be cut only once."""
    uses: dict[str, int] = {}
    for node in find.graph.nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    for name, _, _, labels in find.slices:
        if uses[name] > 1 or name in find.graph.outputs:
            find.labels.fix(labels)


def dependencies(graph: Graph, rules: Mapping[str, Rule] = RULES) -> Dependencies:
    """The sets of channels of a float32 graph."""
    find = _Finder(graph)
    for name in graph.inputs:
        find.channels[name] = find.fresh(name)
        find.labels.fix(find.channels[name])
    for node in graph.nodes:
        rule = rules.get(node.op)
        made = rule(find, node) if rule else None
        find.channels[node.outputs[0]] = find.keep(node) if made is None else made
    for name in graph.outputs:
        if name in find.channels:
            find.labels.fix(find.channels[name])
    _fix_shared(find)
    fixed, roots = find.labels.fixed_roots(), find.labels.roots
    slices = tuple(Slices(name, axis, role, roots(one)) for name, axis, role, one in find.slices)
    made_sets = {one for part in slices if part.role == MAKES for one in part.sets.tolist()}
    return Dependencies(
        {name: roots(one) for name, one in find.channels.items()},
        slices,
        tuple(sorted(made_sets - fixed)),
    )
