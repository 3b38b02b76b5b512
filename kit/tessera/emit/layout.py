"""Line breaks as OP-TEE's checkpatch wants them: 80 columns, tabs, aligned to the open parenthesis.

Goal: one long C statement in, the fewest well-formed lines out; the same text gives the same lines.
Non-goals: blocks, comments and preprocessor lines (they come broken already).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS = 80
TAB = 8
_BREAK_AFTER = ("&&", "||", "?", ":", "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "=")
_COMPARE = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class _Break:
    """A place where a line may end: `at` is the index of the blank, `depth` its nesting."""

    at: int
    depth: int


def wrap(line: str) -> list[str]:
    """The statement as lines of at most 80 columns; a tab counts to the next multiple of 8.

    A line that cannot be broken any further is left long.
    """
    if width(line) <= COLUMNS:
        return [line]
    return min(_wrapped(line, shallow=True), _wrapped(line, shallow=False), key=len)


def width(line: str) -> int:
    """The number of columns of a line."""
    return len(line.expandtabs(TAB))


def _wrapped(line: str, *, shallow: bool) -> list[str]:
    """Greedy lines; `shallow` prefers the least nested break over the last one that fits."""
    out: list[str] = []
    rest, opened = line, [_base(line)]
    while width(rest) > COLUMNS:
        every = _breaks(rest)
        if not every:
            break
        breaks = [b for b in every if width(rest[: b.at]) <= COLUMNS] or every[:1]
        floor = min(b.depth for b in breaks)
        chosen = [b for b in breaks if b.depth == floor][-1] if shallow else breaks[-1]
        head = rest[: chosen.at]
        out.append(head)
        opened = _still_open(head, opened)
        rest = _indent(opened[-1]) + rest[chosen.at + 1 :]
    return [*out, rest]


def _base(line: str) -> int:
    """The column of continuation lines outside parentheses: where the expression starts."""
    match = re.match(r"\s*(?:return |[\w\s*>.\-\[\]]*?[^=!<>]= )", line)
    start = match.end() if match else len(line) - len(line.lstrip()) + 1
    return width(line[:start])


def _breaks(line: str) -> list[_Break]:
    out: list[_Break] = []
    depth = 0
    indent = len(line) - len(line.lstrip())
    for index, char in enumerate(line):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == " " and index > indent:
            word = line[:index].rsplit(" ", 1)[-1].strip()
            if word.endswith(",") or word in _BREAK_AFTER or word in _COMPARE:
                out.append(_Break(index, depth))
    return out


def _still_open(line: str, opened: list[int]) -> list[int]:
    """The columns after the parentheses that are open at the end of the line, outermost first."""
    stack = list(opened)
    for index, char in enumerate(line):
        if char in "([{":
            stack.append(width(line[: index + 1]))
        elif char in ")]}" and len(stack) > 1:
            stack.pop()
    return stack


def _indent(column: int) -> str:
    return "\t" * (column // TAB) + " " * (column % TAB)
