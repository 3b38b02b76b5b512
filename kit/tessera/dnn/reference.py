"""The reference network: a model file run in numpy, plainly and in float64.

Goal: the yardstick that the C runtime and the trusted application are compared with. Sums are kept
in float64, so that a difference is the other side's rounding and not ours.
Non-goals: speed, memory, training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.dnn.format import Floats, Kind, LayerSpec, Model, Shape
from tessera.errors import TesseraError

Doubles = NDArray[np.float64]


def conv2d(x: Doubles, weights: Doubles, bias: Doubles, *, stride: int, pad: int) -> Doubles:
    """Cross-correlation of (channels, height, width) with (out, in, k, k), padded by zeros."""
    kernel = weights.shape[2]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    picked = windows[:, ::stride, ::stride]
    out: Doubles = np.einsum("chwij,ocij->ohw", picked, weights) + bias[:, None, None]
    return out


def maxpool(x: Doubles, *, kernel: int, stride: int) -> Doubles:
    """The largest value of every window; windows that would pass the edge are left out."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    out: Doubles = windows[:, ::stride, ::stride].max(axis=(3, 4))
    return out


def dense(x: Doubles, weights: Doubles, bias: Doubles) -> Doubles:
    """Weights (out, in) times the flattened input, plus bias."""
    out: Doubles = weights @ x.reshape(-1) + bias
    return out


def relu(x: Doubles) -> Doubles:
    """The larger of each value and 0."""
    return np.maximum(x, 0.0)


def softmax(x: Doubles) -> Doubles:
    """Exponentials of the flattened input, scaled to sum to 1."""
    powers = np.exp(x - x.max())
    out: Doubles = powers / powers.sum()
    return out


def _apply(layer: LayerSpec, x: Doubles, given: Shape) -> Doubles:
    weights, bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)
    match layer.kind:
        case Kind.CONV2D:
            filters = weights.reshape(layer.out, given.channels, layer.kernel, layer.kernel)
            return conv2d(x, filters, bias, stride=layer.stride, pad=layer.pad)
        case Kind.MAXPOOL:
            return maxpool(x, kernel=layer.kernel, stride=layer.stride)
        case Kind.DENSE:
            return dense(x, weights.reshape(layer.out, given.values), bias).reshape(-1, 1, 1)
        case Kind.RELU:
            return relu(x)
        case Kind.SOFTMAX:
            return softmax(x).reshape(x.shape)


def run(model: Model, images: NDArray[Any]) -> Floats:
    """The outputs of `model`, (batch, outputs), for images of (batch, values of one input).

    Raises `TesseraError` when the images do not have the size of the model's input.
    """
    rows = images.reshape(len(images), -1)
    if rows.shape[1] != model.input.values:
        raise TesseraError(
            f"an image has {rows.shape[1]} values, but the model takes {model.input.values}",
            where="images",
            remedy=f"give images of {'x'.join(map(str, model.input))} float32 values",
        )
    shapes = model.shapes()
    results = np.empty((len(rows), shapes[-1].values), np.float32)
    for row, result in zip(rows, results, strict=True):
        x = row.astype(np.float64).reshape(model.input)
        for layer, given in zip(model.layers, shapes, strict=False):
            x = _apply(layer, x, given)
        result[:] = x.reshape(-1)
    return results


def accuracy(outputs: Floats, labels: NDArray[Any]) -> float:
    """The share of rows whose largest output is at their label, 0 to 1."""
    return float((outputs.argmax(axis=1) == labels).mean())


def arena_bytes(model: Model) -> int:
    """Bytes that the C runtime needs for values: the largest input and output of one layer.

    Layers that work in place (ReLU, softmax) count once.
    """
    shapes = model.shapes()
    need = model.input.values
    for layer, given, out in zip(model.layers, shapes, shapes[1:], strict=False):
        in_place = layer.kind in (Kind.RELU, Kind.SOFTMAX)
        need = max(need, given.values + (0 if in_place else out.values))
    return need * 4
