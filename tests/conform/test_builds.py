"""Compiling before and after a patch, on a small tree with this machine's compiler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from small_tree import GUESTS, NO_STATS, OBJECT_C, PAGER, POOL_C, STATS, changes, made_tree

from tessera.conform.build_cells import CONFIGURATIONS, Configuration, Core, compiled
from tessera.conform.build_said import complaints, new_ones
from tessera.conform.result import Check
from tessera.errors import TesseraError
from tessera.guest import releases

GUARD = ("core/pool.c", "\tpool->taken += size;\n", "\tif (size)\n\t\tpool->taken += size;\n")
UNUSED = ("core/pool.c", "\tpool->taken += size;\n", "\tint more;\n\n\tpool->taken += size;\n")


def checks_of(
    tree: Path, patch: str, configurations: Sequence[Configuration] = (STATS, NO_STATS)
) -> dict[str, Check]:
    found = {check.name: check for check in compiled("1.0", tree, patch, configurations)}
    assert list(found) == [f"builds/1.0/{one.name}" for one in configurations]
    return found


def only(tree: Path, patch: str, one: Configuration = STATS) -> Check:
    return checks_of(tree, patch, (one,))[f"builds/1.0/{one.name}"]


def test_a_patch_without_a_warning_agrees(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    freed = ("core/object.c", "\tpool->taken -= size;\n", "\tif (size)\n\t\tpool->taken -= size;\n")
    for check in checks_of(tree, changes(tree, GUARD, freed)).values():
        assert (check.verdict, check.trace) == ("AGREES", ())
        assert check.counts == {"objects": 2, "warnings_before": 0, "warnings_after": 0}


def test_the_patched_file_is_what_is_compiled(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    only(tree, changes(tree, ("core/object.c", "void object_free(", "void object_drop(")))
    assert b"object_drop" in (tmp_path / "out.host.stats/core/object.o").read_bytes()


def test_a_new_warning_is_a_difference_with_its_place(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    check = only(tree, changes(tree, UNUSED))
    assert check.verdict == "DIFFERS"
    assert check.detail.startswith("1 new warning: unused variable")
    assert check.where == "core/pool.c:12"
    assert (check.counts["warnings_before"], check.counts["warnings_after"]) == (0, 1)


def test_a_warning_in_one_configuration_alone_is_seen_there(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    file, old, new = UNUSED
    patch = changes(tree, (file, old, f"#ifdef CFG_WITH_STATS\n{new}#else\n{old}#endif\n"))
    verdicts = {name: check.verdict for name, check in checks_of(tree, patch).items()}
    assert verdicts == {"builds/1.0/host/stats": "DIFFERS", "builds/1.0/host/no-stats": "AGREES"}


def test_a_warning_of_old_that_moved_is_not_new(tmp_path: Path) -> None:
    tree = made_tree(tmp_path, pool_c=POOL_C.replace("\treturn 0;", "\tint old;\n\n\treturn 0;"))
    check = only(tree, changes(tree, GUARD))
    assert check.verdict == "AGREES"
    assert (check.counts["warnings_before"], check.counts["warnings_after"]) == (1, 1)


def test_a_second_one_like_an_old_one_is_new(tmp_path: Path) -> None:
    tree = made_tree(
        tmp_path, pool_c=POOL_C.replace("\treturn pool->", "\tint more;\n\n\treturn pool->")
    )
    check = only(tree, changes(tree, UNUSED))
    assert (check.verdict, check.counts["warnings_before"]) == ("DIFFERS", 1)


def test_what_does_not_compile_is_named_with_its_place(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    file, old, _ = GUARD
    check = only(tree, changes(tree, (file, old, "\tpool->held += size;\n")))
    assert check.verdict == "DIFFERS"
    assert "the patched tree does not compile" in check.detail
    assert "no member named" in check.detail and check.where == "core/pool.c:12"


def test_a_tree_that_does_not_compile_by_itself_is_not_the_patchs_fault(tmp_path: Path) -> None:
    tree = made_tree(tmp_path, object_c=OBJECT_C.replace("pool->taken -=", "pool->gone -="))
    patch = changes(tree, GUARD, ("core/object.c", "void object_free(", "void object_drop("))
    check = only(tree, patch)
    assert check.verdict == "UNKNOWN"
    assert "the unpatched tree does not compile" in check.detail
    assert check.where == "core/object.c:5"


def test_a_setting_that_the_tree_takes_back_is_not_offered(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    check = only(tree, changes(tree, GUARD), PAGER)
    assert check.verdict == "SKIPPED"
    assert check.detail == "not offered: the tree sets CFG_WITH_PAGER=n [requires CFG_MORE]"


def test_settings_that_the_tree_refuses_are_not_offered(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    check = only(tree, changes(tree, GUARD), GUESTS)
    assert check.verdict == "SKIPPED"
    expected = "not offered: CFG_NS_VIRTUALIZATION and no statistics are incompatible"
    assert check.detail == expected


def test_a_make_that_fails_otherwise_is_never_called_not_offered(tmp_path: Path) -> None:
    tree = made_tree(tmp_path, Makefile="all:\n")
    check = only(tree, changes(tree, GUARD))
    assert check.verdict == "UNKNOWN"
    assert "No rule to make target" in check.detail


def test_an_object_that_is_not_made_is_no_agreement(tmp_path: Path) -> None:
    lazy = "$(O)/conf.mk:\n\t@echo CFG_WITH_STATS=y > $@\n$(O)/%.o:\n\t@true\n"
    tree = made_tree(tmp_path, Makefile=lazy)
    check = only(tree, changes(tree, GUARD))
    assert check.verdict == "UNKNOWN"
    assert "there is no core/pool.o" in check.detail


def test_a_compiler_that_is_not_here_is_said(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    other = Configuration("far/stats", Core("far", "no-such-machine-", {}, ()))
    check = only(tree, changes(tree, GUARD), other)
    assert (check.verdict, check.detail) == ("SKIPPED", "there is no no-such-machine-gcc")
    assert check.remedy == releases.MEND == "tessera guest setup --builds"


def test_a_patch_of_other_files_is_refused(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    patch = changes(tree, ("include/pool.h", "\tint size;\n", "\tint size;\n\tint held;\n"))
    with pytest.raises(TesseraError, match="touches no C file"):
        list(compiled("1.0", tree, patch, (STATS,)))


def test_a_patch_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    patch = changes(tree, GUARD).replace("taken += size", "held += size")
    with pytest.raises(TesseraError, match="does not apply"):
        list(compiled("1.0", tree, patch, (STATS,)))


def test_both_widths_are_asked_for_with_each_setting() -> None:
    names = {one.name for one in CONFIGURATIONS}
    assert len(names) == len(CONFIGURATIONS) == 11
    for one in CONFIGURATIONS:
        assert one.wanted["CFG_ARM64_core"] == ("y" if one.name.startswith("64/") else "n")
    for width in ("64", "32"):
        asked = {
            (one.wanted["CFG_WITH_STATS"], one.wanted.get("CFG_NS_VIRTUALIZATION", "n"))
            for one in CONFIGURATIONS
            if one.core.name == width
        }
        assert asked == {(stats, guests) for stats in "yn" for guests in "yn"}


GCC = """\
In file included from core/a.c:3:
core/include/b.h:7:12: warning: 'x' defined but not used [-Wunused-function]
core/a.c: In function 'f':
core/a.c:40:9: warning: unused variable 'y' [-Wunused-variable]
core/a.c:41:9: note: declared here
mk/config.mk:1024: Warning: Disabling CFG_X [requires CFG_Y]
core/a.c:50:3: error: expected ';' before '}' token
core/c.c:2:10: fatal error: gone.h: No such file or directory
make: *** [mk/compile.mk:10: out/core/a.o] Error 1
"""


def test_complaints_are_read_without_notes_and_without_make() -> None:
    found = complaints(GCC)
    assert [(one.where, one.kind) for one in found] == [
        ("core/include/b.h:7", "warning"),
        ("core/a.c:40", "warning"),
        ("core/a.c:50", "error"),
        ("core/c.c:2", "fatal error"),
    ]
    assert found[1].text == "unused variable 'y' [-Wunused-variable]"


def test_new_complaints_are_counted_by_what_they_say() -> None:
    before = complaints("a.c:1:1: warning: w\na.c:9:1: warning: v\n")
    after = complaints("a.c:3:1: warning: w\na.c:8:1: warning: w\nb.c:1:1: warning: v\n")
    assert [one.where for one in new_ones(before, after)] == ["a.c:8", "b.c:1"]
    assert new_ones(before, before) == ()
