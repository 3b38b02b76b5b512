"""Insertions into files as a patch that both `git am` and `patch -p1` take.

Goal: the same insertions give the same bytes: fixed date and author, blob ids computed from
content, hunks built from the insertions themselves.
Non-goals: changes other than insertions; the emitter makes none.
"""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass

AUTHOR = "Tessera <tessera@tessera.invalid>"
_DATE = "Thu, 1 Jan 2026 00:00:00 +0000"
_ZERO = "0" * 40


@dataclass(frozen=True, slots=True)
class Edit:
    """A file and what goes into it: index of the line before which the new lines stand."""

    file: str
    old: str
    insertions: dict[int, tuple[str, ...]]

    @property
    def added(self) -> int:
        """The number of inserted lines."""
        return sum(len(lines) for lines in self.insertions.values())

    @property
    def new(self) -> str:
        """The text with the insertions."""
        out: list[str] = []
        for index, line in enumerate(self.old.split("\n")):
            out += [*self.insertions.get(index, ()), line]
        return "\n".join(out)


def message(subject: str, body: list[str], edits: list[Edit], context: int) -> str:
    """The whole mail: headers, text of paragraphs `body`, summary and diff."""
    text = "\n\n".join(_paragraph(p) for p in body)
    head = f"From {_ZERO} Mon Sep 17 00:00:00 2001\nFrom: {AUTHOR}\nDate: {_DATE}\n"
    head += f"Subject: [PATCH] {subject}\n\n{text}\n\nSigned-off-by: {AUTHOR}\n---\n"
    return (
        head + _summary(edits) + "\n" + "".join(diff(e, context) for e in edits) + "-- \ntessera\n"
    )


def diff(edit: Edit, context: int) -> str:
    """One file's part in git's format, with `context` unchanged lines around every hunk."""
    ids = f"{_blob(edit.old)}..{_blob(edit.new)}"
    head = f"diff --git a/{edit.file} b/{edit.file}\nindex {ids} 100644\n"
    head += f"--- a/{edit.file}\n+++ b/{edit.file}\n"
    return head + "".join(_hunks(edit, context))


def _paragraph(text: str) -> str:
    return text if text.startswith(" ") else textwrap.fill(text, 72, break_long_words=False)


def _summary(edits: list[Edit]) -> str:
    """What `git diff --stat` would print."""
    wide = max(len(e.file) for e in edits)
    lines = [f" {e.file:<{wide}} | {e.added:>2} {'+' * e.added}\n" for e in edits]
    total, files = sum(e.added for e in edits), len(edits)
    tail = f" {files} file{'s' * (files > 1)} changed, {total} insertion{'s' * (total > 1)}(+)\n"
    return "".join(lines) + tail


def _blob(text: str) -> str:
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _hunks(edit: Edit, context: int) -> list[str]:
    lines = edit.old.split("\n")
    count = len(lines) - (lines[-1] == "")  # the text ends with a newline
    groups: list[list[int]] = []
    for at in sorted(edit.insertions):
        if groups and at - groups[-1][-1] <= 2 * context:
            groups[-1].append(at)
        else:
            groups.append([at])
    out, shift = [], 0
    for group in groups:
        first, last = max(group[0] - context, 0), min(group[-1] + context, count)
        body = "".join(_body(edit, lines, first, last))
        added = sum(len(edit.insertions[at]) for at in group)
        old = _range(first, last - first)
        new = _range(first + shift, last - first + added)
        out.append(f"@@ -{old} +{new} @@\n{body}")
        shift += added
    return out


def _body(edit: Edit, lines: list[str], first: int, last: int) -> list[str]:
    out = []
    for index in range(first, last + 1):
        out += [f"+{line}\n" for line in edit.insertions.get(index, ())]
        if index < last:
            out.append(f" {lines[index]}\n")
    return out


def _range(start: int, length: int) -> str:
    """A hunk's range as diff writes it: counted from 1; the line before for an empty one."""
    first = start if length == 0 else start + 1
    return f"{first}" if length == 1 else f"{first},{length}"
