"""Negative controls: each is a real change of the patch, applies, and is seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from control_trees import TOY_TREE
from typer.testing import CliRunner, Result

from tessera import resources
from tessera.cli import app, controls_table
from tessera.conform import controls
from tessera.conform.control_catalogue import CONTROLS, removed
from tessera.conform.controls import (
    CONTEXT,
    NOT_TRIED,
    Caught,
    Outcome,
    changed_files,
    exit_code,
    run_controls,
)
from tessera.conform.controls_chosen import CHOSEN
from tessera.conform.hunks import change, moved, without
from tessera.conform.patched import MEMORY
from tessera.conform.prepared import Prepared, prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options, Tier
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import modelchecker
from tessera.lang import load
from tessera.lang.typed import Spec

NOT_IN_TOY = {"scrub-granules", "scrub-what-was-asked", "scrub-of-what-is-handed-out"}
"""They name what the small tree does not have."""
UNREAD = {"scrub-granules"}
"""Of those, one that changes its patch all the same, into what cannot be read."""


@pytest.fixture(scope="module")
def priority() -> Spec:
    return load(resources.path("specs/policies/priority.tess"))


@pytest.fixture(scope="module")
def toy(priority: Spec) -> list[Outcome]:
    """What the tier smt says about every control on the small tree: each is tried once."""
    there = [control.name for control in CONTROLS if control.name not in NOT_IN_TOY - UNREAD]
    return list(run_controls(priority, TOY_TREE, Options(), ("smt",), there))


def test_the_catalogue_is_large_and_its_names_are_its_own() -> None:
    assert len(CONTROLS) >= 25
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)
    kinds = {control.kind for control in CONTROLS}
    assert kinds >= {
        "window",
        "bounds",
        "search",
        "class",
        "spill",
        "width",
        "scrub",
        "order",
        "hook",
    }
    assert all(control.doc.endswith(".") for control in CONTROLS)


def apply_all(priority: Spec, tree: Path, but: frozenset[str] = frozenset()) -> None:
    text = make_patch(priority, tree, context=CONTEXT).text
    seen = {text}
    for control in (one for one in CONTROLS if one.name not in but):
        changed = control.change(text)
        assert changed not in seen, f"{control.name} changes nothing new"
        seen.add(changed)
        done = subprocess.run(
            ["patch", "-s", "-p1", "--fuzz=0", "--dry-run"],
            cwd=tree,
            input=changed,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"{control.name}: {done.stdout}"
        assert not git_says(tree, changed), control.name


def git_says(tree: Path, text: str) -> str:
    """What git has against a patch, as the tier guest asks it; empty for nothing."""
    done = subprocess.run(
        ["git", "apply", "--check", "--unidiff-zero", "-"],
        cwd=tree,
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent), "GIT_DIR": "/dev/null"},
    )
    return done.stderr.strip()


def test_every_control_changes_the_patch_and_still_applies(priority: Spec) -> None:
    apply_all(priority, TOY_TREE, frozenset(NOT_IN_TOY - UNREAD))


def test_every_control_applies_to_the_real_tree(priority: Spec, optee_tree: Path) -> None:
    apply_all(priority, optee_tree)


def test_smt_sees_every_control(toy: list[Outcome]) -> None:
    there = [c.name for c in CONTROLS if c.name not in NOT_IN_TOY - UNREAD]
    assert [o.control.name for o in toy] == there
    missed = {o.control.name: o.tiers for o in toy if not o.caught}
    assert missed.keys() <= UNREAD, missed
    assert all(o.tiers[0].verdict != "AGREES" for o in toy)


def test_smt_sees_on_the_real_tree_what_the_small_one_lacks(
    priority: Spec, optee_tree: Path
) -> None:
    found = list(run_controls(priority, optee_tree, Options(), ("smt",), sorted(NOT_IN_TOY)))
    assert sorted(o.control.name for o in found if o.caught) == sorted(NOT_IN_TOY)


def test_the_check_that_sees_a_control_is_about_the_same_thing(toy: list[Outcome]) -> None:
    """A control of windows is not caught by chance, through something else that it breaks."""
    about = {
        "window": ("window.lo", "window.hi"),
        "bounds": ("window.hi",),
        "search": ("search", "offset"),
        "class": ("class", "uuids"),
        "spill": ("spill",),
        "width": ("pages", "window.lo", "window.hi"),
        "pools": ("pages",),
        "order": ("order",),
        "hook": ("order", "window.hi"),
    }
    for outcome in toy:
        kind, check = outcome.control.kind, outcome.tiers[0].check.removeprefix("smt/")
        assert check.startswith("scrub/") if kind == "scrub" else check in about[kind], outcome


def test_a_control_that_is_not_seen_is_exit_code_1(
    priority: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(spec: Spec, ready: Prepared, options: Options) -> dict[str, Callable[[], Check]]:
        return {"blind": lambda: Check("smt", "smt/blind", "AGREES")}

    monkeypatch.setattr("tessera.conform.smt.plan", blind)
    found = list(run_controls(priority, TOY_TREE, Options(), ("smt",), ("no-spill",)))
    assert found[0].tiers[0].verdict == "AGREES" and not found[0].caught
    assert exit_code(found) == 1


def test_a_patch_that_was_not_read_is_not_caught() -> None:
    unread = Outcome(CONTROLS[0], (Caught("smt", "UNKNOWN", "smt/patch", "", 0.0),))
    seen = Outcome(CONTROLS[0], (*unread.tiers, Caught("host", "DIFFERS", "host/x", "", 0.0)))
    assert not unread.caught and exit_code([unread]) == 1
    assert seen.caught and exit_code([seen]) == 0


def test_a_slow_tier_gets_its_own_few(priority: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most four boots; the others are not tried, which is not the same as missed."""
    given: list[str] = []

    def sees(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
        given.append("one")
        yield Check("guest", "guest/trace", "DIFFERS")

    monkeypatch.setattr("tessera.conform.guest.run", sees)
    found = list(run_controls(priority, TOY_TREE, Options(), ("guest",)))
    tried = {o.control.name for o in found if o.tried}
    assert tried == CHOSEN["guest"].keys() and len(given) == len(tried) <= 4
    assert {o.tiers[0].verdict for o in found if not o.tried} == {NOT_TRIED}
    assert exit_code(found) == 0
    assert exit_code([o for o in found if not o.tried]) == 1  # nothing was looked at
    (named,) = run_controls(priority, TOY_TREE, Options(), ("guest",), ("max-for-min",))
    assert named.tried and named.caught  # asked for by name


def test_what_a_slow_tier_is_given_is_in_the_catalogue() -> None:
    names = {control.name: control.kind for control in CONTROLS}
    assert all(chosen.keys() <= names.keys() for chosen in CHOSEN.values())
    assert all(why for chosen in CHOSEN.values() for why in chosen.values())
    kinds = [names[name] for name in CHOSEN["cbmc"]]
    assert sorted(kinds) == sorted({*names.values()})  # one of each kind


def endless(seconds: float) -> Tier:
    """A tier that runs for ever, and rests so long after each step."""

    def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
        while True:
            time.sleep(seconds)
            yield Check("host", "host/more", "AGREES")

    return run


def test_c_that_does_not_end_is_ended(priority: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.conform.host.run", endless(0))
    monkeypatch.setattr(controls, "_DEADLINES", {"host": 0.5})
    monkeypatch.setattr(controls, "_ON_THE_CLOCK", 1000)
    (found,) = run_controls(priority, TOY_TREE, Options(), ("host",), ("no-spill",))
    assert found.tiers[0].verdict == "ENDLESS" and found.caught
    assert found.tiers[0].processor >= 0.5


def test_c_that_has_to_wait_for_a_processor_is_not_called_endless(
    priority: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.conform.host.run", endless(0.5))
    monkeypatch.setattr(controls, "_DEADLINES", {"host": 0.3})
    monkeypatch.setattr(controls, "_ON_THE_CLOCK", 2)
    monkeypatch.setattr(controls, "_spent", lambda _: 0.0)
    (found,) = run_controls(priority, TOY_TREE, Options(), ("host",), ("no-spill",))
    assert found.tiers[0].verdict == "UNKNOWN" and not found.caught


def test_the_tier_that_runs_the_c_sees_a_control(priority: Spec, optee_tree: Path) -> None:
    few = Options(operations=1000)
    (found,) = run_controls(priority, optee_tree, few, ("host",), ("lo-of-the-other-class",))
    assert found.tiers[0].verdict == "DIFFERS", found


def test_the_model_checker_is_asked_only_of_what_changed(priority: Spec, optee_tree: Path) -> None:
    text = make_patch(priority, optee_tree, context=CONTEXT).text
    by_name = {control.name: control for control in CONTROLS}
    files = changed_files(text, by_name["no-scrub-of-image"].change(text))
    assert files == ("core/kernel/ree_fs_ta.c",)
    assert changed_files(text, by_name["no-spill"].change(text)) == ("core/mm/tee_mm.c",)
    assert changed_files(text, text) == ()
    if modelchecker.at_hand() is None:
        pytest.skip(f"CBMC is optional and not here: {modelchecker.MEND}")
    (found,) = run_controls(priority, optee_tree, Options(), ("cbmc",), ("no-scrub-of-image",))
    assert (found.tiers[0].verdict, found.tiers[0].check) == ("DIFFERS", "cbmc/image/scrub")
    assert found.tiers[0].processor > 0


@pytest.mark.parametrize("name", ["nothing", "no-spil"])
def test_an_unknown_control_is_an_error(priority: Spec, name: str) -> None:
    with pytest.raises(TesseraError, match="there is no control"):
        list(run_controls(priority, TOY_TREE, Options(), ("smt",), (name,)))


def test_a_policy_without_windows_has_few_controls() -> None:
    vanilla = load(resources.path("specs/policies/vanilla.tess"))
    with pytest.raises(TesseraError, match="no control applies"):
        list(run_controls(vanilla, TOY_TREE, Options(), ("smt",)))


# --- hunks ----------------------------------------------------------------------------------------

PATCH = """--- a/x.c
+++ b/x.c
@@ -1,4 +1,6 @@
 one
+two
+three
 four
 five
 six
@@ -10,2 +12,3 @@
 ten
+eleven
 twelve
"""


def test_headers_are_counted_anew() -> None:
    made = change(PATCH, "x.c", lambda lines: without(lines, "two"))
    assert "@@ -1,2 +1,3 @@\n one\n+three\n four\n" in made
    assert "@@ -10,2 +11,3 @@" in made


def test_a_hunk_without_changes_goes() -> None:
    made = change(PATCH, "x.c", lambda lines: without(lines, "eleven"))
    assert "ten" not in made and made.count("@@") == 2


def test_a_file_without_hunks_goes_with_its_header(priority: Spec) -> None:
    assert change(PATCH, "x.c", lambda lines: [x for x in lines if x[0] == " "]) == ""
    text = make_patch(priority, TOY_TREE, context=CONTEXT).text
    made = removed(MEMORY, "IS_ENABLED(", "pool->pages = ")(text)
    assert MEMORY in text and f"a/{MEMORY}" not in made
    assert made.count("diff --git") == text.count("diff --git") - 1


def test_lines_move_to_the_nearest_anchor() -> None:
    made = change(PATCH, "x.c", lambda lines: moved(lines, "two", "three", "four", after=True))
    assert " four\n+two\n+three\n five\n" in made


def test_nothing_found_is_the_same_text() -> None:
    assert change(PATCH, "x.c", lambda lines: without(lines, "seven")) == PATCH
    assert change(PATCH, "y.c", lambda lines: lines[1:]) == PATCH


def test_the_untouched_patch_with_more_context_applies(tmp_path: Path, priority: Spec) -> None:
    patch = tmp_path / "whole.patch"
    patch.write_text(make_patch(priority, TOY_TREE, context=CONTEXT).text, encoding="utf-8")
    with prepared(priority, TOY_TREE, patch) as ready:
        assert "again:" in (ready.root / "core/mm/tee_mm.c").read_text(encoding="utf-8")


# --- the command ----------------------------------------------------------------------------------


def command(*words: str) -> Result:
    line = ["conform", "priority", "--controls", "--tree", str(TOY_TREE), *words]
    return CliRunner().invoke(app, line)


@pytest.fixture
def three(toy: list[Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said of three, one of which this tree does not have, and one that was not tried."""
    names = ("no-spill", "uuid-digit", "scrub-granules")
    few = [outcome for outcome in toy if outcome.control.name in names]
    left = Outcome(CONTROLS[0], (Caught("smt", NOT_TRIED, "", "", 0.0),))
    monkeypatch.setattr(controls_table, "run_controls", lambda *_: iter([*few, left]))


@pytest.mark.usefixtures("three")
def test_the_table_says_which_tier_saw_what_and_what_none_did() -> None:
    shown = command("--tier", "smt")
    assert shown.exit_code == 1, shown.output
    assert re.search(r"no-spill +spill +DIFFERS spill", shown.stdout)
    assert re.search(rf"{CONTROLS[0].name} +window +not tried\s*\n", shown.stdout)
    assert "2 of 3 controls caught, 1 not tried" in shown.stdout
    assert "smt: 2 of 3" in shown.stdout
    assert "caught by no tier: scrub-granules\n" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.usefixtures("three")
def test_the_table_as_json() -> None:
    shown = command("--tier", "smt", "--json")
    rows = json.loads(shown.stdout)
    assert [(row["name"], row["caught"]) for row in rows[:3]] == [
        ("uuid-digit", True),
        ("no-spill", True),
        ("scrub-granules", False),
    ]
    assert rows[0]["tiers"]["smt"]["verdict"] == "DIFFERS"
    assert rows[0]["tiers"]["smt"]["processor"] > 0
    assert rows[3]["tiers"]["smt"]["verdict"] == NOT_TRIED


def test_controls_take_no_patch(tmp_path: Path) -> None:
    shown = command("--patch", str(tmp_path / "x.patch"))
    assert isinstance(shown.exception, TesseraError)
    assert "--controls changes the emitted patch" in shown.exception.message
