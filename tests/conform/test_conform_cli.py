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
FEW = ("--tier", "host", "--operations", "6000")


def command(tree: Path, *words: str | Path) -> Result:
    line = ["conform", "priority", *FEW, "--tree", str(tree), *map(str, words)]
    return CliRunner().invoke(app, line)


@pytest.fixture(scope="module")
def emitted(optee_tree: Path) -> str:
    return make_patch(load(resources.find_spec("priority")), optee_tree).text


def test_the_emitted_patch_agrees(optee_tree: Path) -> None:
    shown = command(optee_tree, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert (found["spec"], found["patch"]) == ("priority", "emitted")
    checks = found["checks"]
    assert {(check["tier"], check["verdict"]) for check in checks} == {("host", "AGREES")}
    assert sum(c["counts"]["operations"] for c in checks if "/loop/" in c["name"]) >= 6000
    assert all(c["counts"]["refused"] for c in checks)
    assert all(c["counts"]["failures"] for c in checks if "/reference/" not in c["name"])


def test_one_changed_character_is_refused(emitted: str, optee_tree: Path, tmp_path: Path) -> None:
    assert "entry->next->offset < lo + psize" in emitted
    changed = tmp_path / "changed.patch"
    changed.write_text(emitted.replace("offset < lo + psize", "offset < lo - psize"))
    shown = command(optee_tree, "--patch", changed)
    assert shown.exit_code == 1, shown.output
    assert "DIFFERS" in shown.output
    assert str(changed) in shown.output
    assert "; the spec: granules [" in shown.output  # the trace says what each of them does


def test_a_patch_that_does_not_apply(emitted: str, optee_tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.patch"
    other.write_text(emitted.replace(" \tuint32_t flags;", " \tuint16_t flags;"))
    shown = command(optee_tree, "--patch", other)
    assert isinstance(shown.exception, TesseraError)
    assert "does not apply" in shown.exception.message
    assert shown.exception.where == str(other)


def test_a_patch_that_does_not_compile(emitted: str, optee_tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.patch"
    other.write_text(emitted.replace("goto again;", "goto agian;"))
    shown = command(optee_tree, "--patch", other)
    assert isinstance(shown.exception, TesseraError)
    assert "label" in shown.exception.message and "agian" in shown.exception.message
    assert str(shown.exception.where).startswith("core/mm/tee_mm.c:")


def test_a_renamed_function(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(TOY_TREE, tree)
    file = tree / "core/mm/tee_mm.c"
    file.write_text(file.read_text().replace("tee_mm_alloc_flags", "tee_mm_allocate_flags"))
    with pytest.raises(TesseraError, match=r"hook 'class'.*nearest is tee_mm_alloc"):
        conform(load(resources.find_spec("priority")), tree, None, ["host"], Options())


def test_a_tree_without_the_rest() -> None:
    """The small tree has the shape that hooks look for, and not what the tier compiles."""
    with pytest.raises(TesseraError, match="the tree lacks what the host tier compiles") as raised:
        conform(load(resources.find_spec("priority")), TOY_TREE, None, ["host"], Options())
    assert str(raised.value.where).endswith("core/include/mm/phys_mem.h")


def test_a_spec_of_something_else(optee_tree: Path, tmp_path: Path, emitted: str) -> None:
    patch = tmp_path / "emitted.patch"
    patch.write_text(emitted)
    ring = load(resources.find_spec("specs/lessons/ring_buffer.tess"))
    with pytest.raises(TesseraError, match="not one of the page pool"):
        conform(ring, optee_tree, patch, ["host"], Options())


def test_an_unknown_tier() -> None:
    with pytest.raises(TesseraError, match="no tier 'hots'"):
        conform(load(resources.find_spec("priority")), TOY_TREE, None, ["hots"], Options())
    assert "host" in available()
