"""The tier `builds`: which trees it looks at, what it says of each, and its table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_tree import HOST
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.cli.builds_matrix import cells_of
from tessera.conform import builds
from tessera.conform.build_cells import CONFIGURATIONS, Configuration, compiled
from tessera.conform.prepared import prepared
from tessera.conform.result import QUICK, Check
from tessera.conform.tiers import Options, available
from tessera.errors import TesseraError
from tessera.guest import optee, releases
from tessera.lang import Spec, load

TOY_TREE = Path(__file__).parents[1] / "emit" / "tree"
STATS = Configuration("host/stats", HOST, {"CFG_WITH_STATS": "y"})
# Its files are no whole C; what it compiles is only what a policy puts in.
MAKEFILE = """\
$(O)/conf.mk:
	@mkdir -p $(@D) && echo CFG_WITH_STATS=$(CFG_WITH_STATS) > $@
$(O)/%.o: %.c
	@mkdir -p $(@D) && cp $< $@
"""


@pytest.fixture
def spec() -> Spec:
    return load(resources.find_spec("priority"))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small tree with a makefile, one configuration, and nothing known of what apt offers."""
    tree = tmp_path / "toy"
    shutil.copytree(TOY_TREE, tree)
    (tree / "Makefile").write_text(MAKEFILE)
    monkeypatch.setattr(releases, "at_hand", lambda: None)
    monkeypatch.setattr(builds, "CONFIGURATIONS", (STATS,))
    return tree


def verdicts(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.verdict for check in checks}


def test_it_is_a_tier_that_is_asked_for() -> None:
    assert "builds" in available() and "builds" not in QUICK


def test_the_given_tree_and_what_apt_offers_are_looked_at(toy: Path, tmp_path: Path) -> None:
    offered = (
        releases.Release("4.10.0-2", ""),
        releases.Release("4.5.0-2", "", "optee-os_4.5.0-2.dsc: 404 Not Found"),
    )
    found = builds.versions(toy, offered)
    assert [one.label for one in found] == ["4.10.0:toy", "4.10.0-2", "4.5.0-2"]
    assert [one.tree is not None for one in found] == [True, False, False]
    assert [one.label for one in builds.versions(toy, offered, alone=True)] == ["4.10.0:toy"]


