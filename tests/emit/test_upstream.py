"""The page on taking a patch upstream: its table of lines is the patch's, its commands work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from emit_cases import TOY_TREE

from tessera import resources
from tessera.emit import make_patch
from tessera.guest import cache
from tessera.lang.typed import Spec

PAGE = resources.path("optee_os_patch/README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| `([^`]+)` \| `(.*?)` \| (.+) \|$", re.MULTILINE)


def added(patch: str) -> list[tuple[str, str]]:
    """File and text of every added line, blanks folded."""
    out: list[tuple[str, str]] = []
    file = ""
    for line in patch.splitlines():
        if line.startswith("+++ b/"):
            file = Path(line).name
        elif line.startswith("+") and file:
            out.append((file, " ".join(line[1:].split())))
    return out


def rows(page: str) -> list[tuple[int, str, str, str]]:
    return [
        (int(number), file, code.replace("\\|", "|"), why)
        for number, file, code, why in ROW.findall(page)
    ]


def test_every_line_of_the_patch_is_explained_in_its_order() -> None:
    patch = resources.path("optee_os_patch/priority.patch").read_text(encoding="utf-8")
    found = rows(PAGE)
    assert [(file, code) for _, file, code, _ in found] == added(patch)
    assert [number for number, *_ in found] == list(range(1, len(found) + 1))
    assert all(len(why) > 10 for *_, why in found)


def test_a_changed_line_would_be_noticed() -> None:
    patch = resources.path("optee_os_patch/priority.patch").read_text(encoding="utf-8")
    changed = patch.replace("MIN(2048U", "MIN(2049U")
    assert changed != patch
    assert [(file, code) for _, file, code, _ in rows(PAGE)] != added(changed)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small tree as a repository `optee_os`, of a user who has a name."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n\tname = A Person\n\temail = person@example.invalid\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    tree = tmp_path / "optee_os"
    shutil.copytree(TOY_TREE, tree)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "tree")):
        git(tree, *words)
    return tree


def test_the_commands_of_the_page_make_two_commits_of_it(repository: Path, priority: Spec) -> None:
    part = PAGE[PAGE.index("## Taking it upstream") :]
    blocks = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    assert len(blocks) == 2
    script = "set -e\n" + "".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script], cwd=repository.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    subjects = git(repository, "log", "--format=%s").splitlines()
    assert subjects[::-1][1:] == [
        "core: clear memory that TAs owned",
        "core: mm: place TA memory by class",
    ]
    assert git(repository, "status", "--short") == ""
    made = make_patch(priority, TOY_TREE)
    whole = set(git(repository, "diff", "--name-only", "HEAD~2", "HEAD").split())
    first = set(git(repository, "diff", "--name-only", "HEAD~2", "HEAD~1").split())
    assert whole == set(made.files)
    assert first == {"core/mm/fobj.c", "core/kernel/ree_fs_ta.c"}
    texts = git(repository, "log", "-2", "--format=%an %b")
    assert texts.count("Signed-off-by: A Person <person@example.invalid>") == 2
    assert texts.count("A Person It ") + texts.count("A Person The ") == 2
    plain = repository.parent / "plain"
    shutil.copytree(TOY_TREE, plain)
    subprocess.run(["patch", "-s", "-p1"], cwd=plain, input=made.text, text=True, check=True)
    assert cache.digest_tree(plain) == cache.digest_tree(repository)
