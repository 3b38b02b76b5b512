"""The fine-tuning hook: a function from a pruned graph to the same graph with better weights.

Goal: `module:function`, `file.py:function`, or `last-layer`, the one that comes along: the last
dense layer of a network of digits is trained anew, as a softmax regression on what it is fed, by
full-batch gradient steps from the weights that it has.
Non-goals: training the other layers here (`models/dnn/zoo/lenet_digits/finetune.py` does it for the
digits network).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph, Node
from tessera.plan.graph_ops import GemmAttrs
from tessera.plan.passes.dead import drop_dead
from tessera.plan.passes.rewrite import close, frozen
from tessera.plan.quantise.samples import Samples, training_digits

LAST_LAYER = "last-layer"
STEPS = 300
RATE = 0.5
DECAY = 1e-4
"""Gradient steps, their length, and the weight decay of the softmax regression."""


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    spec = importlib.util.spec_from_file_location(f"tessera_finetune_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hook(words: str) -> Callable[[Graph], Graph]:
    """The function that the words name. Raises `TesseraError` when there is none."""
    if words == LAST_LAYER:
        return retrain_last_layer
    module, _, function = words.rpartition(":")
    try:
        found: Any = getattr(_module(module), function) if module and function else None
    except Exception as error:
        raise TesseraError(
            f"cannot load it: {error}",
            where=f"--finetune {words}",
            remedy=f"say module:function, file.py:function or {LAST_LAYER}",
        ) from None
    if not callable(found):
        raise TesseraError(
            "this names no function",
            where=f"--finetune {words}",
            remedy=f"say module:function, file.py:function or {LAST_LAYER}",
        )

    def call(graph: Graph) -> Graph:
        try:
            made: Graph = found(graph)
        except TesseraError:
            raise
        except Exception as error:
            raise TesseraError(
                f"fine-tuning failed: {type(error).__name__}: {error}",
                where=f"--finetune {words}",
                remedy="mend the function",
            ) from error
        return made

    return call


def last_layer(graph: Graph) -> Node:
    """The dense layer that makes the output. Raises `TesseraError` when another op does."""
    node = graph.producers().get(graph.outputs[0])
    if node is not None and node.op == "Softmax":
        node = graph.producers().get(node.inputs[0])
    plain = isinstance(node.attrs, GemmAttrs) and node.attrs.transpose_b if node else False
    weights = node is not None and all(graph.tensors[n].data is not None for n in node.inputs[1:])
    if node is None or not plain or not weights or len(node.inputs) != 3:
        raise TesseraError(
            "the network does not end in a dense layer with a bias",
            where=graph.name,
            remedy="give a hook of your own: --finetune module:function",
        )
    return node


def features(graph: Graph, name: str, samples: Samples) -> Array:
    """A tensor's values for every sample, (samples, values), in float64."""
    # Values come out of a graph that ends there.
    part = drop_dead(close(replace(graph, outputs=(name,)), graph.nodes, graph.tensors))
    return np.array([run(part, one)[name].reshape(-1) for one in samples], np.float64)


def regress(x: Array, labels: Array, weights: Array, bias: Array) -> tuple[Array, Array]:
    """Weights (classes, features) and bias of a softmax regression, by gradient steps.

    Features are scaled to a root mean square of 1 while it trains, so that one rate fits all.
    """
    scale = np.sqrt((x**2).mean()) or 1.0
    x, w, b = x / scale, weights.astype(np.float64) * scale, bias.astype(np.float64)
    wanted = np.eye(len(b))[labels]
    for _ in range(STEPS):
        logits = x @ w.T + b
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        gap = (powers / powers.sum(axis=1, keepdims=True) - wanted) / len(x)
        w -= RATE * (gap.T @ x + DECAY * w)
        b -= RATE * gap.sum(axis=0)
    return (w / scale).astype(np.float32), b.astype(np.float32)


def retrain_last_layer(graph: Graph) -> Graph:
    """The graph with its last dense layer trained on the training digits."""
    node = last_layer(graph)
    samples, labels = training_digits(graph)
    x = features(graph, node.inputs[0], samples)
    weights, bias = (graph.tensors[name] for name in node.inputs[1:])
    assert weights.data is not None and bias.data is not None
    made = regress(x, labels, weights.data, bias.data)
    tensors = dict(graph.tensors)
    for tensor, data in zip((weights, bias), made, strict=True):
        tensors[tensor.name] = frozen(tensor, data)
    return close(graph, graph.nodes, tensors)
