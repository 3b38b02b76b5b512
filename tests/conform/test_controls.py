"""Negative controls: each is a real change of the patch, applies, and is seen."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_trees import TOY_TREE
from typer.testing import CliRunner, Result

from tessera import resources
from tessera.cli import app
from tessera.conform import controls
from tessera.conform.control_catalogue import CONTROLS
from tessera.conform.controls import (
    CONTEXT,
    Caught,
    Outcome,
    changed_files,
    exit_code,
    run_controls,
)
from tessera.conform.hunks import change, moved, without
from tessera.conform.prepared import Prepared, prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import modelchecker
from tessera.lang import load
from tessera.lang.typed import Spec

NOT_IN_TOY = {"scrub-granules", "scrub-what-was-asked"}
"""They name what the small tree does not have."""


@pytest.fixture(scope="module")
def priority() -> Spec:
    return load(resources.path("specs/policies/priority.tess"))


@pytest.fixture(scope="module")
def toy(priority: Spec) -> list[Outcome]:
    """What the tier smt says about every control on the small tree."""
    return list(run_controls(priority, TOY_TREE, Options(), ("smt",)))


def test_the_catalogue_is_large_and_its_names_are_its_own() -> None:
    assert len(CONTROLS) >= 25
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)
    kinds = {control.kind for control in CONTROLS}
    assert kinds >= {"window", "bounds", "search", "class", "spill", "width", "scrub", "order"}
    assert all(control.doc.endswith(".") for control in CONTROLS)


def apply_all(priority: Spec, tree: Path) -> None:
    text = make_patch(priority, tree, context=CONTEXT).text
    seen = {text}
    for control in CONTROLS:
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


def test_every_control_changes_the_patch_and_still_applies(priority: Spec) -> None:
    apply_all(priority, TOY_TREE)


def test_every_control_applies_to_the_real_tree(priority: Spec, optee_tree: Path) -> None:
    apply_all(priority, optee_tree)


def test_smt_sees_every_control(toy: list[Outcome]) -> None:
    assert [o.control.name for o in toy] == [c.name for c in CONTROLS]
    missed = {o.control.name: o.tiers for o in toy if not o.caught}
    assert missed.keys() <= NOT_IN_TOY, missed
    assert all(o.tiers[0].verdict != "AGREES" for o in toy)


def test_smt_sees_on_the_real_tree_what_the_small_one_lacks(
    priority: Spec, optee_tree: Path
) -> None:
    found = list(run_controls(priority, optee_tree, Options(), ("smt",), sorted(NOT_IN_TOY)))
    assert [o.control.name for o in found if o.caught] == sorted(NOT_IN_TOY)


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
    }
    for outcome in toy:
        kind, check = outcome.control.kind, outcome.tiers[0].check.removeprefix("smt/")
        assert check.startswith("scrub/") if kind == "scrub" else check in about[kind], outcome


def test_a_control_that_is_not_seen_is_exit_code_1(
    priority: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
        yield Check("smt", "smt/blind", "AGREES")

    monkeypatch.setattr("tessera.conform.smt.run", blind)
    found = list(run_controls(priority, TOY_TREE, Options(), ("smt",), ("no-spill",)))
    assert found[0].tiers[0].verdict == "AGREES" and not found[0].caught
    assert exit_code(found) == 1


def test_a_patch_that_was_not_read_is_not_caught() -> None:
    unread = Outcome(CONTROLS[0], (Caught("smt", "UNKNOWN", "smt/patch", "", 0.0),))
    seen = Outcome(CONTROLS[0], (*unread.tiers, Caught("host", "DIFFERS", "host/x", "", 0.0)))
    assert not unread.caught and exit_code([unread]) == 1
    assert seen.caught and exit_code([seen]) == 0


def test_c_that_does_not_end_is_ended(priority: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
        while True:
            time.sleep(0.05)
            yield Check("host", "host/more", "AGREES")

    monkeypatch.setattr("tessera.conform.host.run", endless)
    monkeypatch.setattr(controls, "_DEADLINES", {"host": 0.5})
    (found,) = run_controls(priority, TOY_TREE, Options(), ("host",), ("no-spill",))
    assert found.tiers[0].verdict == "ENDLESS" and found.caught


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
    wanted = ("no-scrub-of-image", "max-for-min")
    found = list(run_controls(priority, optee_tree, Options(), ("cbmc",), wanted))
    seen = {o.control.name: (o.tiers[0].verdict, o.tiers[0].check) for o in found}
    assert seen["no-scrub-of-image"] == ("DIFFERS", "cbmc/image/scrub")
    assert seen["max-for-min"][0] == "DIFFERS"


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
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of three, one of which this tree does not have."""
    names = ("no-spill", "uuid-digit", "scrub-granules")
    few = tuple(control for control in CONTROLS if control.name in names)
    monkeypatch.setattr(controls, "CONTROLS", few)


@pytest.mark.usefixtures("three")
def test_the_table_says_which_tier_saw_what_and_what_none_did() -> None:
    shown = command("--tier", "smt")
    assert shown.exit_code == 1, shown.output
    assert re.search(r"no-spill +spill +DIFFERS spill", shown.stdout)
    assert "2 of 3 controls caught" in shown.stdout
    assert "caught by no tier: scrub-granules" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.usefixtures("three")
def test_the_table_as_json() -> None:
    shown = command("--tier", "smt", "--json")
    rows = json.loads(shown.stdout)
    assert [(row["name"], row["caught"]) for row in rows] == [
        ("uuid-digit", True),
        ("no-spill", True),
        ("scrub-granules", False),
    ]
    assert rows[0]["tiers"]["smt"]["verdict"] == "DIFFERS"


def test_controls_take_no_patch(tmp_path: Path) -> None:
    shown = command("--patch", str(tmp_path / "x.patch"))
    assert isinstance(shown.exception, TesseraError)
    assert "--controls changes the emitted patch" in shown.exception.message
