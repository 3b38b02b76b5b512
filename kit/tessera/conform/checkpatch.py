"""OP-TEE's own style check of the mail that is to be sent.

Goal: `judged`, one check: checkpatch.pl with the tree's .checkpatch.conf and types has nothing to
say about the mail; an error, a warning or a check of it is a difference, as in OP-TEE's own CI.
Non-goals: getting checkpatch.pl (see `tessera.guest.checkpatch`).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from tessera.conform.result import Check
from tessera.errors import TesseraError
from tessera.guest import checkpatch

CONFIGURATION = ".checkpatch.conf"
TYPES = "typedefs.checkpatch"
_KINDS = ("ERROR", "WARNING", "CHECK")
_SECONDS = 300


def judged(name: str, tree: Path, mail: str) -> Check:
    """What checkpatch says about `mail`, a patch for `tree`; SKIPPED where it cannot be asked.

    Raises `TesseraError` when the script itself fails.
    """
    tool = checkpatch.at_hand()
    if tool is None:
        return Check(
            "builds", name, "SKIPPED", f"there is no {checkpatch.SCRIPT}", remedy=checkpatch.MEND
        )
    if not (tree / CONFIGURATION).is_file():
        return Check("builds", name, "SKIPPED", f"the tree has no {CONFIGURATION}")
    began = time.perf_counter()
    said, status = _asked(tool, tree, mail)
    seconds = time.perf_counter() - began
    found = re.findall(rf"^({'|'.join(_KINDS)}): *(.*(?:\n#\d+: FILE: .*)?)", said, re.MULTILINE)
    if bool(status) != bool(found):
        raise TesseraError(
            f"{checkpatch.SCRIPT} failed (exit code {status}):\n{said.strip()[:1000]}",
            where=str(tool.script),
            remedy=f"fetch it anew: {checkpatch.MEND} --refresh",
        )
    words = "with" if tool.words else "without"
    with_what = f"checkpatch of {tool.version}, {words} codespell's words"
    counts = {f"{kind.lower()}s": many for kind, many in _counted(found).items()}
    if not found:
        told = f"{with_what}: no error, warning or check"
        return Check("builds", name, "AGREES", told, counts, seconds)
    told = f"{with_what}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}"
    places = re.findall(r"FILE: (\S+?:\d+):", said)
    lines = tuple(line for line in said.splitlines() if line.strip())
    return Check(
        "builds", name, "DIFFERS", told, counts, seconds, where="".join(places[:1]), trace=lines
    )


def _counted(found: list[tuple[str, str]]) -> dict[str, int]:
    many = Counter(kind for kind, _ in found)
    return {kind: many[kind] for kind in _KINDS}


def _asked(tool: checkpatch.Checkpatch, tree: Path, mail: str) -> tuple[str, int]:
    """The script's words and exit code; it reads the tree's configuration from where it runs."""
    command = ["perl", str(tool.script), "--color=never"]
    if (tree / TYPES).is_file():
        command += ["--typedefsfile", TYPES]
    if tool.words is not None:
        command += [f"--codespellfile={tool.words}"]
    try:
        done = subprocess.run(
            [*command, "-"],
            cwd=tree,
            input=mail,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TesseraError(
            f"{checkpatch.SCRIPT} could not be run: {error}",
            where="perl",
            remedy="sudo apt install perl",
        ) from error
    return done.stdout + done.stderr, done.returncode
