"""What a compiler said: its warnings and errors, compared without line numbers.

Goal: `complaints` reads gcc's and clang's messages; `new_ones` gives those that came with a patch.
Non-goals: notes, and what make itself says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LINE = re.compile(
    r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:\d+:)? "
    r"(?P<kind>warning|error|fatal error): (?P<text>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One message. `kind` is "warning", "error" or "fatal error"."""

    file: str
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        """File and line, as compilers write them."""
        return f"{self.file}:{self.line}"

    @property
    def sort(self) -> tuple[str, str, str]:
        """What stays the same when lines above it come or go."""
        return self.file, self.kind, self.text


def complaints(said: str) -> tuple[Complaint, ...]:
    """Every warning and error in a compiler's output, in its order."""
    return tuple(
        Complaint(found["file"], int(found["line"]), found["kind"], found["text"].strip())
        for found in _LINE.finditer(said)
    )


def new_ones(before: Iterable[Complaint], after: Sequence[Complaint]) -> tuple[Complaint, ...]:
    """The complaints of `after` that `before` does not have, counted: a second one is new, too.

    Of equal ones the last are called new.
    """
    known = Counter(one.sort for one in before)
    out = []
    for one in after:
        if known[one.sort]:
            known[one.sort] -= 1
        else:
            out.append(one)
    return tuple(out)
