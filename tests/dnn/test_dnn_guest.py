"""The inference TA in a real OP-TEE: its answers, and the battery of bad input against it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tessera import resources
from tessera.dnn import digits, reference
from tessera.guest import build, machine, ta

pytestmark = pytest.mark.guest
DNN = resources.path("models/dnn")
MODEL, IMAGES = "/data/digits.tsm", "/data/images.f32"


def guest_with(built: build.Build, sources: Path, logs: Path, name: str) -> Iterator[machine.Guest]:
    """A guest with the TA and the client of `sources`."""
    signed = ta.build_ta(built, sources / "ta", [sources / "runtime"])
    client = ta.build_client(
        sources / "client", "tessera_dnn", [sources / "ta", sources / "runtime"]
    )
    files = {
        "/usr/bin/tessera_dnn": client,
        MODEL: digits.model_path(),
        IMAGES: digits.images_path(),
    }
    with machine.boot(built, tas=[signed], extra_files=files, name=name, log_folder=logs) as guest:
        yield guest


@pytest.fixture(scope="module")
def dnn_guest(
    unpatched_build: build.Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[machine.Guest]:
    """A guest with the inference TA as committed."""
    yield from guest_with(unpatched_build, DNN, tmp_path_factory.mktemp("dnn"), "dnn")


def test_all_held_out_digits(dnn_guest: machine.Guest) -> None:
    done = dnn_guest.run(f"tessera_dnn infer {MODEL} {IMAGES} /tmp/logits.f32")
    assert done.status == 0, done.output
    got = np.frombuffer(dnn_guest.read_file("/tmp/logits.f32"), "<f4").reshape(-1, 10)
    images, labels = digits.held_out()
    wanted = reference.run(digits.model(), images)
    assert got.shape == wanted.shape
    assert (got.argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert np.abs(got - wanted).max() <= 1e-4
    assert reference.accuracy(got, labels) >= 0.97


def test_probabilities(dnn_guest: machine.Guest) -> None:
    command = f"tessera_dnn infer {MODEL} {IMAGES} /tmp/shares.f32 --probabilities"
    assert dnn_guest.run(command).status == 0
    got = np.frombuffer(dnn_guest.read_file("/tmp/shares.f32"), "<f4").reshape(-1, 10)
    images, _ = digits.held_out()
    logits = reference.run(digits.model(), images).astype(np.float64)
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(got - wanted).max() < 1e-5


def test_info_tells_what_it_takes(dnn_guest: machine.Guest) -> None:
    done = dnn_guest.run(f"tessera_dnn info {MODEL}")
    about = dict(line.split() for line in done.output.splitlines())
    assert int(about["arena_bytes"]) == reference.arena_bytes(digits.model())
    assert int(about["heap_peak"]) < 1 << 20


def test_abuse(dnn_guest: machine.Guest) -> None:
    done = dnn_guest.run(f"tessera_dnn abuse {MODEL}", timeout=120)
    assert done.status == 0, done.output
    assert "cases, 0 surprises" in done.output
    assert done.output.count("\n") > 100


def test_files_of_the_user(dnn_guest: machine.Guest) -> None:
    cut = dnn_guest.run(f"head -c 1000 {MODEL} >/tmp/cut; tessera_dnn info /tmp/cut")
    assert cut.status == 2
    assert "cannot use the model: 0xffff0005 (bad format), status 1" in cut.output


def test_abuse_finds_a_ta_that_does_not_check(unpatched_build: build.Build, tmp_path: Path) -> None:
    sources = tmp_path / "dnn"
    for part in ("ta", "runtime", "client"):
        shutil.copytree(DNN / part, sources / part)
    code = sources / "ta" / "tessera_dnn_ta.c"
    text = code.read_text(encoding="utf-8")
    check = "params[0].memref.size != count * in_row"
    assert text.count(check) == 1
    code.write_text(text.replace(check, "params[0].memref.size < (uint32_t)(count * in_row)"))
    for guest in guest_with(unpatched_build, sources, tmp_path, "unchecked"):
        done = guest.run(f"tessera_dnn abuse {MODEL}", timeout=120)
        assert done.status == 1
        assert "FAIL  infer: one counted, two given" in done.output
