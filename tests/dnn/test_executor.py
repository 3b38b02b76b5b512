"""The executor of packages under sanitizers: what it runs, in which order, and what it refuses."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assemble import Draft, dump
from c_runtime import HOST, MUTATIONS, compile_c, run_program
from operations import OPERATIONS, everything, floats, integers

from tessera.package import code
from tessera.package.code import PACKED, RING, Element, Part, Signed, Window
from tessera.package.manifest import Side
from tessera.plan.compress.stream import pack as pack_stream

Array = np.ndarray[Any, Any]
REFUSED = 3
"""Exit code of the driver for a package that does not run."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What the driver said."""

    code: int
    said: dict[str, Any]
    outputs: list[bytes]
    error: str


def run(program: Path, folder: Path, package: bytes, inputs: list[Array], outputs: int) -> Ran:
    """The package with these inputs."""
    name = folder / "package"
    name.write_bytes(package)
    words: list[str | Path] = [name, "--trace"]
    for index, one in enumerate(inputs or [np.zeros(1, "u1")]):
        name = folder / f"in{index}"
        name.write_bytes(one.tobytes())
        words += ["--in", name]
    names = [folder / f"out{index}" for index in range(outputs)]
    for name in names:
        words += ["--out", name]
    done = run_program(program, *words)
    said = (
        json.loads(done.stdout) if done.stdout.startswith("{") and done.returncode in (0, 3) else {}
    )
    made = [name.read_bytes() for name in names] if done.returncode == 0 else []
    return Ran(done.returncode, said, made, done.stderr)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(tmp_path_factory.mktemp("host"), HOST)


# --- what runs ------------------------------------------------------------------------------------


def test_every_operation(driver: Path, tmp_path: Path) -> None:
    draft, made = everything()
    ran = run(driver, tmp_path, draft.dump(), [], 1)
    assert ran.code == 0, ran.error
    for one, operation in zip(made, OPERATIONS, strict=True):
        try:
            one.check(ran.outputs[0])
        except AssertionError as error:
            raise AssertionError(operation.__name__) from error
    assert ran.said["once"]["instructions"] == sum(map(len, draft.once)) + 1
    assert ran.said["inferences"][0]["instructions"] == sum(map(len, draft.each)) + 1


def test_operations_are_all_there() -> None:
    """The program has every number of the table; a new one needs a line here."""
    draft, _ = everything()
    used = {
        type(one).NUMBER for part in (draft.once, draft.each) for block in part for one in block
    }
    fetch, end = code.Fetch.NUMBER, code.End.NUMBER
    assert used | {fetch, end} == set(code.KINDS)


def streams() -> tuple[Draft, list[Array], Array, Array]:
    """Two inputs come row by row through rings, weights are loaded for every inference."""
    draft = Draft(arena=1024, chunk=128)
    x, b = floats(1, (3, 6, 5)), integers(2, "int8", (2, 3, 4))
    draft.inputs = [Side(Element.FLOAT32, 3, 6, 5), Side(Element.INT8, 2, 3, 4)]
    draft.outputs = [Side(Element.FLOAT32, 3, 4, 3), Side(Element.INT8, 2, 3, 4)]
    ring = draft.view((3, 3, 5), "float32", ring=True)
    row = draft.view((3, 1, 3), "float32")
    table = draft.place(256)
    turned = np.arange(255, -1, -1).astype("u1")
    draft.each[-1].append(code.Load(table, 256, 0, 0))
    draft.constants += [turned[k : k + 128].tobytes() for k in range(0, 256, 128)]
    window = Window(3, 3, 1, 1, 0, 0, 1, 1, 6)
    for k in range(6):
        draft.do(code.Fetch(0, ring, Part(0, 3, k, k + 1)))
        if k >= 2:
            at = replace(row, row=k - 2)
            draft.do(code.MaxPool(ring, at, Part(0, 3, k - 2, k - 1), window))
            draft.do(code.Emit(0, at, Part(0, 3, k - 2, k - 1)))
    byte = draft.view((2, 3, 4), "int8")
    for c in range(2):
        part = Part(c, c + 1, 0, 3)
        draft.do(code.Fetch(1, byte, part))
        draft.do(code.QTable(byte, byte, part, table))
        draft.do(code.Emit(1, byte, part))
    pooled = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2)).max(axis=(-2, -1))
    return draft, [x, b], pooled, turned[b.astype(int) + 128].view("i1")


