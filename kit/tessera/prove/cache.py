"""The result cache: answers by everything that they depend on.

Goal: a question that was answered before, by the same solver and the same encoding, is not asked
again. The key covers the task's slice of the spec (see `tessera.prove.slice`), the settings that
matter to it, Z3's version and the kit's own sources that make and read queries. An entry that is
damaged counts as missing and is told; an answer that is unknown, or that a dying process left, is
never kept.
Non-goals: eviction (see `tessera cache clear`), and trust between users: a cache folder is as
trustworthy as the program beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import z3

import tessera
from tessera.errors import TesseraError
from tessera.prove.codec import Unreadable, decode, encode
from tessera.prove.engine import Engine, Question, Started, quietly
from tessera.prove.tasks import Done

FOLDER_VARIABLE = "TESSERA_RESULTS"
"""The environment variable that moves the cache; "off" turns it off."""

_SOURCES = ("lang", "model", "prove")


class Memory(Protocol):
    """What a check remembers of earlier ones, beside answers."""

    def recall(self, digest: str) -> tuple[str, ...]:
        """The hypotheses that sufficed for the proof of that name; empty when not known."""
        ...

    def note(self, digest: str, hypotheses: tuple[str, ...]) -> None:
        """Remember them."""
        ...


def default_folder() -> Path | None:
    """`$TESSERA_RESULTS`, else `tessera/results` in `$XDG_CACHE_HOME` or `~/.cache`; None: off."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tessera" / "results"


@lru_cache(maxsize=1)
def toolchain_digest() -> str:
    """SHA-256 over Z3's version, the machine's kind, and the sources that make and read queries."""
    total = hashlib.sha256(f"{z3.get_full_version()} {platform.machine()}\n".encode())
    root = Path(tessera.__file__).parent
    for package in _SOURCES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".lark"):
                total.update(f"{path.relative_to(root)}\n".encode())
                total.update(path.read_bytes())
    return total.hexdigest()


class ResultCache:
    """Answers in a folder, one file each; created when the first answer is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = 0
        self.misses = 0
        self.troubles: list[str] = []
        """What to tell the user: damaged entries, a folder that cannot be written."""

    # --- answers ----------------------------------------------------------------------------------

    def get(self, question: Question) -> Done | None:
        """The kept answer, marked as cached; its seconds are 0: now it took none."""
        done = self._read("answer", question.digest) if question.digest else None
        if not isinstance(done, Done):
            self.misses += 1
            return None
        self.hits += 1
        return replace(done, task=question.task, seconds=0.0, cached=True)

    def put(self, question: Question, done: Done) -> None:
        """Keep an answer, if it is one worth keeping."""
        if question.digest and _worth_keeping(done):
            self._write("answer", question.digest, done)

    # --- hypotheses that sufficed -----------------------------------------------------------------

    def recall(self, digest: str) -> tuple[str, ...]:
        """See `Memory`. A wrong answer costs a vain try, nothing else."""
        names = self._read("needed", digest)
        return names if isinstance(names, tuple) else ()

    def note(self, digest: str, hypotheses: tuple[str, ...]) -> None:
        """See `Memory`."""
        self._write("needed", digest, hypotheses)

    # --- the folder -------------------------------------------------------------------------------

    def entries(self) -> Iterator[Path]:
        """The files of the cache."""
        yield from sorted(self.folder.glob("??/*.json"))

    def clear(self) -> int:
        """Remove all entries; how many there were. Raises `TesseraError` when that fails."""
        count = 0
        try:
            for path in self.entries():
                path.unlink()
                count += 1
            for folder in self.folder.glob("??"):
                with contextlib.suppress(OSError):  # something that is not ours lies there
                    folder.rmdir()
        except OSError as error:
            raise TesseraError(
                f"cannot clear the result cache: {error.strerror}",
                where=str(error.filename),
                remedy="remove the folder by hand",
            ) from error
        return count

    def _path(self, kind: str, digest: str) -> Path:
        key = hashlib.sha256(f"{kind} {digest} {toolchain_digest()}".encode()).hexdigest()
        return self.folder / key[:2] / f"{key[2:]}.json"

    def _read(self, kind: str, digest: str) -> Any:
        path = self._path(kind, digest)
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            self._damaged(path, str(error))
            return None
        checksum, _, body = text.partition("\n")
        if checksum != _checksum(path.name, body):
            self._damaged(path, "its checksum is wrong")
            return None
        try:
            return decode(json.loads(body))
        except (Unreadable, ValueError) as error:
            self._damaged(path, str(error))
            return None

    def _damaged(self, path: Path, why: str) -> None:
        self.troubles.append(f"{path}: damaged cache entry ({why}); proved again")

    def _write(self, kind: str, digest: str, value: object) -> None:
        path = self._path(kind, digest)
        try:
            body = json.dumps(encode(value), separators=(",", ":"))
        except TypeError:
            return  # an answer with parts that no file can hold is worked out every time
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(f"{_checksum(path.name, body)}\n{body}")
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            trouble = f"{self.folder}: cannot keep results: {error.strerror}"
            if trouble not in self.troubles:
                self.troubles.append(trouble)


class CachedEngine:
    """An engine that looks into a cache first."""

    def __init__(self, engine: Engine, cache: ResultCache) -> None:
        self.engine = engine
        self.cache = cache

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        """See `Engine`: first what is known, then what the engine finds out."""
        missing = []
        for question in questions:
            done = self.cache.get(question)
            if done is not None:
                yield question, done
            else:
                missing.append(question)
        for question, done in self.engine.answers(missing, started):
            self.cache.put(question, done)
            yield question, done


def _worth_keeping(done: Done) -> bool:
    """Not what a dying process left, and no unknown: the next machine, or limit, may know. That a
    hunt or a try found nothing within its own fixed small limit is worth knowing."""
    if done.failed:
        return False
    unknown = any(found.status == "unknown" for _, found in done.found)
    if done.answer is not None:
        unknown |= done.answer.status == "unknown"
    if done.task.kind == "exercised" and any(found.reason for _, found in done.found):
        return False  # it names a place in the source, and places move
    return not unknown or done.task.kind in ("hunt", "try")


def _checksum(name: str, body: str) -> str:
    """Of the body and the file's name, so that an entry under a wrong name is damaged too."""
    return hashlib.sha256(f"{name}\n{body}".encode()).hexdigest()
