"""`tessera run` as a user meets it: bad input ends before anything is built or booted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tessera.cli import run_network
from tessera.cli.pack import pack
from tessera.dnn import digits
from tessera.errors import TesseraError
from tessera.guest import sealed, toolchain
from tessera.package.file import parse
from tessera.package.keys import new_key, read_key
from tessera.package.user_data import binding_of


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "owner.key"
    new_key(path)
    return path


def tessera(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tessera.cli import main; main()", "run", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def asked(target: str = "lenet_digits", **more: object) -> run_network.Asked:
    given = {"weights": None, "dims": (), "budget": 1 << 19, "int8": False, "compress": False}
    return run_network.Asked(target, **{**given, "compare": False, **more})  # type: ignore[arg-type]


def refused(
    wanted: run_network.Asked,
    inputs: run_network.Inputs,
    key: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TesseraError:
    """The error of a run that must not come as far as the guest."""

    def never(*words: object, **more: object) -> None:
        raise AssertionError("the guest was asked")

    monkeypatch.setattr(sealed, "run", never)
    with pytest.raises(TesseraError) as error:
        run_network.run(
            *(wanted, inputs, key),
            patched=False,
            counting=False,
            tree=None,
            logs=key.parent,
            progress=lambda message: None,
        )
    return error.value


DIGITS = run_network.Inputs((), True, None, 2)


def test_inputs_are_said_in_one_way(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for inputs in (
        run_network.Inputs((), False, None, 2),
        run_network.Inputs((key,), True, None, 2),
        run_network.Inputs((), True, key, 2),
    ):
        assert (
            "inputs have to be said in one way"
            in refused(asked(), inputs, key, monkeypatch).message
        )


@pytest.mark.parametrize("option", ["compare", "int8", "compress", "baseline"])
def test_a_package_is_what_it_is(key: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    error = refused(asked("a.tsp", **{option: True}), DIGITS, key, monkeypatch)
    assert "planned and packed already" in error.message


@pytest.mark.parametrize("content", [None, b"", b"TSPK and no more", bytes(1000)])
def test_files_that_are_no_packages(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    path = tmp_path / "a.tsp"
    if content is not None:
        path.write_bytes(content)
    refused(asked(str(path)), DIGITS, key, monkeypatch)


def test_a_network_is_packed_as_the_command_packs_it(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With packed weights, too: they are counted when the plan is made."""
    taken: list[bytes] = []

    def take(data: bytes, *words: object, **more: object) -> None:
        taken.append(data)
        raise TesseraError("far enough")

    monkeypatch.setattr(sealed, "run", take)
    options = {"patched": False, "counting": False, "tree": None, "logs": tmp_path}
    for compress in (False, True):
        wanted = asked(budget=40_000, compress=compress)
        with pytest.raises(TesseraError, match="far enough"):
            run_network.run(*(wanted, DIGITS, key), **options, progress=lambda message: None)  # type: ignore[arg-type]
        path = tmp_path / f"{compress}.tsp"
        pack("lenet_digits", key, path, budget="40000", compress=compress)
        assert taken[-1] == path.read_bytes()
    assert taken[0] != taken[1]


@pytest.mark.parametrize("packed", [False, True])
def test_the_guest_gets_a_user_of_this_package(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """With a key of the run's own; a package has them as a network does. Else there is no user."""
    taken: list[tuple[bytes, sealed.Needs, sealed.User | None]] = []

    def take(data: bytes, needs: sealed.Needs, *words: object, **more: object) -> None:
        taken.append((data, needs, more["user"]))  # type: ignore[arg-type]
        raise TesseraError("far enough")

    monkeypatch.setattr(sealed, "run", take)
    target = "lenet_digits"
    if packed:
        target = str(tmp_path / "a.tsp")
        pack("lenet_digits", key, Path(target), budget="512KiB")
    options = {"patched": False, "counting": False, "tree": None, "logs": tmp_path}
    for sealed_io in (True, True, False):
        with pytest.raises(TesseraError, match="far enough"):
            run_network.run(
                *(asked(target, sealed_io=sealed_io), DIGITS, key),
                **options,  # type: ignore[arg-type]
                progress=lambda message: None,
            )
    (data, needs, first), (_, _, second), (_, plain, nobody) = taken
    assert first is not None and second is not None and nobody is None
    found = parse(data, "test")
    assert first.binding == binding_of(read_key(key), found.identity, found.version)
    assert first.key != second.key and first.size == 256
    assert (needs.io, plain.io) == (256 + 40, 0)


def test_a_budget_that_is_too_small(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(asked(budget=1000), DIGITS, key, monkeypatch)
    assert "least" in error.remedy + error.message


def test_raw_inputs_of_another_size(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.raw"
    path.write_bytes(bytes(257))
    inputs = run_network.Inputs((), False, path, 1)
    error = refused(asked(), inputs, key, monkeypatch)
    assert "257 bytes are not a whole number of inputs of 256 bytes" in error.message


def test_digits_for_another_network(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(asked("squeezenet11", budget=8 << 20), DIGITS, key, monkeypatch)
    assert "a digit has 1 x 8 x 8" in error.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--digits", "--key", "none.key"], "cannot read the key"),
        (["--digits", "--budget", "much"], "'much' is not a size"),
        (["--image", "none.png"], "cannot read the picture"),
    ],
)
def test_exit_code_2_and_one_error(key: Path, words: list[str], message: str) -> None:
    more = [] if "--key" in words else ["--key", str(key)]
    done = tessera("lenet_digits", *words, *more)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr


def test_help_has_an_example() -> None:
    done = tessera("--help")
    assert done.returncode == 0
    assert "tessera run lenet_digits" in done.stdout


@pytest.mark.guest
def test_digits_on_the_patched_system(
    guest_tools: toolchain.Toolchain, key: Path, tmp_path: Path
) -> None:
    words = ["--digits", "--count", "4", "--budget", "64KiB", "--key", key, "--compare", "--json"]
    words.append("--baseline")
    done = tessera("lenet_digits", *words, "--logs", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["patched"] is True
    assert told["agreement"]["holds"] is True
    ways = told["baseline"]["ways"]
    assert len(ways) == 4 and all(one["holds"] for one in ways)
    assert ways[-1]["memory"] == told["figures"]["heap_peak"] < ways[0]["memory"]
    tops = [one[0]["class"] for one in told["top"]]
    assert (np.array(tops) == digits.held_out()[1][:4]).sum() == told["right"]
    assert told["figures"]["heap_peak"] <= told["figures"]["data_bytes"]


@pytest.mark.guest
def test_sealed_digits_on_the_patched_system(
    guest_tools: toolchain.Toolchain, key: Path, tmp_path: Path
) -> None:
    words = ["--digits", "--count", "2", "--budget", "64KiB", "--key", key, "--compare", "--json"]
    done = tessera("lenet_digits", *words, "--sealed-io", "--logs", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sealed_io"] is True
    assert told["agreement"]["holds"] is True
