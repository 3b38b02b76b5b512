"""Trains the digits network and writes the three files that the rest of the kit uses.

    python models/dnn/zoo/lenet_digits/train.py [--out DIR] [--epochs N] [--validate]

Goal: a small LeNet (two convolutions, two poolings, three dense layers) on the 1,797 handwritten
digits of 8x8 pixels that scikit-learn bundles; seeded, numpy alone, the same bytes for the same
numpy and BLAS.
Non-goals: a record. 397 images are held out by a fixed shuffle; they are used once, to report the
accuracy, and never to choose anything: epochs, rates and shifts were chosen with `--validate`,
which holds out a part of the training images instead and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

# One thread: the sums are then always taken in the same order, and small matrices gain nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import backprop as bp  # noqa: E402

from tessera.dnn import digits, reference  # noqa: E402
from tessera.dnn import format as tsm  # noqa: E402
from tessera.dnn.files import write_bytes  # noqa: E402

SEED = 20261121
HELD_OUT = 397
EPOCHS = 60
BATCH = 50
RATE = 2e-3
DECAY = 1e-1

Array = NDArray[Any]


def all_digits() -> tuple[Array, Array]:
    """All images that scikit-learn bundles, float32 in 0 to 1, in its order, and their labels."""
    from sklearn.datasets import load_digits  # noqa: PLC0415

    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32), labels


def split_digits() -> tuple[Array, Array, Array, Array]:
    """Training images and labels, then held-out ones."""
    images, labels = all_digits()
    order = np.random.default_rng(SEED).permutation(len(images))
    images, labels = images[order], labels[order]
    return images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT]


def network(rng: np.random.Generator) -> list[bp.Layer]:
    """The layers, with fresh weights."""

    def conv(inputs: int, outputs: int) -> bp.Conv2d:
        weights = bp.he_normal(rng, (outputs, inputs, 3, 3), inputs * 9)
        return bp.Conv2d(weights, np.zeros(outputs, np.float32), pad=1)

    def dense(inputs: int, outputs: int) -> bp.Dense:
        weights = bp.he_normal(rng, (outputs, inputs), inputs)
        return bp.Dense(weights, np.zeros(outputs, np.float32))

    return [
        conv(1, 16), bp.ReLU(), bp.MaxPool(2),
        conv(16, 48), bp.ReLU(), bp.MaxPool(2),
        dense(192, 256), bp.ReLU(), dense(256, 84), bp.ReLU(), dense(84, 10),
    ]  # fmt: skip


def shifted(images: Array, rng: np.random.Generator) -> Array:
    """Every image moved by -1, 0 or 1 pixel each way; what enters is blank."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, (2, len(images)))
    rows = down[:, None] + np.arange(8)
    columns = right[:, None] + np.arange(8)
    each = np.arange(len(images))[:, None, None]
    moved: Array = padded[each, 0, rows[:, :, None], columns[:, None, :]]
    return moved[:, None]


def train(images: Array, labels: Array, epochs: int, *, quiet: bool = False) -> list[bp.Layer]:
    """A network trained on the images; the learning rate falls to 0 along a cosine."""
    rng = np.random.default_rng(SEED + 1)
    layers = network(rng)
    adam = bp.Adam(layers, decay=DECAY)
    batches = len(images) // BATCH
    for epoch in range(epochs):
        order, total = rng.permutation(len(images)), 0.0
        for batch in range(batches):
            pick = order[batch * BATCH : (batch + 1) * BATCH]
            inputs = shifted(images[pick].reshape(-1, 1, 8, 8), rng)
            loss, grad = bp.cross_entropy(bp.forward(layers, inputs), labels[pick])
            bp.backward(layers, grad)
            done = (epoch * batches + batch) / (epochs * batches)
            adam.step(RATE * 0.5 * (1 + np.cos(np.pi * done)))
            total += loss
        if not quiet:
            print(f"epoch {epoch + 1:3}/{epochs}  loss {total / batches:.4f}", file=sys.stderr)
    return layers


def to_model(layers: list[bp.Layer]) -> tsm.Model:
    """The trained layers in the terms of the model file."""
    specs: list[tsm.LayerSpec] = []
    for layer in layers:
        match layer:
            case bp.Conv2d():
                flat = [param.reshape(-1) for param in layer.params]
                size = (len(flat[1]), layer.kernel, layer.stride, layer.pad)
                specs.append(tsm.LayerSpec(tsm.Kind.CONV2D, *size, *flat))
            case bp.MaxPool():
                size = (0, layer.size, layer.size, 0)
                specs.append(tsm.LayerSpec(tsm.Kind.MAXPOOL, *size))
            case bp.Dense():
                flat = [param.reshape(-1) for param in layer.params]
                specs.append(tsm.LayerSpec(tsm.Kind.DENSE, len(flat[1]), 0, 0, 0, *flat))
            case bp.ReLU():
                specs.append(tsm.LayerSpec(tsm.Kind.RELU))
    return tsm.Model(tsm.Shape(1, 8, 8), tuple(specs))


def main() -> int:
    """Trains, reports the held-out accuracy, writes the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the files")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--validate", action="store_true", help="judge on training images")
    options = parser.parse_args()
    if options.epochs < 1 or not options.out.is_dir():
        parser.error("--epochs must be at least 1 and --out an existing folder")
    images, labels, test_images, test_labels = split_digits()
    if options.validate:
        images, test_images = images[300:], images[:300]
        labels, test_labels = labels[300:], labels[:300]
    start = time.monotonic()
    model = to_model(train(images, labels, options.epochs))
    share = reference.accuracy(reference.run(model, test_images), test_labels)
    print(f"seed {SEED}, {len(images)} images trained on for {options.epochs} epochs")
    print(f"accuracy on {len(test_images)} held-out images: {100 * share:.2f} %")
    if not options.validate:
        size = tsm.save(model, options.out / digits.model_path().name)
        write_bytes(options.out / digits.images_path().name, test_images.astype("<f4").tobytes())
        write_bytes(options.out / digits.labels_path().name, test_labels.astype(np.uint8).tobytes())
        print(f"wrote {size} bytes of model and the held-out images to {options.out}")
    print(f"{time.monotonic() - start:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