def test_a_tree_that_apt_gave_has_debians_number(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tessera/sources").mkdir(parents=True)
    shutil.move(toy, tmp_path / "tessera/sources/b")
    offered = (releases.Release("5-1", "sources/a"), releases.Release("4-1", "sources/b"))
    found = builds.versions(tmp_path / "tessera/sources/b", offered)
    assert [(one.label, one.tree is not None) for one in found] == [("4-1", True), ("5-1", False)]


def test_a_version_that_apt_did_not_give_is_listed_with_the_reason(spec: Spec) -> None:
    version = builds.Version("4.5.0-2", None, "optee-os_4.5.0-2.dsc: 404 Not Found")
    (check,) = builds.survey(spec, version)
    assert (check.name, check.verdict) == ("builds/4.5.0-2/patch", "SKIPPED")
    assert "404 Not Found" in check.detail and "setup --builds" in check.remedy


def test_a_version_beyond_the_hooks_is_said(toy: Path, spec: Spec) -> None:
    config = toy / "mk/config.mk"
    config.write_text(config.read_text().replace("MINOR ?= 10", "MINOR ?= 99"))
    (check,) = builds.survey(spec, builds.Version("4.99", toy))
    assert (check.verdict, check.detail) == ("SKIPPED", "no hooks are known for OP-TEE 4.99")


def test_a_rewritten_function_names_the_hook_and_the_nearest_line(toy: Path, spec: Spec) -> None:
    file = toy / "core/mm/tee_mm.c"
    file.write_text(file.read_text().replace("\tnn->pool = pool;", "\tnn->pool = the_pool;"))
    (check,) = builds.survey(spec, builds.Version("4.10", toy))
    assert check.verdict == "DIFFERS"
    assert "hook 'offset' does not fit" in check.detail
    assert "nearest is line" in check.detail and "the_pool" in check.detail
    assert check.where == str(file)


def test_a_renamed_function_names_the_nearest(toy: Path, spec: Spec) -> None:
    file = toy / "core/mm/fobj.c"
    file.write_text(file.read_text().replace("sec_mem_free", "sec_mem_release"))
    (check,) = builds.survey(spec, builds.Version("4.10", toy))
    assert check.verdict == "DIFFERS"
    assert "there is no sec_mem_free; nearest is sec_mem_release" in check.detail


def test_a_policy_that_changes_nothing_is_no_agreement(toy: Path) -> None:
    vanilla = load(resources.find_spec("vanilla"))
    with prepared(vanilla, toy) as ready:
        (check,) = builds.run(vanilla, ready, Options())
    assert (check.verdict, check.detail) == (
        "SKIPPED", "the policy changes nothing in this tree",
    )  # fmt: skip


def command(tree: Path, *words: str) -> tuple[int, str]:
    line = ["conform", "priority", "--tier", "builds", "--tree", str(tree), *words]
    done = CliRunner().invoke(app, line, env={"COLUMNS": "140"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def test_the_command_shows_a_table_and_what_is_missing(toy: Path) -> None:
    code, shown = command(toy)
    assert code == 0, shown
    assert "which versions apt offers is not known" in shown
    assert "tessera guest setup --builds" in shown
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert rows["host/stats"] == ["AGREES"] and rows["git-am"] == ["AGREES"]


def test_json_has_every_check(toy: Path) -> None:
    code, shown = command(toy, "--json")
    found = json.loads(shown)
    assert code == 0 and found["patch"] == "emitted"
    names = [check["name"].removeprefix("builds/4.10.0:toy/") for check in found["checks"]]
    assert names == ["builds/offered", "patch", "checkpatch", "git-am", "host/stats"]
    assert found["checks"][-1]["counts"]["objects"] == 4


def test_a_given_patch_is_taken_as_it_is(toy: Path, spec: Spec, tmp_path: Path) -> None:
    with prepared(spec, toy) as ready:
        text = ready.text
    patch = tmp_path / "changed.patch"
    patch.write_text(text.replace("Subject: [PATCH] core", "Subject: [PATCH] [RFC] core"))
    code, shown = command(toy, "--patch", str(patch), "--json")
    assert code == 0, shown
    assert json.loads(shown)["checks"][0]["name"] == "builds/4.10.0:toy/patch"


def test_what_differs_is_exit_code_1(toy: Path, spec: Spec) -> None:
    (toy / "Makefile").write_text(
        MAKEFILE + "\t@! grep -q again: $< || echo '$<:7:1: warning: a label' >&2\n"
    )
    code, shown = command(toy)
    assert code == 1, shown
    assert "1 new warning: a label" in shown
    assert "core/mm/tee_mm.c:7: warning: a label" in shown


def test_cells_are_named_by_version_and_row() -> None:
    checks = [
        Check("builds", "builds/4.10.0-2/64/no-stats", "AGREES"),
        Check("builds", "builds/offered", "SKIPPED"),
        Check("smt", "smt/a/b", "AGREES"),
    ]
    assert cells_of(checks) == {("4.10.0-2", "64/no-stats"): "AGREES"}


@pytest.mark.guest
def test_the_real_tree_in_two_configurations(optee_tree: Path, spec: Spec) -> None:
    """One of each width; the 32-bit one needs a compiler that not everybody has."""
    chosen = [c for c in CONFIGURATIONS if c.name in ("64/stats", "32/virtualization-no-stats")]
    assert len(chosen) == 2
    version = builds.versions(optee_tree, (), alone=True)[0]
    found = list(builds.survey(spec, version, configurations=chosen))
    for check in found:
        assert check.verdict == "AGREES" or (check.verdict, check.remedy) == (
            "SKIPPED", releases.MEND,
        ), check  # fmt: skip
    said = verdicts(found)
    assert said[f"builds/{version.label}/patch"] == "AGREES"
    assert said[f"builds/{version.label}/git-am"] == "AGREES"
    assert said[f"builds/{version.label}/64/stats"] == "AGREES"
    compiled = [check for check in found if check.counts.get("objects")]
    assert all(check.counts == {
        "objects": 4, "warnings_before": 0, "warnings_after": 0,
    } for check in compiled)  # fmt: skip


@pytest.mark.guest
def test_a_new_warning_in_the_real_tree_is_caught(
    optee_tree: Path, priority_patch: str, tmp_path: Path
) -> None:
    old = "+\tuint64_t lo = 0;\n"
    assert priority_patch.count(old) == 1
    careless = priority_patch.replace(old, "+\tuint64_t lo = 0, hi;\n")
    optee.copy_tree(optee_tree, tmp_path / "optee")
    (check,) = compiled("4.10", tmp_path / "optee", careless, CONFIGURATIONS[:1])
    assert check.verdict == "DIFFERS"
    assert "1 new warning: unused variable" in check.detail
    assert check.where.startswith("core/mm/tee_mm.c:")


def test_a_missing_tree_is_bad_input(tmp_path: Path) -> None:
    line = ["conform", "priority", "--tier", "builds", "--tree", str(tmp_path / "nowhere")]
    done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, TesseraError)
