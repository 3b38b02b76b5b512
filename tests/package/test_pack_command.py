"""`tessera pack`, `package show` and `key`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.package.keys import read_key
from tessera.package.wrap import point_of, unwrap


def _call(*words: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=True)
    if isinstance(done.exception, TesseraError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def _json(*words: str | Path) -> dict[str, Any]:
    made = json.loads(_call(*words, "--json"))
    assert isinstance(made, dict)
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "owner.key"
    _call("key", "new", "-o", path)
    return path


def test_packed_and_shown(tmp_path: Path, key: Path) -> None:
    file = tmp_path / "lenet.tsp"
    about = _json("pack", "lenet_digits", "--budget", "20000", "--key", key, "-o", file)
    assert about["bytes"] == file.stat().st_size and about["arena"] <= 20_000
    assert about["constant_bytes"] == about["stored_bytes"] == 315_864
    shown = _json("package", "show", file, "--key", key, "--code")
    assert shown["identity"] == about["identity"] and shown["blocks"] == about["blocks"]
    assert shown["inputs"] == [{"element": 0, "channels": 1, "rows": 8, "columns": 8}]
    assert len(shown["code"]) == sum(shown["instructions"].values())
    assert shown["code"][-1] == {"op": "End"}
    table = _call("package", "show", file, "--key", key)
    assert "float32 10 x 1 x 1" in table and "every block opens" in table
    assert "every block opens" not in _call("package", "show", file)


def test_the_same_words_give_the_same_bytes(tmp_path: Path, key: Path) -> None:
    made = []
    for name in ("a.tsp", "b.tsp"):
        _call("pack", "lenet_digits", "--budget", "64KiB", "--key", key, "-o", tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_a_plan_of_a_file(tmp_path: Path, key: Path) -> None:
    plan, file = tmp_path / "plan.json", tmp_path / "lenet.tsp"
    _call("plan", "lenet_digits", "--budget", "20000", "-o", plan)
    direct = _json("pack", "lenet_digits", "--budget", "20000", "--key", key, "-o", file)
    assert _json("pack", "lenet_digits", "--plan", plan, "--key", key, "-o", file) == direct
    with pytest.raises(TesseraError, match=r"other layers or weights|does not hold"):
        _call("pack", "lenet_digits", "--int8", "--plan", plan, "--key", key, "-o", file)
    plan.write_text("{}")
    with pytest.raises(TesseraError, match="not a plan"):
        _call("pack", "lenet_digits", "--plan", plan, "--key", key, "-o", file)
    with pytest.raises(TesseraError, match="cannot read the plan"):
        _call("pack", "lenet_digits", "--plan", tmp_path, "--key", key, "-o", file)


def test_int8_and_compressed_packages_are_smaller(tmp_path: Path, key: Path) -> None:
    file = tmp_path / "lenet.tsp"
    words = ("pack", "lenet_digits", "--budget", "100000", "--key", key, "-o", file)
    plain, packed = _json(*words), _json(*words, "--compress")
    assert packed["stored_bytes"] < 0.9 * packed["constant_bytes"]
    assert packed["constant_bytes"] == plain["constant_bytes"]
    assert _json(*words, "--int8")["stored_bytes"] < 0.3 * plain["stored_bytes"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "has to be said in one way"),
        (("--budget", "1MiB", "--minimise"), "has to be said in one way"),
        (("--budget", "1MiB", "--inputs", "digits"), "ranges of int8"),
        (("--budget", "1MiB", "--chunk", "3"), "blocks of 3 bytes"),
        (("--budget", "1MiB", "--version", "-1"), "version -1"),
        (("--budget", "1000"), "does not fit into 1,000 bytes"),
    ],
)
def test_words_that_are_refused(
    tmp_path: Path, key: Path, words: tuple[str, ...], says: str
) -> None:
    file = tmp_path / "lenet.tsp"
    with pytest.raises(TesseraError, match=says):
        _call("pack", "lenet_digits", "--key", key, "-o", file, *words)
    assert not file.exists()


def test_another_key_or_a_damaged_file(tmp_path: Path, key: Path) -> None:
    file, other = tmp_path / "lenet.tsp", tmp_path / "other.key"
    _call("key", "new", "-o", other)
    _call("pack", "lenet_digits", "--budget", "20000", "--key", key, "-o", file)
    with pytest.raises(TesseraError, match="the key does not open"):
        _call("package", "show", file, "--key", other)
    with pytest.raises(TesseraError, match="the code is encrypted"):
        _call("package", "show", file, "--code", "--json")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TesseraError, match="cut off"):
        _call("package", "show", file)


def test_a_key_is_wrapped_for_a_device(tmp_path: Path, key: Path) -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    point, blob = tmp_path / "device.point", tmp_path / "device.wrap"
    point.write_bytes(point_of(device))
    about = _json("key", "wrap", key, "--device", point, "-o", blob)
    assert about["bytes"] == 129 and unwrap(blob.read_bytes(), device) == read_key(key)
    assert about["device"] in _call("key", "wrap", key, "--device", point, "-o", blob)
