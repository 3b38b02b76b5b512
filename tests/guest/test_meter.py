"""Counting the instructions of single calls, with a made-up stub and counter."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from fake_stub import CODE, ENTRY, LAYOUT, OFFSET, POOL, TA, FakeStub, small, words

from tessera.errors import TesseraError
from tessera.guest.meter import ALLOC, CLOSE, FREE, OPEN, Counted, Meter

SYMBOLS = {
    "tee_ta_open_session": (0x3300, 4),
    "tee_ta_close_session": (0x3400, 4),
    "sec_mem_free": (0x3500, 4),
    "thread_state_suspend": (0x3600, 4),
    "thread_resume": (0x3700, 4),
}
WIDE = dataclasses.replace(LAYOUT, symbols={**LAYOUT.symbols, **SYMBOLS})
AT = {OPEN: 0x2300, CLOSE: 0x2400, FREE: 0x2500, ALLOC: 0x2000}  # as mapped
AT |= {"unlink": 0x2200, "suspend": 0x2600, "resume": 0x2700}
BOOT = [{1: 0x8000, 30: 0x2100, 32: 0x2000}, {32: 0x2100}]


def enter(kind: str, back: int, sp: int, argument: int = 0) -> dict[int, int]:
    return {0: argument, 30: back, 31: sp, 32: AT[kind]}


def leave(back: int, sp: int, result: int = 0) -> dict[int, int]:
    return {0: result, 31: sp, 32: back}


SESSION = [
    enter(OPEN, CODE, 0x900),
    enter(ALLOC, CODE + 4, 0x700, POOL),
    leave(CODE + 4, 0x700, ENTRY),
    leave(CODE, 0x900),
    enter(CLOSE, CODE + 8, 0x900),
    enter(FREE, CODE + 12, 0x700, 0x1234),
    enter("unlink", CODE + 16, 0x600, ENTRY),
    leave(CODE + 12, 0x700),
    leave(CODE + 8, 0x900),
]


def optee(fake: FakeStub, stops: list[dict[int, int]]) -> None:
    """An OP-TEE with one pool and the inference TA's context active on thread 1."""
    fake.memory = {
        0x8020: words(OFFSET),
        0x3000: words(POOL, 0, 0x7000, 0x7100),
        POOL: words(ENTRY + 0x80, 0xE300000, 0x10000) + small(0, 12),
        ENTRY: words(POOL, 0) + small(3, 2),
        0x7000: small(0) + b"\x01\x00\x00\x00",
        0x7100: words(0, 0, 0, 0) + words(0, 0, 0x7200, 0),
        0x7200: bytes.fromhex("529a3d2c0e6f8a4b9d4170c5e1a8b3f6"),
    }
    fake.stops = [*BOOT, *stops, {32: 0x6000}]  # at last somewhere else


def metered(fake: FakeStub, counts: list[int]) -> Meter:
    meter = Meter(WIDE)
    told = iter(counts)
    meter.begin("phase", lambda: next(told))
    meter(fake.start())
    for _ in range(500):
        if not fake.stops or meter._failure:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)
    meter.finish()
    return meter


def test_calls_are_counted_from_entry_to_return(fake: FakeStub) -> None:
    optee(fake, SESSION)
    meter = metered(fake, [100, 110, 117, 200, 300, 310, 345, 400])
    assert meter.counted == [
        Counted("phase", ALLOC, 7, 2 * 4096, ENTRY, TA, 1),
        Counted("phase", OPEN, 100, 0, 0, TA, 0),
        Counted("phase", FREE, 35, 2 * 4096, ENTRY, TA, 1),
        Counted("phase", CLOSE, 100, 0, 0, TA, 0),
    ]
    assert "Qqemu.sstep=3" in fake.asked, "a step that stops the clock may stop it for good"


def test_what_linux_does_meanwhile_is_taken_off(fake: FakeStub) -> None:
    linux = [enter("suspend", 0, 0), enter("resume", 0, 0)]
    starts = enter("resume", 0, 0)
    optee(fake, [starts, enter(OPEN, CODE, 0x900), *linux, *linux, leave(CODE, 0x900)])
    (only,) = metered(fake, [100, 110, 1110, 1120, 5120, 5130]).counted
    assert only.instructions == 30, "10 before, between and after"


def test_a_thread_that_starts_meanwhile_takes_nothing_off_twice(fake: FakeStub) -> None:
    ours = [enter("suspend", 0, 0), enter("resume", 0, 0), enter("resume", 0, 0)]
    optee(fake, [enter(OPEN, CODE, 0x900), *ours, leave(CODE, 0x900)])
    (only,) = metered(fake, [100, 110, 1110, 1130]).counted
    assert only.instructions == 30


def test_a_refused_request_has_no_size(fake: FakeStub) -> None:
    optee(fake, [enter(ALLOC, CODE, 0x700, POOL), leave(CODE, 0x700, 0)])
    (only,) = metered(fake, [5, 9]).counted
    assert (only.instructions, only.size, only.block) == (4, 0, 0)


def test_pools_of_virtual_addresses_are_passed_over(fake: FakeStub) -> None:
    optee(fake, [enter(ALLOC, CODE, 0x700, 0xAAAA), leave(CODE, 0x700, ENTRY)])
    assert metered(fake, []).counted == []


def test_the_same_return_address_deeper_in_the_stack_is_another_call(fake: FakeStub) -> None:
    optee(fake, [enter(OPEN, CODE, 0x900), leave(CODE, 0x500), leave(CODE, 0x900)])
    (only,) = metered(fake, [1, 8]).counted
    assert only.instructions == 7


def test_a_counter_that_stands_still_is_told(fake: FakeStub) -> None:
    optee(fake, [enter(OPEN, CODE, 0x900), leave(CODE, 0x900)])
    with pytest.raises(TesseraError, match="broke off after 0 calls: QEMU counts no instructions"):
        metered(fake, [50, 50])


def test_a_call_that_does_not_come_back_is_told(fake: FakeStub) -> None:
    optee(fake, [enter(OPEN, CODE, 0x900)])
    with pytest.raises(TesseraError, match="a call of open has not come back"):
        metered(fake, [1])


def test_calls_that_come_back_in_another_order_are_told(fake: FakeStub) -> None:
    optee(fake, [*SESSION[:2], leave(CODE, 0x900)])
    with pytest.raises(TesseraError, match="a call of alloc was left without a return"):
        metered(fake, [1, 2])


def test_nothing_is_counted_before_it_is_asked_for(fake: FakeStub) -> None:
    optee(fake, SESSION)
    meter = Meter(WIDE)
    meter(fake.start())
    for _ in range(500):
        if not fake.stops:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)
    meter.finish()
    assert meter.counted == []
    assert meter.stops >= len(SESSION), "though it was stopped"


def test_a_core_without_the_functions(fake: FakeStub) -> None:
    optee(fake, [])
    meter = Meter(LAYOUT)
    meter(fake.start())
    assert meter._thread is not None
    meter._thread.join(10)
    with pytest.raises(TesseraError, match="no symbol tee_ta_open_session"):
        meter.finish()
