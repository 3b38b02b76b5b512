"""The manual's code works: every ```tess block of docs/language.md loads, or says what it says.

A block may need declarations that the page does not show; they stand before it in a comment that
starts with `before:`. A ```text block marked `says` is the exact message of the block above it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang.scope import BUILTINS, TYPE_WORDS
from tessera.lang.syntax_errors import EXPRESSION_WORDS, ITEM_WORDS, STATEMENT_WORDS

PAGE = (Path(__file__).resolve().parents[2] / "docs/language.md").read_text("utf-8")
BLOCK = re.compile(
    r"(?:<!-- before:\n(?P<before>.*?)-->\n)?```tess\n(?P<text>.*?)```\n"
    r"(?:\n<!-- says -->\n```text\n(?P<says>.*?)```\n)?",
    re.DOTALL,
)
BLOCKS = list(BLOCK.finditer(PAGE))


def title(block: re.Match[str]) -> str:
    """The section that a block stands in."""
    return PAGE[: block.start()].rpartition("\n## ")[2].partition("\n")[0].replace(" ", "_")


def test_no_block_is_overlooked() -> None:
    assert len(BLOCKS) == PAGE.count("```tess")
    assert sum(1 for block in BLOCKS if block["says"]) == PAGE.count("<!-- says -->") == 1


@pytest.mark.parametrize("block", BLOCKS, ids=title)
def test_block(block: re.Match[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mistakes.tess").write_text((block["before"] or "") + block["text"], "utf-8")
    if block["says"]:
        with pytest.raises(TesseraError) as caught:
            load("mistakes.tess")
        assert caught.value.render() + "\n" == block["says"]
    else:
        assert load("mistakes.tess").name


def test_the_list_of_words_is_complete() -> None:
    section = PAGE.partition("These words are taken:")[2].partition("Other keywords")[0]
    listed = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]*)`", section))))
    assert listed == {
        *ITEM_WORDS,
        *STATEMENT_WORDS,
        *EXPRESSION_WORDS,
        *TYPE_WORDS,
        *BUILTINS,
    }


def test_every_kind_of_item_is_shown() -> None:
    shown = "\n".join((block["before"] or "") + block["text"] for block in BLOCKS)
    for word in (*ITEM_WORDS, *STATEMENT_WORDS):
        assert re.search(rf"\b{word}\b", shown), word
