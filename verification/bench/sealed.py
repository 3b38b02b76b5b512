"""What an inference of a sealed package takes in the booted OP-TEE with the policy, over budgets.

Goal: per model, budget and form of its weights: instructions of an inference (Linux included),
bytes decrypted, STEP calls, heap and pool at most against what was said before, the arena against
the largest live load, the size of the TA's code, and whether the answer is the reference's. Beside
them the same program in the clear without an operating system (models/dnn/bare), and each budget
against the largest. As JSON, written anew after every row; a table; a picture.
Non-goals: judging: no exit code depends on a figure. Time of a real machine: the guest is emulated,
and its cache and memory cost nothing. Where the instructions go: `crossings.py`.

Example: `python verification/bench/sealed.py lenet_digits --budgets 512KiB 64KiB --picture`
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import instructions as board
import numpy as np
from sealed_shown import overheads, picture, table

from tessera.cli.sizes import size_of
from tessera.errors import TesseraError
from tessera.guest import answers, claim, sealed
from tessera.guest.optee import Crypto
from tessera.package.contents import Contents
from tessera.package.file import to_bytes
from tessera.package.pack import Packing, pack
from tessera.package.seal import seal
from tessera.plan import zoo
from tessera.plan.graph import Array, Graph
from tessera.plan.network import plan_network
from tessera.plan.plan import Plan
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.candidates import Space
from tessera.report.files import write_json, write_text

MODELS = ("lenet_digits", "mobilenet_v1")
BUDGETS = ("12MiB", "8MiB", "6MiB", "4MiB", "2MiB")
SEED = 11
MASTER = hashlib.sha256(b"verification/bench/sealed.py").digest()
TAG = 16
BESIDE_ARENA = 2 * 65536 + 4096 + sealed.BESIDE
"""Bytes of the heap that are not the arena's, at most: two chunks, the manifest, the rest."""
DIFFERS = (
    "sealed: decryption, copies, system calls, calls between the worlds, the client, Linux and its "
    "interrupts, the kit's compiler flags; plain: none of these, one load of the block's bytes"
)


@dataclass(frozen=True, slots=True)
class Package:
    """A network planned and packed; `graph` is the one that was planned."""

    graph: Graph
    plan: Plan
    contents: Contents

    @property
    def needs(self) -> sealed.Needs:
        """What it asks of the TA's heap."""
        manifest = self.contents.manifest
        return sealed.Needs(manifest.arena, manifest.chunk, len(manifest.to_bytes()))

    @property
    def identity(self) -> str:
        """Of the sealed file: equal content has an equal one."""
        return seal(self.contents, MASTER).identity.hex()


@dataclass(frozen=True, slots=True)
class Asked:
    """How packages are run; `window` in bytes."""

    inferences: int
    window: int
    logs: Path
    crypto: Crypto = Crypto.EXTENSIONS


Runner = Callable[[Package, bytes, Asked], sealed.Ran]
Plain = Callable[[Package, Sequence[Array]], Mapping[str, int]]


def in_guest(package: Package, inputs: bytes, asked: Asked) -> sealed.Ran:
    """The package in the guest with the policy, its instructions counted."""
    data = to_bytes(seal(package.contents, MASTER))
    return sealed.run(
        *(data, package.needs, MASTER, inputs),
        counting=True,
        crypto=asked.crypto,
        window=asked.window,
        progress=say,
        log_folder=asked.logs,
    )


def say(message: str) -> None:
    """Progress, for people only."""
    if sys.stderr.isatty():
        print(f"  {message}", file=sys.stderr, flush=True)


def network(name: str, int8: bool) -> Graph:
    """A network of the zoo as it is planned."""
    words = "digits" if name == "lenet_digits" else None
    return prepared(zoo.build(name), Calibration(words, 2, SEED) if int8 else None)


# --- packages, one for each budget ----------------------------------------------------------------


