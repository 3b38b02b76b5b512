"""The console protocol, against a child that plays the guest's shell over a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tessera.guest.console import Console, RunResult, Silent

Answer = Callable[[str, str, str], bytes]


@contextmanager
def fake_guest(answer: Answer, greeting: bytes = b"") -> Iterator[socket.socket]:
    """A thread that answers each `<token> <seconds> <base64>` line with what `answer` gives."""
    ours, theirs = socket.socketpair()
    theirs.sendall(greeting)

    def serve() -> None:
        with theirs, theirs.makefile("rb") as lines:
            for line in lines:
                token, seconds, code = line.decode().split()
                theirs.sendall(answer(token, seconds, code))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        ours.close()
        thread.join(10)


def _alive() -> str:
    return ""


def _says(text: bytes, status: int) -> Answer:
    return lambda token, _s, _c: text + b"\n@tessera:%s:%d@\n" % (token.encode(), status)


def test_output_and_status_come_back() -> None:
    with fake_guest(_says(b"hello\nworld\n", 7)) as line:
        assert Console(line, _alive).run("x", 5) == RunResult(7, "hello\nworld")


def test_carriage_returns_and_the_last_newline_are_dropped() -> None:
    with fake_guest(lambda t, _s, _c: b"a\r\nb\r\n\r\n@tessera:%s:0@\r\n" % t.encode()) as line:
        assert Console(line, _alive).run("x", 5) == RunResult(0, "a\nb")


def test_a_marker_of_another_token_is_just_output() -> None:
    forged = b"@tessera:0123456789abcdef:0@\n"
    with fake_guest(_says(forged + b"real\n", 3)) as line:
        result = Console(line, _alive).run("x", 5)
    assert result == RunResult(3, "@tessera:0123456789abcdef:0@\nreal")


def test_answers_follow_their_commands() -> None:
    with fake_guest(
        lambda t, s, c: b"%s %s\n@tessera:%s:0@\n" % (s.encode(), c.encode(), t.encode())
    ) as line:
        console = Console(line, _alive)
        first, second = console.run("true", 5), console.run("echo 'ü'\nfalse", 9)
    assert first.output == "5 dHJ1ZQo="
    assert second.output.startswith("9 ")
    assert first.output != second.output


def test_output_in_small_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()

    def dribble() -> None:
        token = theirs.makefile("rb").readline().split()[0]
        for byte in b"abc\n@tessera:" + token + b":0@\n":
            theirs.sendall(bytes([byte]))

    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    with ours, theirs:
        assert Console(ours, _alive).run("x", 5) == RunResult(0, "abc")
        thread.join(10)


def test_ready_is_waited_for() -> None:
    with fake_guest(_says(b"", 0), b"boot messages\n@tessera:ready:0@\n") as line:
        Console(line, _alive).wait_ready(5)


def test_a_part_that_failed_to_start_is_named() -> None:
    greeting = b"@tessera:failed:insmod optee@\n@tessera:ready:0@\n"
    with fake_guest(_says(b"", 0), greeting) as line, pytest.raises(Silent, match="insmod optee"):
        Console(line, _alive).wait_ready(5)


def test_silence_ends_at_the_deadline() -> None:
    with fake_guest(lambda *_: b"never a marker\n") as line, pytest.raises(Silent, match="in time"):
        Console(line, _alive).wait_ready(0.3)


def test_a_dead_guest_ends_the_wait_at_once() -> None:
    with fake_guest(lambda *_: b"") as line, pytest.raises(Silent, match="it panicked"):
        Console(line, lambda: "it panicked").run("x", 3600)


def test_a_closed_line_ends_the_wait() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(Silent, match="closed"):
        Console(ours, _alive).run("x", 3600)
