"""The cache: entries appear whole or not at all, and keys follow content."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import cache


def _files(folder: Path) -> list[str]:
    """Everything in the cache but its locks."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != "locks")


def test_an_entry_is_made_once(own_cache: Path) -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(1)
        (folder / "x").write_text("content")

    first = cache.entry("things/a", make)
    assert cache.entry("things/a", make) == first == own_cache / "things/a"
    assert (first / "x").read_text() == "content"
    assert len(calls) == 1


def test_a_failing_maker_leaves_nothing_behind_and_can_be_repeated(own_cache: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_bytes(b"half of it")
        raise TesseraError("the connection broke")

    with pytest.raises(TesseraError, match="connection broke"):
        cache.entry("things/a", broken)
    assert _files(own_cache) == []
    assert not (own_cache / "things/a").exists()
    made = cache.entry("things/a", lambda folder: (folder / "x").touch())
    assert _files(own_cache) == ["things/a/x"]
    assert made.is_dir()


def test_an_interrupt_leaves_nothing_behind(own_cache: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("things/a", interrupted)
    assert _files(own_cache) == []


def test_two_who_want_the_same_entry_make_it_once(own_cache: Path) -> None:
    calls, inside, go_on = [], threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        calls.append(1)
        inside.set()
        go_on.wait(20)

    threads = [threading.Thread(target=cache.entry, args=("a", make)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(20)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1


def test_keys_follow_content() -> None:
    assert cache.key(1, "a", ["b"]) == cache.key(1, "a", ["b"])
    assert len({cache.key(1, "a"), cache.key(1, "b"), cache.key(2, "a"), cache.key("1", "a")}) == 4


def test_tree_digest_sees_content_names_and_modes_but_not_history(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "core").mkdir(parents=True)
    file = tree / "core/a.c"
    file.write_text("int a;\n")
    seen = [cache.digest_tree(tree)]
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").write_text("x")
    assert cache.digest_tree(tree) == seen[0]
    file.write_text("int b;\n")
    seen.append(cache.digest_tree(tree))
    file.chmod(0o755)
    seen.append(cache.digest_tree(tree))
    file.rename(tree / "core/b.c")
    seen.append(cache.digest_tree(tree))
    assert len(set(seen)) == 4


def test_a_cache_that_cannot_be_created_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(TesseraError, match="cannot create the cache folder") as caught:
        cache.root()
    assert "XDG_CACHE_HOME" in caught.value.remedy


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a/b.json"
    cache.write_text(target, "one")
    cache.write_text(target, "two")
    assert target.read_text() == "two"
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_is_one_clear_error(own_cache: Path) -> None:
    def full(_folder: Path) -> None:
        raise OSError(28, "No space left on device", "/cache/x")

    with pytest.raises(TesseraError, match="No space left on device") as caught:
        cache.entry("things/a", full)
    assert "make room" in caught.value.remedy
    assert _files(own_cache) == []


def test_what_killed_runs_left_is_swept_up_later(own_cache: Path) -> None:
    old, new = own_cache / "tmp/old", own_cache / "tmp/new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    with cache.scratch("x"):
        assert not old.exists()
        assert new.exists()


def test_clean_removes_what_was_built_and_with_all_what_was_fetched(own_cache: Path) -> None:
    for name in ("builds/a", "work/b", "packages/c", "sources/d"):
        (own_cache / name).mkdir(parents=True)
    (own_cache / "toolchain.json").write_text("{}")
    assert CliRunner().invoke(app, ["guest", "clean"]).exit_code == 0
    left = {path.name for path in own_cache.iterdir()}
    assert left >= {"packages", "sources", "toolchain.json"}
    assert not left & {"builds", "work"}
    assert CliRunner().invoke(app, ["guest", "clean", "--all"]).exit_code == 0
    assert not {path.name for path in own_cache.iterdir()} & {"packages", "toolchain.json"}
