"""The patch as a file: it applies, it counts honestly, it is the same every time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from emit_cases import PRIORITY

from tessera import resources
from tessera.emit import BUDGET, make_patch
from tessera.emit.mail import Edit, diff
from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.results import PatchInfo

COMMITTED = "optee_os_patch/priority.patch"
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid"]


@pytest.fixture(params=["toy", "real"])
def tree(request: pytest.FixtureRequest, toy_tree: Path) -> Path:
    """The small tree, and the real one where it is at hand."""
    found: Path = toy_tree if request.param == "toy" else request.getfixturevalue("optee_tree")
    return found


def copied(tree: Path, made: PatchInfo, folder: Path) -> Path:
    """A copy of the files that the patch touches."""
    for file in made.files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / file, target)
    return folder


def git(folder: Path, *args: str, text: str | None = None) -> str:
    done = subprocess.run(
        [*GIT, *args], cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def repository(tree: Path, made: PatchInfo, folder: Path) -> Path:
    copied(tree, made, folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    return folder


def contents(folder: Path, made: PatchInfo) -> list[bytes]:
    return [(folder / file).read_bytes() for file in made.files]


def tree_digest(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in (tree / "core/mm").rglob("*") if p.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def test_git_am_and_patch_give_the_same_files(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made = make_patch(priority, tree)
    by_git = repository(tree, made, tmp_path / "git")
    git(by_git, "am", "-q", text=made.text)
    plain = copied(tree, made, tmp_path / "plain")
    subprocess.run(["patch", "-s", "-p1"], cwd=plain, input=made.text, text=True, check=True)
    assert contents(by_git, made) == contents(plain, made)
    subject = git(by_git, "log", "-1", "--format=%s").strip()
    assert subject == "core: mm: place TA memory by class and scrub it"


def test_lines_are_counted_as_git_counts_them(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made = make_patch(priority, tree)
    by_git = repository(tree, made, tmp_path / "git")
    git(by_git, "am", "-q", text=made.text)
    rows = [line.split("\t") for line in git(by_git, "diff", "--numstat", "HEAD~1").splitlines()]
    assert sum(int(added) for added, _, _ in rows) == made.added
    assert sum(int(removed) for _, removed, _ in rows) == made.removed
    assert [file for _, _, file in rows] == list(made.files)
    assert sum(made.costs.values()) == made.added + made.removed <= BUDGET == made.budget


def test_ids_of_the_patched_files_are_true(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made = make_patch(priority, tree)
    by_git = repository(tree, made, tmp_path / "git")
    git(by_git, "am", "-q", text=made.text)
    for file in made.files:
        assert f"..{git(by_git, 'hash-object', file).strip()} 100644" in made.text


def test_it_comes_out_again(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made = make_patch(priority, tree)
    plain = copied(tree, made, tmp_path / "plain")
    for flags in (["-p1"], ["-R", "-p1"]):
        subprocess.run(["patch", "-s", *flags], cwd=plain, input=made.text, text=True, check=True)
    assert contents(plain, made) == contents(tree, made)


def test_tree_is_only_read_and_bytes_are_the_same(tree: Path, priority: Spec) -> None:
    before = tree_digest(tree)
    first, second = make_patch(priority, tree), make_patch(priority, tree)
    assert first == second and tree_digest(tree) == before


def test_style(tree: Path, priority: Spec) -> None:
    for line in make_patch(priority, tree).text.splitlines():
        if line.startswith("+") and not line.startswith("+++"):
            assert len(line[1:].expandtabs(8)) <= 80
            assert line[1:] == line[1:].rstrip() and not line[1:].startswith("  ")


def test_no_context_gives_the_same_files(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made, bare = make_patch(priority, tree), make_patch(priority, tree, context=0)
    lines = bare.text.split("\n---\n", 1)[1].split("\ndiff ", 1)[1].splitlines()
    assert not [line for line in lines if line.startswith(" ")]
    by_git = repository(tree, made, tmp_path / "git")
    git(by_git, "apply", "--unidiff-zero", text=bare.text)
    plain = copied(tree, made, tmp_path / "plain")
    subprocess.run(["patch", "-s", "-p1"], cwd=plain, input=made.text, text=True, check=True)
    assert contents(by_git, made) == contents(plain, made)


def test_patched_tree_is_refused(tree: Path, priority: Spec, tmp_path: Path) -> None:
    made = make_patch(priority, tree)
    copied(tree, made, tmp_path / "again")
    (tmp_path / "again/mk").mkdir()
    shutil.copy(tree / "mk/config.mk", tmp_path / "again/mk/config.mk")
    subprocess.run(
        ["patch", "-s", "-p1"], cwd=tmp_path / "again", input=made.text, text=True, check=True
    )
    with pytest.raises(TesseraError, match="patched already"):
        make_patch(priority, tmp_path / "again")


def test_half_patched_tree_is_refused(toy_tree: Path, priority: Spec, make_spec) -> None:  # type: ignore[no-untyped-def]
    made = make_patch(make_spec(PRIORITY, "class ordinary\nclass inference > ordinary\n"), toy_tree)
    subprocess.run(["patch", "-s", "-p1"], cwd=toy_tree, input=made.text, text=True, check=True)
    with pytest.raises(TesseraError, match="patched already"):
        make_patch(priority, toy_tree)


def listing(count: int) -> str:
    tas = " ".join(f'ta "0000000{n}-0000-4000-8000-000000000000" "TA {n}"' for n in range(count))
    return f"class ordinary\nclass inference > ordinary {{ {tas} }}\n"


def test_over_the_budget_says_what_each_part_costs(toy_tree: Path, make_spec) -> None:  # type: ignore[no-untyped-def]
    within = make_patch(make_spec(PRIORITY, listing(3)), toy_tree)
    assert within.added == BUDGET
    with pytest.raises(TesseraError) as info:
        make_patch(make_spec(PRIORITY, listing(4)), toy_tree)
    text = info.value.render()
    assert f"more than {BUDGET}" in text and "class 13" in text and "scrub TA image 3" in text


def inserted(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("+")]


def test_committed_patch_is_current(priority: Spec, optee_tree: Path) -> None:
    """Regenerate with `tessera patch ... --context 0 -o optee_os_patch/priority.patch`."""
    committed = resources.path(COMMITTED).read_text(encoding="utf-8")
    made = make_patch(priority, optee_tree, context=0)
    assert inserted(committed) == inserted(made.text)
    if f"for {made.target}.\n" in committed:  # another version has the lines elsewhere
        assert committed == made.text


def test_committed_patch_has_the_lines_for_the_small_tree(priority: Spec, toy_tree: Path) -> None:
    committed = resources.path(COMMITTED).read_text(encoding="utf-8")
    assert inserted(committed) == inserted(make_patch(priority, toy_tree, context=0).text)


def test_committed_patch_has_no_line_of_optee() -> None:
    text = resources.path(COMMITTED).read_text(encoding="utf-8")
    body = text.split("\n---\n", 1)[1].split("\ndiff ", 1)[1]
    for line in body.rsplit("-- \n", 1)[0].splitlines()[1:]:
        assert line.startswith(("+", "@@", "diff ", "index ", "--- a/"))
        assert not line.startswith("@@") or line.endswith("@@")


def test_hunks_that_touch_are_one() -> None:
    old = "".join(f"{n}\n" for n in range(20))
    edit = Edit("f", old, {5: ("a",), 10: ("b",), 18: ("c",)})
    text = diff(edit, 3)
    assert text.count("@@ -") == 2 and "@@ -3,11 +3,13 @@" in text