def test_rows_through_rings_and_the_order_of_blocks(driver: Path, tmp_path: Path) -> None:
    draft, inputs, first, second = streams()
    ran = run(driver, tmp_path, draft.dump(), inputs, 2)
    assert ran.code == 0, ran.error
    assert ran.outputs == [first.astype("<f4").tobytes(), second.tobytes()]
    codes = len(draft.code())
    constants = [codes + 1, codes + 2]
    each = ran.said["inferences"][0]
    assert ran.said["once"]["order"] == [1]
    assert each["order"] == [2, *constants, *range(3, codes + 1)]
    assert each["blocks"] == codes - 1 + 2
    assert each["bytes_loaded"] == sum(map(len, draft.code()[1:])) + 256
    assert not ran.said["wiped"]


def packed(cut: Callable[[bytes], bytes] = lambda stream: stream) -> tuple[Draft, Array]:
    """Float32 in pieces of 1024 bytes: the first and third are packed, the second is not."""
    draft = Draft(arena=4096, chunk=1024)
    data = (np.arange(700) % 4).astype("<f4")
    at = draft.place(2800)
    streams = []
    for index, begin in enumerate((0, 256, 512)):
        piece = data[begin : begin + 256]
        raw = pack_stream(piece, 512) if index != 1 else piece.tobytes()
        stream = cut(raw) if index == 2 else raw
        assert index == 1 or len(raw) < piece.nbytes
        streams.append(len(stream))
        draft.constants.append(stream + bytes(-len(stream) % 4))
    draft.once[-1].append(code.Load(at, 2800, 0, PACKED, tuple(streams)))
    draft.show_arena()
    return draft, data


def test_packed_blocks(driver: Path, tmp_path: Path) -> None:
    draft, data = packed()
    ran = run(driver, tmp_path, draft.dump(), [], 1)
    assert ran.code == 0, ran.error
    assert ran.outputs[0][:2800] == data.tobytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a byte": lambda s: s[:-6] + bytes([s[-6] ^ 1]) + s[-5:],
    "the end": lambda s: s[:-4],
    "the head": lambda s: b"x" + s[1:],
    "more elements": lambda s: s[:8] + struct.pack("<I", 189) + s[12:],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_packed_blocks_that_do_not_unpack(driver: Path, tmp_path: Path, what: str) -> None:
    draft, _ = packed(DAMAGE[what])
    ran = run(driver, tmp_path, draft.dump(), [], 1)
    assert ran.code == REFUSED and ran.said["once"]["status"] == "bad block" and ran.said["wiped"]


def test_two_inferences_are_alike(driver: Path, tmp_path: Path) -> None:
    draft, inputs, *_ = streams()
    name = tmp_path / "package"
    name.write_bytes(draft.dump())
    for index, one in enumerate(inputs):
        (tmp_path / f"in{index}").write_bytes(one.tobytes())
    words = ["--in", tmp_path / "in0", "--in", tmp_path / "in1", "--times", "3"]
    done = run_program(driver, name, *words)
    counts = [(one["blocks"], one["instructions"]) for one in json.loads(done.stdout)["inferences"]]
    assert len(counts) == 3 and len(set(counts)) == 1


# --- what does not --------------------------------------------------------------------------------

Bad = Callable[[Draft], None]


def one_of(make: Callable[[Draft], Any]) -> tuple[Draft, list[Any]]:
    """A program with one operation, and the code block that holds it."""
    draft = Draft(arena=32_768, chunk=512)
    make(draft)
    draft.show_arena()
    return draft, draft.each[1]


BY_NAME = {one.__name__: one for one in OPERATIONS}
BIG = 1 << 24
BEYOND = 32_768


def within(**more: Any) -> Callable[[Any], Any]:
    """Changes fields of an instruction; 'x.slots' is a field of a field."""

    def change(one: Any) -> Any:
        for name, value in more.items():
            record, _, field = name.rpartition("__")
            if record:
                one = replace(one, **{record: replace(getattr(one, record), **{field: value})})
            else:
                one = replace(one, **{name: value})
        return one

    return change


