"""A patch text as lines with syntax colours.

Goal: split a `git am` patch into its message and its files, and every C line into tokens with a
class for the style sheet.
Non-goals: applying or judging the patch (see `tessera.emit`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pygments.lexers import CLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String

_CLASSES = (
    (Comment.Preproc, "pp"),
    (Comment, "co"),
    (Keyword, "kw"),
    (Name.Function, "fn"),
    (Number, "nu"),
    (String, "st"),
    (Operator, "op"),
    (Punctuation, "op"),
)
_KINDS = {"+": "add", "-": "del", "@": "hunk"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line and its class; plain text has none."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk: `add`, `del`, `hunk` or `same`."""

    kind: str
    sign: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What the patch changes in one file."""

    path: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """The patch as shown: its message, then its files."""

    message: str
    files: tuple[FileDiff, ...]


def parse_patch(text: str) -> Diff:
    """Split a patch; a text without `diff --git` lines is all message."""
    message: list[str] = []
    files: list[tuple[str, list[Line]]] = []
    in_hunk = False
    for raw in text.splitlines():
        if raw.startswith("diff --git "):
            files.append((raw.rsplit(" b/", 1)[-1], []))
            in_hunk = False
        elif not files:
            message.append(raw)
        elif raw.startswith("@@"):
            in_hunk = True
            files[-1][1].append(Line("hunk", "", (Token(raw, ""),)))
        elif in_hunk and raw == "-- ":
            in_hunk = False
        elif in_hunk and raw[:1] in ("+", "-", " "):
            kind = _KINDS.get(raw[0], "same")
            files[-1][1].append(Line(kind, raw[0], _tokens(raw[1:])))
    return Diff(
        "\n".join(message).strip("\n"),
        tuple(FileDiff(path, tuple(lines)) for path, lines in files),
    )


def _tokens(code: str) -> tuple[Token, ...]:
    lexer = CLexer(stripnl=False, ensurenl=False)
    if code.lstrip().startswith(("* ", "*/")) or code.strip() == "*":
        return (Token(code, "co"),)  # the middle of a comment whose start is on another line
    return tuple(Token(value, _class(kind)) for kind, value in lexer.get_tokens(code) if value)


def _class(kind: object) -> str:
    return next((name for family, name in _CLASSES if kind in family), "")
