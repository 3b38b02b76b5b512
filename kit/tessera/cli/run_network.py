"""What `tessera run` puts together: package, inputs, the run in the guest, and how it is shown.

Goal: one `Shown`, as text or JSON.
Non-goals: options (`run`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tessera.cli import with_without
from tessera.cli.sizes import words_of
from tessera.dnn import digits
from tessera.dnn.files import read_bytes
from tessera.dnn.images import read_image
from tessera.errors import TesseraError
from tessera.guest import answers, beside, process, sealed
from tessera.guest.answers import Agreement, Values
from tessera.guest.beside import Beside
from tessera.guest.optee import Crypto
from tessera.package.code import Element
from tessera.package.contents import Contents
from tessera.package.file import open_sealed, parse, to_bytes
from tessera.package.keys import read_key
from tessera.package.manifest import Manifest, Side, family_of
from tessera.package.pack import Packing, pack
from tessera.package.seal import KEY_BYTES, seal
from tessera.package.user_data import binding_of
from tessera.plan import graph_load
from tessera.plan.graph import Graph
from tessera.plan.network import plan_network
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.candidates import Space

SUFFIX = ".tsp"
DIGITS = "lenet_digits"
_RAW = {Element.FLOAT32: "<f4", Element.INT8: "i1", Element.UINT8: "u1"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A package or a network, and how it is packed; `budget` in bytes."""

    target: str
    weights: Path | None
    dims: tuple[str, ...]
    budget: int
    int8: bool
    compress: bool
    compare: bool
    baseline: bool = False
    sealed_io: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Exactly one of pictures, digits and a raw file."""

    images: tuple[Path, ...]
    digits: bool
    raw: Path | None
    count: int


@dataclass(frozen=True, slots=True)
class Package:
    """A package in both forms, and the network it was made of, where that is known.

    `floats`: that network in float32, before it was quantised.
    """

    data: bytes
    contents: Contents
    graph: Graph | None
    floats: Graph | None
    sealed_io: bool = False

    @property
    def manifest(self) -> Manifest:
        """What stands in its first block."""
        return self.contents.manifest

    @property
    def needs(self) -> sealed.Needs:
        """What it asks of the TA's heap."""
        manifest = self.manifest
        data = answers.total(manifest.inputs) + answers.total(manifest.outputs)
        size = len(manifest.to_bytes())
        return sealed.Needs(manifest.arena, manifest.chunk, size, data if self.sealed_io else 0)

    def user(self, master: bytes) -> sealed.User | None:
        """Somebody with a key of their own, where inputs and outputs are sealed."""
        if not self.sealed_io:
            return None
        found = parse(self.data, "package")
        binding = binding_of(master, found.identity, found.version)
        size = answers.total(self.manifest.inputs)
        return sealed.User(secrets.token_bytes(KEY_BYTES), binding, size)

    @property
    def names(self) -> bool:
        """Whether class numbers are digits."""
        return self.manifest.family == family_of(DIGITS)


