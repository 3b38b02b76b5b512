"""The one base error of the kit.

Goal: every mistake a user can make surfaces as a `TesseraError` that says what is wrong, where,
and how to mend it, and that renders itself the same way in every command.
Non-goals: programming errors (those stay ordinary exceptions) and verdicts (a violated property
is a result, not an error).
"""

from __future__ import annotations

from dataclasses import dataclass

EXIT_OK = 0
EXIT_UNMET = 1
EXIT_BAD_INPUT = 2
EXIT_UNKNOWN = 3


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A range of source text; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class TesseraError(Exception):
    """A mistake in what the user gave us.

    `message` says what is wrong, `where` the place (a `Span`, a path or a command), `remedy` how to
    mend it. Commands print `render()` on stderr and leave with exit code 2.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(self, message: str, *, where: Span | str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def render(self) -> str:
        """The error as plain text lines, without colour."""
        head = f"{self.where}: error: {self.message}" if self.where else f"error: {self.message}"
        return f"{head}\n  help: {self.remedy}" if self.remedy else head
