"""The formatter: spaces, indentation and blank lines of a spec, and nothing else.

Goal: one look for all specs. Line breaks and comments stay where their author put them, and every
token stays as it is, so a formatted file means the same by construction; twice is as good as once.
Non-goals: breaking or joining lines; a file with syntax errors is reported, not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from tessera.lang.layout_rules import Structure, structure
from tessera.lang.parse import parse, syntax_tree
from tessera.lang.scope import RESERVED
from tessera.lang.source import Source

INDENT = "  "

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"[^"\n]*")
      | (?P<number>0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>:=|\.\.|=>|==|!=|<=|>=|<<|>>|.)""",
    re.VERBOSE,
)

# Words after which a parenthesis groups; after any other name it holds arguments.
_GROUPING = (RESERVED | {"length", "given"}) - {
    "old",
    "exact",
    "min",
    "max",
    "is_secure",
    "touches_nonsecure",
}
_OPENING, _CLOSING = "([", ")]"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int
    column: int


def format_text(source: Source) -> str:
    """The formatted text of a file. Raises `SpecError` when it does not parse."""
    parse(source)  # every syntax error, with its explanation
    text = source.text.replace("\r\n", "\n")
    known = structure(syntax_tree(text))
    out: list[str] = []
    braces = parens = 0
    equals = 0  # 1 after a line that starts with the "=" of a declaration
    lines = [list(_tokens(line, number)) for number, line in enumerate(text.split("\n"), 1)]
    for number, line in enumerate(lines):
        if not line:
            if out and out[-1] and not out[-1].endswith("{"):
                out.append("")
            continue
        first = _leader(lines, number)
        place = (first.line, first.column)
        if place in known.starts or first.text == "}":
            equals = 0
        level = _level(first, known, braces, parens + equals)
        equals = max(equals, int(first.text == "="))
        if first.text == "}" and out and not out[-1]:
            out.pop()
        out.append(INDENT * level + _joined(line, known))
        for token in line:
            braces += (token.text == "{") - (token.text == "}")
            parens += (token.text in _OPENING) - (token.text in _CLOSING)
    while out and not out[-1]:
        out.pop()
    return "\n".join(out) + "\n"


def _leader(lines: list[list[_Token]], number: int) -> _Token:
    """The token that decides a line's indentation: a comment stands as what follows it."""
    for line in lines[number:]:
        for token in line:
            if token.kind != "comment":
                return token
    return replace(lines[number][0], text="", line=0)


def _level(first: _Token, known: Structure, braces: int, parens: int) -> int:
    if first.line == 0:
        return 0  # a comment at the end of the file
    place = (first.line, first.column)
    if first.text == "}":
        return max(0, braces - 1)
    if place in known.starts:
        return braces
    closing = first.text in _CLOSING
    return braces + 1 + known.depth(place) + max(0, parens - closing)


def _tokens(line: str, number: int) -> Iterator[_Token]:
    for match in _TOKEN.finditer(line):
        text = match.group().rstrip()
        if text:
            yield _Token(str(match.lastgroup), text, number, match.start() + 1)


def _joined(line: list[_Token], known: Structure) -> str:
    parts = [line[0].text]
    for before, token in pairwise(line):
        parts.append(_space(before, token, known) + token.text)
    return "".join(parts)


def _space(before: _Token, token: _Token, known: Structure) -> str:
    """What stands between two tokens of a line."""
    if token.kind == "comment":
        return INDENT
    if token.text in (",", ":", ")", "]") or before.text in ("(", "[", "~"):
        return ""
    if "." in (before.text, token.text):
        return ""
    if token.text == "(" and before.kind == "name" and before.text not in _GROUPING:
        return ""
    # Several statements on one line stand apart.
    starts = (token.line, token.column) in known.starts and before.text != "{"
    return INDENT if starts else " "