@dataclass(frozen=True, slots=True)
class Shown:
    """A run with its answers."""

    package: Package
    ran: sealed.Ran
    counting: bool
    values: list[list[Values]]
    labels: tuple[int, ...]
    agreement: Agreement | None
    beside: Beside | None = None

    @property
    def holds(self) -> bool:
        """False where a comparison was asked for and does not hold."""
        return all(one is None or one.holds for one in (self.agreement, self.beside))

    def to_json(self) -> dict[str, Any]:
        """Everything, for scripts."""
        ran, agreement = self.ran, self.agreement
        made: dict[str, Any] = {
            "optee": ran.version,
            "patched": ran.patched,
            "device": ran.device.hex(),
            "inferences": len(self.values),
            "sealed_io": self.package.sealed_io,
            "figures": ran.figures,
            "microseconds": list(ran.microseconds),
            "log": ran.log,
        }
        if self.counting:
            made["instructions"] = [1000 * one for one in ran.microseconds]
        if ran.pool is not None:
            made["pool"] = {
                "rest": ran.pool.rest,
                "peak": ran.pool.peak,
                "size": ran.pool.size,
                "taken": ran.taken,
                "claimed": ran.claim,
            }
        if answers.is_classes(self.package.manifest.outputs):
            made["top"] = [
                [{"class": one.number, "score": one.score} for one in answers.best(values[0])]
                for values in self.values
            ]
        if self.labels:
            made["right"] = self._right()
        if agreement is not None:
            made["agreement"] = {
                "holds": agreement.holds,
                "demanded": "every bit" if agreement.exact else f"within {answers.TOLERANCE}",
                "equal": agreement.equal,
                "largest": agreement.largest,
                "same_top": agreement.same_top,
            }
        if self.beside is not None:
            made["baseline"] = {
                "holds": self.beside.holds,
                "ways": [one.to_json() for one in self.beside.ways],
            }
        return made

    def _right(self) -> int:
        tops = [answers.best(values[0], 1)[0].number for values in self.values]
        return sum(top == label for top, label in zip(tops, self.labels, strict=True))

    def text(self) -> str:
        """For people."""
        figures, ran = self.ran.figures, self.ran
        lines = [self._answer(number, values) for number, values in enumerate(self.values, 1)]
        if self.labels:
            lines.append(f"right     {self._right()} of {len(self.labels)}")
        times = len(self.values)
        lines += [
            f"OP-TEE    {ran.version}, {'with the policy' if ran.patched else 'as it is'}",
            f"arena     {words_of(figures['arena_bytes'])}; heap of the TA: "
            f"{words_of(figures['heap_peak'])} taken of {words_of(figures['data_bytes'])}",
            f"blocks    {figures['blocks']:,}, {figures['bytes']:,} bytes decrypted in "
            f"{figures['steps']:,} calls, for {times} inference{'s' if times > 1 else ''}",
        ]
        if self.package.sealed_io:
            lines.append("sealed    inputs and outputs, too: in the clear only here and in the TA")
        if ran.pool is not None:
            took = "booting took more" if ran.taken is None else f"{ran.taken:,} taken"
            lines.append(
                f"pool      {words_of(ran.pool.peak)} at most of {words_of(ran.pool.size)}; "
                f"for the TA {ran.claim:,} bytes were foreseen, {took}"
            )
        if self.counting:
            least = 1000 * min(ran.microseconds)
            lines.append(f"executed  {least:,} instructions per inference, Linux included")
        if self.agreement is not None:
            lines.append(_judged(self.agreement))
        if self.beside is not None:
            lines.append(with_without.text(self.beside))
        return "\n".join(lines)

    def _answer(self, number: int, values: Sequence[Values]) -> str:
        head = f"input {number:<4}"
        if not answers.is_classes(self.package.manifest.outputs):
            told = (f"{one.shape} from {one.min():.6g} to {one.max():.6g}" for one in values)
            return head + "; ".join(told)
        what = "digit" if self.package.names else "class"
        tops = answers.best(values[0])
        return head + ", ".join(f"{what} {one.number} ({one.score:.6g})" for one in tops)


def _judged(agreement: Agreement) -> str:
    word = "equal" if agreement.holds else "NOT EQUAL"
    how = (
        "to the bit" if agreement.equal else f"largest relative difference {agreement.largest:.2g}"
    )
    wanted = "every bit is demanded" if agreement.exact else f"{answers.TOLERANCE:g} is allowed"
    tops = "the same" if agreement.same_top else "another"
    return f"reference {word}: {how} ({wanted}); {tops} top {answers.TOP}"


def run(
    asked: Asked,
    inputs: Inputs,
    key: Path,
    *,
    patched: bool,
    counting: bool,
    tree: Path | None,
    crypto: Crypto = Crypto.EXTENSIONS,
    logs: Path,
    progress: process.Progress,
) -> Shown:
    """Pack, boot, run, compare. Raises `TesseraError` for bad input and refusals."""
    _consistent(asked, inputs)
    master = read_key(key)
    progress("packing")
    package = replace(_package(asked, master), sealed_io=asked.sealed_io)
    given = _values(package.manifest.inputs, inputs)
    labels = tuple(int(n) for n in digits.held_out()[1][: len(given)]) if inputs.digits else ()
    judge, both = None, None
    if asked.baseline and package.floats is not None:
        judge = beside.prepare(package.floats, given[0])
        both = beside.run(judge, package.contents, float32=not asked.int8, progress=progress)
    ran = sealed.run(
        *(package.data, package.needs, master, b"".join(one.tobytes() for one in given)),
        patched=patched,
        counting=counting,
        tree=tree,
        crypto=crypto,
        progress=progress,
        log_folder=logs,
        user=package.user(master),
    )
    values = answers.split(ran.outputs, package.manifest.outputs)
    agreement = None
    if asked.compare and package.graph is not None:
        progress("running the reference")
        tensor = package.graph.tensors[package.graph.inputs[0]]
        shaped = [one.reshape(tensor.shape) for one in given]
        agreement = answers.compare(package.graph, shaped, values)
    if judge is not None and both is not None:
        both = replace(both, sealed=_sealed_way(package, ran, counting, judge, values[0]))
    return Shown(package, ran, counting, values, labels, agreement, both)


