"""Questions answered by a running Dask cluster.

Goal: the same questions, the same answers, on many machines. A worker that is lost is replaced by
another; a question that loses several is unknown. Every worker must have the same solver and the
same sources as we (else its answers would not be ours), and says so before it answers.
Non-goals: starting a cluster. Z3 may take as much memory on a worker as in a process here.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from tessera.errors import TesseraError
from tessera.prove.cache import toolchain_digest
from tessera.prove.engine import DEFAULT_MEMORY, ENDED, TRIES, Question, Started, quietly
from tessera.prove.tasks import Done, gave_up

PATIENCE = 10
"""Seconds in which the scheduler has to answer, and to have a worker."""

LOST_PATIENCE = 60
"""Seconds without any worker after which we no longer wait for one to come back."""

OUT_OF_MEMORY = "the solver process ran out of memory (on the cluster)"

START = (
    "import sys; from tessera.prove.engine import serve_from; "
    "serve_from(int(sys.argv[1]), int(sys.argv[2]))"
)
"""What a process runs that answers beside a worker."""

_one_at_a_time = threading.Lock()


class OtherVersion(Exception):
    """A worker whose solver or sources differ from ours."""


def answer_remotely(question: Question, toolchain: str) -> Done | Exception | None:
    """Runs on a worker; what comes back is that of `engine.attempt`.

    The answer is worked out in a process of its own. A Dask worker has threads that look into the
    frames of the thread at work (its profiler does so every 10 ms); a Z3 term that is let go of in
    one of them, while Z3 is at work in its context, corrupts that context.
    """
    if toolchain != toolchain_digest():
        return OtherVersion()
    with _one_at_a_time:
        for _ in range(TRIES):
            try:
                return _aside.ask(question)
            except (EOFError, OSError):
                _aside.stop()
    return gave_up(question.spec, question.task, ENDED)


class Aside:
    """A process beside this one that answers questions; it ends when this one does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def ask(self, question: Question) -> Done | Exception | None:
        """Raises `EOFError` or `OSError` when the process ends over it."""
        if self._pipe is None:
            self._pipe = self._start()
        self._pipe.send(question)
        said: Done | Exception | None = self._pipe.recv()
        if said is None:  # out of memory, and gone
            self.stop()
        return said

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._pipe = None

    def _start(self) -> Connection:
        # Not multiprocessing: a worker under a nanny may have no children of that kind.
        ours, theirs = Pipe()
        word = str(theirs.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, word, str(DEFAULT_MEMORY)], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        return ours


_aside = Aside()


class ClusterEngine:
    """Answers on the workers of the Dask scheduler at `address`, e.g. "tcp://10.0.0.5:8786".

    Raises `TesseraError` when Dask is not installed, or when nobody answers there in time.
    """

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        self.address = address
        self._dask = _dask()
        self._client = self._connect(patience)

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        """See `Engine`. Of lost workers' questions Dask asks again by itself."""
        todo = deque(questions)
        running: dict[Any, Question] = {}
        try:
            while todo or running:
                while todo and len(running) < self._room():
                    question = todo.popleft()
                    started(question)
                    running[self._submit(question)] = question
                for future in self._ended(list(running)):
                    question = running.pop(future)
                    yield question, self._taken(future, question)
        finally:
            if running:
                self._client.cancel(list(running), force=True)

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        self._client.close()

    # --- talking to Dask --------------------------------------------------------------------------

    def _connect(self, patience: float) -> Any:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we report in our own words
        client = self._dask.Client.__new__(self._dask.Client)
        try:
            client.__init__(self.address, timeout=patience, set_as_default=False, name="tessera")
        except (OSError, TimeoutError, ValueError, TypeError, ImportError) as error:
            # Left to the garbage collector it would close itself at any time, also while another
            # client holds the lock that it needs for that.
            with contextlib.suppress(Exception):
                client.close()
            raise TesseraError(
                f"no Dask scheduler answers there: {str(error) or type(error).__name__}",
                where=self.address,
                remedy="start one with `dask scheduler`, and give the address that it prints",
            ) from error
        try:
            client.wait_for_workers(1, timeout=patience)
        except (TimeoutError, OSError) as error:
            client.close()
            raise TesseraError(
                f"the scheduler has had no worker for {patience:g} seconds",
                where=self.address,
                remedy=f"start some with `dask worker {self.address} --nthreads 1`",
            ) from error
        return client

    def _room(self) -> int:
        """So many questions at once that no worker waits for us."""
        return 2 * max(1, len(self._client.nthreads()))

    def _submit(self, question: Question) -> Any:
        return self._client.submit(
            answer_remotely,
            question,
            toolchain_digest(),
            key=f"{question.label.replace('/', '-')}-{uuid.uuid4().hex}",
            pure=False,
        )

    def _ended(self, futures: Sequence[Any]) -> list[Any]:
        """At least one future that ended. Raises `TesseraError` when the cluster is gone."""
        waited = 0.0
        while True:
            try:
                with self._client.as_current():
                    ended = self._dask.wait(futures, PATIENCE, "FIRST_COMPLETED")
                return [future for future in futures if future in ended.done]
            except (TimeoutError, self._dask.TimeoutError):
                waited = 0.0 if self._workers() else waited + PATIENCE
                if waited >= LOST_PATIENCE:
                    raise self._gone("all its workers are lost") from None

    def _workers(self) -> int:
        try:
            return len(self._client.nthreads())
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            raise self._gone("its scheduler no longer answers") from error

    def _taken(self, future: Any, question: Question) -> Done:
        if future.status == "cancelled":
            raise self._gone("its scheduler no longer answers")
        if future.status == "error":
            error = future.exception()
            if isinstance(error, self._dask.KilledWorker):
                return gave_up(question.spec, question.task, ENDED)
            raise TesseraError(
                f"a worker cannot answer: {type(error).__name__}: {error}",
                where=self.address,
                remedy="install this version of tessera beside every worker",
            )
        said: Done | Exception | None = future.result()
        if isinstance(said, OtherVersion):
            raise TesseraError(
                "a worker has another version of tessera or of Z3 than this command",
                where=self.address,
                remedy="install the same version beside every worker, and restart them",
            )
        if isinstance(said, Exception):
            raise said
        return said or gave_up(question.spec, question.task, OUT_OF_MEMORY)

    def _gone(self, why: str) -> TesseraError:
        return TesseraError(
            f"the cluster is gone: {why}",
            where=self.address,
            remedy="start it again; answers that it gave are in the result cache",
        )


def _dask() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise TesseraError(
            "a cluster needs Dask, which is not installed",
            where="--cluster",
            remedy="pip install 'tessera[cluster]'",
        ) from error
