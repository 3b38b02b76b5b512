"""`tessera model` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tessera.dnn import digits, reference


def tessera(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tessera.cli import main; main()", "model", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_info() -> None:
    told = tessera("info").stdout
    assert "316,456 bytes, 78,966 parameters" in told
    assert "arena of the C runtime: 5,120 bytes" in told
    assert "\x1b" not in told


def test_info_as_json() -> None:
    about = json.loads(tessera("info", digits.model_path(), "--json").stdout)
    assert about["input"] == [1, 8, 8]
    assert about["outputs"] == 10
    assert [layer["kind"] for layer in about["layers"]].count("conv2d") == 2
    assert about["bytes"] == digits.model_path().stat().st_size


def test_infer_reports_the_accuracy() -> None:
    images, labels = digits.held_out()
    right = round(reference.accuracy(reference.run(digits.model(), images), labels) * 397)
    done = tessera("infer")
    assert done.returncode == 0
    assert done.stdout == f"397 images, {right} right: {100 * right / 397:.2f} %\n"


def test_infer_on_files_of_the_user(tmp_path: Path) -> None:
    images, _ = digits.held_out()
    wanted = reference.run(digits.model(), images[:5])
    some, labels, out = tmp_path / "some.f32", tmp_path / "some.u8", tmp_path / "out.f32"
    some.write_bytes(images[:5].tobytes())
    done = tessera("infer", digits.model_path(), some, "-o", out)
    assert done.stdout.split() == [str(one) for one in wanted.argmax(axis=1)]
    assert np.array_equal(np.fromfile(out, "<f4").reshape(-1, 10), wanted)
    right = wanted.argmax(axis=1).astype(np.uint8)
    labels.write_bytes(bytes([*right[:4], (right[4] + 1) % 10]))
    told = json.loads(
        tessera("infer", digits.model_path(), some, "--labels", labels, "--json").stdout
    )
    assert told["accuracy"] == 0.8
    assert told["classes"] == right.tolist()
    assert np.allclose(told["logits"], wanted)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["info", "none.tsm"], "none.tsm: error: cannot read the model file: No such file"),
        (["info", digits.images_path()], "not a model file"),
        (["infer", digits.model_path(), digits.model_path()], "not a whole number of images"),
        (["infer", "--labels", digits.images_path()], "101632 labels for 397 images"),
        (["infer", "-o", "/none/there"], "cannot write: No such file"),
        (["train", "-o", "/dev/null"], "cannot make the folder"),
    ],
)
def test_mistakes(words: list[str | Path], message: str) -> None:
    done = tessera(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "help: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_train(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = tmp_path / "new" / "folder"
    done = tessera("train", "-o", out, "--epochs", "1")
    assert done.returncode == 0
    assert "accuracy on 397 held-out images" in done.stdout
    assert digits.load(out / "lenet_digits.tsm").outputs == 10


def test_help_has_an_example() -> None:
    for command in ("info", "infer", "train"):
        assert "Example: " in tessera(command, "--help").stdout