BAD: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a view behind the arena": ("add", within(y__offset=BEYOND - 16)),
    "a view whose size wraps": ("add", within(y__slots=1 << 16, y__width=1 << 16)),
    "a view of too many slots": ("add", within(a__slots=BIG * 2)),
    "a view that is not aligned": ("add", within(b__offset=2)),
    "a view without channels": ("add", within(a__channels=0)),
    "a view of no type": ("add", within(a__flags=3)),
    "flags that are none": ("add", within(a__flags=32)),
    "a view of another type": ("add", within(a__flags=1)),
    "b of another type": ("add", within(b__flags=1)),
    "b without the part's rows": ("add", within(b__row=1)),
    "another width": ("add", within(a__width=6)),
    "an output of another width": ("add", within(y__width=6)),
    "channels behind the view": ("add", within(part__channel_end=5)),
    "channels before the view": ("add", within(y__channel=1)),
    "no channels": ("add", within(part__channel=4)),
    "rows behind the view": ("add", within(part__row_end=7)),
    "rows before the view": ("add", within(a__row=1)),
    "more rows than a ring has": ("add", within(a__flags=RING, a__slots=5)),
    "rows too far": ("add", within(a__row=2**32 - 1)),
    "no such curve": ("apply", within(curve=10)),
    "weights behind the arena": ("conv", within(weights=BEYOND - 1292)),
    "weights not aligned": ("conv", within(weights=2)),
    "a bias behind the arena": ("conv", within(bias=BEYOND - 32)),
    "no input channels": ("conv", within(in_channels=0)),
    "no output channels": ("conv", within(out_channels=0)),
    "more input channels": ("conv", within(in_channels=5)),
    "a second group": ("conv", within(out_channels=4)),
    "weights whose size wraps": ("conv", within(in_channels=BIG)),
    "a kernel that reaches behind": ("conv", within(window__in_rows=7)),
    "no kernel": ("conv", within(window__kernel_rows=0)),
    "no step": ("conv", within(window__stride_columns=0)),
    "no dilation": ("conv", within(window__dilation_rows=0)),
    "a kernel without end": ("conv", within(window__kernel_columns=2**32 - 1)),
    "rows above the view": ("conv", within(x__row=1, x__slots=5)),
    "groups of depthwise": ("depthwise", within(in_channels=2)),
    "rows below the view": ("depthwise", within(x__slots=5)),
    "a channel that is not there": ("depthwise", within(x__channels=3)),
    "weights of depthwise": ("depthwise", within(weights=BEYOND - 140)),
    "more inputs than there are": ("dense", within(inputs=14)),
    "a dense output of rows": ("dense", within(y__slots=2, y__channels=9)),
    "weights of dense": ("dense", within(weights=BEYOND - 4 * 116)),
    "pool rows": ("max_pool", within(window__in_rows=8, x__slots=5)),
    "pool channels": ("max_pool", within(x__channel=1)),
    "pool types": ("max_pool", within(x__flags=1)),
    "pool steps": ("max_pool", within(window__stride_rows=0)),
    "a flag that is none": ("average_pool", within(whole=2)),
    "padding without end": ("average_pool", within(pad_rows=65_536)),
    "more rows than x has": ("global_average", within(rows=7)),
    "no rows": ("global_average", within(rows=0)),
    "a row that is not the first": ("global_average", within(part__row_end=2, y__slots=2)),
    "channels behind x": ("move", within(from_channel=3)),
    "channels far behind x": ("move", within(from_channel=2**32 - 1)),
    "another width to move": ("move", within(x__width=6)),
    "no factor": ("upsample", within(factor=0)),
    "too small a factor": ("upsample", within(factor=1)),
    "too narrow an input": ("upsample", within(x__width=6)),
    "factors": ("scale", within(factors=BEYOND - 8)),
    "summands": ("scale", within(summands=BEYOND)),
    "count of softmax": ("softmax", within(count=11)),
    "count of reshape": ("reshape", within(count=169)),
    "elements of x": ("reshape", within(x__channels=3)),
    "types of reshape": ("reshape", within(x__flags=2)),
    "fewer multipliers": ("q_conv", within(multipliers=(1.0,) * 8)),
    "more multipliers": ("q_conv", within(multipliers=(1.0,) * 10)),
    "a zero above its type": ("q_conv", within(x_zero=Signed(256))),
    "a zero below its type": ("q_conv", within(y_zero=Signed(-129))),
    "weights of bytes": ("q_conv", within(weights=BEYOND - 320)),
    "a bias of bytes": ("q_conv", within(bias=2)),
    "floats in integers": ("q_conv", within(y__flags=0, y__channels=4)),
    "weights of q_depthwise": ("q_depthwise", within(weights=BEYOND - 35)),
    "multipliers of q_depthwise": ("q_depthwise", within(multipliers=())),
    "inputs of q_dense": ("q_dense", within(inputs=12)),
    "multipliers of q_dense": ("q_dense", within(multipliers=(1.0,) * 8)),
    "zero of q_average_pool": ("q_average_pool", within(x_zero=Signed(128))),
    "rows of q_average_pool": ("q_average_pool", within(x__slots=5)),
    "rows of q_global_average": ("q_global_average", within(rows=7)),
    "zero of q_add": ("q_add", within(b_zero=Signed(-1))),
    "b of q_add": ("q_add", within(b__channels=3)),
    "table behind the arena": ("q_table", within(table=BEYOND - 255)),
    "quantize from bytes": ("quantize", within(x__flags=1)),
    "zero of quantize": ("quantize", within(zero=Signed(128))),
    "dequantize to bytes": ("dequantize", within(y__flags=1)),
    "zero of dequantize": ("dequantize", within(zero=Signed(-129))),
    "pool of bytes by another sign": ("max_pool_of_bytes", within(x__flags=2)),
}


