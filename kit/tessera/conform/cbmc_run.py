"""Running CBMC: one harness, bounded in time and memory, and what it answered.

Goal: `ask` gives every assertion with its status, and the size of the formula; `traced` the state
and the request in which one assertion fails.
Non-goals: what is asserted (see `cbmc_harness`) and verdicts (see `cbmc`).
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tessera import resources
from tessera.errors import TesseraError
from tessera.guest.modelchecker import ModelChecker

Status = str  # SUCCESS, FAILURE, UNKNOWN or ERROR, as CBMC says

_GROUPED = ("list", "locks", "heap", "asked", "refused", "scrub", "ordered", "cases", "reached")
_SAMPLED = 0.05  # seconds between two looks at how much memory is in use
_UUID_BYTES = 16
_PROVED, _FAILED = 0, 10  # how CBMC ends
_TAIL = 4000
_ENTRY = re.compile(r"(before|after)\.(start|size|owner_of|live)\[(\d+)l*\]")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one run may take."""

    seconds: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class Question:
    """One harness with so many live blocks; `folder` has the headers, `inc` has spec.inc.

    `asker` is who asks for memory: None for any thread with any UUID, 0 for the core, k + 1 for a
    TA of class k. `stats`: compiled with OP-TEE's statistics. `place` is the case that is looked
    at, of `blocks` + 1: before how many of the blocks there is what the assertions speak of.
    """

    function: str
    blocks: int
    root: Path
    folder: Path
    inc: Path
    asker: int | None = None
    stats: bool = True
    place: int | None = None
    gap: int | None = None

    @property
    def unwind(self) -> int:
        """Iterations of a loop: the head, every block, the new one, and the test that ends it."""
        return self.blocks + 3

    def words(self) -> list[str]:
        """CBMC's arguments."""
        host, own = (resources.path(f"verification/{name}") for name in ("host", "cbmc"))
        includes = (self.folder / "cut", self.root, self.folder / "include", self.inc, host)
        return [
            str(own / "harness.c"),
            f"-DBLOCKS={self.blocks}",
            *([] if self.asker is None else [f"-DASKER={self.asker}"]),
            *([] if self.place is None else [f"-DPLACE={self.place}"]),
            *([] if self.gap is None else [f"-DGAP={self.gap}"]),
            *(["-DWITH_STATS"] if self.stats else []),
            *(f"-I{path}" for path in includes),
            "--function",
            self.function,
            "--unwind",
            str(self.unwind),
            "--unwindset",
            f"memcmp.0:{_UUID_BYTES + 1}",
            "--unwinding-assertions",
            "--slice-formula",
            "--drop-unused-functions",
            "--json-ui",
            "--verbosity",
            "8",  # from here on it tells the size of the formula
        ]


@dataclass(frozen=True, slots=True)
class Property:
    """One assertion; `group` is the spec's property or the kind of check that it belongs to."""

    name: str
    group: str
    status: Status
    where: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run said; `unknown` is empty or the bound that was hit.

    `mebibytes` is the most memory that it had in use, as far as samples tell.
    """

    properties: tuple[Property, ...]
    seconds: float
    steps: int
    variables: int
    clauses: int
    unknown: str = ""
    mebibytes: int = 0


def listed(checker: ModelChecker, question: Question, bounds: Bounds) -> dict[str, list[str]]:
    """The assertions of a harness by group. Raises TesseraError when CBMC refuses the C."""
    done = _run(checker, [*question.words(), "--show-properties"], bounds)
    groups: dict[str, list[str]] = {}
    for row in _rows(done.text, done.code, "properties", question.root):
        name = str(row.get("name", ""))
        groups.setdefault(_group(name, str(row.get("description", ""))), []).append(name)
    return groups


def _rows(text: str, code: int, key: str, root: Path) -> list[dict[str, Any]]:
    """What CBMC lists under `key`. Raises TesseraError when its output has no such list."""
    try:
        rows = [row for row in json.loads(text) if isinstance(row, dict)]
    except (ValueError, TypeError) as error:
        raise TesseraError(
            f"CBMC's output is not the JSON that it promises (it ended with {code})",
            where=text[:200].strip() or "no output",
            remedy="use CBMC 5.95 to 6.x: tessera guest setup --cbmc",
        ) from error
    for row in rows:
        if isinstance(row.get(key), list):
            return list(row[key])
    errors = [row for row in rows if row.get("messageType") == "ERROR"]
    said = "; ".join(str(row.get("messageText", "")) for row in errors)[:1000] or "no result"
    places = (_place(row) for row in errors)
    raise TesseraError(
        f"CBMC refuses the tree's pool: {said}".replace(f"{root}/", ""),
        where=next((p.removeprefix(f"{root}/") for p in places if p), "cbmc"),
        remedy="the shims know OP-TEE 4.5 to 4.10; give such a tree, and a patch that compiles",
    )


def ask(checker: ModelChecker, question: Question, names: Sequence[str], bounds: Bounds) -> Answer:
    """Some assertions of a harness. Raises TesseraError when CBMC's answer cannot be read."""
    chosen = [word for name in names for word in ("--property", name)]
    done = _run(checker, [*question.words(), *chosen], bounds)
    if done.late:
        why = f"not decided within {bounds.seconds} s"
        return Answer((), done.seconds, 0, 0, 0, why, done.mebibytes)
    answer = read_answer(done.text, done.code, done.seconds, bounds, question.root)
    return replace(answer, mebibytes=done.mebibytes)


def covering(checker: ModelChecker, question: Question, bounds: Bounds) -> Done:
    """Which lines a harness can reach: CBMC's own text, in JSON."""
    plain = [w for w in question.words() if w not in ("--unwinding-assertions", "--slice-formula")]
    return _run(checker, [*plain, "--cover", "location"], bounds)


