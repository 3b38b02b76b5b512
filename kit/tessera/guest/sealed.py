"""Sealed packages in a booted OP-TEE: the TA sized for one, its key provisioned, inputs run.

Goal: `run` gives the outputs and what they took, from a package, the owner's key and raw inputs.
Non-goals: packing (see `tessera.package`), and what the outputs mean (see `tessera.cli.run`).
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tessera import resources
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import cache, claim, machine, process, ta, toolchain
from tessera.guest.build import Build, build
from tessera.guest.optee import Crypto
from tessera.lang import load
from tessera.package import user_data
from tessera.package.wrap import USER, wrap

UUID = "5d0e7b31-a94c-4f26-8b17-3c62f904d5ae"
PAGE = 4096
BESIDE = 12 * 1024
"""Bytes of heap beside the arena, two chunks and the manifest: sessions, handles, headers."""
STACK = 16 * 1024
WINDOW = 256 * 1024
"""Bytes through which the client hands blocks over, unless it is told otherwise."""
ELSE = 640 * 1024
"""Bytes that a TA takes beside its heap, rounded up: code, stack, its file while it is loaded, the
loader and page tables (see `tessera.plan.fragment`)."""
MIB = 1 << 20
LEAST_RESERVE = 8 * MIB
MOST_HEAP = 12 * MIB
"""The largest heap with which a TA loads in the 13 MiB that this platform has for TAs."""
MOST_RESERVE = 2880 * PAGE
"""What the policy keeps for inference at most: three quarters of this platform's page pool. A heap
lies in one piece, so it is there or nowhere."""
SECONDS = 1800.0
_FOLDER = "models/dnn/sealed"
_PACKAGE, _INPUTS, _OUTPUTS = "/data/package.tsp", "/data/inputs.raw", "/tmp/outputs.raw"
_USER = "/tmp/user.wrap"
_SAID = "/tmp/said"
_QUIET = "echo 0 >/proc/sys/kernel/soft_watchdog"
_INFERENCE_TA = re.compile(r'^( *)ta "[0-9a-f-]{36}".*$', re.MULTILINE)
_MEANING = {
    "0xffff0008": "the TA is not there, or has no key: read the guest's console logs",
    "0xffff000c": "it does not fit: plan it for less with --budget",
    "0xffff000f": "this device has opened a later version; pack it again with a higher --version",
    "0xffff3071": "give the key and the file that belong together",
}


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that a package asks of the TA's heap: arena, largest block, manifest; and `io`, the
    inputs and outputs of an inference where they are sealed."""

    arena: int
    chunk: int
    manifest: int
    io: int = 0

    @property
    def heap(self) -> int:
        """TA_DATA_SIZE: whole pages."""
        need = self.arena + 2 * self.chunk + self.manifest + self.io + BESIDE
        return -(-need // PAGE) * PAGE

    @property
    def reserve(self) -> int:
        """What the policy keeps for inference: all of the TA, whole MiB."""
        return max(LEAST_RESERVE, -(-(self.heap + ELSE) // MIB) * MIB)


@dataclass(frozen=True, slots=True)
class User:
    """Whoever seals inputs and opens outputs; `size`: bytes of the inputs of one inference."""

    key: bytes
    binding: bytes  # of the package, see `tessera.package.user_data`
    size: int

    def seal(self, inputs: bytes) -> bytes:
        """The file of these inputs, one inference after the other."""
        pieces = [inputs[at : at + self.size] for at in range(0, len(inputs), self.size)]
        return user_data.seal_inputs(pieces, self.key, self.binding)

    def open(self, outputs: bytes, sealed_inputs: bytes) -> bytes:
        """The outputs, one inference after the other. Raises `TesseraError`."""
        batch = user_data.read_batch(sealed_inputs, "sealed inputs")
        return b"".join(user_data.open_outputs(outputs, batch, self.key, "sealed outputs"))


@dataclass(frozen=True, slots=True)
class Pool:
    """The page pool since the guest came up, in bytes; `rest`: now, with no session open."""

    rest: int
    peak: int
    size: int


@dataclass(frozen=True, slots=True)
class Ran:
    """What came out. `figures` are those that the client prints (see `tessera_sealed_ta.h`);
    `microseconds` of the guest's clock per inference: instructions / 1000 where they are counted.
    """

    outputs: bytes
    figures: dict[str, int]
    microseconds: tuple[int, ...]
    pool: Pool | None
    taken: int | None  # bytes of the pool that the TA took; None where booting took more
    claim: int  # as said from the TA's file
    device: bytes  # the public key of the device
    version: str  # of OP-TEE
    patched: bool
    log: str = ""
    signed: Path | None = None  # the TA


@dataclass(frozen=True, slots=True)
class Device:
    """A booted guest with the TA, which has the owner's key."""

    guest: machine.Guest
    point: bytes
    signed: Path  # the TA
    needs: Needs
    before: Pool | None = None  # the page pool before the first session
    sealed: bool = False  # inputs and outputs, by a user's key

    def infer(self, more: str = "", timeout: float = SECONDS) -> str:
        """Run the package on its inputs; what the client printed.

        Raises `TesseraError` when the TA refuses.
        """
        how = f"run-sealed {_PACKAGE} {_USER}" if self.sealed else f"run {_PACKAGE}"
        command = f"tessera_sealed {how} {_INPUTS} {_OUTPUTS} {more}"
        return self.do(command, timeout)

    def do(self, command: str, timeout: float = SECONDS) -> str:
        """Run a command of the client. Raises `TesseraError` when it fails."""
        # By way of a file: what Linux itself writes to the console must not come between.
        done = self.guest.run(f"({command}) >{_SAID} 2>&1; s=$?; cat {_SAID}; exit $s", timeout)
        if done.status == 0:
            return done.output
        code = re.search(r"0x[0-9a-f]{8}", done.output)
        raise TesseraError(
            f"the TA refused: {done.output.strip()[-300:]}",
            where="tessera_sealed",
            remedy=_MEANING.get(code.group(0) if code else "", "read the guest's console logs"),
        )

    def outputs(self) -> bytes:
        """What the last run wrote."""
        return self.guest.read_file(_OUTPUTS)

    def claim(self) -> int:
        """Bytes of the pool that a session takes at most, said from the TA's file."""
        return claim.claim(self.signed.read_bytes(), STACK, str(self.signed))

    def taken(self, pool: Pool | None) -> int | None:
        """Bytes of the pool that the TA took at most; None where booting took more than that."""
        if pool is None or self.before is None or pool.peak <= self.before.peak:
            return None
        return pool.peak - pool.rest

    def pool(self) -> Pool | None:
        """The page pool's figures; None where xtest prints none."""
        return parse_pool(self.guest.run("xtest --stats --alloc").output)


def parse_pool(text: str) -> Pool | None:
    """The page pool from what `xtest --stats --alloc` prints; None where it prints none."""
    section = text.partition("Physical TA memory")[2]
    names = ("Bytes allocated", "Max bytes allocated", "Size of pool")
    found = [re.search(rf"^{name}:\s*(\d+)", section, re.MULTILINE) for name in names]
    told = [int(one.group(1)) for one in found if one is not None]
    return Pool(*told) if len(told) == len(names) else None


def patch_for(reserve: int, progress: process.Progress = process.silent) -> str:
    """The patch of the shipped policy `priority`, with the sealed TA among the inference TAs.

    `reserve` in bytes, whole pages. Raises `TesseraError` when there is no such patch.
    """
    progress(f"emitting the policy with a reserve of {reserve // MIB} MiB")
    with cache.scratch("policy") as scratch:
        folder = scratch / "policies"
        shutil.copytree(resources.path("specs/policies"), folder)
        demands = folder / "inference_demands.tess"
        text, found = _INFERENCE_TA.subn(
            rf'\g<0>\n\g<1>ta "{UUID}" "Sealed packages"', demands.read_text(encoding="utf-8")
        )
        if found != 1:
            raise TesseraError("the shipped policy names no single inference TA", where="specs")
        demands.write_text(text, encoding="utf-8")
        spec = load(folder / "priority.tess", {"reserve": reserve // PAGE})
        return make_patch(spec, toolchain.require().optee_source).text


def built(
    needs: Needs,
    *,
    patched: bool,
    tree: Path | None,
    progress: process.Progress,
    crypto: Crypto = Crypto.EXTENSIONS,
) -> Build:
    """OP-TEE, with the policy or without. Raises `TesseraError` when it cannot be built."""
    text = patch_for(needs.reserve, progress) if patched else None
    return build(text, tree, progress, crypto)


@contextmanager
def boot(
    made: Build,
    package: bytes,
    needs: Needs,
    master: bytes,
    inputs: bytes,
    *,
    counting: bool = False,
    more: Mapping[str, bytes] | None = None,
    name: str = "sealed",
    log_folder: Path = machine.LOG_FOLDER,
    user: bytes | None = None,
) -> Iterator[Device]:
    """A guest with the package, the inputs and the TA for them, which is given the owner's key.

    `more`: further files, guest path to content. `user`: the key of whoever sealed the inputs.

    Raises `TesseraError` when a compiler fails or the TA refuses the key.
    """
    folder, runtime = resources.path(_FOLDER), resources.path("models/dnn/runtime")
    sizes = {"SEALED_DATA": str(needs.heap), "SEALED_STACK": str(STACK)}
    signed = ta.build_ta(made, folder / "ta", [runtime], sizes)
    shared = [folder / "ta", resources.path("models/dnn/client")]
    client = ta.build_client(folder / "client", "tessera_sealed", shared)
    files: dict[str, Path | bytes] = {
        "/usr/bin/tessera_sealed": client,
        _PACKAGE: package,
        _INPUTS: inputs,
        **(more or {}),
    }
    with machine.boot(
        made,
        tas=[signed],
        extra_files=files,
        name=name,
        log_folder=log_folder,
        counting=counting,
    ) as guest:
        yield provision(Device(guest, b"", signed, needs), master, user)


def provision(device: Device, master: bytes, user: bytes | None = None) -> Device:
    """Read the device's public key, wrap the owner's key for it, and install it. A user's key is
    wrapped, too, and lies ready.

    Raises `TesseraError` when the TA is missing or refuses.
    """
    guest = device.guest
    # A layer may keep its processor for longer, emulated, than Linux thinks right.
    guest.run(_QUIET)
    before = device.pool()
    device.do("tessera_sealed identity /tmp/device.point")
    point = guest.read_file("/tmp/device.point")
    blob = base64.b64encode(wrap(master, point)).decode()
    device.do(f"echo {blob} | base64 -d >/tmp/key.wrap && tessera_sealed install /tmp/key.wrap")
    if user is not None:
        blob = base64.b64encode(wrap(user, point, kind=USER)).decode()
        device.do(f"echo {blob} | base64 -d >{_USER}")
    return replace(device, point=point, before=before, sealed=user is not None)


def run(
    package: bytes,
    needs: Needs,
    master: bytes,
    inputs: bytes,
    *,
    patched: bool = True,
    tree: Path | None = None,
    crypto: Crypto = Crypto.EXTENSIONS,
    counting: bool = False,
    window: int | None = None,
    progress: process.Progress = process.silent,
    log_folder: Path = machine.LOG_FOLDER,
    user: User | None = None,
) -> Ran:
    """Build, boot, provision, run the inputs, and say what it took.

    With a `user` the guest gets the inputs sealed, and gives the outputs sealed.

    Raises `TesseraError` when the package does not fit, parts are missing, something cannot be
    built, or the TA refuses.
    """
    _require_fits(needs, most_heap(patched=patched))
    made = built(needs, patched=patched, tree=tree, progress=progress, crypto=crypto)
    progress("building the TA and booting")
    given = user.seal(inputs) if user is not None else inputs
    with boot(
        *(made, package, needs, master, given),
        counting=counting,
        log_folder=log_folder,
        user=user.key if user is not None else None,
    ) as device:
        progress("running the package")
        text = device.infer(f"--window {window}" if window else "")
        outputs, pool = device.outputs(), device.pool()
        if user is not None:
            outputs = user.open(outputs, given)
        figures, microseconds = parse_figures(text)
        return Ran(
            *(outputs, figures, microseconds, pool, device.taken(pool)),
            *(device.claim(), device.point, made.version, made.patched),
            log=str(device.guest.console_log),
            signed=device.signed,
        )


def most_heap(*, patched: bool) -> int:
    """The largest heap of a TA that loads, with the policy or without: bytes, whole pages."""
    return min(MOST_HEAP, MOST_RESERVE - ELSE) if patched else MOST_HEAP


def _require_fits(needs: Needs, most: int) -> None:
    over = needs.heap - most
    if over > 0:
        raise TesseraError(
            f"the TA would need a heap of {needs.heap:,} bytes, {over:,} more than there can be",
            where="package",
            remedy=f"plan it for at most {needs.arena - over:,} bytes: --budget",
        )


def parse_figures(text: str) -> tuple[dict[str, int], tuple[int, ...]]:
    """What the client prints: figures by name, and the microseconds of each inference."""
    rows = re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)
    figures = {name: int(value) for name, value in rows if name != "microseconds"}
    return figures, tuple(int(value) for name, value in rows if name == "microseconds")
