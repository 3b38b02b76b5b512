"""Talking to the guest's shell over one serial line.

Goal: a command's output and exit status, told apart from everything else on the line by a token
that is new for each command; waiting always ends, by the deadline or by `alive` saying no.
Non-goals: starting and ending the guest, and judging its silence (see `tessera.guest.machine`).
"""

from __future__ import annotations

import base64
import re
import secrets
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

_POLL = 0.25  # seconds between two looks at whether the guest is still alive


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a guest command gave: its exit status and what it printed (both streams)."""

    status: int
    output: str


class Silent(Exception):
    """The answer did not come: the deadline passed, or the other side is gone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Console:
    """One end of the serial line; `alive` returns '' or why waiting has become pointless."""

    def __init__(self, line: socket.socket, alive: Callable[[], str]) -> None:
        self._line = line
        self._alive = alive
        self._pending = b""

    def wait_ready(self, timeout: float) -> None:
        """Wait until the guest serves commands. Raises `Silent`; also when a part failed."""
        _status, text = self._until(b"ready", time.monotonic() + timeout)
        failed = re.search(rb"@tessera:failed:([^@]*)@", text)
        if failed is not None:
            raise Silent(f"the guest could not start: {failed.group(1).decode(errors='replace')}")

    def run(self, command: str, timeout: float) -> RunResult:
        """Run a shell command in the guest, at most `timeout` seconds. Raises `Silent`.

        The guest itself ends a command after `timeout`; we wait a little longer, so that only a
        guest that does not answer at all is silent.
        """
        token = secrets.token_hex(8)
        code = base64.b64encode(command.encode() + b"\n").decode()
        self._send(f"{token} {max(1, round(timeout))} {code}\n".encode())
        status, text = self._until(token.encode(), time.monotonic() + timeout + 10)
        output = text.decode(errors="replace").replace("\r\n", "\n")
        return RunResult(status, output.removesuffix("\n"))

    def _send(self, data: bytes) -> None:
        try:
            self._line.sendall(data)
        except OSError as error:
            raise Silent(self._alive() or "the console is closed") from error

    def _until(self, token: bytes, deadline: float) -> tuple[int, bytes]:
        """The status in the marker of `token`, and everything before the marker."""
        marker = re.compile(rb"\r?\n?@tessera:" + token + rb":(\d+)@\r?\n")
        while True:
            match = marker.search(self._pending)
            if match is not None:
                text = self._pending[: match.start()]
                self._pending = self._pending[match.end() :]
                return int(match.group(1)), text
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        ready, _, _ = select.select([self._line], [], [], _POLL)
        if ready:
            try:
                chunk = self._line.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                raise Silent(self._why_closed())
            self._pending += chunk
            return
        self._check(deadline)

    def _why_closed(self) -> str:
        """Why the line was closed: the other side is ending, which takes it a moment."""
        for _ in range(20):
            reason = self._alive()
            if reason:
                return reason
            time.sleep(0.1)
        return "the console was closed"

    def _check(self, deadline: float) -> None:
        reason = self._alive()
        if reason:
            raise Silent(reason)
        if time.monotonic() > deadline:
            raise Silent("no answer in time")