def packages(
    graph: Graph, name: str, budgets: Sequence[int], compress: bool
) -> Iterator[tuple[int, Package | str]]:
    """Per budget, the largest first, a package, or why there is none."""
    ordered = sorted(set(budgets), reverse=True)
    for place, budget in enumerate(ordered):
        room = min(budget, sealed.most_heap(patched=True) - BESIDE_ARENA)
        say(f"{name}: planning for {budget:,} bytes")
        try:
            plan = plan_network(graph, room, space=Space(packed=compress))
            fits = [one for one in ordered[place + 1 :] if plan.peak <= one]
            if fits:
                yield budget, f"not used: all of it takes {plan.peak:,} bytes; see {fits[-1]:,}"
                continue
            contents = pack(graph, plan, Packing(name, compress=compress)).contents
        except TesseraError as error:
            yield budget, f"cannot be used: {error.message}"
            continue
        yield budget, Package(graph, plan, contents)


def calls(sizes: Sequence[int], window: int) -> int:
    """STEP calls for blocks of these plaintext sizes, as many in a window as go into it."""
    made, used = 0, window + 1
    for size in sizes:
        whole = size + TAG
        if used + whole > window:
            made, used = made + 1, 0
        used += whole
    return made


def sent(package: Package, window: int) -> dict[str, int]:
    """What goes to the TA, by the feed: once, and per inference."""
    contents = package.contents
    once, each = (
        [len(contents.blocks[k]) for k in part] for part in (contents.once, contents.each)
    )
    return {
        **{"once_blocks": len(once), "once_bytes": sum(once), "once_calls": calls(once, window)},
        **{"blocks": len(each), "bytes": sum(each), "calls": calls(each, window)},
    }


# --- rows -----------------------------------------------------------------------------------------


def samples(graph: Graph, count: int) -> list[Array]:
    """Inputs of a network with one input."""
    if len(graph.inputs) != 1:
        raise TesseraError("the network has no single input", where=graph.name)
    return [zoo.sample(graph, SEED + k)[graph.inputs[0]] for k in range(count)]


def measured(package: Package, asked: Asked, run: Runner, plain: Plain | None) -> dict[str, Any]:
    """The figures of one package."""
    given = samples(package.graph, asked.inferences)
    ran = run(package, b"".join(np.ascontiguousarray(one).tobytes() for one in given), asked)
    values = answers.split(ran.outputs, package.contents.manifest.outputs)
    agreement = answers.compare(package.graph, given, values)
    feed, figures = sent(package, asked.window), ran.figures
    manifest = len(package.contents.blocks[0])
    foreseen = {
        "blocks": 1 + feed["once_blocks"] + asked.inferences * feed["blocks"],
        "bytes": manifest + feed["once_bytes"] + asked.inferences * feed["bytes"],
        "steps": feed["once_calls"] + asked.inferences * feed["calls"],
    }
    least = 1000 * min(ran.microseconds)
    row: dict[str, Any] = {
        "instructions": least,
        "instructions_most": 1000 * max(ran.microseconds),
        "once_instructions": 1000 * figures["once_microseconds"]
        if "once_microseconds" in figures
        else None,
        **feed,
        "as_the_feed_says": all(figures[one] == count for one, count in foreseen.items()),
        "arena": package.contents.manifest.arena,
        "largest_live_load": package.plan.offsets.load,
        "heap_peak": figures["heap_peak"],
        "heap": figures["data_bytes"],
        "pool_taken": ran.taken,
        "pool_claimed": ran.claim,
        "equal": agreement.holds,
        "equal_bits": agreement.equal,
        "largest_difference": agreement.largest,
        "optee": ran.version,
        "patched": ran.patched,
        **code_of(ran.signed),
    }
    if plain is not None:
        say("the same program in the clear, on the board")
        row["plain"] = dict(plain(package, given[:1]))
        row["sealed_minus_plain"] = least - row["plain"]["inference"]
    return row


def code_of(signed: Path | None) -> dict[str, int | None]:
    """Bytes of the TA: code and constants in memory, and its file."""
    if signed is None:
        return {"ta_code": None, "ta_file": None}
    image = signed.read_bytes()
    return {"ta_code": claim.segments(image, str(signed)).code, "ta_file": len(image)}


# --- one run --------------------------------------------------------------------------------------


