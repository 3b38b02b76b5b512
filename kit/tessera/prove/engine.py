"""Where questions are answered: in this process, or in worker processes that may die.

Goal: one interface, `Engine.answers`, for every campaign (check, sweep, mutation, seeds). A worker
whose process ends costs the one question that it was at, never the others: that question is asked
once more, alone, and then reported as unknown.
Non-goals: what is asked and what answers mean (see `tessera.prove.check`), and remembering answers
(see `tessera.prove.cache`).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.prove.tasks import Done, Settings, Task, gave_up, run_task

DEFAULT_MEMORY = 4096
"""MiB of address space that a worker may take beyond what the command had when it was started."""

TRIES = 2
"""How often a question is asked whose worker's process ended."""

OUT_OF_MEMORY = "out of memory"
"""Z3's own words, in an exception or as the reason of an unknown."""

ENDED = "the solver process ended (out of memory?)"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One task of one spec, with everything that its answer depends on; equal only to itself.

    `digest` names all three for the result cache; without one the answer is not kept.
    """

    spec: t.Spec
    task: Task
    settings: Settings
    digest: str = ""

    @property
    def label(self) -> str:
        """For progress, e.g. "step/alloc/disjoint"."""
        return "/".join(x for x in (self.task.kind, self.task.action, self.task.prop) if x)


Started = Callable[[Question], None]
"""Called when work on a question begins (again, when its first worker ended)."""


def quietly(_: Question) -> None:
    """Tells nobody that a question was begun."""


class Engine(Protocol):
    """Answers questions, in any order and anywhere."""

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        """Every question with its answer, as they complete; begun in the order given.

        Leaving the iterator early stops all work.
        """
        ...


def processors() -> int:
    """How many processes make sense here."""
    return max(1, len(os.sched_getaffinity(0)))


def answer(question: Question) -> Done:
    """The answer, worked out here and now.

    Meanwhile nothing is collected: the collector may run in any thread (that of a progress bar),
    and a Z3 term that it lets go of while Z3 is at work in its context corrupts that context.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return run_task(question.spec, question.task, question.settings)
    finally:
        if collects:
            gc.enable()


class LocalEngine:
    """Answers on this machine.

    With one job and no limit of memory, in this process; else in `jobs` processes that may each
    take `memory` MiB of address space beyond what this one has (0: without a limit).
    """

    def __init__(self, jobs: int = 0, memory: int | None = None) -> None:
        self.jobs = jobs or processors()
        self.memory = DEFAULT_MEMORY if memory is None else memory
        self._here = self.jobs == 1 and memory is None

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        """See `Engine`."""
        if self._here:
            for question in questions:
                started(question)
                yield question, answer(question)
        elif questions:
            crew = _Crew(min(self.jobs, len(questions)), self.memory, started)
            try:
                yield from crew.answers(questions)
            finally:
                crew.stop()


# --- worker processes -----------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    at: Question | None = None


class _Crew:
    """Some workers, each at one question at a time, so that it is known what a dead one was at."""

    def __init__(self, size: int, memory: int, started: Started) -> None:
        self._size = size
        self._memory = memory
        self._started = started
        self._workers: list[_Worker] = []

    def answers(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Done]]:
        todo = deque(questions)
        again: deque[Question] = deque()  # asked alone, when all others are done
        tries: dict[Question, int] = {}
        while todo or again or self._busy():
            while todo and len(self._busy()) < self._size:
                self._give(todo.popleft())
            if again and not self._busy():
                self._give(again.popleft())
            for worker in self._ready():
                question = worker.at
                assert question is not None
                done = self._take(worker)
                if done is not None:
                    yield question, done
                    continue
                tries[question] = tries.get(question, 0) + 1
                if tries[question] < TRIES:
                    again.append(question)
                else:
                    yield question, gave_up(question.spec, question.task, ENDED)

    def stop(self) -> None:
        """End every worker, at once where it is still at work."""
        for worker in self._workers:
            if worker.at is not None:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()

    def _busy(self) -> list[_Worker]:
        return [w for w in self._workers if w.at is not None]

    def _ready(self) -> list[_Worker]:
        by_pipe = {w.pipe: w for w in self._busy()}
        return [by_pipe[pipe] for pipe in wait(list(by_pipe)) if isinstance(pipe, Connection)]

    def _give(self, question: Question) -> None:
        """Hand a question to an idle worker; one that died idle is replaced."""
        while True:
            worker = next((w for w in self._workers if w.at is None), None) or self._hire()
            try:
                worker.pipe.send(question)
            except OSError:
                self._dismiss(worker)
                continue
            worker.at = question
            self._started(question)
            return

    def _take(self, worker: _Worker) -> Done | None:
        """What a worker says; nothing when its process ended."""
        question = worker.at
        assert question is not None
        worker.at = None
        try:
            said: Done | Exception | None = worker.pipe.recv()
        except (EOFError, OSError):
            self._dismiss(worker)
            return None
        if isinstance(said, Exception):
            raise said
        if said is None:
            self._dismiss(worker)
            reason = f"the solver process ran out of memory ({self._memory} MiB)"
            return gave_up(question.spec, question.task, reason)
        return said

    def _hire(self) -> _Worker:
        ours, theirs = get_context("fork").Pipe()
        inherited = [ours, *(w.pipe for w in self._workers)]
        process = get_context("fork").Process(
            target=_serve, args=(theirs, inherited, self._memory), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def _serve(pipe: Connection, inherited: Sequence[Connection], memory: int) -> None:
    """A worker's life: a question in, an answer out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends its workers
    for other in inherited:
        other.close()  # else this end would stay open when the parent is gone
    keep_memory()
    bound_memory(memory)
    with contextlib.suppress(EOFError, OSError):
        while True:
            question: Question = pipe.recv()
            said = attempt(question)
            pipe.send(said)
            if said is None:
                break
    os._exit(0)  # nothing of the parent's is tidied up here


def serve_from(descriptor: int, memory: int) -> None:
    """A worker's life for a process started by hand, with the number of its end of the pipe."""
    _serve(Connection(descriptor), (), memory)


def attempt(question: Question) -> Done | Exception | None:
    """The answer, the mistake that prevented it, or nothing when memory ran out."""
    try:
        done = answer(question)
        reasons = [found.reason for _, found in done.found]
        reasons += [done.answer.reason] if done.answer is not None else []
        return None if any(OUT_OF_MEMORY in reason for reason in reasons) else done
    except MemoryError:
        return None
    except TesseraError as error:
        return error
    except Exception as error:
        if OUT_OF_MEMORY in str(error):  # a Z3Exception
            return None
        return RuntimeError(f"{question.label}: {type(error).__name__}: {error}")


def keep_memory() -> None:
    """Tell glibc not to hand memory back between questions: every Z3 context would ask for it
    again. Elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from glibc's malloc.h
        mallopt(trim_threshold, 1 << 30)
        mallopt(top_pad, 64 << 20)
        mallopt(mmap_threshold, 1 << 30)


def bound_memory(mib: int) -> None:
    """Let this process grow by at most so much address space (0: no limit of ours)."""
    if mib:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = _address_space() + (mib << 20)
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Bytes that this process has mapped, most of it shared with its parent; 0 where unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def engine_for(jobs: int = 0, memory: int | None = None, cluster: str | None = None) -> Engine:
    """The engine that a command's options ask for: local processes, or a running cluster.

    Raises `TesseraError` when the cluster does not answer.
    """
    if cluster is not None:
        from tessera.prove.cluster import ClusterEngine  # noqa: PLC0415 - Dask is optional

        return ClusterEngine(cluster)
    return LocalEngine(jobs, memory)