@dataclass(frozen=True, slots=True)
class Done:
    """A run that ended, or was ended as `late`."""

    text: str
    code: int
    seconds: float
    mebibytes: int
    late: bool


def _run(checker: ModelChecker, words: list[str], bounds: Bounds) -> Done:
    def limit() -> None:
        most = bounds.mebibytes << 20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    began, most = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        try:
            process = subprocess.Popen(
                [*checker.command, *words],
                stdout=said,
                stderr=subprocess.DEVNULL,
                preexec_fn=limit,  # noqa: PLW1509 (no other thread holds a lock that it needs)
            )
        except OSError as error:
            raise TesseraError(
                f"CBMC does not start: {error.strerror}",
                where=checker.command[-1],
                remedy="tessera guest setup --cbmc",
            ) from error
        late = False
        try:
            while process.poll() is None and not late:
                most = max(most, _peak(process.pid))
                late = time.perf_counter() - began > bounds.seconds
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_SAMPLED)
        finally:
            process.kill()
            code = process.wait()
        said.seek(0)
        return Done(said.read(), code, time.perf_counter() - began, most, late)


def _peak(pid: int) -> int:
    """The most memory, in MiB, that a running process had; 0 where that is not told.

    Not `ru_maxrss`: after a fork it starts from what this process has.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return -(-int(found.group(1)) // 1024) if found else 0


def read_answer(text: str, code: int, seconds: float, bounds: Bounds, root: Path) -> Answer:
    """What CBMC's JSON says. Raises TesseraError for output that is none, and for an error."""
    if code not in (_PROVED, _FAILED) and (code < 0 or "memory" in text[-_TAIL:].lower()):
        why = f"CBMC ended with {code}; it may use {bounds.mebibytes} MiB"
        return Answer((), seconds, 0, 0, 0, why)
    results = _rows(text, code, "result", root)
    properties = tuple(_property(row, root) for row in results)
    steps, variables, clauses = _sizes(text)
    return Answer(properties, seconds, steps, variables, clauses)


def _sizes(said: str) -> tuple[int, int, int]:
    steps = re.findall(r"size of program expression: (\d+) steps", said)
    formulas = re.findall(r"(\d+) variables, (\d+) clauses", said)
    variables = max((int(v) for v, _ in formulas), default=0)
    clauses = max((int(c) for _, c in formulas), default=0)
    return sum(map(int, steps)), variables, clauses


def _property(row: dict[str, Any], root: Path) -> Property:
    name, description = str(row.get("property", "")), str(row.get("description", ""))
    where = _place(row)
    inside = where.startswith(str(root))
    shown = where.removeprefix(f"{root}/") if inside else ""
    return Property(name, _group(name, description), str(row.get("status", "ERROR")), shown)


def _place(row: dict[str, Any]) -> str:
    """File and line of what CBMC tells, or nothing."""
    place = row.get("sourceLocation", {})
    return f"{place['file']}:{place.get('line', '')}" if place.get("file") else ""


def _group(name: str, description: str) -> str:
    kind, _, rest = description.partition(": ")
    if kind == "spec":
        return rest
    if kind in _GROUPED and rest:
        return kind
    if description == "no_panic":
        return "no_panic"
    return "loops" if ".unwind." in name else "memory"


def traced(
    checker: ModelChecker, question: Question, failed: str, bounds: Bounds
) -> tuple[str, ...]:
    """The pool, the blocks and the request in which an assertion fails, a line each."""
    if ".unwind." in failed:  # it is added while CBMC runs, and cannot be asked for
        return ()
    # Without what was cut away as beside the point: it is what a reader wants to see.
    plain = [word for word in question.words() if word != "--slice-formula"]
    words = [*plain, "--trace", "--property", failed]
    try:
        rows = [r for r in json.loads(_run(checker, words, bounds).text) if isinstance(r, dict)]
    except (ValueError, TypeError):
        return ()
    results: list[dict[str, Any]] = next((row["result"] for row in rows if "result" in row), [])
    failures = [r for r in results if r.get("status") == "FAILURE" and "trace" in r]
    return tuple(trace_lines(failures[0]["trace"])) if failures else ()


def trace_lines(steps: list[dict[str, Any]]) -> Iterator[str]:
    """What CBMC assigned to the variables of the harness that matter, in words."""
    last: dict[str, str] = {}
    for step in steps:
        if step.get("stepType") == "assignment":
            data = step.get("value", {}).get("data")
            if data is not None:
                last[str(step.get("lhs", ""))] = str(data).rstrip("ul")
    if "pool_pages" in last:
        yield f"a pool of {last['pool_pages']} granules"
    blocks: dict[str, dict[str, str]] = {}
    for name, value in last.items():
        found = _ENTRY.fullmatch(name)
        if found and found.group(1) == "before":
            blocks.setdefault(found.group(3), {})[found.group(2)] = value
    for number, block in sorted(blocks.items()):
        if block.get("live", "").lower() in ("true", "1"):
            start, size = int(block.get("start", "0")), int(block.get("size", "0"))
            owner = "the core's" if block.get("owner_of", "0") == "0" else "a TA's"
            yield f"block {number}: {owner}, granules [{start}, {start + size})"
    if int(last.get("request", "0")):
        who = "the core" if last.get("asker", "0") == "0" else "a TA"
        yield f"{who} asks for {last['request']} granules"
        came = int(last.get("result", "4294967295"))
        yield "the C: refused" if came == 0xFFFFFFFF else f"the C: at granule {came}"
