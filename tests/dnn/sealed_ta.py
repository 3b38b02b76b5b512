"""The TA for sealed packages on the host: sources, packages, a device, and a way to run them."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from c_runtime import DNN, HERE, Edit, compile_c, run_program

from tessera.dnn import digits
from tessera.package.file import parse, to_bytes
from tessera.package.pack import Packing, pack
from tessera.package.seal import Sealed, seal
from tessera.package.wrap import wrap
from tessera.plan import zoo
from tessera.plan.graph import Graph
from tessera.plan.network import plan_network
from tessera.plan.prepare import Calibration, prepared

SEALED = DNN / "sealed"
TA = tuple(
    SEALED / "ta" / f"{name}.c" for name in ("package", "keys", "seal", "point", "user_data")
)
TA += (SEALED / "ta" / "tessera_sealed_ta.c",)
CLIENT = tuple(
    SEALED / "client" / f"{name}.c"
    for name in ("main", "abuse", "abuse_data", "fuzz", "sealed", "tsin", "tsp")
)
CLIENT += (DNN / "client/blob.c",)
FAKE = tuple(
    HERE / "fake_tee" / f"fake_{name}.c" for name in ("tee", "crypto", "storage", "sealed")
)
EXECUTOR = tuple(sorted(path for kind in "lmqx" for path in DNN.glob(f"runtime/t{kind}_*.c")))
SOURCES = (*TA, *CLIENT, *FAKE, *EXECUTOR, DNN / "runtime/unpack.c")
INCLUDES = (DNN / "runtime", SEALED / "ta", SEALED / "client", DNN / "client", HERE / "fake_tee")
MASTER = hashlib.sha256(b"a key of tests").digest()
BUDGET = 64 * 1024
MAC_INVALID = "0xffff3071"
SECURITY = "0xffff000f"
BAD_FORMAT = "0xffff0005"
OUT_OF_MEMORY = "0xffff000c"


def build(folder: Path, edits: Sequence[Edit] = ()) -> Path:
    """The client joined to the TA through the stand-in for the TEE."""
    return compile_c(
        folder,
        SOURCES,
        edits,
        includes=INCLUDES,
        flags=("-ffp-contract=off",),
        libraries=("-lcrypto",),
    )


@functools.cache
def graph(int8: bool = False) -> Graph:
    """The digits network as it is planned."""
    return prepared(zoo.build("lenet_digits"), Calibration() if int8 else None)


@functools.cache
def package(
    version: int = 1,
    name: str = "digits",
    budget: int = BUDGET,
    chunk: int = 4096,
    int8: bool = False,
) -> Sealed:
    """The digits network: most of its weights are taken again for every inference."""
    network = graph(int8)
    plan = plan_network(network, budget, minimise=False)
    return seal(pack(network, plan, Packing(name, version, chunk)).contents, MASTER)


def changed(sealed: Sealed, block: int, content: bytes) -> Sealed:
    """The package with another ciphertext in the place of a block."""
    blocks = list(sealed.blocks)
    blocks[block] = content
    return replace(sealed, blocks=tuple(blocks))


@dataclass(frozen=True, slots=True)
class Device:
    """A client and the folder of its TEE's secure storage."""

    program: Path
    folder: Path

    def call(self, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the client; memory must be wiped before it is freed."""
        settings = {"FAKE_TEE_STORE": str(self.folder), "FAKE_TEE_WIPED": "1", **env}
        return run_program(self.program, *words, env=settings)

    def point(self) -> bytes:
        """The device's public key."""
        path = self.folder / "device.point"
        done = self.call("identity", path)
        assert done.returncode == 0, done.stderr
        return path.read_bytes()

    def install(self, blob: bytes, **env: str) -> subprocess.CompletedProcess[str]:
        """Give the device a wrapped key."""
        path = self.folder / "device.wrap"
        path.write_bytes(blob)
        return self.call("install", path, **env)

    def run(
        self,
        sealed: Sealed | bytes,
        *words: str,
        images: int = 2,
        given: bytes | None = None,
        **env: str,
    ) -> tuple[subprocess.CompletedProcess[str], np.ndarray | None]:
        """Run the first images through a package; the outputs, if there are any."""
        path, out = self.folder / "a.tsp", self.folder / "a.out"
        out.unlink(missing_ok=True)
        path.write_bytes(sealed if isinstance(sealed, bytes) else to_bytes(sealed))
        inputs = self.folder / "a.in"
        inputs.write_bytes(given or digits.held_out()[0][:images].astype("<f4").tobytes())
        done = self.call("run", path, inputs, out, *words, **env)
        if not out.exists():
            return done, None
        return done, np.fromfile(out, "<f4").reshape(images, -1)

    def abuse(self, sealed: Sealed, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Let the client's battery loose on the TA."""
        path, one = self.folder / "b.tsp", self.folder / "b.in"
        path.write_bytes(to_bytes(sealed))
        one.write_bytes(digits.held_out()[0][:1].astype("<f4").tobytes())
        return self.call("abuse", path, one, *words, **env)


def provisioned(program: Path, folder: Path, master: bytes = MASTER) -> Device:
    """A new device that has the owner's key."""
    device = Device(program, folder)
    done = device.install(wrap(master, device.point()))
    assert done.returncode == 0, done.stderr
    return device


def reread(sealed: Sealed) -> Sealed:
    """What the packer's own reader makes of the file."""
    return parse(to_bytes(sealed), "package")
