"""ONNX convolutions and pools: paddings made explicit.

Goal: `auto_pad`, default strides and dilations end here.
Non-goals: their numbers (`execute_windows`).
"""

from __future__ import annotations

from tessera.plan.graph import Shape
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs
from tessera.plan.onnx_node import Converter, NodeView


def _pads(view: NodeView, sizes: Shape, kernel: Shape, strides: Shape, dilations: Shape) -> Shape:
    """All beginnings, then all ends, from `pads` or `auto_pad`."""
    auto, given = view.text("auto_pad", "NOTSET"), view.integers("pads")
    rank = len(kernel)
    if auto in ("NOTSET", "VALID"):
        pads = (given if auto == "NOTSET" else None) or (0,) * 2 * rank
        if len(pads) != 2 * rank or min(pads) < 0:
            view.refuse(f"attribute 'pads' is {pads}", f"supported are {2 * rank} numbers from 0")
        return pads
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        view.refuse(f"attribute 'auto_pad' is {auto!r}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    begins, ends = [], []
    for size, window, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        out = -(-size // stride)
        total = max(0, (out - 1) * stride + dilation * (window - 1) + 1 - size)
        small = total // 2
        begins.append(small if auto == "SAME_UPPER" else total - small)
        ends.append(total - small if auto == "SAME_UPPER" else small)
    return (*begins, *ends)


def _positive(view: NodeView, name: str, rank: int) -> Shape:
    found = view.integers(name) or (1,) * rank
    if len(found) != rank or min(found) < 1:
        view.refuse(f"attribute '{name}' is {found}", f"supported are {rank} numbers from 1")
    return found


def conv_attrs(view: NodeView, x: Shape, w: Shape) -> ConvAttrs:
    """The attributes of a convolution of `x` by `w`, complete."""
    rank = len(w) - 2
    if rank < 1 or len(x) != len(w):
        view.refuse(f"input {x} and weights {w}", "supported are as many axes, 3 to 5")
    kernel = view.integers("kernel_shape") or w[2:]
    strides, dilations = _positive(view, "strides", rank), _positive(view, "dilations", rank)
    pads = _pads(view, x[2:], w[2:], strides, dilations)
    return ConvAttrs(kernel, strides, pads, dilations, view.integer("group", 1))


def _conv(view: NodeView) -> None:
    inputs = view.tensors()
    view.emit("Conv", inputs, conv_attrs(view, inputs[0].shape, view.tensor(1).shape))


def _pool(view: NodeView) -> None:
    x = view.tensor(0)
    kernel = view.integers("kernel_shape")
    if not kernel or min(kernel) < 1 or len(kernel) != len(x.shape) - 2:
        view.refuse(f"attribute 'kernel_shape' is {kernel}", "a size from 1 per spatial axis")
    rank = len(kernel)
    strides, dilations = _positive(view, "strides", rank), _positive(view, "dilations", rank)
    pads = _pads(view, x.shape[2:], kernel, strides, dilations)
    attrs = PoolAttrs(
        kernel,
        strides,
        pads,
        dilations,
        ceil_mode=bool(view.integer("ceil_mode", 0)),
        count_include_pad=view.op == "AveragePool" and bool(view.integer("count_include_pad", 0)),
    )
    if view.op == "MaxPool":
        view.only("storage_order", 0, 0)
        if len(view.outputs) > 1 and view.outputs[1]:
            view.refuse("output 'Indices' is asked for", "supported is the first output only")
    view.emit(view.op, [x], attrs)


def _global(view: NodeView) -> None:
    view.emit(view.op, [view.tensor(0)])


CONVERTERS: dict[str, Converter] = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
}