def bad(what: str) -> Draft:
    name, change = BAD[what]
    draft, block = one_of(BY_NAME[name])
    assert change(block[0]) != block[0]
    block[0] = change(block[0])
    return draft


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(driver: Path, tmp_path: Path, what: str) -> None:
    ran = run(driver, tmp_path, bad(what).dump(), [], 1)
    assert ran.code == REFUSED, ran.error
    assert ran.said["inferences"][0]["status"] == "bad code" and ran.said["wiped"]


@pytest.mark.parametrize("name", BY_NAME)
def test_each_program_runs_before_it_is_broken(driver: Path, tmp_path: Path, name: str) -> None:
    ran = run(driver, tmp_path, one_of(BY_NAME[name])[0].dump(), [], 1)
    assert ran.code == 0, ran.error


STREAMS: dict[str, Callable[[Any], Any]] = {
    "fetch: no such input": lambda one: replace(one, number=2),
    "fetch: another type": lambda one: replace(one, number=1),
    "fetch: another width": lambda one: replace(one, y=replace(one.y, width=4)),
    "fetch: rows behind": lambda one: replace(one, part=Part(0, 3, 6, 7)),
    "fetch: channels behind": lambda one: replace(
        one, y=replace(one.y, channel=1), part=Part(1, 4, 0, 1)
    ),
    "emit: no such output": lambda one: replace(one, number=4),
    "emit: another width": lambda one: replace(one, x=replace(one.x, width=2)),
    "emit: another type": lambda one: replace(one, x=replace(one.x, flags=int(Element.INT8))),
    "emit: rows behind": lambda one: replace(one, x=replace(one.x, row=4), part=Part(0, 3, 4, 5)),
    "load: behind the arena": lambda one: replace(one, offset=1024 - 252),
    "load: not aligned": lambda one: replace(one, offset=one.offset + 2),
    "load: bytes that are no words": lambda one: replace(one, bytes=254),
    "load: nothing": lambda one: replace(one, bytes=0),
    "load: code as constants": lambda one: replace(one, first=-1),
    "load: blocks that are not there": lambda one: replace(one, first=1),
    "load: flags that are none": lambda one: replace(one, flags=2),
    "load: fewer sizes": lambda one: replace(one, flags=PACKED, streams=(128,)),
    "load: sizes of plain blocks": lambda one: replace(one, streams=(128, 128)),
    "load: a stream larger than its piece": lambda one: replace(
        one, flags=PACKED, streams=(132, 128)
    ),
    "load: an empty stream": lambda one: replace(one, flags=PACKED, streams=(128, 0)),
}


def broken_stream(what: str) -> tuple[Draft, list[Array]]:
    draft, inputs, *_ = streams()
    kind = {"fetch": code.Fetch, "emit": code.Emit, "load": code.Load}[
        what.split(":", maxsplit=1)[0]
    ]
    block = next(block for block in draft.each for one in block if isinstance(one, kind))
    block[0] = STREAMS[what](block[0])
    return draft, inputs


@pytest.mark.parametrize("what", STREAMS)
def test_what_is_refused_of_streams(driver: Path, tmp_path: Path, what: str) -> None:
    draft, inputs = broken_stream(what)
    ran = run(driver, tmp_path, draft.dump(), inputs, 2)
    assert ran.code == REFUSED and "bad code" in ran.error and ran.said["wiped"], ran.error


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


