"""Input that would exhaust a recursive program, an integer parser or a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tessera.lang import Spec

LoadText = Callable[..., Spec]
Mistakes = Callable[[str], str]

HEAD = "spec s\nvar x: u8\n"
DEEP = {
    "parentheses": "(" * 3_000 + "x" + ")" * 3_000 + " == 1",
    "open parentheses": "(" * 3_000,
    "not": "not " * 3_000 + "true",
    "sum": "x + " * 3_000 + "x == 1",
    "implication": "true => " * 3_000 + "true",
    "if": "if true then true else " * 2_000 + "true",
    "quantifiers": "forall a: u8: " * 2_000 + "true",
    "casts": "x" + " as u8" * 3_000 + " == 1",
    "fields": "x" + ".lo" * 3_000 + " == 1",
}


@pytest.mark.parametrize("name", [n for n in DEEP if "parentheses" not in n])
def test_deep_nesting(name: str, mistakes: Mistakes) -> None:
    assert "nested more than 60 levels deep" in mistakes(f"{HEAD}invariant i: {DEEP[name]}\n")


def test_deep_parentheses_are_only_parentheses(load_text: LoadText, mistakes: Mistakes) -> None:
    assert load_text(f"{HEAD}invariant i: {DEEP['parentheses']}\n").properties[0].name == "i"
    assert "ends too early" in mistakes(f"{HEAD}invariant i: {DEEP['open parentheses']}\n")


def test_forty_levels_are_allowed(load_text: LoadText) -> None:
    assert load_text(f"{HEAD}invariant i: {'x + ' * 40}x == 1\n").properties[0].name == "i"


def test_calls_count_as_nesting(load_text: LoadText, mistakes: Mistakes) -> None:
    """A chain in which every function calls the next one twice would unfold to 2^n calls."""

    def chain(length: int) -> str:
        calls = (f"function f{i}(): u8 = f{i + 1}() + f{i + 1}()\n" for i in range(length))
        return f"{HEAD}{''.join(calls)}function f{length}(): u8 = x\nlemma l: f0() == 0\n"

    assert "reads the state variable 'x' through 'f0'" in mistakes(chain(50))
    assert "with all calls unfolded, 'f" in mistakes(chain(500))


def test_classes_compared_in_classes_do_not_explode(mistakes: Mistakes) -> None:
    nested = "(if " * 15 + "a <= a" + " then a else b) <= a" * 15
    assert "too long for a comparison of classes" in mistakes(
        f"spec s\nclass a\nclass b > a\ninvariant i: {nested}\n"
    )


@pytest.mark.parametrize("digits", ["9" * 100_000, "0x" + "f" * 100_000, "1" + "_" * 100_000])
def test_huge_literals(digits: str, mistakes: Mistakes) -> None:
    text = mistakes(f"spec s\nparam p: u64 = {digits}\n")
    assert "digits; the widest type holds 20" in text
    assert len(text) < 1000


def test_long_line_is_cut_around_the_caret(mistakes: Mistakes) -> None:
    text = mistakes(f'spec s "{"x" * 200_000}" oops {"y" * 1000}\n')
    message, source, caret, _ = text.split("\n")
    assert message.startswith("main.tess:1:200011: error: 'oops' is not expected here")
    assert len(source) < 120
    place = caret.index("^")
    assert source[place : place + 4] == "oops"
    assert caret.count("^") == 4


def test_control_characters_do_not_reach_the_terminal(mistakes: Mistakes) -> None:
    text = mistakes('spec s "\x1b[31mred\0"\nvar x: u9 "\x1b[2J"\nuse "\x1b[2J.tess"\n')
    assert "\x1b" not in text
    assert "\0" not in text
    text = mistakes('spec s\nvar x: u9 "\x1b[2J"\nvar y: \x1b\n')
    assert "\x1b" not in text


def test_a_file_full_of_mistakes_is_given_up_early(mistakes: Mistakes) -> None:
    text = mistakes("spec s\n" + "".join(f"invariant i{n}: z{n} > 1\n" for n in range(300)))
    assert text.count(": error: ") == 20
    assert text.endswith("... and 80 more mistakes")


def test_many_syntax_errors_are_reported_together(mistakes: Mistakes) -> None:
    text = mistakes("spec s\n" + "invariant a b\n" * 50)
    assert text.count(": error: ") == 10


def test_tabs_keep_the_caret_in_place(mistakes: Mistakes) -> None:
    lines = mistakes("spec s\nvar\tx:\tu9\n").split("\n")
    assert lines[1].index("u9") == lines[2].index("^")
