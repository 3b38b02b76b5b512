"""The result cache: what is kept, what is not, damage, and what an edit asks again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tessera.lang import Spec
from tessera.prove import cache as caching
from tessera.prove import check
from tessera.prove.cache import ResultCache
from tessera.prove.codec import Unreadable, decode, encode
from tessera.prove.engine import LocalEngine, Question, Started, quietly
from tessera.prove.solver import Answer
from tessera.prove.tasks import Done, Settings, Task
from tessera.results import Obligation

TWO = """
spec two "two counters and a flag"
const top: u8 in 1 .. 10
var low: u8
var high: u8
var flag: bool
init { low := 0  high := 10  flag := false }
action up() { require low < top  low := low + 1 }
action more() { require high < 250  high := high + 1 }
action lift() { require high < low  flag := true }
invariant small "low stays low": low <= top
invariant large: high >= 10
invariant even: high >= 1
invariant unset: not flag
cover five within 5: low == 1
expect lift unreachable
"""

SpecOf = Callable[[str], Spec]


class Recording(LocalEngine):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[str] = []

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        self.asked += [q.label for q in questions]
        return super().answers(questions, started)


@pytest.fixture
def run(
    tmp_path: Path, spec_of: SpecOf
) -> Callable[..., tuple[list[str], ResultCache, list[Obligation]]]:
    """Check a text with the cache; what was asked of the engine, the cache, the obligations."""

    def again(text: str, **settings: int) -> tuple[list[str], ResultCache, list[Obligation]]:
        engine, cache = Recording(), ResultCache(tmp_path / "results")
        found = check(spec_of(text), engine=engine, cache=cache, **settings)  # type: ignore[arg-type]
        return engine.asked, cache, list(found)

    return again


def verdicts(found: Sequence[Obligation]) -> list[tuple[str, str, str, bool]]:
    return [(o.id, o.verdict, o.detail, o.met) for o in found]


Run = Callable[..., tuple[list[str], ResultCache, list[Obligation]]]


def test_the_second_time_nothing_is_asked_and_all_is_the_same(run: Run) -> None:
    asked, _, cold = run(TWO)
    assert asked
    again, cache, warm = run(TWO)
    assert again == [] and cache.misses == 0 and cache.hits > 0
    assert verdicts(warm) == verdicts(cold)
    assert [o.trace for o in warm] == [o.trace for o in cold]
    assert not any(o.cached for o in cold)
    assert all(o.cached and o.seconds == 0 for o in warm if o.resource)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("var low", "# words\n\nvar low"),
        ("low stays low", "low remains low"),
        ("two counters", "2 counters"),
    ],
)
def test_words_and_places_ask_nothing_again(old: str, new: str, run: Run) -> None:
    run(TWO)
    asked, _, _ = run(TWO.replace(old, new))
    assert asked == []


def test_an_edit_of_one_invariant_asks_again_only_what_it_touches(run: Run) -> None:
    """`unset` leans on `small` and `large`; that `even` was among its hypotheses is no matter."""
    run(TWO)
    asked, _, found = run(TWO.replace("high >= 1\n", "high >= 2\n"))
    assert all(o.met for o in found)
    assert {label.split("/")[-1] for label in asked if label != "exercised"} == {"even"}
    asked, _, found = run(TWO.replace("high >= 10", "high >= 9"))
    assert {label.split("/")[-1] for label in asked if label != "exercised"} == {"large", "unset"}


def test_an_edit_that_breaks_something_is_never_hidden(run: Run) -> None:
    run(TWO, steps=2)
    _, _, found = run(TWO.replace("require low < top", "require low <= top"), steps=2)
    broken = [o for o in found if o.property == "small"]
    assert {o.verdict for o in broken} == {"VIOLATED"}
    _, _, found = run(TWO.replace("high >= 10", "high >= 11"), steps=1)
    assert "PROVED" not in {o.verdict for o in found if o.property == "large"}
    assert "PROVED" not in {o.verdict for o in found if o.id == "two/lift/unset"}


def test_settings_solver_and_sources_are_part_of_the_key(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold, _, _ = run(TWO)
    asked, _, _ = run(TWO, seed=7)
    assert asked == cold
    asked, _, _ = run(TWO, seed=7)
    assert asked == []
    monkeypatch.setattr(caching, "toolchain_digest", lambda: "another solver")
    asked, _, _ = run(TWO)
    assert asked == cold


def test_damaged_entries_are_proved_again_and_told(run: Run) -> None:
    run(TWO)
    _, cache, _ = run(TWO)
    # Of proofs: all of them are asked for again.
    entries = [entry for entry in cache.entries() if '"unsat"' in entry.read_text()]
    entries[0].write_text(entries[0].read_text()[:-5])
    entries[1].write_bytes(b"\xff\xfe\x00")
    entries[2].write_text("")
    entries[3].write_text(entries[3].read_text().replace("unsat", "sat").replace("none", "found"))
    entries[4].write_text(entries[5].read_text())  # a whole entry under another's name
    asked, cache, found = run(TWO)
    assert len(cache.troubles) >= 4 and all("damaged" in t for t in cache.troubles)
    assert asked and all(o.met for o in found)
    asked, cache, _ = run(TWO)
    assert asked == [] and cache.troubles == []


def test_unknown_and_died_answers_are_not_kept(run: Run, tmp_path: Path) -> None:
    hard = (
        "spec hard\nvar x: u64\ninit { x := 3 }\naction turn() { x := x * x * x }\n"
        "invariant odd_cube: x * x * x != 0x1234_5678_9abc_def1\n"
    )
    _, _, found = run(hard, limit=2000, steps=1)
    assert "UNKNOWN" in {o.verdict for o in found}
    asked, _, again = run(hard, limit=2000, steps=1)
    assert "step/turn/odd_cube" in asked
    assert verdicts(again) == verdicts(found)
    cache = ResultCache(tmp_path / "other")
    task = Task("step", "p", "a", ("p",))
    question = Question(None, task, Settings(1, 0, 1), "name")  # type: ignore[arg-type]
    cache.put(question, Done(task, 1.0, Answer("unsat", 1.0, 5), failed="the process ended"))
    assert cache.get(question) is None
    cache.put(question, Done(task, 1.0, Answer("unknown", 1.0, 5)))
    assert cache.get(question) is None
    cache.put(question, Done(task, 1.0, Answer("unsat", 1.0, 5)))
    kept = cache.get(question)
    assert kept is not None and kept.cached and kept.answer == Answer("unsat", 1.0, 5)


def test_a_folder_that_cannot_be_written_is_told_once(spec_of: SpecOf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ResultCache(tmp_path / "file" / "results")
    found = check(spec_of(TWO), jobs=1, cache=cache)
    assert all(o.met for o in found)
    assert len(cache.troubles) == 1 and "cannot keep results" in cache.troubles[0]


def test_clear_counts_and_leaves_what_is_not_ours(run: Run) -> None:
    _, cache, _ = run(TWO)
    count = len(list(cache.entries()))
    (cache.folder / "README").write_text("not ours")
    assert cache.clear() == count > 0
    assert list(cache.entries()) == []
    assert (cache.folder / "README").is_file()


def test_only_the_records_of_answers_come_out_of_a_file() -> None:
    done = Done(Task("hunt", "p"), 0.5, None, (("", Answer("sat", 0.1, 3)),))  # type: ignore[arg-type]
    assert decode(json.loads(json.dumps(encode(done)))) == done
    odd = {("a", 1): [True, None, 1.5], "b": {}}
    assert decode(json.loads(json.dumps(encode(odd)))) == odd
    for bad in (
        {"Path": ["/etc"]},
        {"Answer": 1},
        {"Answer": [1, 2, 3, 4, 5, 6]},
        [1],
        {},
        {"a": [], "b": []},
    ):
        with pytest.raises(Unreadable):
            decode(bad)
    with pytest.raises(TypeError):
        encode(Path("/"))


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(caching.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert caching.default_folder() == Path("/somewhere/tessera/results")
    monkeypatch.setenv(caching.FOLDER_VARIABLE, "/elsewhere")
    assert caching.default_folder() == Path("/elsewhere")
    monkeypatch.setenv(caching.FOLDER_VARIABLE, "off")
    assert caching.default_folder() is None
