"""`tessera plan --confirm` and `--rates`: exit codes, what is printed, words that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_plan_command import run

from tessera.cli import plan_confirm
from tessera.cli import plan_network as command
from tessera.errors import TesseraError
from tessera.plan.cost import Coefficients
from tessera.plan.plan import Plan
from tessera.plan.rates_file import read_rates
from tessera.prove import tiles

LENET = ("lenet_digits", "--budget", "64KiB")
GOOD = {"byte_loaded": 30, "byte_moved": 0.5, "multiply_add": 1.5, "world_switch": 9e4}


def test_a_plan_is_confirmed_and_the_same_bytes_come_twice() -> None:
    code, printed, error = run(*LENET, "--confirm")
    assert code == 0, error
    assert "PROVED arena: 4 of 4 rules" in printed
    first, second = (run(*LENET, "--confirm", "--json")[1] for _ in range(2))
    assert first == second
    found = json.loads(first)["confirmation"]
    assert found["heights"] == [1, 4096]
    assert {one["verdict"] for one in found["obligations"]} == {"PROVED"}


def test_without_the_option_nothing_is_asked() -> None:
    assert "confirmation" not in json.loads(run(*LENET, "--json")[1])


def changed(change: Callable[[Plan], Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    right = command.confirmed
    monkeypatch.setattr(command, "confirmed", lambda plan, *more: right(change(plan), *more))


def overlapping(plan: Plan) -> Plan:
    """All buffers at one place."""
    return replace(plan, buffers=tuple(replace(one, offset=0) for one in plan.buffers))


def test_what_z3_refuses_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(overlapping, monkeypatch)
    out = tmp_path / "plan.json"
    code, printed, _ = run(*LENET, "--confirm", "-o", out)
    assert code == 1
    assert "VIOLATED arena_disjoint" in printed
    assert not out.exists()


def test_what_z3_cannot_say_is_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(plan: Plan) -> Plan:
        more = tuple(replace(plan.buffers[0], id=f"more{k}") for k in range(65))
        return replace(plan, buffers=more)

    changed(crowded, monkeypatch)
    code, printed, _ = run(*LENET, "--confirm")
    assert code == 3
    assert "UNKNOWN" in printed and "not asked" in printed


def test_tiled_layers_are_asked_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = {"kernel": 3, "stride": 1, "before": 1, "after": 1, "dilation": 1}
    good = tiles.Bands(**layer, band=2, ring=4, first=2)
    found: dict[str, Any] = {"a": good, "b": good, "c": replace(good, ring=3)}
    monkeypatch.setattr(plan_confirm, "tiled_layers", lambda _: found)
    code, printed, _ = run(*LENET, "--confirm", "--heights", "5:64")
    assert code == 1
    assert "PROVED tiles/a: 4 of 4 rules for every height of its input from 5 to 64" in printed
    assert "PROVED tiles/b: 4 of 4 rules" in printed and ", 0 resource units" in printed
    assert "open   tiles/c: 3 of 4 rules" in printed
    assert "VIOLATED arena_initialised" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--heights", "1:9"], "say --confirm as well"),
        (["--confirm", "--heights", "9:1"], "'9:1' is no range"),
        (["--confirm", "--heights", "0:4"], "'0:4' is no range"),
        (["--confirm", "--heights", "tall"], "'tall' is no range"),
        (["--confirm", "--curve"], "--curve"),
        (["--rates", "gone.json"], "cannot read the rates"),
    ],
)
def test_words_that_do_not_fit(words: list[str], said: str) -> None:
    code, printed, error = run("lenet_digits", *words)
    assert (code, printed) == (2, "")
    assert said in error


BAD: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "are no JSON"),
    "binary": ("\x00\x01", "are no JSON"),
    "a list": ("[1, 2]", "no JSON object"),
    "missing": (json.dumps({k: v for k, v in GOOD.items() if k != "world_switch"}), "is missing"),
    "unknown": (json.dumps(GOOD | {"bytes": 1}), "'bytes' is no rate"),
    "words": (json.dumps(GOOD | {"byte_moved": "1"}), "'byte_moved' is \"1\""),
    "truth": (json.dumps(GOOD | {"byte_moved": True}), "'byte_moved' is true"),
    "negative": (json.dumps(GOOD | {"byte_moved": -1}), "'byte_moved' is -1"),
    "not finite": (json.dumps(GOOD | {"byte_moved": float("nan")}), "'byte_moved' is NaN"),
    "huge": (json.dumps(GOOD | {"byte_moved": 10**400}), "'byte_moved' is 1000"),
    "zeros": (json.dumps(dict.fromkeys(GOOD, 0)), "all rates are 0"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_of_rates_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "rates.json"
    text, said = BAD[kind]
    file.write_text(text)
    code, printed, error = run(*LENET, "--rates", file)
    assert (code, printed) == (2, "")
    assert said in error and str(file) in error and "help: " in error


def test_rates_are_read_and_used(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    file.write_text(json.dumps(GOOD))
    assert read_rates(file) == Coefficients(30.0, 0.5, 1.5, 9e4, 64.0 * 1.5)
    plan = json.loads(run(*LENET, "--rates", file, "--json")[1])
    assert plan["rates"]["world_switch"] == 9e4
    assumed = json.loads(run(*LENET, "--json")[1])
    assert plan["costs"]["switches"] <= assumed["costs"]["switches"]
    counts, rates = plan["layers"][-1]["costs"], plan["rates"]
    names = {"byte_loaded": "loaded", "byte_moved": "moved", "multiply_add": "multiply_adds"}
    names |= {"world_switch": "switches", "word_decoded": "decoded"}
    assert counts["cost"] == pytest.approx(sum(rates[r] * counts[c] for r, c in names.items()))


def test_a_folder_is_no_file_of_rates(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="cannot read the rates"):
        read_rates(tmp_path)
