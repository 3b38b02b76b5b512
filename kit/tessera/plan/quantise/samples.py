"""Inputs to measure a network on: from a file, from the training digits, or generated from a seed.

Goal: a list of inputs, each complete and of the right shapes, the same for the same words.
Non-goals: preparing images; files hold what the network takes.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessera import resources
from tessera.dnn import digits
from tessera.errors import TesseraError
from tessera.plan.graph import Array, Graph
from tessera.plan.zoo import sample

Samples = Sequence[dict[str, Array]]

DIGITS = "digits"
"""The word that stands for the training images of the digits network."""


def generated(graph: Graph, count: int, seed: int) -> Samples:
    """Floats 0 to 1; sample k is the one of seed `seed` + k."""
    return [sample(graph, seed + index) for index in range(count)]


def from_npz(path: Path, graph: Graph) -> Samples:
    """The samples of a file: one array per input, its first axis runs over the samples.

    Raises `TesseraError` for a file that is damaged or does not fit the network.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise TesseraError(
            f"cannot read the inputs: {error}",
            where=str(path),
            remedy="give a file as numpy.savez writes it, an array per input",
        ) from None
    for name in graph.inputs:
        _check(path, graph, arrays, name)
    counts = {len(arrays[name]) for name in graph.inputs}
    if len(counts) > 1 or 0 in counts or set(arrays) != set(graph.inputs):
        raise TesseraError(
            f"arrays {', '.join(sorted(arrays))} with {sorted(counts)} samples",
            where=str(path),
            remedy=f"give one array for each of {', '.join(graph.inputs)}, all of one length",
        )
    return [{name: arrays[name][k] for name in graph.inputs} for k in range(counts.pop())]


def _check(path: Path, graph: Graph, arrays: dict[str, Array], name: str) -> None:
    tensor, given = graph.tensors[name], arrays.get(name)
    # A batch of 1 may be left out: images are kept as (count, channels, height, width).
    if given is not None and given.shape[1:] == tensor.shape[1:] and tensor.shape[0] == 1:
        given = arrays[name] = given.reshape(len(given), *tensor.shape)
    if given is None or given.shape[1:] != tensor.shape or given.dtype != tensor.dtype.numpy:
        said = "is missing" if given is None else f"is {given.dtype} {given.shape}"
        wanted = ", ".join(map(str, ("samples", *tensor.shape)))
        raise TesseraError(
            f"array '{name}' {said}",
            where=str(path),
            remedy=f"give {tensor.dtype} ({wanted})",
        )
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise TesseraError(
            f"array '{name}' holds values that are not finite",
            where=str(path),
            remedy="give finite numbers",
        )


def _bundled() -> tuple[Array, Array]:
    """All digits with their labels, as the script that trained the network reads them."""
    path = resources.path(digits.FOLDER) / "train.py"
    spec = importlib.util.spec_from_file_location("tessera_zoo_digits", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images, labels = module.all_digits()
    return np.asarray(images), np.asarray(labels)


def training_digits(graph: Graph) -> tuple[Samples, Array]:
    """The digits that the digits network was trained on, and their labels; none is held out.

    Raises `TesseraError` without scikit-learn, or for a network that does not take such images.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise TesseraError(
            "scikit-learn holds the training images and is not installed",
            where=DIGITS,
            remedy="pip install scikit-learn, or leave --inputs out",
        )
    images, labels = _bundled()
    # What is held out is known by its pixels, so that this does not depend on how it was shuffled.
    kept = {image.tobytes() for image in digits.held_out()[0]}
    training = np.array([image.tobytes() not in kept for image in images])
    return digit_samples(graph, images[training]), labels[training]


def digit_samples(graph: Graph, images: Array) -> Samples:
    """Images of 64 values as inputs of a network that takes one such image."""
    if not takes_digits(graph):
        raise TesseraError(
            "the network does not take images of 8x8",
            where=graph.name,
            remedy="give its own inputs: --inputs FILE.npz",
        )
    (name,) = graph.inputs
    return [{name: image.reshape(graph.tensors[name].shape)} for image in images]


def takes_digits(graph: Graph) -> bool:
    """Whether the network takes one image of the digits and tells ten classes."""
    one_each = len(graph.inputs) == len(graph.outputs) == 1
    if not one_each:
        return False
    given, made = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    return given.shape == (1, 1, 8, 8) and made.values == 10


def chosen(graph: Graph, inputs: str | None, count: int, seed: int) -> tuple[Samples, Samples]:
    """What words on a command line mean: at most `count` samples to calibrate on, and to test on.

    Those to test on are the next ones; the same again when a file holds no more.
    """
    if inputs is None:
        every = generated(graph, 2 * count, seed)
    elif inputs == DIGITS:
        every = training_digits(graph)[0]
    else:
        every = from_npz(Path(inputs), graph)
    return every[:count], every[count : 2 * count] or every[:count]
