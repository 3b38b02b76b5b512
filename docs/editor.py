"""The TextMate grammar for editors, written from the language's own words.

Goal: highlighting that knows every keyword of the grammar; `--write` renews the file, `--check`
fails when it is old.
Non-goals: parsing (the editor calls `tessera check` or `tessera fmt` for that).

Example: `python docs/editor.py --write`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tessera.lang import scope, syntax_errors

REPO = Path(__file__).resolve().parents[1]
FILE = REPO / "docs" / "editor" / "tess.tmLanguage.json"
PROPERTIES = ("invariant", "step", "promise", "lemma", "cover", "assume", "expect")


def _words(words: tuple[str, ...]) -> str:
    return rf"\b(?:{'|'.join(sorted(words, key=lambda w: (-len(w), w)))})\b"


def grammar() -> dict[str, Any]:
    """The grammar as data."""
    items = tuple(w for w in syntax_errors.ITEM_WORDS if w not in PROPERTIES)
    patterns = [
        {"name": "comment.line.number-sign.tess", "match": r"#.*$"},
        {"name": "string.quoted.double.tess", "match": r'"[^"\n]*"'},
        {
            "match": rf"({_words((*PROPERTIES, 'action', 'function'))})\s+([A-Za-z_]\w*)",
            "captures": {
                "1": {"name": "keyword.declaration.tess"},
                "2": {"name": "entity.name.function.tess"},
            },
        },
        {"name": "keyword.declaration.tess", "match": _words((*items, *PROPERTIES))},
        {"name": "keyword.control.tess", "match": _words(syntax_errors.STATEMENT_WORDS)},
        {"name": "constant.language.tess", "match": r"\b(?:true|false)\b"},
        {"name": "keyword.operator.word.tess", "match": _words(syntax_errors.EXPRESSION_WORDS)},
        {"name": "storage.type.tess", "match": _words(scope.TYPE_WORDS)},
        {"name": "support.function.tess", "match": _words(scope.BUILTINS)},
        {
            "name": "constant.numeric.tess",
            "match": r"\b(?:0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)\b"
            r"(?:\s*(?:KiB|MiB|GiB|Ki|Mi|Gi)\b)?(?:\s*(?:granules|bytes)\b)?",
        },
        {
            "name": "keyword.other.tess",
            "match": _words(
                tuple(
                    w
                    for w in syntax_errors.PLACE_WORDS
                    if w not in ("KiB", "MiB", "GiB", "Ki", "Mi", "Gi", "granules", "bytes")
                )
            ),
        },
        {"name": "keyword.operator.tess", "match": r":=|=>|==|!=|<=|>=|<<|>>|[-+*/%&|^~<>]"},
    ]
    return {
        "$schema": "https://json.schemastore.org/tmlanguage",
        "name": "Tessera",
        "scopeName": "source.tess",
        "fileTypes": ["tess"],
        "patterns": patterns,
    }


def main() -> None:
    """Write or check the file."""
    fresh = json.dumps(grammar(), indent=2) + "\n"
    if "--write" in sys.argv:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(fresh, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != fresh:
        sys.exit("docs/editor/tess.tmLanguage.json is old: run `make docs`")


if __name__ == "__main__":
    main()
