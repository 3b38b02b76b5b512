"""The formatter: nothing but blanks changes, twice is once, and shipped specs are formatted."""

from __future__ import annotations

import random
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.lang.format import format_text
from tessera.lang.source import Source

ROOT = Path(__file__).parents[2]
SAMPLES = [ROOT / "models/optee/pool.tess", ROOT / "specs/policies/priority.tess"]
TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|\w+|:=|\.\.|=>|[=!<>]=|<<|>>|\S')


def formatted(text: str) -> str:
    return format_text(Source(Path("x.tess"), "x.tess", text))


def spread(line: str, chance: random.Random) -> str:
    """More blanks between the tokens of a line that has no comment and no text."""
    if "#" in line or '"' in line:
        return line
    return re.sub(r" ", lambda _: " " * chance.randrange(1, 4), line)


def tokens(text: str) -> list[str]:
    return [t.rstrip() for t in TOKEN.findall(text)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), which=st.sampled_from(SAMPLES))
def test_blanks_are_all_that_changes(seed: int, which: Path) -> None:
    """Whatever blanks an author writes, tokens stay and a second pass changes nothing."""
    chance = random.Random(seed)
    text = which.read_text(encoding="utf-8")
    mangled = "\n".join(
        " " * chance.randrange(5)
        + spread(line, chance)
        + " " * chance.randrange(2)
        + "\n" * chance.choice((0, 0, 0, 2))
        for line in text.split("\n")
    )
    once = formatted(mangled)
    assert tokens(once) == tokens(text)
    assert formatted(once) == once


def test_what_it_does() -> None:
    text = """


spec   a    "doc"
var  x:u8
   var live(b :u8) : bool
action   go( n: u8 ){
require n<3   # enough
      x:=n+1  y := 2
  for b in live where b==n {live(b):=false}


}
invariant small:
x<=9 and
(forall b: u8 where live(b) :
b < 9)
   # the end
"""
    assert (
        formatted(text)
        == """spec a "doc"
var x: u8
var live(b: u8): bool
action go(n: u8) {
  require n < 3  # enough
  x := n + 1  y := 2
  for b in live where b == n { live(b) := false }
}
invariant small:
  x <= 9 and
  (forall b: u8 where live(b):
      b < 9)
# the end
"""
    )


def test_a_wrong_file_is_not_touched(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tess", tmp_path / "bad.tess"
    good.write_text("spec   g\n")
    bad.write_text("spec b\nvar x u8\n")
    done = CliRunner().invoke(app, ["fmt", str(good), str(bad)])
    assert isinstance(done.exception, TesseraError)
    assert done.exception.exit_code == 2
    assert good.read_text() == "spec   g\n"


def test_command(tmp_path: Path) -> None:
    file = tmp_path / "a.tess"
    file.write_text("spec   a\n")
    run = CliRunner().invoke
    assert run(app, ["fmt", "--check", str(tmp_path)]).exit_code == 1
    assert file.read_text() == "spec   a\n"
    shown = run(app, ["fmt", "--diff", str(file)])
    assert (shown.exit_code, "+spec a" in shown.output) == (1, True)
    assert run(app, ["fmt", str(file)]).exit_code == 0
    assert file.read_text() == "spec a\n"
    assert run(app, ["fmt", "--check", str(file)]).exit_code == 0
    assert run(app, ["fmt", "-"], input="spec   b").output == "spec b\n"
