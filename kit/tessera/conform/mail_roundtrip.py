"""Taking the mail with git, and taking it back: the tree must be what it was, byte for byte.

Goal: `taken`, one check: in a repository made of the tree, `git am` applies the mail and gives what
the patch alone gives, a second time is refused and `git am --abort` leaves no trace, and both
`git revert` and the reversed mail (`git format-patch -R`) give the tree back.
Non-goals: judging the mail's content (see `checkpatch`).
"""

from __future__ import annotations

import email
import email.policy
import os
import re
import subprocess
import time
from pathlib import Path

from tessera.conform.result import Check
from tessera.errors import TesseraError
from tessera.guest import cache, optee

_SECONDS = 600
_NAMES = ("-c", "user.name=Tessera", "-c", "user.email=tessera@tessera.invalid")
_QUIET = ("-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
# The user's own settings (line ends, signing, hooks) are not the patch's matter.
_ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


class _RefusedError(Exception):
    """A step that did not come out as it must; the text says which and why."""


def taken(name: str, tree: Path, mail: str) -> Check:
    """The check of `mail` on `tree`, which is only read.

    Raises `TesseraError` when git is missing or no repository can be made of the tree.
    """
    began = time.perf_counter()
    with cache.scratch("mail") as scratch:
        plain, repository = scratch / "plain", scratch / "repository"
        optee.copy_tree(tree, plain)
        optee.copy_tree(tree, repository)
        files = optee.patched_files(plain, mail)
        original = cache.digest_tree(plain)
        optee.apply_patch(plain, mail)
        patched = cache.digest_tree(plain)
        _made(repository)
        steps: list[str] = []
        try:
            _there_and_back(repository, mail, original, patched, steps)
        except _RefusedError as error:
            seconds = time.perf_counter() - began
            told = str(error)
            return Check(
                "builds", name, "DIFFERS", told.splitlines()[0], seconds=seconds,
                trace=(*steps, *told.splitlines()), remedy=_remedy(mail),
            )  # fmt: skip
    told = "; ".join(steps)
    seconds = time.perf_counter() - began
    return Check("builds", name, "AGREES", told, {"files": len(files)}, seconds)


def _remedy(mail: str) -> str:
    """What to do about a patch whose insertions have no context: git cannot tell where they go."""
    bare = re.search(r"^@@ -[1-9]\d*,0 \+", mail, re.MULTILINE)
    return "emit the patch with context: tessera patch SPEC --tree TREE -o FILE" if bare else ""


def _made(repository: Path) -> None:
    for words in (("init", "-q"), ("add", "-A", "-f", "."), ("commit", "-q", "-m", "the tree")):
        status, said = _git(repository, *words)
        if status:
            raise TesseraError(
                f"git makes no repository of this tree: {said.strip()[-500:]}",
                where=f"git {words[0]}",
                remedy="look at what git says",
            )


def _there_and_back(
    repository: Path, mail: str, original: str, patched: str, steps: list[str]
) -> None:
    """Every step, noted in `steps` once it came out right; raises `_RefusedError`."""

    def same(wanted: str, after: str) -> None:
        if cache.digest_tree(repository) != wanted:
            raise _RefusedError(
                f"after {after} the tree is not what it must be{_unclean(repository)}"
            )
        steps.append(after)

    def must(after: str, *words: str, text: str | None = None) -> str:
        status, said = _git(repository, *words, text=text)
        if status:
            raise _RefusedError(f"{after} is refused: {said.strip()[-1500:]}")
        return said

    must("git am", "am", "-q", text=mail)
    same(patched, "git am")
    _as_the_mail_says(must("git log", "log", "-1", "--format=%s%n%an <%ae>"), mail)
    status, _ = _git(repository, "am", "-q", text=mail)
    if not status:
        raise _RefusedError("git am takes the mail a second time, on top of itself")
    must("git am --abort", "am", "--abort")
    same(patched, "git am --abort")
    reverse = must("git format-patch -R", "format-patch", "-1", "-R", "--stdout")
    must("git revert", "revert", "--no-edit", "HEAD")
    same(original, "git revert")
    must("git reset", "reset", "-q", "--hard", "HEAD~1")
    must("the reversed mail", "am", "-q", text=reverse)
    same(original, "git format-patch -R and git am")


def _as_the_mail_says(logged: str, mail: str) -> None:
    """The commit has the mail's subject, without its prefix, and its author."""
    head = email.message_from_string(mail, policy=email.policy.default)
    subject = re.sub(r"^(?:\[.*?\] *)*", "", str(head["Subject"] or ""))
    wanted = [subject.strip(), str(head["From"] or "").strip()]
    if logged.splitlines() != wanted:
        raise _RefusedError(f"the commit says {logged.splitlines()}, the mail {wanted}")


def _unclean(repository: Path) -> str:
    """What git itself sees as changed, for the message."""
    _, said = _git(repository, "status", "--short")
    rows = [row.strip() for row in said.splitlines()]
    return f" (git status: {', '.join(rows[:5])})" if rows else ""


def _git(repository: Path, *words: str, text: str | None = None) -> tuple[int, str]:
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *_NAMES, *_QUIET, *words],
            cwd=repository,
            env={**environment, **_ALONE},
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TesseraError(
            f"git could not be run: {error}", where="git", remedy="sudo apt install git"
        ) from error
    return done.returncode, done.stdout + done.stderr