ENDS: dict[str, list[bytes]] = {
    "no end": [words(1 | 1 << 16), words(17 | 18 << 16, *([0] * 17))],
    "code behind the end": [words(1 | 1 << 16), words(1 | 1 << 16, 1 | 1 << 16)],
    "an end before its time": [words(1 | 1 << 16), words(1 | 1 << 16), words(1 | 1 << 16)],
    "an instruction of no words": [words(1 | 1 << 16), words(1, 1 | 1 << 16)],
    "an instruction that goes on": [words(1 | 1 << 16), words(1 | 2 << 16)],
    "an end with an operand": [words(1 | 1 << 16), words(1 | 2 << 16, 0)],
    "too few operands": [words(1 | 1 << 16), words(8 | 3 << 16, 0, 0, 1 | 1 << 16)],
    "no such operation": [words(1 | 1 << 16), words(18 | 1 << 16, 1 | 1 << 16)],
    "operation 0": [words(1 | 1 << 16), words(0 | 1 << 16, 1 | 1 << 16)],
    "operation 255": [words(1 | 1 << 16), words(255 | 1 << 16, 1 | 1 << 16)],
    "bits between": [words(1 | 1 << 16), words(1 | 1 << 8 | 1 << 16)],
}


def framed(code_blocks: list[bytes], **more: int) -> bytes:
    """A package of these code blocks, with fields of the manifest changed."""
    fields = {"magic": 0x4D505354, "format": 1, "version": 1, "chunk": 256, "arena": 64}
    fields |= {"codes": len(code_blocks), "onces": 1, "blocks": 1 + len(code_blocks)}
    fields |= {
        "inputs": 1,
        "outputs": 1,
        "type": 0,
        "columns": 1,
        "size": len(code_blocks[0]),
        "cut": 0,
    }
    assert more.keys() <= fields.keys()
    f = fields | more
    made = words(f["magic"], f["format"], 0, 0, 0, 0, f["version"], f["chunk"], f["arena"])
    made += words(f["codes"], f["onces"], f["blocks"], f["inputs"], f["outputs"])
    made += words(f["type"], 1, 1, f["columns"], 0, 1, 1, 1)
    made += words(f["size"], *(len(one) for one in code_blocks[1:]))
    return dump([made[: len(made) - f["cut"]], *code_blocks])


@pytest.mark.parametrize("what", ENDS)
def test_code_that_is_none(driver: Path, tmp_path: Path, what: str) -> None:
    ran = run(driver, tmp_path, framed(ENDS[what]), [np.zeros(1, "<f4")], 1)
    assert ran.code == REFUSED and "bad code" in ran.error and ran.said["wiped"], ran.error


def test_the_first_part_has_no_inputs(driver: Path, tmp_path: Path) -> None:
    draft, inputs, *_ = streams()
    draft.once[-1].append(draft.each[1][0])
    ran = run(driver, tmp_path, draft.dump(), inputs, 2)
    assert ran.code == REFUSED and ran.said["once"]["status"] == "bad code"


MANIFESTS: dict[str, dict[str, int]] = {
    "another magic": {"magic": 1},
    "another format": {"format": 2},
    "no chunk": {"chunk": 0},
    "a chunk that is no word": {"chunk": 254},
    "a chunk too large": {"chunk": 65_540},
    "no arena": {"arena": 0},
    "an arena that is not aligned": {"arena": 72},
    "an arena too large": {"arena": 2**32 - 16},
    "all code is run once": {"onces": 2},
    "more code than blocks": {"blocks": 2},
    "more code than sizes": {"codes": 3, "blocks": 9},
    "less code than sizes": {"codes": 1},
    "no inputs": {"inputs": 0},
    "five outputs": {"outputs": 5},
    "no such type": {"type": 3},
    "an empty tensor": {"columns": 0},
    "a tensor too large": {"columns": 2**32 - 1},
    "code of no size": {"size": 0},
    "code larger than a chunk": {"size": 260},
    "code that is no words": {"size": 6},
    "cut off": {"cut": 4},
    "cut to the half": {"cut": 72},
}
ENDED = [words(1 | 1 << 16), words(1 | 1 << 16)]


@pytest.mark.parametrize("what", MANIFESTS)
def test_manifests_that_are_refused(driver: Path, tmp_path: Path, what: str) -> None:
    ran = run(driver, tmp_path, framed(ENDED, **MANIFESTS[what]), [np.zeros(1, "<f4")], 1)
    assert ran.code == REFUSED and "bad manifest" in ran.error, ran.error


