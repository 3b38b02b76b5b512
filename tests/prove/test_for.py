"""One `for` binds several names, of one type or of several, and all tools mean the same by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from tessera.cli import app
from tessera.results import Obligation

HOLDERS = """spec holders

sort object as o
sort holder as h

var live(o: object): bool
var holds(h: holder, o: object): bool
var age(h: holder, slot: u8): u8

init {
  for o: object { live(o) := true }
  for h: holder, o: object { holds(h, o) := false }
  for h: holder, slot: u8 { age(h, slot) := slot }
}

action get(h: holder, o: object) { require live(o)  holds(h, o) := true }
action drop(g: holder) { for h: holder, o in live where h == g { holds(h, o) := false } }
action grow() { for h: holder, slot: u8 where slot < 3 { age(h, slot) := age(h, slot) + 1 } }

invariant old: forall h: holder, slot: u8: slot >= 3 => age(h, slot) == slot
step kept except get: forall h: holder, o: object where holds(h, o): old(holds(h, o))
cover again: exists g, h: holder, o: object: g != h and holds(g, o) and not holds(h, o)
"""


def test_for_over_two_types_is_proved(verdicts: Callable[..., dict[str, Obligation]]) -> None:
    found = verdicts(HOLDERS)
    assert {o.verdict for o in found.values()} == {"PROVED"}
    assert found["again"].trace is not None and found["again"].trace.replayed


def test_a_wrong_condition_is_found(verdicts: Callable[..., dict[str, Obligation]]) -> None:
    found = verdicts(HOLDERS.replace("where slot < 3 {", "where slot <= 3 {"))
    (broken,) = (o for o in found.values() if o.property == "old")
    assert broken.verdict == "VIOLATED"
    assert broken.trace is not None and broken.trace.replayed
    assert len(broken.trace.steps) == 2


def test_it_is_played(tmp_path: Path) -> None:
    file = tmp_path / "holders.tess"
    file.write_text(HOLDERS)
    done = CliRunner().invoke(app, ["simulate", "--quiet", "--steps", "60", str(file)])
    assert done.exit_code == 0, done.output
    assert "cover again: reached" in done.stdout
    assert "No unexpected violation." in done.stdout
