"""Changing the added lines of a patch, with hunk headers that stay true.

Goal: `change`, for the negative controls: one file's hunks as lists of lines, edited, put together
again.
Non-goals: making patches (see `tessera.emit`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

Edit = Callable[[list[str]], list[str]]
"""From the lines of one hunk, with their first character, to the changed lines."""

_HEADER = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)")
_OLD, _NEW = (" ", "-"), (" ", "+")


def change(text: str, file: str, edit: Edit) -> str:
    """The patch with `edit` applied to every hunk of a file; the same text when nothing changes."""
    out: list[str] = []
    inside, shift, same = False, 0, True
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if line.startswith("+++ "):
            inside, shift = line == f"+++ b/{file}", 0
        found = _HEADER.fullmatch(line)
        if found is None or not inside:
            out.append(line)
            continue
        body = []
        while index < len(lines) and lines[index][:1] in ("+", "-", " ") and lines[index] != "-- ":
            body.append(lines[index])
            index += 1
        edited = edit(body)
        same = same and edited == body
        dropped, made = _balanced(edited)
        start = int(found.group(1)) + dropped
        old, new = _count(made, _OLD), _count(made, _NEW)
        if made:
            out.append(f"@@ -{start},{old} +{start + shift},{new} @@{found.group(3)}")
            out += made
        shift += new - old
    return text if same else "\n".join(_headed(out, file))


def _headed(lines: list[str], file: str) -> list[str]:
    """Without the header of a file that has no hunk left, at which git would stop."""
    at = next((i for i, line in enumerate(lines) if line == f"+++ b/{file}"), -1)
    if at < 0 or "".join(lines[at + 1 : at + 2]).startswith("@@ "):
        return lines
    first = at - 1
    while first > 0 and lines[first - 1].startswith(("diff --git ", "index ")):
        first -= 1
    return lines[:first] + lines[at + 1 :]


def _balanced(lines: list[str]) -> tuple[int, list[str]]:
    """The hunk with as much context before as after, and how many lines went in front.

    patch(1) takes a hunk with less context on one side for one at that end of the file. Nothing
    remains of a hunk without changes.
    """
    changed = [index for index, line in enumerate(lines) if line[0] != " "]
    if not changed:
        return 0, []
    before, after = changed[0], len(lines) - 1 - changed[-1]
    keep = min(before, after)
    dropped = before - keep
    return dropped, lines[dropped : changed[-1] + 1 + keep]


def _count(lines: list[str], marks: tuple[str, ...]) -> int:
    return sum(line[0] in marks for line in lines)


def without(lines: list[str], first: str, last: str = "") -> list[str]:
    """The hunk without its added lines from one that contains `first` to one with `last`."""
    start, end = _block(lines, first, last)
    return lines if start < 0 else lines[:start] + lines[end:]


def moved(lines: list[str], first: str, last: str, anchor: str, *, after: bool) -> list[str]:
    """The hunk with those added lines before or after the nearest line that has `anchor`."""
    start, end = _block(lines, first, last)
    if start < 0:
        return lines
    block, rest = lines[start:end], lines[:start] + lines[end:]
    places = [i for i, line in enumerate(rest) if line[0] == " " and anchor in line]
    if not places:
        return lines
    at = min(places, key=lambda i: abs(i - start)) + int(after)
    return rest[:at] + block + rest[at:]


def _block(lines: list[str], first: str, last: str) -> tuple[int, int]:
    start = next((i for i, line in enumerate(lines) if line[0] == "+" and first in line), -1)
    if start < 0:
        return -1, -1
    ends = (i for i in range(start, len(lines)) if lines[i][0] == "+" and last in lines[i])
    return start, (next(ends, start) if last else start) + 1
