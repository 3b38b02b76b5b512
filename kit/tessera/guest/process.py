"""Running the programs that fetch and build: one place for their errors and logs.

Goal: a failing program becomes one `TesseraError` that shows the last lines it printed and where
its whole log lies; an interrupted one is killed with its children.
Non-goals: QEMU (see `tessera.guest.qemu`), which is talked to while it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tessera.errors import TesseraError


class KilledError(TesseraError):
    """A program that had to be killed, so that what it was writing may be unfinished."""


Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """A progress listener that says nothing."""


def tail(text: str, lines: int = 12) -> str:
    """The last non-empty lines of `text`, indented for an error message."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line}" for line in kept)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started in its own session, with all its children, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(clean: bool) -> dict[str, str]:
    """Our environment without make's own words, which would reach into the makes that we start.

    A clean one also lacks every variable (`CC`, `DEBUG`, `PLATFORM`, ...) that a build would obey.
    """
    if clean:
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        # Scripts of older trees start `python3` by name and need the one that apt gave modules to.
        return {**kept, "PATH": f"/usr/bin:/bin:{os.environ.get('PATH', '')}"}
    return {
        name: os.environ[name] for name in os.environ if not name.startswith(("MAKE", "MFLAGS"))
    }


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    clean: bool = False,
    stdin: str | None = None,
    timeout: float = 1800,
    log: Path | None = None,
    remedy: str = "",
) -> str:
    """Run `command` and return what it printed (standard output and error together).

    `env` is laid over the environment, of which `clean` keeps only what programs need to be found;
    `timeout` is in seconds; `log` receives the output too.
    Raises `TesseraError` when the program is missing, fails, or runs longer than `timeout`.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**_environment(clean), "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise TesseraError(
            f"the program {words[0]} is not installed",
            where=words[0],
            remedy=remedy or "tessera guest setup",
        ) from error
    try:
        raw, _ = process.communicate(stdin.encode() if stdin is not None else None, timeout)
    except subprocess.TimeoutExpired as error:
        kill_group(process)
        raise KilledError(
            f"{words[0]} did not finish within {timeout:.0f} s", where=" ".join(words[:6])
        ) from error
    except BaseException:
        kill_group(process)
        raise
    output = raw.decode(errors="replace")
    if log is not None:
        log.write_text(output, encoding="utf-8")
    if process.returncode != 0:
        raise TesseraError(
            f"{words[0]} failed with exit code {process.returncode}:\n{tail(output)}",
            where=" ".join(words[:6]),
            remedy=remedy,
        )
    return output
