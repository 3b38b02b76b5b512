"""Layers with a forward and a backward pass, in numpy alone: enough to train a small CNN.

Goal: seeded, readable training of the zoo's networks in float32 with no framework.
Non-goals: speed beyond a few minutes per network, inference (that is `tessera.dnn.reference`, which
is written apart from this file on purpose, so that the two check each other), and other devices.

Tensors are `(batch, channels, height, width)` or `(batch, features)`. `backward` takes the gradient
of the loss in the layer's output, leaves those of its parameters in `grads`, and returns the one in
its input.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Layer(Protocol):
    """What the training loop needs of a layer."""

    params: list[Array]
    grads: list[Array]

    def forward(self, x: Array) -> Array:
        """The layer's output; keeps what `backward` needs."""
        ...

    def backward(self, grad: Array) -> Array:
        """The gradient in the input of the last `forward`."""
        ...


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Array:
    """Weights for a layer that ReLU follows: normal, variance 2 / fan_in."""
    weights: Array = (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)
    return weights


class Conv2d:
    """Square-kernel convolution (cross-correlation) with bias; weights are (out, in, k, k)."""

    def __init__(self, weights: Array, bias: Array, *, stride: int = 1, pad: int = 0) -> None:
        self.params, self.grads = [weights, bias], [np.zeros_like(weights), np.zeros_like(bias)]
        self.stride, self.pad, self.kernel = stride, pad, weights.shape[2]

    def _windows(self, height: int, width: int) -> list[tuple[int, int, slice, slice]]:
        k, s = self.kernel, self.stride
        rows, columns = (height - k) // s + 1, (width - k) // s + 1
        return [
            (i, j, slice(i, i + s * (rows - 1) + 1, s), slice(j, j + s * (columns - 1) + 1, s))
            for i in range(k)
            for j in range(k)
        ]

    def forward(self, x: Array) -> Array:
        """See `Layer`."""
        weights, bias = self.params
        p = self.pad
        self._padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self._taps = self._windows(*self._padded.shape[2:])
        # (k*k, batch, in, rows, columns): every tap of the kernel sees one strided view.
        views = np.stack([self._padded[:, :, rows, cols] for _, _, rows, cols in self._taps])
        kk, batch, channels, height, width = views.shape
        self._columns = views.transpose(1, 3, 4, 2, 0).reshape(-1, channels * kk)
        out = self._columns @ weights.reshape(len(weights), -1).T + bias
        shaped: Array = out.reshape(batch, height, width, -1).transpose(0, 3, 1, 2)
        return shaped

    def backward(self, grad: Array) -> Array:
        """See `Layer`."""
        weights, _ = self.params
        flat = grad.transpose(0, 2, 3, 1).reshape(-1, len(weights))
        self.grads = [(flat.T @ self._columns).reshape(weights.shape), flat.sum(axis=0)]
        batch, _, height, width = grad.shape
        taps = (flat @ weights.reshape(len(weights), -1)).reshape(
            batch, height, width, weights.shape[1], -1
        )
        back = np.zeros_like(self._padded)
        for n, (_, _, rows, columns) in enumerate(self._taps):
            back[:, :, rows, columns] += taps[..., n].transpose(0, 3, 1, 2)
        p = self.pad
        return back[:, :, p : back.shape[2] - p, p : back.shape[3] - p]


class MaxPool:
    """Non-overlapping square max pooling; a remainder at the far edges is dropped."""

    def __init__(self, size: int) -> None:
        self.params: list[Array] = []
        self.grads: list[Array] = []
        self.size = size

    def forward(self, x: Array) -> Array:
        """See `Layer`."""
        k = self.size
        self._shape = x.shape
        batch, channels, height, width = x.shape
        rows, columns = height // k, width // k
        tiles = x[:, :, : rows * k, : columns * k].reshape(batch, channels, rows, k, columns, k)
        self._tiles = tiles.transpose(0, 1, 2, 4, 3, 5).reshape(batch, channels, rows, columns, -1)
        self._choice = self._tiles.argmax(axis=-1)
        picked: Array = np.take_along_axis(self._tiles, self._choice[..., None], axis=-1)
        return picked[..., 0]

    def backward(self, grad: Array) -> Array:
        """See `Layer`."""
        k = self.size
        batch, channels, rows, columns = grad.shape
        tiles = np.zeros_like(self._tiles)
        np.put_along_axis(tiles, self._choice[..., None], grad[..., None], axis=-1)
        back = np.zeros(self._shape, grad.dtype)
        back[:, :, : rows * k, : columns * k] = (
            tiles.reshape(batch, channels, rows, columns, k, k)
            .transpose(0, 1, 2, 4, 3, 5)
            .reshape(batch, channels, rows * k, columns * k)
        )
        return back


class Dense:
    """Fully connected layer; flattens its input; weights are (out, in)."""

    def __init__(self, weights: Array, bias: Array) -> None:
        self.params, self.grads = [weights, bias], [np.zeros_like(weights), np.zeros_like(bias)]

    def forward(self, x: Array) -> Array:
        """See `Layer`."""
        self._shape = x.shape
        self._flat = x.reshape(len(x), -1)
        out: Array = self._flat @ self.params[0].T + self.params[1]
        return out

    def backward(self, grad: Array) -> Array:
        """See `Layer`."""
        self.grads = [grad.T @ self._flat, grad.sum(axis=0)]
        back: Array = (grad @ self.params[0]).reshape(self._shape)
        return back


class ReLU:
    """The larger of the input and 0."""

    def __init__(self) -> None:
        self.params: list[Array] = []
        self.grads: list[Array] = []

    def forward(self, x: Array) -> Array:
        """See `Layer`."""
        self._open = x > 0
        return np.where(self._open, x, np.zeros_like(x))

    def backward(self, grad: Array) -> Array:
        """See `Layer`."""
        return np.where(self._open, grad, np.zeros_like(grad))


def forward(layers: list[Layer], x: Array) -> Array:
    """The logits of a batch."""
    for layer in layers:
        x = layer.forward(x)
    return x


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean softmax cross-entropy of a batch and its gradient in the logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    log_probs = shifted - log_sum
    rows = np.arange(len(labels))
    grad = np.exp(log_probs)
    grad[rows, labels] -= 1
    return float(-log_probs[rows, labels].mean()), (grad / len(labels)).astype(logits.dtype)


def backward(layers: list[Layer], grad: Array) -> Array:
    """Leaves every layer's gradients in it; returns the one in the input."""
    for layer in reversed(layers):
        grad = layer.backward(grad)
    return grad


class Adam:
    """Adam with decoupled weight decay; updates the layers' parameters in place."""

    def __init__(self, layers: list[Layer], *, decay: float = 0.0) -> None:
        self.layers, self.decay, self.steps = layers, decay, 0
        self.first = [[np.zeros_like(p) for p in layer.params] for layer in layers]
        self.second = [[np.zeros_like(p) for p in layer.params] for layer in layers]

    def step(self, rate: float) -> None:
        """One update with learning rate `rate`."""
        self.steps += 1
        slow, fast = 1 - 0.9**self.steps, 1 - 0.999**self.steps
        for layer, firsts, seconds in zip(self.layers, self.first, self.second, strict=True):
            for param, grad, m, v in zip(layer.params, layer.grads, firsts, seconds, strict=True):
                m[...] += np.float32(0.1) * (grad - m)
                v[...] += np.float32(0.001) * (grad * grad - v)
                move = (m / np.float32(slow)) / (np.sqrt(v / np.float32(fast)) + np.float32(1e-8))
                param[...] -= np.float32(rate) * (move + np.float32(self.decay) * param)
