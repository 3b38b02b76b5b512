"""`tessera conform`: agreement, a changed patch, bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tessera import resources
from tessera.cli import app
from tessera.conform.tiers import Options, available, conform
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.lang import load

TOY_TREE = Path(__file__).parents[1] / "emit" / "tree"


def command(*words: str | Path, tree: Path = TOY_TREE) -> Result:
    few = ("--tier", "host", "--operations", "200", "--tree", str(tree))
    return CliRunner().invoke(app, ["conform", "priority", *few, *map(str, words)])


@pytest.fixture(scope="module")
def emitted() -> str:
    return make_patch(load(resources.find_spec("priority")), TOY_TREE).text


def test_the_emitted_patch_agrees() -> None:
    shown = command("--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert (found["spec"], found["patch"]) == ("priority", "emitted")
    assert {check["verdict"] for check in found["checks"]} <= {"AGREES", "SKIPPED"}
    assert all(check["tier"] == "host" for check in found["checks"])
    table = command()
    assert (table.exit_code, "AGREES" in table.output) == (0, True)


def test_one_changed_character_is_refused(emitted: str, tmp_path: Path) -> None:
    assert "entry->next->offset < lo + psize" in emitted
    changed = tmp_path / "changed.patch"
    changed.write_text(emitted.replace("offset < lo + psize", "offset < lo - psize"))
    shown = command("--patch", changed)
    assert shown.exit_code == 1, shown.output
    assert "DIFFERS" in shown.output
    assert str(changed) in shown.output


def test_a_patch_that_does_not_apply(emitted: str, tmp_path: Path) -> None:
    other = tmp_path / "other.patch"
    other.write_text(emitted.replace(" \tuint32_t flags;", " \tuint16_t flags;"))
    shown = command("--patch", other)
    assert (shown.exit_code, type(shown.exception)) == (1, TesseraError)
    assert "does not apply" in str(shown.exception)
    assert shown.exception.where == str(other)  # type: ignore[union-attr]


def test_a_renamed_function(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(TOY_TREE, tree)
    file = tree / "core/mm/tee_mm.c"
    file.write_text(file.read_text().replace("tee_mm_alloc_flags", "tee_mm_allocate_flags"))
    with pytest.raises(TesseraError, match=r"hook 'class'.*nearest is tee_mm_alloc"):
        conform(load(resources.find_spec("priority")), tree, None, ["host"], Options())


def test_an_unknown_tier() -> None:
    with pytest.raises(TesseraError, match="no tier 'hots'"):
        conform(load(resources.find_spec("priority")), TOY_TREE, None, ["hots"], Options())
    assert "host" in available()