def _sealed_way(
    package: Package, ran: sealed.Ran, counting: bool, judge: beside.Judge, made: Sequence[Values]
) -> beside.Way:
    """The first inference in the guest: memory is the TA's heap at most."""
    blocks = package.contents.blocks
    return beside.Way(
        "with, sealed, in OP-TEE",
        ran.figures["heap_peak"],
        1000 * min(ran.microseconds) if counting else None,
        None,
        sum(len(blocks[index]) for index in package.contents.each),
        judge.judge(made),
    )


def _consistent(asked: Asked, inputs: Inputs) -> None:
    """Raises `TesseraError` where options exclude each other."""
    if sum((bool(inputs.images), inputs.digits, inputs.raw is not None)) != 1:
        raise TesseraError(
            "inputs have to be said in one way",
            where="tessera run",
            remedy="give one of --image FILE, --digits and --input FILE",
        )
    if asked.target.endswith(SUFFIX) and any(
        (asked.compare, asked.int8, asked.compress, asked.baseline)
    ):
        raise TesseraError(
            "a package has been planned and packed already, and its network is not known",
            where=asked.target,
            remedy="name the network in the place of the package, or leave --compare, --baseline, "
            "--int8 and --compress out",
        )


def _package(asked: Asked, master: bytes) -> Package:
    if asked.target.endswith(SUFFIX):
        data = read_bytes(Path(asked.target), "package")
        contents = open_sealed(parse(data, asked.target), master, asked.target)[0]
        return Package(data, contents, None, None)
    dims = graph_load.sizes(asked.dims)
    loaded = graph_load.load(asked.target, weights=asked.weights, dims=dims)
    graph = prepared(loaded, Calibration() if asked.int8 else None)
    plan = plan_network(graph, asked.budget, space=Space(packed=asked.compress))
    contents = pack(graph, plan, Packing(graph.name, compress=asked.compress)).contents
    floats = prepared(loaded) if asked.int8 else graph
    return Package(to_bytes(seal(contents, master)), contents, graph, floats)


def _values(sides: Sequence[Side], inputs: Inputs) -> list[Values]:
    """Per inference all inputs, as they lie in the normal world."""
    if inputs.raw is not None:
        return _raw(sides, inputs.raw)
    side = sides[0]
    if len(sides) != 1 or side.element != Element.FLOAT32:
        raise TesseraError(
            "the network does not take one float32 tensor",
            where="--digits" if inputs.digits else "--image",
            remedy="give raw values: --input FILE",
        )
    if inputs.digits:
        images = digits.held_out()[0][: inputs.count]
        if side.bytes != 4 * images.shape[1]:
            raise TesseraError(
                f"the network takes {side.channels} x {side.rows} x {side.columns} values, a digit "
                "has 1 x 8 x 8",
                where="--digits",
                remedy=f"name the network {DIGITS}, or give --image",
            )
        return [one.astype("<f4") for one in images]
    shape = side.channels, side.rows, side.columns
    return [read_image(path, *shape).astype("<f4") for path in inputs.images]


def _raw(sides: Sequence[Side], path: Path) -> list[Values]:
    data, one = read_bytes(path, "input file"), answers.total(sides)
    if not data or len(data) % one:
        raise TesseraError(
            f"{len(data)} bytes are not a whole number of inputs of {one} bytes",
            where=str(path),
            remedy="give raw values, each tensor from a multiple of 4 bytes on",
        )
    kind = _RAW[sides[0].element] if len(sides) == 1 and one == sides[0].bytes else "u1"
    return [np.frombuffer(data[at : at + one], kind) for at in range(0, len(data), one)]
