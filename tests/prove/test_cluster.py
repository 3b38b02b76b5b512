"""Questions on a real Dask scheduler with worker processes, one of them killed in mid-run."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.lang import Spec
from tessera.prove import check, cluster, engine
from tessera.prove.cache import ResultCache
from tessera.prove.cluster import ClusterEngine
from tessera.prove.engine import LocalEngine, Question, answer, engine_for
from tessera.prove.slice import Slicer
from tessera.prove.tasks import Done, Settings, Task
from tessera.results import Obligation

SpecOf = Callable[[str], Spec]

COUNTERS = """
spec counters "one counter that is right, and one that is not"
const top: u8 in 1 .. 20
var low: u8
var high: u8
init { low := 0  high := 10 }
action up() { require low < top  low := low + 1 }
action down() { require low > 0  low := low - 1 }
action more() { require high <= 12  high := high + 1 }
invariant small: low <= top
invariant large: high >= 10 and high <= 12
invariant odd: low / 2 <= 10
promise room: low < top => up() succeeds
cover two within 3: low == 2
expect large violated within 4
"""


class Cluster:
    """A scheduler and two workers, as one would start them by hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._logs: list[Path] = []
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self._file)
        )
        deadline = time.monotonic() + 120
        while not (self._file.is_file() and self._file.read_text().strip().endswith("}")):
            assert self.scheduler.poll() is None, self._logs[0].read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        self.address = json.loads(self._file.read_text())["address"]
        self.workers = [self.worker(), self.worker()]

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            *("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--local-directory", str(self._folder)),
        )

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{words[0]}{len(self._logs)}.log"
        self._logs.append(log)
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words], stdout=out, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    try:
        yield started
    finally:
        started.stop()


def essence(found: tuple[Obligation, ...]) -> list[tuple[object, ...]]:
    return [(o.id, o.verdict, o.met, o.detail, o.resource, o.trace, o.hint) for o in found]


def by_address(engine: ClusterEngine) -> dict[str, int]:
    """How many questions every worker has, by process id."""
    client = engine._client
    pids = client.run(lambda: __import__("os").getpid())
    return {pids[address]: len(tasks) for address, tasks in client.processing().items()}


def test_a_cluster_gives_what_this_machine_gives_though_a_worker_is_killed(
    dask: Cluster, spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(COUNTERS)
    local = check(spec, engine=LocalEngine(1))
    crew = engine_for(cluster=dask.address)
    assert isinstance(crew, ClusterEngine)
    crew._client.wait_for_workers(2, timeout=120)
    assert essence(check(spec, engine=crew)) == essence(local)

    slicer = Slicer(spec)
    settings = Settings(20_000_000, 0, 5)
    props = [p.name for p in spec.properties if p.kind == "invariant"]
    tasks = [Task("violate", name) for name in props] * 4
    questions = [slicer.question(task, settings) for task in tasks]
    answered: list[Question] = []
    victim = dask.workers[0]
    for question, done in crew.answers(questions):
        if not answered:
            assert by_address(crew)[victim.pid] > 0, "it is at work"
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        answered.append(question)
        status = "found" if question.task.prop == "large" else "none"
        assert done.found[0][1].status == status and not done.failed
    assert sorted(map(id, answered)) == sorted(map(id, questions))

    # With one worker left, and with a cache, all is still the same.
    cache = ResultCache(tmp_path / "results")
    assert essence(check(spec, engine=crew, cache=cache)) == essence(local)

    monkeypatch.setattr(cluster, "toolchain_digest", lambda: "another")
    with pytest.raises(TesseraError, match="another version"):
        check(spec, engine=crew)
    monkeypatch.undo()

    # Nobody is left at all: told in bounded time.
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    monkeypatch.setattr(cluster, "LOST_PATIENCE", 1.0)
    for process in dask.workers:
        process.kill()
        process.wait()
    with pytest.raises(TesseraError, match="cluster is gone"):
        check(spec, engine=crew)
    crew.close()
    with pytest.raises(TesseraError, match="has had no worker"):
        ClusterEngine(dask.address, patience=1)


def test_a_worker_has_its_answers_from_a_process_of_its_own(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Slicer(spec_of(COUNTERS)).question(Task("reach", "two"), Settings(20_000_000, 0, 5))
    here = answer(question)
    monkeypatch.setattr(engine, "answer", None)  # not this process

    def there() -> Done:
        said = cluster.answer_remotely(question, cluster.toolchain_digest())
        assert isinstance(said, Done)
        return replace(said, seconds=here.seconds)

    aside = cluster._aside
    try:
        assert there() == here
        first = aside._process
        assert first is not None
        assert there() == here
        assert aside._process is first, "it stays for the next question"
        first.kill()
        first.wait()
        assert there() == here, "a new one takes over"
        second = aside._process
        assert second is not None
        assert aside._pipe is not None
        aside._pipe.close()  # as when the worker is gone
        assert second.wait(timeout=60) == 0
    finally:
        aside.stop()


def test_a_question_that_ends_every_process_is_given_up(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Slicer(spec_of(COUNTERS)).question(Task("reach", "two"), Settings(20_000_000, 0, 5))
    monkeypatch.setattr(cluster, "START", "raise SystemExit(9)")
    said = cluster.answer_remotely(question, cluster.toolchain_digest())
    assert isinstance(said, Done)
    assert said.failed
    assert said.found[0][1].reason == engine.ENDED
    cluster._aside.stop()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "no address", "ftp://x:1", ""])
def test_an_address_that_does_not_answer_is_told(address: str) -> None:
    with pytest.raises(TesseraError, match="no Dask scheduler answers"):
        ClusterEngine(address, patience=1)


def test_without_dask_the_command_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(TesseraError) as error:
        engine_for(cluster="tcp://127.0.0.1:1")
    assert "pip install 'tessera[cluster]'" in error.value.remedy
