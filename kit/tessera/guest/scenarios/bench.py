"""What every scenario stands on: one side (unpatched or patched), its TAs, clients and guests.

Goal: `Bench.boot` gives a guest that has the inference TA, the hog TA and their clients in it.
Non-goals: judging (each scenario's own file) and comparing the sides (see `scenarios.run`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tessera import resources
from tessera.dnn import digits, reference
from tessera.dnn.format import Floats
from tessera.guest import machine, ta
from tessera.guest.build import Build

MODEL = "/data/digits.tsm"
IMAGES = "/data/images.f32"
ONE_IMAGE = "/data/one.f32"
TOLERANCE = 1e-4  # largest absolute difference of a logit from the reference


class InconclusiveError(Exception):
    """The trial could not tell: a control failed, or something else than the matter went wrong."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One side of the comparison, built and ready to boot."""

    build: Build
    side: str  # "unpatched" or "patched"
    log_folder: Path
    tas: tuple[Path, ...]
    files: dict[str, Path | bytes]

    @contextmanager
    def boot(
        self,
        scenario: str,
        watch: Callable[[socket.socket], None] | None = None,
        *,
        counting: bool = False,
    ) -> Iterator[machine.Guest]:
        """A fresh guest for a scenario; its console logs bear the scenario's and side's name.

        `watch` and `counting` are as in `machine.boot`.
        """
        with machine.boot(
            self.build,
            tas=self.tas,
            extra_files=self.files,
            name=f"{scenario}.{self.side}",
            log_folder=self.log_folder,
            watch=watch,
            counting=counting,
        ) as guest:
            yield guest


def prepare(build: Build, side: str, log_folder: Path) -> Bench:
    """Build the TAs and clients for `build`. Raises `TesseraError` when a compiler fails."""
    dnn = resources.path("models/dnn")
    hog = resources.path("verification/guest/hog")
    shared = dnn / "runtime"
    images, _labels = digits.held_out()
    return Bench(
        build=build,
        side=side,
        log_folder=log_folder,
        tas=(ta.build_ta(build, dnn / "ta", [shared]), ta.build_ta(build, hog / "ta")),
        files={
            "/usr/bin/tessera_dnn": ta.build_client(
                dnn / "client", "tessera_dnn", [dnn / "ta", shared]
            ),
            "/usr/bin/tessera_hog": ta.build_client(hog / "client", "tessera_hog", [hog / "ta"]),
            MODEL: digits.model_path(),
            IMAGES: digits.images_path(),
            ONE_IMAGE: images[:1].astype("<f4").tobytes(),
        },
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How logits from the guest compare with the reference's."""

    images: int
    same_top1: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Same top-1 for every image and no logit further away than the tolerance."""
        return self.same_top1 == self.images and self.largest_difference <= TOLERANCE


def compare(raw: bytes, images: Floats) -> Agreement:
    """Compare raw float32 logits with the reference run on `images`.

    Raises `InconclusiveError` when the size is not that of one row per image.
    """
    expected = reference.run(digits.model(), images)
    if len(raw) != 4 * expected.size:
        raise InconclusiveError(f"{len(raw)} bytes of logits instead of {4 * expected.size}")
    logits = np.frombuffer(raw, "<f4").reshape(expected.shape)
    if not np.isfinite(logits).all():
        return Agreement(len(images), 0, float("inf"))
    same = int((logits.argmax(axis=1) == expected.argmax(axis=1)).sum())
    return Agreement(len(images), same, float(np.abs(logits - expected).max()))


def parse_pool(text: str) -> tuple[int, int] | None:
    """The page pools' (allocated, size) in bytes, from what `xtest --stats --alloc` prints.

    None where it prints no such pool: the layout of the statistics differs between versions, and
    an xtest of another version than OP-TEE's cannot read them.
    """
    section = text.partition("Physical TA memory")[2]
    allocated = re.search(r"Bytes allocated:\s*(\d+)", section)
    size = re.search(r"Size of pool:\s*(\d+)", section)
    if allocated is None or size is None:
        return None
    return int(allocated.group(1)), int(size.group(1))
