"""The kept tree: lent with a patch, taken back pristine, made anew when left unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.guest import optee, process, workshop

PATCH = """--- a/core/a.c
+++ b/core/a.c
@@ -2,0 +3 @@
+int patched;
--- /dev/null
+++ b/core/new.c
@@ -0,0 +1 @@
+int fresh;
"""


@pytest.fixture
def source(tmp_path: Path, own_cache: Path) -> Path:
    """A tree of two files."""
    tree = tmp_path / "source"
    (tree / "core").mkdir(parents=True)
    (tree / "core/a.c").write_text("int one;\nint two;\nint three;\n")
    (tree / "core/b.c").write_text("int b;\n")
    return tree


def _content(tree: Path) -> dict[str, str]:
    return {str(p.relative_to(tree)): p.read_text() for p in tree.rglob("*") if p.is_file()}


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def test_a_patch_is_there_while_lent_and_gone_afterwards(source: Path) -> None:
    with workshop.kept(source, "t", None) as place:
        times = {name: _age(place.tree / name) for name in ("core/a.c", "core/b.c")}
    with workshop.kept(source, "t", PATCH) as place:
        inside = _content(place.tree)
        assert inside["core/a.c"] == "int one;\nint two;\nint patched;\nint three;\n"
        assert inside["core/new.c"] == "int fresh;\n"
        patched = _age(place.tree / "core/a.c")
    assert _content(place.tree) == _content(source)
    # make goes by times: what was patched must look new, what was not must not.
    assert times["core/a.c"] < patched < _age(place.tree / "core/a.c")
    assert _age(place.tree / "core/b.c") == times["core/b.c"]


def test_the_source_is_never_touched(source: Path) -> None:
    before = _content(source)
    with workshop.kept(source, "t", PATCH), workshop.fresh(source, PATCH):
        pass
    assert _content(source) == before


def test_objects_are_kept_between_loans(source: Path) -> None:
    with workshop.kept(source, "t", None) as place:
        place.out.mkdir()
        (place.out / "a.o").touch()
    with workshop.kept(source, "t", PATCH) as place:
        assert (place.out / "a.o").exists()


def test_after_a_compiler_error_the_tree_is_pristine_again(source: Path) -> None:
    with (
        pytest.raises(TesseraError, match="does not compile"),
        workshop.kept(source, "t", PATCH) as place,
    ):
        place.out.mkdir()
        (place.out / "a.o").touch()
        raise TesseraError("does not compile")
    with workshop.kept(source, "t", None) as place:
        assert _content(place.tree) == _content(source)
        assert (place.out / "a.o").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), process.KilledError("too long")])
def test_after_an_interrupt_everything_is_made_anew(source: Path, end: BaseException) -> None:
    with pytest.raises(type(end)), workshop.kept(source, "t", PATCH) as place:
        place.out.mkdir()
        (place.out / "half.o").touch()
        raise end
    with workshop.kept(source, "t", None) as place:
        assert _content(place.tree) == _content(source)
        assert not place.out.exists()


def test_a_patch_that_does_not_fit_spoils_nothing(source: Path) -> None:
    wrong = PATCH.replace("@@ -2,0 +3 @@\n", "@@ -2 +2 @@\n-int not there;\n")
    with workshop.kept(source, "t", None) as place:
        place.out.mkdir()
    with pytest.raises(TesseraError, match="does not apply"), workshop.kept(source, "t", wrong):
        pass
    with workshop.kept(source, "t", None) as place:
        assert _content(place.tree) == _content(source)
        assert place.out.exists()


def test_a_patch_that_is_no_patch_is_one_error(source: Path) -> None:
    with (
        pytest.raises(TesseraError, match="does not apply"),
        workshop.kept(source, "t", "hello\n"),
    ):
        pass


def test_a_fresh_tree_is_gone_afterwards(source: Path) -> None:
    with workshop.fresh(source, PATCH) as place:
        assert "patched" in (place.tree / "core/a.c").read_text()
    assert not place.tree.exists()


def test_the_files_of_a_patch_are_listed(source: Path) -> None:
    assert optee.patched_files(source, PATCH) == [Path("core/a.c"), Path("core/new.c")]


def test_a_tree_is_copied_without_history_and_products(source: Path, tmp_path: Path) -> None:
    for name in (".git/HEAD", "out/core/tee.elf", "core/a.o"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    optee.copy_tree(source, tmp_path / "copy")
    assert sorted(_content(tmp_path / "copy")) == ["core/a.c", "core/b.c"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("CFG_OPTEE_REVISION_MAJOR ?= 4\nCFG_OPTEE_REVISION_MINOR ?= 5\n", "4.5.0"),
        (
            "CFG_OPTEE_REVISION_MAJOR ?= 4\nCFG_OPTEE_REVISION_MINOR ?= 11\n"
            "CFG_OPTEE_REVISION_EXTRA ?= -rc1\n",
            "4.11.0-rc1",
        ),
    ],
)
def test_a_tree_tells_its_version(tmp_path: Path, text: str, version: str) -> None:
    (tmp_path / "mk").mkdir()
    (tmp_path / "mk/config.mk").write_text(text)
    assert optee.read_tree(tmp_path).version == version


def test_a_tree_without_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mk").mkdir()
    (tmp_path / "mk/config.mk").write_text("# some other project\n")
    with pytest.raises(TesseraError, match="does not tell its version"):
        optee.read_tree(tmp_path)
