"""Hooks are found by syntax, exactly once, or refused with a message that helps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tessera.emit import make_patch
from tessera.emit.hooks import Finder, hooks_for
from tessera.emit.source import open_tree
from tessera.errors import TesseraError
from tessera.lang.typed import Spec

TEE_MM = "core/mm/tee_mm.c"


def change(tree: Path, file: str, old: str, new: str) -> None:
    path = tree / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_hook_fits_the_small_tree(toy_tree: Path) -> None:
    tree = open_tree(toy_tree)
    finder = Finder(tree)
    hooks = hooks_for(tree).hooks
    assert len({hook.name for hook in hooks}) == len(hooks)
    for hook in hooks:
        assert 0 < finder.line_of(hook) < len(finder.text(hook.file).split("\n"))
        assert not finder.is_done(hook)


def test_lines_move_with_the_code(toy_tree: Path, priority: Spec) -> None:
    before = make_patch(priority, toy_tree)
    change(toy_tree, TEE_MM, "#include <util.h>\n", "#include <util.h>\n\n/* Longer */\n\n")
    after = make_patch(priority, toy_tree)
    added = [[x for x in p.text.splitlines() if x.startswith("+\t")] for p in (before, after)]
    assert added[0] == added[1] and before.text != after.text


def test_changed_statement_names_hook_wish_and_nearest(toy_tree: Path, priority: Spec) -> None:
    change(toy_tree, TEE_MM, "\tnn->pool = pool;", "\tnn->pool = the_pool;")
    with pytest.raises(TesseraError) as info:
        make_patch(priority, toy_tree)
    text = info.value.render()
    assert "hook 'offset'" in text and "the assignment of the new entry's pool" in text
    assert re.search(r"nearest is line \d+, `nn->pool = the_pool;`", text)
    assert text.startswith(str(toy_tree / TEE_MM))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (TEE_MM, "\ttee_mm_add(entry, nn);", "\ttee_mm_insert(entry, nn);"),
        (TEE_MM, "\nerr:", "\nfailed:"),
        ("core/mm/fobj.c", "\ttee_mm_free(f->mm);", "\tphys_mem_free(f->mm);"),
    ],
)
def test_the_nearest_is_a_statement_of_the_same_kind(
    toy_tree: Path, priority: Spec, file: str, old: str, new: str
) -> None:
    if old.startswith("\nerr"):
        change(toy_tree, file, "goto err;", "goto failed;")
    change(toy_tree, file, old, new)
    with pytest.raises(TesseraError) as info:
        make_patch(priority, toy_tree)
    assert f", `{new.strip()}`" in info.value.message


def test_missing_function_names_the_nearest(toy_tree: Path, priority: Spec) -> None:
    change(toy_tree, "core/mm/fobj.c", "sec_mem_free", "sec_mem_release")
    with pytest.raises(TesseraError, match="there is no sec_mem_free; nearest is sec_mem_release"):
        make_patch(priority, toy_tree)


def test_a_function_of_another_name_is_known_by_its_statements(
    toy_tree: Path, priority: Spec
) -> None:
    change(toy_tree, TEE_MM, "tee_mm_alloc_flags(", "reserve(")
    with pytest.raises(TesseraError) as info:
        make_patch(priority, toy_tree)
    assert re.search(
        r"there is no tee_mm_alloc_flags or tee_mm_alloc; "
        r"nearest is reserve in line \d+$",
        info.value.message,
    )


def test_two_places_are_one_too_many(toy_tree: Path, priority: Spec) -> None:
    change(toy_tree, TEE_MM, "\tnn->pool = pool;", "\tnn->pool = pool;\n\tnn->pool = pool;")
    with pytest.raises(TesseraError, match="2 places that match, not one"):
        make_patch(priority, toy_tree)


def test_statement_that_does_not_start_its_line(toy_tree: Path, priority: Spec) -> None:
    change(toy_tree, TEE_MM, "\tnn->pool = pool;", "\tpsize = 0; nn->pool = pool;")
    with pytest.raises(TesseraError, match="hook 'offset' does not fit"):
        make_patch(priority, toy_tree)


def test_missing_file(toy_tree: Path, priority: Spec) -> None:
    (toy_tree / "core/mm/fobj.c").unlink()
    with pytest.raises(TesseraError, match=r"cannot read core/mm/fobj.c"):
        make_patch(priority, toy_tree)


def test_file_that_is_not_text(toy_tree: Path, priority: Spec) -> None:
    (toy_tree / "core/mm/fobj.c").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TesseraError, match="not UTF-8"):
        make_patch(priority, toy_tree)


def test_noise_instead_of_code(toy_tree: Path, priority: Spec) -> None:
    (toy_tree / TEE_MM).write_text("}{" * 10000)
    with pytest.raises(TesseraError, match="there is no tee_mm_alloc_flags"):
        make_patch(priority, toy_tree)


def test_missing_tree(tmp_path: Path, priority: Spec) -> None:
    with pytest.raises(TesseraError, match="does not exist"):
        make_patch(priority, tmp_path / "nowhere")


def test_tree_that_is_a_file(toy_tree: Path, priority: Spec) -> None:
    with pytest.raises(TesseraError, match="is not a folder"):
        make_patch(priority, toy_tree / TEE_MM)


def test_not_optee(tmp_path: Path, priority: Spec) -> None:
    with pytest.raises(TesseraError, match="not an OP-TEE source tree"):
        make_patch(priority, tmp_path)


@pytest.mark.parametrize(("minor", "known"), [(4, False), (5, True), (10, True), (11, False)])
def test_version_range(toy_tree: Path, priority: Spec, minor: int, known: bool) -> None:
    change(toy_tree, "mk/config.mk", "MINOR ?= 10", f"MINOR ?= {minor}")
    if known:
        assert make_patch(priority, toy_tree).target == f"OP-TEE 4.{minor}"
    else:
        with pytest.raises(TesseraError, match=rf"no hooks are known for OP-TEE 4.{minor}"):
            make_patch(priority, toy_tree)


def test_tree_without_version(toy_tree: Path, priority: Spec) -> None:
    (toy_tree / "mk/config.mk").write_text("CFG_OPTEE_REVISION_MAJOR ?= four\n")
    with pytest.raises(TesseraError, match="cannot tell the version"):
        make_patch(priority, toy_tree)
