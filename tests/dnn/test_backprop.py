"""The training layers: every gradient against differences, and broken gradients that are seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.dnn import reference

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "dnn" / "zoo"))

import backprop as bp

Array = NDArray[Any]
STEP = 1e-6


def arrays(*shapes: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(11)
    return [rng.standard_normal(shape) for shape in shapes]


def conv(stride: int, pad: int) -> bp.Conv2d:
    return bp.Conv2d(*arrays((4, 3, 3, 3), (4,)), stride=stride, pad=pad)


LAYERS: dict[str, tuple[Callable[[], bp.Layer], tuple[int, ...]]] = {
    "conv2d": (lambda: conv(1, 0), (2, 3, 5, 6)),
    "conv2d padded": (lambda: conv(1, 2), (2, 3, 5, 6)),
    "conv2d strided": (lambda: conv(2, 1), (2, 3, 7, 7)),
    "maxpool": (lambda: bp.MaxPool(2), (2, 3, 5, 6)),
    "dense": (lambda: bp.Dense(*arrays((5, 12), (5,))), (2, 3, 2, 2)),
    "relu": (bp.ReLU, (2, 3, 4)),
}


def numeric(function: Callable[[], float], at: Array) -> Array:
    """The gradient of `function` in the array that it reads, by central differences."""
    grad = np.zeros_like(at)
    for index in np.ndindex(*at.shape):
        kept = at[index]
        at[index] = kept + STEP
        above = function()
        at[index] = kept - STEP
        grad[index] = (above - function()) / (2 * STEP)
        at[index] = kept
    return grad


def gradient_error(layer: bp.Layer, shape: tuple[int, ...]) -> float:
    """The largest difference between backward's gradients and differences, in float64."""
    rng = np.random.default_rng(12)
    x = rng.standard_normal(shape)
    slope = rng.standard_normal(layer.forward(x).shape)

    def loss() -> float:
        return float((layer.forward(x) * slope).sum())

    layer.forward(x)
    back = layer.backward(slope)
    pairs = [(back, numeric(loss, x))]
    pairs += [(g, numeric(loss, p)) for g, p in zip(layer.grads, layer.params, strict=True)]
    return max(float(np.abs(one - other).max()) for one, other in pairs)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str) -> None:
    make, shape = LAYERS[name]
    assert gradient_error(make(), shape) < 1e-6


def test_cross_entropy_gradient() -> None:
    logits = arrays((4, 5))[0]
    labels = np.array([0, 4, 2, 2])
    _, grad = bp.cross_entropy(logits, labels)
    wanted = numeric(lambda: bp.cross_entropy(logits, labels)[0], logits)
    assert np.abs(grad - wanted).max() < 1e-6


def test_a_wrong_gradient_is_seen() -> None:
    class NoPadding(bp.Conv2d):
        def backward(self, grad: Array) -> Array:
            back = super().backward(grad)
            self.grads[0] = self.grads[0][:, :, ::-1]
            return back

    class Leaky(bp.ReLU):
        def backward(self, grad: Array) -> Array:
            return grad

    assert gradient_error(NoPadding(*arrays((4, 3, 3, 3), (4,)), pad=1), (2, 3, 5, 6)) > 1e-2
    assert gradient_error(Leaky(), (2, 3, 4)) > 1e-2


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (1, 1), (2, 2)])
def test_forward_is_that_of_the_reference(stride: int, pad: int) -> None:
    """Two ways of writing the same operators, by different hands of numpy."""
    layer = conv(stride, pad)
    x = arrays((2, 3, 8, 9))[0]
    for got, image in zip(layer.forward(x), x, strict=True):
        wanted = reference.conv2d(image, *layer.params, stride=stride, pad=pad)
        assert np.allclose(got, wanted)
    pooled = bp.MaxPool(2).forward(x)
    assert np.array_equal(pooled[0], reference.maxpool(x[0], kernel=2, stride=2))


def test_adam_goes_downhill() -> None:
    layer = bp.Dense(*arrays((2, 3), (2,)))
    layer.params = [param.astype(np.float32) for param in layer.params]
    adam = bp.Adam([layer])
    x, labels = arrays((6, 3))[0].astype(np.float32), np.array([0, 1, 0, 1, 1, 0])
    losses = []
    for _ in range(50):
        loss, grad = bp.cross_entropy(layer.forward(x), labels)
        layer.backward(grad)
        adam.step(0.05)
        losses.append(loss)
    assert losses[-1] < 0.6 * losses[0]