def test_the_good_manifest(driver: Path, tmp_path: Path) -> None:
    ran = run(driver, tmp_path, framed(ENDED), [np.zeros(1, "<f4")], 1)
    assert ran.code == 0, ran.error
    assert ran.outputs == [bytes(4)]


WORDS: dict[str, tuple[str, ...]] = {
    "no words": (),
    "two packages": ("good", "good"),
    "no such word": ("good", "--fast"),
    "no times": ("good", "--times", "0"),
    "no such file": ("none",),
    "no package": ("in",),
    "no inputs": ("good",),
    "an input of another size": ("good", "--in", "good"),
    "two inputs": ("good", "--in", "in", "--in", "in"),
    "two outputs": ("good", "--in", "in", "--out", "a", "--out", "b"),
    "a folder that is not there": ("good", "--in", "in", "--out", "none/out"),
}


@pytest.mark.parametrize("what", WORDS)
def test_words_that_the_driver_refuses(driver: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "good").write_bytes(framed(ENDED))
    (tmp_path / "in").write_bytes(bytes(4))
    words = [one if one[0] == "-" else str(tmp_path / one) for one in WORDS[what]]
    done = run_program(driver, *(one if one[-2:] != "/0" else "0" for one in words))
    assert done.returncode == 2 and done.stderr.startswith("tessera_plain: "), done.stderr


SEED, RUNS = 20261121, 4000


def test_changed_words_never_crash(tmp_path: Path) -> None:
    """Sanitizers end the program at the first access that is not its own."""
    program = compile_c(tmp_path, MUTATIONS)
    totals: dict[int, int] = {}
    for index, draft in enumerate((everything()[0], streams()[0], packed()[0])):
        name = tmp_path / f"package{index}"
        name.write_bytes(draft.dump())
        done = run_program(program, name, str(SEED + index), str(RUNS))
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            status, count = map(int, line.split())
            totals[status] = totals.get(status, 0) + count
    ok, bad_manifest, bad_code, bad_block = (totals.get(k, 0) for k in (0, 2, 3, 4))
    assert sum(totals.values()) == 3 * RUNS
    assert ok > 300 and bad_manifest > 20 and bad_code > 3000 and bad_block > 20, totals


# --- checks that are needed -----------------------------------------------------------------------

NEEDED: dict[str, tuple[str, str]] = {
    "a view behind the arena": (
        "!tx_inside(view->offset, plane * view->channels *\n\t\t       bytes_of(view->type), room)",
        "false",
    ),
    "rows behind the view": ("has_rows(view, part->row, part->row_end)", "true"),
    "channels behind the view": (
        "has_channels(view, part->channel, part->channel_end) &&\n\t       has_rows",
        "has_rows",
    ),
    "weights behind the arena": (
        "tx_inside(offset, count * bytes, place->manifest->arena)",
        "true",
    ),
    "a kernel that reaches behind": (
        "return !highest || has_rows(&step->x, lowest, highest)",
        "return true",
    ),
    "channels far behind x": (
        "has_channels(&step->x, from, from + channels_of(&step->part)) &&",
        "",
    ),
    "more inputs than there are": ("inputs == elements_of(&step->x) &&", ""),
    "too narrow an input": (
        "(uint64_t)step->x.view.width * factor >= step->y.view.width",
        "true",
    ),
    "elements of x": ("step->number[0] == elements_of(&step->x) &&", ""),
    "more rows than x has": ("has_rows(&step->x, 0, step->number[0])", "true"),
    "fewer multipliers": ("return step->tail_words == channels_of(&step->part)", "return true"),
    "no such curve": ("by_element(step) && step->number[0] <= TL_EXP", "by_element(step)"),
    "no step": ("counts(window->stride_columns, TX_MAX_STEP) &&", ""),
    "table behind the arena": ("has_region(place, step->number[0], 256, 1)", "true"),
    "a zero above its type": ("is_zero(&step->x, zeros[0]) &&", ""),
}


@pytest.mark.parametrize("what", NEEDED)
def test_a_check_that_is_left_out_is_missed(tmp_path: Path, what: str) -> None:
    """Without it the same program is run: to its end, or until a sanitizer stops it."""
    old, new = NEEDED[what]
    broken = compile_c(tmp_path, HOST, [("tx_check.c", old, new)])
    ran = run(broken, tmp_path, bad(what).dump(), [], 1)
    assert ran.code != REFUSED, ran.error