def kept(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of an earlier run that need not be measured again. Raises `TesseraError`."""
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {key_of(row): row for row in rows if row["usable"]}
    except (ValueError, KeyError, TypeError) as error:
        raise TesseraError(
            "this is no file of this bench",
            where=str(path),
            remedy="leave --resume out, or name another file with -o",
        ) from error


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rows the same measurement."""
    names = ("identity", "budget", "window", "inferences", "with_plain", "crypto")
    return tuple(row[name] for name in names)


def bench(given: argparse.Namespace, run: Runner, plain: Plain | None) -> list[dict[str, Any]]:
    """All rows; the file is written after each. Raises `TesseraError`."""
    earlier = kept(given.output) if given.resume else {}
    asked = Asked(
        given.inferences,
        size_of(given.window, "--window"),
        given.output.parent / "guest",
        Crypto.named(given.crypto),
    )
    budgets = [size_of(one, "--budgets") for one in given.budgets]
    forms = [(kind, packed) for kind in given.kind for packed in given.weights]
    rows: list[dict[str, Any]] = []
    for name in given.models:
        for kind, packed in forms:
            graph = network(name, kind == "int8")
            for budget, made in packages(graph, name, budgets, packed == "compressed"):
                row: dict[str, Any] = {"model": name, "kind": kind, "budget": budget}
                row |= {"compressed": packed == "compressed", "usable": isinstance(made, Package)}
                if isinstance(made, Package):
                    row |= {"identity": made.identity, "window": asked.window}
                    row |= {"crypto": asked.crypto.value}
                    row |= {"inferences": asked.inferences, "with_plain": plain is not None}
                    row = earlier.get(key_of(row)) or row | measured(made, asked, run, plain)
                else:
                    row["why"] = made
                rows.append(row)
                write_json(given.output, document(rows))
    return rows


def document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is written."""
    return {
        "unit": "instructions per inference, the least of equal ones, in thousands rounded down",
        "calls": "STEP calls; the trusted OS leaves its world besides for interrupts",
        "sealed_minus_plain": DIFFERS,
        "rows": list(rows),
        "overheads": overheads(rows),
    }


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    made.add_argument("models", nargs="*", default=list(MODELS), help="of the zoo")
    made.add_argument("--budgets", nargs="+", default=list(BUDGETS), help="e.g. 8MiB 512KiB")
    made.add_argument("--kind", nargs="+", choices=("float32", "int8"), default=["float32"])
    made.add_argument("--int8", dest="kind", action="store_const", const=["int8"])
    made.add_argument(
        *("--weights",), nargs="+", choices=("plain", "compressed"), default=["plain"]
    )
    made.add_argument("--compress", dest="weights", action="store_const", const=["compressed"])
    made.add_argument("--inferences", type=int, default=2, help="the least of them is told")
    made.add_argument("--window", default=str(sealed.WINDOW), help="of the client")
    made.add_argument("--crypto", default=Crypto.EXTENSIONS.value, help="of OP-TEE; or software")
    made.add_argument("--no-plain", action="store_true", help="not in the clear on the board")
    made.add_argument("--resume", action="store_true", help="keep rows of the same packages")
    made.add_argument("--picture", action="store_true", help="an SVG beside the JSON")
    made.add_argument("-o", "--output", type=Path, default=Path("out/sealed.json"))
    return made


def main(words: Sequence[str] | None = None, run: Runner = in_guest) -> int:
    """Measure, print, write."""
    given = parser().parse_args(words)
    try:
        if given.inferences < 1:
            raise TesseraError("there is nothing to run", where="--inferences", remedy="from 1 on")
        with tempfile.TemporaryDirectory() as folder:
            program = None if given.no_plain else board.build(Path(folder))

            def plain(package: Package, inputs: Sequence[Array]) -> Mapping[str, int]:
                assert program is not None
                taken = board.execute(program, package.contents, inputs)
                return {name: taken[name] for name in ("once", "inference")}

            rows = bench(given, run, plain if program else None)
    except TesseraError as error:
        print(error.render(), file=sys.stderr)
        return 2
    print(table(rows))
    if given.picture and any(row["usable"] for row in rows):
        write_text(given.output.with_suffix(".svg"), picture(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
