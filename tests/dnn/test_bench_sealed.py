"""The benches of sealed packages: rows, overheads, fits and the picture, without a guest."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tessera import resources
from tessera.errors import TesseraError
from tessera.guest import sealed
from tessera.plan.execute import run

WORDS = ["lenet_digits", "--no-plain", "--budgets", "512KiB", "64KiB", "16KiB"]
FOLDER = str(resources.path("verification/bench"))


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    sys.path.insert(0, FOLDER)
    return importlib.import_module("sealed")


@pytest.fixture(scope="module")
def crossings(bench: ModuleType) -> ModuleType:
    return importlib.import_module("crossings")


class Fake:
    """Stands for the guest: the reference's answers, and figures that follow the feed.

    An inference takes 1000 instructions and two for each of its bytes.
    """

    def __init__(self, bench: ModuleType, spoil: Callable[[bytes], bytes] | None = None) -> None:
        self.bench, self.spoil, self.times, self.more_steps = bench, spoil, 0, 0

    def __call__(self, package: Any, inputs: bytes, asked: Any) -> sealed.Ran:
        self.times += 1
        graph, feed = package.graph, self.bench.sent(package, asked.window)
        count = asked.inferences
        shape = graph.tensors[graph.inputs[0]].shape
        outputs = b""
        for one in np.frombuffer(inputs, "<f4").reshape(count, *shape):
            made = run(graph, {graph.inputs[0]: one})
            outputs += b"".join(np.ascontiguousarray(made[name]).tobytes() for name in made)
        figures = {
            "blocks": 1 + feed["once_blocks"] + count * feed["blocks"],
            "bytes": len(package.contents.blocks[0]) + feed["once_bytes"] + count * feed["bytes"],
            "steps": feed["once_calls"] + count * feed["calls"] + self.more_steps,
            "once_microseconds": 7,
            "heap_peak": package.needs.arena + 5000,
            "data_bytes": package.needs.heap,
        }
        taken = tuple(1 + 2 * feed["bytes"] + k for k in range(count))
        return sealed.Ran(
            *(self.spoil(outputs) if self.spoil else outputs, figures, taken, None, 4096, 8192),
            *(b"", "4.10.0", True),
        )


def run_bench(bench: ModuleType, out: Path, fake: Fake, *words: str) -> tuple[int, dict[str, Any]]:
    code = bench.main([*WORDS, *words, "-o", str(out)], fake)
    return code, json.loads(out.read_text()) if out.is_file() else {}


def test_rows_overheads_table_and_picture(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sealed.json"
    code, made = run_bench(bench, out, Fake(bench), "--picture")
    assert code == 0
    first, *_, last = rows = made["rows"]
    assert [row["budget"] for row in rows] == [512 << 10, 64 << 10, 16 << 10]
    for row in rows:
        assert row["usable"] and row["equal"] and row["as_the_feed_says"] and row["patched"]
        assert row["instructions"] == 1000 * (1 + 2 * row["bytes"])
        assert row["instructions_most"] == row["instructions"] + 1000
        assert row["largest_live_load"] <= row["arena"] <= row["budget"]
        assert (row["pool_taken"], row["pool_claimed"]) == (4096, 8192)
        assert row["ta_code"] is None and "plain" not in row
    assert first["bytes"] < last["bytes"]
    (found,) = made["overheads"]
    ratio = last["instructions"] / first["instructions"]
    assert found["smallest_against_largest"] == pytest.approx(ratio) and ratio > 2
    assert found["within_target"] is False and found["times_of_plain"] == {}
    assert found["times_of_the_largest"][str(512 << 10)] == 1
    told = capsys.readouterr().out
    assert f"{ratio:.2f} times 512 KiB, over the target of 2" in told
    assert told.count("| equal ") == 3
    drawn = ElementTree.parse(out.with_suffix(".svg"))
    title = drawn.find("{http://www.w3.org/2000/svg}title")
    assert title is not None and title.text == "Instructions over budgets: lenet_digits"


def test_budgets_that_are_no_use(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(bench)
    out = tmp_path / "sealed.json"
    code = bench.main(
        ["lenet_digits", "--no-plain", "--budgets", "4MiB", "2MiB", "64", "-o", str(out)], fake
    )
    much, enough, little = json.loads(out.read_text())["rows"]
    assert code == 0 and fake.times == 1 and enough["usable"]
    assert not much["usable"] and much["why"].endswith("see 2,097,152")
    assert not little["usable"] and little["why"].startswith("cannot be used: ")
    assert "cannot be used" in capsys.readouterr().out


def test_only_budgets_that_are_too_small(bench: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "sealed.json"
    words = ["lenet_digits", "--no-plain", "--picture", "--budgets", "64", "-o", str(out)]
    assert bench.main(words, Fake(bench)) == 0
    assert json.loads(out.read_text())["overheads"] == []
    assert not out.with_suffix(".svg").exists()


def test_another_answer_and_other_counts_are_told(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(bench, lambda outputs: bytes(len(outputs)))
    fake.more_steps = 1
    _, made = run_bench(bench, tmp_path / "s.json", fake)
    assert not any(row["equal"] or row["as_the_feed_says"] for row in made["rows"])
    assert "NOT EQUAL" in capsys.readouterr().out


def test_resumed_where_it_was_interrupted(bench: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "sealed.json"
    fake = Fake(bench)

    def interrupted(package: Any, inputs: bytes, asked: Any) -> sealed.Ran:
        if fake.times == 2:
            raise KeyboardInterrupt
        return fake(package, inputs, asked)

    with pytest.raises(KeyboardInterrupt):
        bench.main([*WORDS, "-o", str(out)], interrupted)
    assert len(json.loads(out.read_text())["rows"]) == 2
    rest = Fake(bench)
    _, made = run_bench(bench, out, rest, "--resume")
    assert rest.times == 1 and len(made["rows"]) == 3
    again = Fake(bench)
    run_bench(bench, out, again, "--resume", "--inferences", "1")
    assert again.times == 3  # another measurement


def test_beside_the_program_in_the_clear(bench: ModuleType, tmp_path: Path) -> None:
    given = bench.parser().parse_args([*WORDS, "-o", str(tmp_path / "s.json")])

    def plain(package: Any, inputs: Sequence[Any]) -> Mapping[str, int]:
        assert len(inputs) == 1
        return {"once": 5, "inference": 1000}

    rows = bench.bench(given, Fake(bench), plain)
    for row in rows:
        assert row["sealed_minus_plain"] == row["instructions"] - 1000
    (found,) = bench.overheads(rows)
    assert found["times_of_plain"][16 << 10] == rows[-1]["instructions"] / 1000
    assert bench.picture(rows).count("<polyline") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--budgets", "12 apples"], "12 apples"),
        (["--inferences", "0"], "nothing to run"),
        (["--window", "none"], "--window"),
    ],
)
def test_bad_input(
    bench: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    told: str,
) -> None:
    out = tmp_path / "sealed.json"
    fake = Fake(bench)
    assert bench.main(["lenet_digits", "--no-plain", *words, "-o", str(out)], fake) == 2
    assert told in capsys.readouterr().err
    assert not out.exists() and not fake.times


def test_resume_from_something_else(bench: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "sealed.json"
    out.write_text("[]")
    assert bench.main([*WORDS, "--resume", "-o", str(out)], Fake(bench)) == 2
    assert out.read_text() == "[]"


def test_calls(bench: ModuleType) -> None:
    assert bench.calls([84, 84, 84], 200) == 2  # 100 bytes each with their tags
    assert bench.calls([84, 84], 199) == 2
    assert bench.calls([], 200) == 0


def test_a_network_with_two_inputs_is_refused(bench: ModuleType) -> None:
    class Two:
        name = "two"
        inputs = ("a", "b")

    with pytest.raises(TesseraError, match="no single input"):
        bench.samples(Two(), 1)


def test_the_fit_finds_what_rows_were_made_of(crossings: ModuleType) -> None:
    random = np.random.default_rng(3)
    rows = [
        dict(zip(("calls", "blocks", "bytes"), map(int, random.integers(1, 900, 3)), strict=True))
        for _ in range(9)
    ]
    for row in rows:
        row["beyond"] = 50 + 7 * row["calls"] + 11 * row["blocks"] + 13 * row["bytes"]
    found = crossings.fit(rows)
    wanted = {"constant": 50, "per_call": 7, "per_block": 11, "per_byte": 13}
    assert {name: round(found[name], 3) for name in wanted} == wanted
    assert found["furthest"] < 1e-3
    rows[0]["beyond"] += 1000
    assert crossings.fit(rows)["furthest"] > 100


def test_a_fit_of_too_few_rows(crossings: ModuleType) -> None:
    rows = [{"calls": k, "blocks": k, "bytes": k, "beyond": k} for k in range(1, 9)]
    with pytest.raises(ValueError, match="too few"):
        crossings.fit(rows)


def test_rows_of_several_packages_and_windows(bench: ModuleType, crossings: ModuleType) -> None:
    found = crossings.made("lenet_digits", [64 << 10], [4096, 1024])
    plain = dict.fromkeys(found, 1000)

    class Device:
        spare = 0

        def do(self, command: str) -> str:
            _, _, path, *_, window = command.split()
            feed = bench.sent(found[path.removeprefix("/data/")], int(window))
            steps = feed["once_calls"] + 2 * feed["calls"] + self.spare
            return f"microseconds 9\nmicroseconds 8\nsteps {steps}\n"

    rows = crossings.measured(Device(), found, plain, 2)
    assert len(rows) == len(found) * len(crossings.WINDOWS)
    assert {row["beyond"] for row in rows} == {7000}
    assert len({row["calls"] for row in rows}) > 1 and len({row["blocks"] for row in rows}) == 2
    wrong = Device()
    wrong.spare = 1
    with pytest.raises(AssertionError):
        crossings.measured(wrong, found, plain, 2)
    assert crossings.largest(found).chunk == 4096
