"""Trains all layers of a pruned digits network for a few epochs more: a hook for `tessera prune`.

    tessera prune lenet_digits --to 20% --finetune models/dnn/zoo/lenet_digits/finetune.py:finetune

Goal: the same loop, images and shifts as `train.py`, from the weights that pruning left, with a
smaller rate; the 397 held-out digits are not used.
Non-goals: networks other than a chain of convolutions, poolings and dense layers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import backprop as bp  # noqa: E402
import train  # noqa: E402

from tessera.errors import TesseraError  # noqa: E402
from tessera.plan.graph import Array, Graph, Node  # noqa: E402
from tessera.plan.passes.rewrite import close, frozen  # noqa: E402

EPOCHS = 10
RATE = 1e-3
SEED = train.SEED + 2


def layer_of(graph: Graph, node: Node) -> bp.Layer | None:
    """The trainable form of a node; None for a flattening, which dense layers do themselves."""
    parts = [graph.tensors[name].data for name in node.inputs[1:]]
    weights = [one.copy() for one in parts if one is not None]
    match node.op:
        case "Conv":
            return bp.Conv2d(*weights, stride=node.attrs.strides[0], pad=node.attrs.pads[0])
        case "Gemm":
            return bp.Dense(*weights)
        case "MaxPool":
            return bp.MaxPool(node.attrs.kernel[0])
        case "Relu":
            return bp.ReLU()
        case "Reshape":
            return None
        case _:
            raise TesseraError(
                f"{node.op} has no backward pass here",
                where=str(node.source),
                remedy="this hook is for the digits network; write one for yours",
            )


def train_on(layers: list[bp.Layer], images: Array, labels: Array, epochs: int) -> None:
    """Trains in place; the learning rate falls to 0 along a cosine."""
    rng, adam = np.random.default_rng(SEED), bp.Adam(layers, decay=train.DECAY)
    batches = len(images) // train.BATCH
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        for batch in range(batches):
            pick = order[batch * train.BATCH : (batch + 1) * train.BATCH]
            inputs = train.shifted(images[pick].reshape(-1, 1, 8, 8), rng)
            _, grad = bp.cross_entropy(bp.forward(layers, inputs), labels[pick])
            bp.backward(layers, grad)
            done = (epoch * batches + batch) / (epochs * batches)
            adam.step(RATE * 0.5 * (1 + np.cos(np.pi * done)))


def finetune(graph: Graph, epochs: int = EPOCHS) -> Graph:
    """The graph with weights trained further."""
    pairs = [(node, layer_of(graph, node)) for node in graph.nodes]
    images, labels, _, _ = train.split_digits()
    train_on([layer for _, layer in pairs if layer is not None], images, labels, epochs)
    tensors = dict(graph.tensors)
    for node, layer in pairs:
        for name, data in zip(node.inputs[1:], layer.params if layer else [], strict=False):
            tensors[name] = frozen(tensors[name], data.astype(np.float32))
    return close(graph, graph.nodes, tensors)
