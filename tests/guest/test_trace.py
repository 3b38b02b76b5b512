"""The client of the gdb stub, the recorder and the files of traces, without a guest."""

from __future__ import annotations

import dataclasses
import json
import threading
import uuid
from pathlib import Path

import pytest
from fake_stub import CODE, ENTRY, LAYOUT, OFFSET, POOL, TA, FakeStub, packet, small, words

from tessera.errors import TesseraError
from tessera.guest import pooltrace, poolview
from tessera.guest.gdbstub import Stub, StubLost
from tessera.guest.pooltrace import Pool
from tessera.guest.recorder import Recorder

TRACE = Path(__file__).parents[1] / "conform/priority_trace.jsonl"


# --- the client -----------------------------------------------------------------------------------


def test_registers_memory_and_breakpoints(fake: FakeStub) -> None:
    fake.memory[0x1000] = bytes(range(16))
    fake.stops = [{0: 7, 30: 0x30, 31: 0x31, 32: 0x32}]
    stub = Stub(fake.start(), timeout=5)
    stub.watch(0x2000)
    assert fake.watched == {0x2000}
    assert stub.go_on() == 5
    assert fake.asked[-2:] == ["s", "c"], "what it stands on is stepped over"
    regs = stub.registers()
    assert (regs.x[0], regs.link, regs.sp, regs.pc) == (7, 0x30, 0x31, 0x32)
    assert stub.read(0x1004, 3) == b"\x04\x05\x06"
    assert stub.number(0x1000, 4) == 0x03020100
    stub.unwatch(0x2000)
    assert fake.watched == set()


def test_memory_that_is_not_mapped(fake: FakeStub) -> None:
    with pytest.raises(TesseraError, match="refuses m99,8: E14"):
        Stub(fake.start(), timeout=5).number(0x99)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"leave", "left: the guest ended"),
        (b"$00#ff", "broken packet"),
        (packet("zz"), "broken memory"),
        (b"", "does not answer"),
    ],
)
def test_a_stub_that_fails_is_lost(fake: FakeStub, answer: bytes, why: str) -> None:
    fake.answer = lambda command: answer
    with pytest.raises(StubLost, match=why):
        Stub(fake.start(), timeout=0.2).read(0, 1)


def test_too_little_memory_or_registers(fake: FakeStub) -> None:
    fake.answer = lambda command: packet("00")
    stub = Stub(fake.start(), timeout=5)
    with pytest.raises(StubLost, match="too few registers"):
        stub.registers()
    with pytest.raises(TesseraError, match="1 of 8 bytes"):
        stub.number(0)


def test_the_end_of_the_guest_is_told(fake: FakeStub) -> None:
    fake.answer = lambda command: packet("W00") if command == "c" else None
    with pytest.raises(StubLost, match="guest ended"):
        Stub(fake.start(), timeout=5).go_on()


def test_an_interrupt_stops_a_running_guest(fake: FakeStub) -> None:
    stub = Stub(fake.start(), timeout=5)
    stopper = threading.Timer(0.2, stub.interrupt)
    stopper.start()
    assert stub.go_on() == 2
    assert stub.go_on() is None, "and it stays stopped"
    stopper.join()


# --- the recorder ---------------------------------------------------------------------------------


def guest_of(fake: FakeStub) -> None:
    """An OP-TEE with one pool at 0xe300000 and a TA's context active on thread 1."""
    fake.memory = {
        0x8020: words(OFFSET),
        0x3000: words(POOL, 0, 0x7000, 0x7100),  # the variables, one page below
        POOL: words(ENTRY + 0x80, 0xE300000, 0x10000) + small(0, 12),
        ENTRY: words(POOL, 0) + small(3, 2),
        0x7000: small(0) + b"\x01\x00\x00\x00",
        0x7100: words(0, 0, 0, 0) + words(0, 0, 0x7200, 0),
        0x7200: uuid.UUID(TA).bytes_le,
    }
    boot = [{1: 0x8000, 30: 0x2100, 32: 0x2000}, {32: 0x2100}]
    alloc = [{0: POOL, 1: 8000, 30: CODE, 31: 0x100, 32: 0x2000}]
    back = [{0: ENTRY, 31: 0x180, 32: CODE}, {0: ENTRY, 31: 0x100, 32: CODE}]
    free = [{0: ENTRY, 32: 0x2200}]
    refused = [
        {0: POOL, 1: 0xE301000, 2: 4096, 30: CODE, 31: 0x100, 32: 0x2100},
        {0: 0, 31: 0x100, 32: CODE},
    ]
    other = [{0: 0xAAAA, 1: 1, 30: CODE, 31: 0x100, 32: 0x2000}, {0: 0, 32: 0x2200}]
    fake.stops = [*boot, *alloc, *back, *free, *refused, *other]


def recorded(fake: FakeStub) -> Recorder:
    recorder = Recorder(LAYOUT)
    recorder(fake.start())
    for _ in range(500):
        if not fake.stops or recorder._failure:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)
    recorder.finish()
    return recorder


def test_calls_are_recorded_with_their_owner_and_outcome(fake: FakeStub) -> None:
    guest_of(fake)
    recorder = recorded(fake)
    assert recorder.pools == {POOL: Pool(POOL, 0xE300000, 0x10000, 12)}
    assert [dataclasses.astuple(op) for op in recorder.operations] == [
        ("alloc", POOL, ENTRY, 3, 2, 8000, 0, TA),
        ("free", POOL, ENTRY, 3, 2, 0, 0, TA),
        ("alloc_at", POOL, 0, -1, 0, 4096, 0xE301000, TA),
    ]
    assert recorder.others == 1, "a pool of virtual addresses is only counted"


