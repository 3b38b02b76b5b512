"""Mistakes in a spec: collected, then raised together.

Goal: every message shows file:line:column, the line, a caret under the place, and a remedy; several
mistakes are reported in one run.
Non-goals: colour (the terminal layer may add it) and warnings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from tessera.errors import Span, TesseraError

MOST_SHOWN = 20
MOST_FOUND = 100


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One mistake: where, what, how to mend it."""

    span: Span
    message: str
    remedy: str = ""


class SpecError(TesseraError):
    """One or more mistakes in a spec; `diagnostics` are in source order, `lines` for carets."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], lines: dict[str, list[str]]) -> None:
        first = diagnostics[0]
        super().__init__(first.message, where=first.span, remedy=first.remedy)
        self.diagnostics = diagnostics
        self.lines = lines

    def render(self) -> str:
        """All mistakes as text, each with its line and a caret."""
        shown = [self._render_one(d) for d in self.diagnostics[:MOST_SHOWN]]
        hidden = len(self.diagnostics) - MOST_SHOWN
        if hidden > 0:
            shown.append(f"... and {hidden} more mistakes")
        return "\n".join(shown)

    def _render_one(self, item: Diagnostic) -> str:
        span = item.span
        out = [f"{span}: error: {printable(item.message)}"]
        lines = self.lines.get(span.file, [])
        if 0 < span.line <= len(lines):
            text = lines[span.line - 1].rstrip()
            end = span.end_column if span.end_line == span.line else len(text) + 1
            start, text = _window(text, span.column)
            width = max(1, min(end - span.column, len(text) - start))
            gutter = str(span.line)
            out.append(f"  {gutter} | {printable(text)}")
            out.append(f"  {' ' * len(gutter)} | {' ' * start}{'^' * width}")
        if item.remedy:
            out.append(f"  help: {printable(item.remedy)}")
        return "\n".join(out)


def _window(text: str, column: int, limit: int = 100) -> tuple[int, str]:
    """The part of a long line around `column`, and the caret's place in it (from 0)."""
    start = column - 1
    if len(text) <= limit:
        return start, text
    cut = max(0, start - limit // 2)
    return start - cut, text[cut : cut + limit]


def printable(text: str) -> str:
    """One column per character, and nothing that would drive a terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text
    )


@dataclass(slots=True)
class Diagnostics:
    """A collector that the passes share; `raise_if_any` ends a pass."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def add(self, span: Span, message: str, remedy: str = "") -> None:
        """Record one mistake and go on; a file that is all mistakes is given up early."""
        item = Diagnostic(span, message, remedy)
        if item not in self.found:
            self.found.append(item)
        if len(self.found) >= MOST_FOUND:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise a `SpecError` with all that was recorded, if anything was."""
        if self.found:
            raise SpecError(tuple(sorted(self.found)), self.lines)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known name, or an empty string."""
    close = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.65)
    return f"did you mean '{close[0]}'?" if close else ""
