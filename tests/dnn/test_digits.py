"""The committed network: its accuracy, by the reference and by the C runtime, and its origin."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from c_runtime import HARNESS, Edit, Harness, compile_c

from tessera.dnn import digits, reference
from tessera.dnn.format import Floats
from tessera.errors import TesseraError

ZOO = Path(__file__).resolve().parents[2] / "models" / "dnn" / "zoo"
TRAIN = ZOO / "lenet_digits" / "train.py"
# What train.py wrote; a new training changes all three on purpose.
DIGESTS = {
    "lenet_digits.tsm": "9cee9a4140271d88652ce03e7fe14cc909d4c5d4941d4a00d070d214571981f1",
    "held_out_images.f32": "8eed136a8385c0ccefaa4e098fdd4bd40ade9478873353429b6309d3e2171966",
    "held_out_labels.u8": "8569ee25b04ceb09e48398f1d03543cb9b99476e1694b9cbe2c5b12f8bff6a11",
}
REQUIRED = 0.97
LOGIT_TOLERANCE = 1e-4


def c_logits(harness: Harness) -> Floats:
    """What the C runtime says of all held-out images."""
    images, labels = digits.held_out()
    model = digits.model_path().read_bytes()
    status, out = harness.call("run", images, 10 * len(labels), weights=model)
    assert status == 0
    return out.reshape(-1, 10)


def agrees(harness: Harness) -> bool:
    """Same top-1 on every image, logits within the tolerance."""
    images, _ = digits.held_out()
    wanted, got = reference.run(digits.model(), images), c_logits(harness)
    same = bool((wanted.argmax(axis=1) == got.argmax(axis=1)).all())
    return same and float(np.abs(wanted - got).max()) <= LOGIT_TOLERANCE


def test_the_held_out_set_is_large_enough_and_real() -> None:
    images, labels = digits.held_out()
    assert images.shape == (397, 64)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert images.min() == 0.0
    assert images.max() == 1.0


def test_held_out_images_are_those_of_scikit_learn_and_not_trained_on() -> None:
    """Each is one of the bundled digits; an image seen in training would be there twice."""
    datasets = pytest.importorskip("sklearn.datasets")
    sys.path.insert(0, str(TRAIN.parent))
    try:
        import train  # noqa: PLC0415
    finally:
        sys.path.remove(str(TRAIN.parent))
    images, labels = digits.held_out()
    inputs, targets, kept, kept_labels = train.split_digits()
    assert np.array_equal(kept, images)
    assert np.array_equal(kept_labels, labels)
    assert len(inputs) + len(kept) == len(datasets.load_digits().data)
    seen = {row.tobytes() for row in inputs}
    assert not any(row.tobytes() in seen for row in images)
    assert len(targets) == 1400


def test_accuracy_by_the_reference() -> None:
    images, labels = digits.held_out()
    outputs = reference.run(digits.model(), images)
    assert reference.accuracy(outputs, labels) >= REQUIRED
    assert reference.accuracy(outputs, (labels + 1) % 10) < 0.05  # the measure can say no


def test_accuracy_by_the_c_runtime(harness: Harness) -> None:
    _, labels = digits.held_out()
    assert reference.accuracy(c_logits(harness), labels) >= REQUIRED


def test_reference_and_c_runtime_agree(harness: Harness) -> None:
    assert agrees(harness)


@pytest.mark.parametrize(
    "edit",
    [
        ("run.c", "low + model->arena_values - ts_values(&layer->out)", "low"),
        ("run.c", "x = y;", "x = low;"),
        ("model.c", "layer->window.pad = row.pad;", "layer->window.pad = 0;"),
        ("ops.c", "sum += weights[o * inputs + i] * x[i]", "sum += weights[o * inputs + i]"),
    ],
)
def test_a_broken_runtime_does_not_agree(edit: Edit, tmp_path: Path) -> None:
    broken = Harness(compile_c(tmp_path, HARNESS, [edit]))
    try:
        assert not agrees(broken)
    finally:
        broken.close()


def test_arena_of_the_reference_is_that_of_the_c_runtime(tmp_path: Path) -> None:
    """One float less than `arena_bytes` says, and the runtime refuses."""
    need = reference.arena_bytes(digits.model())
    assert need == 5120
    images, _ = digits.held_out()
    model = digits.model_path().read_bytes()
    for size, status in ((need, 0), (need - 4, 10)):
        edit = (
            "harness.c",
            "arena_size = model.arena_values * sizeof(float)",
            f"arena_size = {size}",
        )
        running = Harness(compile_c(tmp_path, HARNESS, [edit]))
        assert running.call("run", images[:1], 10, weights=model)[0] == status
        running.close()


@pytest.mark.parametrize("name", DIGESTS)
def test_committed_files_are_the_ones_recorded(name: str) -> None:
    data = (ZOO / "lenet_digits" / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == DIGESTS[name]


def train(folder: Path, epochs: int) -> str:
    """Trains into a new folder; what the script printed."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, TRAIN, "--out", folder, "--epochs", str(epochs)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


def test_training_repeats_itself(tmp_path: Path) -> None:
    """One epoch, twice: the same bytes; the held-out files equal the committed ones."""
    pytest.importorskip("sklearn")
    for name in ("one", "two"):
        train(tmp_path / name, 1)
    for file, digest in DIGESTS.items():
        data = (tmp_path / "one" / file).read_bytes()
        assert data == (tmp_path / "two" / file).read_bytes()
        committed = hashlib.sha256(data).hexdigest() == digest
        assert committed == (file != digits.model_path().name)


def test_training_anew_reaches_the_accuracy(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    told = train(tmp_path / "new", 30)
    model = digits.load(tmp_path / "new" / digits.model_path().name)
    images, labels = digits.held_out()
    share = reference.accuracy(reference.run(model, images), labels)
    assert share >= REQUIRED
    assert f"accuracy on 397 held-out images: {100 * share:.2f} %" in told


def test_training_tells_what_it_cannot_use(tmp_path: Path) -> None:
    for words in (["--epochs", "0"], ["--out", str(tmp_path / "none")]):
        done = subprocess.run(
            [sys.executable, TRAIN, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "--epochs must be at least 1 and --out an existing folder" in done.stderr


def test_image_and_label_files_of_the_wrong_size(tmp_path: Path) -> None:
    file = tmp_path / "images.f32"
    for size in (0, 255, 257):
        file.write_bytes(bytes(size))
        with pytest.raises(TesseraError, match="not a whole number of images"):
            digits.read_images(file, 64)
    file.write_bytes(bytes(3))
    with pytest.raises(TesseraError, match="3 labels for 4 images"):
        digits.read_labels(file, 4)
    with pytest.raises(TesseraError, match="the model takes 64"):
        reference.run(digits.model(), np.zeros((2, 63), np.float32))