def test_a_thread_that_is_none_is_the_core(fake: FakeStub) -> None:
    guest_of(fake)
    fake.memory[0x7000] = small(0) + b"\xff\xff\x00\x00"
    assert {op.owner for op in recorded(fake).operations} == {pooltrace.CORE}


def test_calls_that_overlap_are_refused(fake: FakeStub) -> None:
    guest_of(fake)
    fake.stops[3:5] = []  # the first call never comes back before the free
    with pytest.raises(TesseraError, match="cut short after 0 operations: a free began before"):
        recorded(fake)


def test_a_call_that_has_not_come_back_is_told(fake: FakeStub) -> None:
    guest_of(fake)
    del fake.stops[4:]
    with pytest.raises(TesseraError, match="a call of alloc has not come back"):
        recorded(fake)


def test_a_guest_that_dies_is_told(fake: FakeStub) -> None:
    guest_of(fake)
    fake.answer = lambda command: b"leave" if len(fake.stops) == 4 and command == "c" else None
    recorder = Recorder(LAYOUT)
    recorder(fake.start())
    with pytest.raises(TesseraError, match=r"after 2 operations: .*the guest ended"):
        _finish_late(recorder)


def _finish_late(recorder: Recorder) -> None:
    assert recorder._thread is not None
    recorder._thread.join(10)
    recorder.finish()


def test_a_core_without_the_functions(fake: FakeStub) -> None:
    guest_of(fake)
    symbols = {n: s for n, s in LAYOUT.symbols.items() if n != "tee_mm_alloc2"}
    recorder = Recorder(dataclasses.replace(LAYOUT, symbols=symbols))
    recorder(fake.start())
    with pytest.raises(TesseraError, match="no symbol tee_mm_alloc2"):
        _finish_late(recorder)


def test_a_mistake_in_the_recorder_is_no_whole_trace(
    fake: FakeStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest_of(fake)
    monkeypatch.setattr(Recorder, "_look", lambda self, stub: {}["mistake"])
    recorder = Recorder(LAYOUT)
    recorder(fake.start())
    with pytest.raises(TesseraError, match="the recorder failed: KeyError"):
        _finish_late(recorder)


def test_nothing_was_watched() -> None:
    with pytest.raises(TesseraError, match="never watched"):
        Recorder(LAYOUT).finish()


# --- snapshots ------------------------------------------------------------------------------------


def snapshot(entry: int = ENTRY) -> bytes:
    """Secure RAM from 0 on, with the pool of `guest_of`: all addresses lie one page lower."""
    memory = bytearray(0xB000)

    def put(at: int, content: bytes) -> None:
        memory[at : at + len(content)] = content

    put(0x8020, words(OFFSET))
    put(0x4000, words(POOL, 0))
    put(POOL + 0x1000, words(ENTRY + 0x80, 0xE300000, 0x10000) + small(0, 12))
    put(ENTRY + 0x1080, words(POOL, entry) + small(0, 0))
    put(ENTRY + 0x1000, words(POOL, 0) + small(3, 2))
    return bytes(memory)


def test_the_pools_of_a_snapshot() -> None:
    seen = poolview.view(LAYOUT, snapshot(), base=0)
    assert seen == {Pool(POOL, 0xE300000, 0x10000, 12): ((3, 2),)}
    assert poolview.taken(seen) == 2
    assert poolview.largest_free_run(seen) == 11


def test_a_list_that_leads_out_or_has_no_end() -> None:
    with pytest.raises(TesseraError, match=r"leads to 0x.*, out of secure RAM"):
        poolview.view(LAYOUT, snapshot(0xFFFF_0000), base=0)
    with pytest.raises(TesseraError, match="no end"):
        poolview.view(LAYOUT, snapshot(ENTRY + 0x80), base=0)
    with pytest.raises(TesseraError, match="no page pool"):
        poolview.view(LAYOUT, bytes(0xB000), base=0)


# --- files ----------------------------------------------------------------------------------------


def test_a_trace_is_written_and_read_again() -> None:
    text = TRACE.read_text()
    assert pooltrace.to_text(pooltrace.read(TRACE)) == text


@pytest.mark.parametrize("left", [0, 1, 5, 100, -1])
def test_a_cut_file_is_told(tmp_path: Path, left: int) -> None:
    cut = tmp_path / "cut.jsonl"
    lines = TRACE.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:left]))
    with pytest.raises(TesseraError, match="cut short"):
        pooltrace.read(cut)


def test_a_missing_line_and_half_a_line_are_told(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    lines = TRACE.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:7] + lines[8:]))
    with pytest.raises(TesseraError, match="cut short"):
        pooltrace.read(cut)
    cut.write_text(TRACE.read_text()[:-20])
    with pytest.raises(TesseraError, match="cut short, or broken"):
        pooltrace.read(cut)


def test_something_else_is_no_trace(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    for rows in ([[1]], [{"version": 1}, {"end": 0}], [{}, {"no": 1}, {"end": 1}]):
        other.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(TesseraError, match="no trace of pool operations"):
            pooltrace.read(other)
    with pytest.raises(TesseraError, match="cannot read the trace"):
        pooltrace.read(tmp_path / "missing")
