"""ONNX products, element-wise ops, reductions and normalisations.

Goal: variadic ops become binary ones, attributes of old opsets and inputs of new ones the same.
Non-goals: their numbers (`execute_maths`, `execute_norms`).
"""

from __future__ import annotations

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Tensor
from tessera.plan.onnx_file import dtype_of
from tessera.plan.onnx_node import Converter, NodeView


def _plain(view: NodeView) -> None:
    view.emit(view.op, view.tensors())


def _variadic(op: str) -> Converter:
    def convert(view: NodeView) -> None:
        first, *rest = view.tensors()
        if not rest:
            view.emit("Identity", [first])
        for index, other in enumerate(rest):
            if index < len(rest) - 1:
                first = view.step(op, [first, other])
            else:
                view.emit(op, [first, other])

    return convert


def _gemm(view: NodeView) -> None:
    attrs = ops.GemmAttrs(
        view.real("alpha", 1.0),
        view.real("beta", 1.0),
        bool(view.integer("transA", 0)),
        bool(view.integer("transB", 0)),
    )
    view.emit("Gemm", view.tensors(), attrs)


def _alpha(default: float) -> Converter:
    def convert(view: NodeView) -> None:
        view.emit(view.op, [view.tensor(0)], ops.AlphaAttrs(view.real("alpha", default)))

    return convert


def _hard_sigmoid(view: NodeView) -> None:
    attrs = ops.HardSigmoidAttrs(view.real("alpha", 0.2), view.real("beta", 0.5))
    view.emit("HardSigmoid", [view.tensor(0)], attrs)


def _clip(view: NodeView) -> None:
    if view.opset < 11:
        most = 3.4028234663852886e38
        low: float | None = view.real("min", -most)
        high: float | None = view.real("max", most)
    else:
        low, high = view.number(1, "min"), view.number(2, "max")
    view.emit("Clip", [view.tensor(0)], ops.ClipAttrs(low, high))


def _gelu(view: NodeView) -> None:
    how = view.text("approximate", "none")
    if how not in ("none", "tanh"):
        view.refuse(f"attribute 'approximate' is {how!r}", "supported are 'none' and 'tanh'")
    view.emit("Gelu", [view.tensor(0)], ops.GeluAttrs(how == "tanh"))


def _cast(view: NodeView) -> None:
    view.ignore("saturate", "round_mode")  # both speak of 8-bit floats
    to = dtype_of(view.integer("to", 0), f"{view.op}: attribute 'to'", str(view.source))
    view.emit("Cast", [view.tensor(0)], ops.CastAttrs(to))


def _reduce(view: NodeView) -> None:
    x = view.tensor(0)
    keep = bool(view.integer("keepdims", 1))
    as_input = view.opset >= (13 if view.op == "ReduceSum" else 18)
    given = view.whole(1, "axes") if as_input else view.integers("axes")
    nothing = as_input and view.integer("noop_with_empty_axes", 0)
    rank = len(x.shape)
    if not given and nothing:
        view.emit("Identity", [x])
        return
    axes = view.axes(given, rank) if given else tuple(range(rank))
    view.emit(view.op, [x], ops.ReduceAttrs(axes, keep))


def _argmax(view: NodeView) -> None:
    x = view.tensor(0)
    axis = view.axis(view.integer("axis", 0), len(x.shape))
    last = bool(view.integer("select_last_index", 0))
    view.emit("ArgMax", [x], ops.ArgAttrs(axis, bool(view.integer("keepdims", 1)), last))


def _softmax(view: NodeView) -> None:
    x = view.tensor(0)
    rank = len(x.shape)
    if view.opset >= 13:
        axis = view.axis(view.integer("axis", -1), rank)
        view.emit(view.op, [x], ops.AxisAttrs(axis))
        return
    # Before opset 13 everything from the axis on is one vector.
    axis = view.axis(view.integer("axis", 1), rank)
    if axis == rank - 1:
        view.emit(view.op, [x], ops.AxisAttrs(axis))
        return
    flat = view.step("Reshape", [x], ops.ShapeAttrs((*x.shape[:axis], _tail(x, axis))))
    powers = view.step(view.op, [flat], ops.AxisAttrs(axis))
    view.emit("Reshape", [powers], ops.ShapeAttrs(x.shape))


def _tail(x: Tensor, axis: int) -> int:
    size = 1
    for one in x.shape[axis:]:
        size *= one
    return size


def _batch_norm(view: NodeView) -> None:
    view.ignore("momentum")
    view.only("training_mode", 0, 0)
    view.only("spatial", 1, 1)
    if any(view.outputs[1:]):
        view.refuse("running mean and variance are asked for", "supported is inference")
    view.emit("BatchNormalization", view.tensors(), ops.EpsilonAttrs(view.real("epsilon", 1e-5)))


def _norm(view: NodeView) -> None:
    inputs = view.tensors()
    axis = view.axis(view.integer("axis", -1), len(inputs[0].shape))
    view.only("stash_type", 1, 1)
    if any(view.outputs[1:]):
        view.refuse("mean or deviation is asked for", "supported is the first output only")
    view.emit(view.op, inputs, ops.NormAttrs(axis, view.real("epsilon", 1e-5)))


def _lrn(view: NodeView) -> None:
    size = view.integer("size", 0)
    if size < 1:
        view.refuse(f"attribute 'size' is {size}", "a number from 1")
    alpha, beta = view.real("alpha", 1e-4), view.real("beta", 0.75)
    view.emit("LRN", [view.tensor(0)], ops.LrnAttrs(size, alpha, beta, view.real("bias", 1.0)))


CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(("Sub", "Div", "Pow", "PRelu", "MatMul", "Where", "Not"), _plain),
    **dict.fromkeys(("Add", "Mul", *ops.UNARY, *ops.COMPARE, *ops.LOGIC), _plain),
    **{op: _variadic(op) for op in ("Max", "Min")},
    **dict.fromkeys(ops.REDUCE, _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _norm),
    "Sum": _variadic("Add"),
    "Gemm": _gemm,
    "LeakyRelu": _alpha(0.01),
    "Elu": _alpha(1.0),
    "Swish": _alpha(1.0),
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Gelu": _gelu,
    "Cast": _cast,
    "ArgMax": _argmax,
    "BatchNormalization": _batch_norm,
    "LRN": _lrn,
}
