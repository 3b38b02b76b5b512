"""ONNX quantised ops: scales and zero points move from inputs to the tensors themselves.

Goal: afterwards an integer tensor says what it stands for, and its nodes have data inputs only.
Non-goals: scales computed at run time, blocks of scales, 4-bit and 8-bit float types.
"""

from __future__ import annotations

from onnx import TensorProto

from tessera.plan.graph import Attrs, DType, Tensor
from tessera.plan.graph_ops import CastAttrs
from tessera.plan.onnx_file import dtype_of
from tessera.plan.onnx_node import Converter, NodeView
from tessera.plan.onnx_windows import conv_attrs

_BYTES = (DType.INT8, DType.UINT8)


def _target(view: NodeView) -> DType:
    zero = view.constant(2, "zero point")
    code = view.integer("output_dtype", 0)
    if zero is not None:
        return DType(zero.dtype.name)
    if code:
        return dtype_of(code, f"{view.op}: attribute 'output_dtype'", str(view.source))
    return DType.UINT8


def _quantise(view: NodeView) -> None:
    view.ignore("saturate")  # speaks of 8-bit floats
    view.only("block_size", 0, 0)
    view.only("precision", 0, 0)
    x, to = view.tensor(0), _target(view)
    if to not in _BYTES or x.dtype is not DType.FLOAT32:
        view.refuse(f"from {x.dtype} to {to}", "supported is float32 to int8 or uint8")
    how = view.quantisation(1, 2, view.integer("axis", 1), len(x.shape))
    view.emit("QuantizeLinear", [x], CastAttrs(to), quantisation=how)


def _dequantise(view: NodeView) -> None:
    view.only("block_size", 0, 0)
    code = view.integer("output_dtype", 0)
    if code not in (0, TensorProto.FLOAT):
        view.refuse("attribute 'output_dtype' is not float32", "supported is float32")
    x = view.tensor(0)
    if x.dtype not in (*_BYTES, DType.INT32):
        view.refuse(f"an input of type {x.dtype}", "supported are int8, uint8 and int32")
    how = view.quantisation(1, 2, view.integer("axis", 1), len(x.shape))
    view.emit("DequantizeLinear", [view.quantised(0, how)])


def _bytes_in(view: NodeView, *indices: int) -> None:
    for index in indices:
        if view.tensor(index).dtype not in _BYTES:
            view.refuse(f"an input of type {view.tensor(index).dtype}", "int8 or uint8")


def _emit(
    view: NodeView, op: str, inputs: list[Tensor], attrs: Attrs, scale: int, rank: int
) -> None:
    how = view.quantisation(scale, scale + 1, 1, rank)
    point = view.constant(scale + 1, "zero point")
    dtype = DType(point.dtype.name) if point is not None else DType.UINT8
    view.emit(op, inputs, attrs, dtype=dtype, quantisation=how)


def _conv(view: NodeView) -> None:
    _bytes_in(view, 0, 3)
    x, w = view.tensor(0), view.tensor(3)
    attrs = conv_attrs(view, x.shape, w.shape)
    inputs = [
        view.quantised(0, view.quantisation(1, 2, 1, len(x.shape))),
        view.quantised(3, view.quantisation(4, 5, 0, len(w.shape))),
        *([view.tensor(8)] if view.has(8) else []),
    ]
    _emit(view, "QLinearConv", inputs, attrs, 6, len(x.shape))


def _matmul(view: NodeView) -> None:
    _bytes_in(view, 0, 3)
    a, b = view.tensor(0), view.tensor(3)
    left, right = (view.quantisation(i + 1, i + 2, -1, len(t.shape)) for i, t in ((0, a), (3, b)))
    if left.axis is not None:
        view.refuse("a scale per row of the first input", "one scale for the whole input")
    inputs = [view.quantised(0, left), view.quantised(3, right)]
    _emit(view, "QLinearMatMul", inputs, Attrs(), 6, len(a.shape))


CONVERTERS: dict[str, Converter] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
}
