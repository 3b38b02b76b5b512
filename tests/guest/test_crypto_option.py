"""How OP-TEE computes ciphers: what the option changes in a build, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import build, cache, optee, process, sealed, tfa, toolchain
from tessera.guest.optee import Crypto
from tessera.package.keys import new_key

SWITCH = "CFG_CRYPTO_WITH_CE=y"


@pytest.mark.parametrize("crypto", list(Crypto))
def test_make_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crypto: Crypto) -> None:
    said: list[list[object]] = []
    monkeypatch.setattr(process, "run", lambda words, **more: said.append(list(words)))
    optee.compile_tree(tmp_path, tmp_path / "out", tmp_path / "log", crypto)
    assert len(said) == 1
    assert (SWITCH in said[0]) == (crypto is Crypto.EXTENSIONS)
    assert all(flag in said[0] for flag in optee.FLAGS)


class Parts:
    """Of a toolchain what a build asks for."""

    optee = "4.10.0-2"
    tfa = "2.12.1"
    optee_source = Path("optee")
    tfa_source = Path("tfa")


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Names of cache entries and of kept trees that builds ask for; nothing is built."""
    built: list[str] = []
    trees: list[str] = []

    def entry(name: str, make: Callable[[Path], None]) -> Path:
        built.append(name)
        return Path(name)

    monkeypatch.setattr(toolchain, "require", Parts)
    monkeypatch.setattr(optee, "read_tree", lambda path: optee.Tree(path, "4.10.0"))
    monkeypatch.setattr(cache, "entry", entry)
    monkeypatch.setattr(build.workshop, "kept", lambda source, name, patch: trees.append(name))
    return built, trees


@pytest.mark.parametrize("patch", [None, "--- a patch"])
def test_builds_and_objects_are_kept_apart(
    entries: tuple[list[str], list[str]], patch: str | None
) -> None:
    built, trees = entries
    for crypto in (*Crypto, *Crypto):
        build.build(patch, crypto=crypto)
    assert built[:2] == built[2:]
    assert trees[:2] == trees[2:]
    assert len(set(built)) == len(set(trees)) == 2


def test_what_was_built_before_there_was_a_choice_is_still_found(
    entries: tuple[list[str], list[str]],
) -> None:
    """Builds in a user's cache are not made again, and comparisons go on with the same ones."""
    parts = (build._RECIPE, Parts.optee, Parts.tfa, optee.FLAGS, tfa.FLAGS, None)
    made = build.build()
    assert made.key == cache.key(*parts) == build.build(crypto=Crypto.SOFTWARE).key
    assert made.key != build.build(crypto=Crypto.EXTENSIONS).key
    assert entries[1][0] == cache.key(Parts.optee, optee.FLAGS)


def test_sealed_packages_have_the_processors_instructions_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Crypto] = []

    def take(*words: object) -> None:
        asked.append(Crypto(str(words[3])))

    monkeypatch.setattr(sealed, "build", take)
    needs, quiet = sealed.Needs(1000, 65_536, 96), process.silent
    sealed.built(needs, patched=False, tree=None, progress=quiet)
    sealed.built(needs, patched=False, tree=None, progress=quiet, crypto=Crypto.SOFTWARE)
    assert asked == [Crypto.EXTENSIONS, Crypto.SOFTWARE]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), Crypto.SOFTWARE),
        (("--crypto", "software"), Crypto.SOFTWARE),
        (("--crypto", "extensions"), Crypto.EXTENSIONS),
    ],
)
def test_guest_commands_pass_it_on(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], wanted: Crypto
) -> None:
    seen = refuse(monkeypatch, build, "build")
    for command in (("build",), ("shell",), ("run", "true"), ("xtest",)):
        CliRunner().invoke(app, ["guest", *command, *words])
    assert [given[3] for given, _ in seen] == [wanted] * 4


@pytest.mark.parametrize(
    ("words", "wanted"),
    [((), Crypto.EXTENSIONS), (("--crypto", "software"), Crypto.SOFTWARE)],
)
def test_a_run_passes_it_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], wanted: Crypto
) -> None:
    seen = refuse(monkeypatch, sealed, "run")
    new_key(tmp_path / "owner.key")
    network = ["lenet_digits", "--digits", "--count", "1", "--budget", "512KiB"]
    CliRunner().invoke(app, ["run", *network, "--key", str(tmp_path / "owner.key"), *words])
    assert [more["crypto"] for _, more in seen] == [wanted]


def refuse(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What a function was called with, which now refuses."""
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def stop(*words: Any, **more: Any) -> None:
        seen.append((words, more))
        raise TesseraError("far enough")

    monkeypatch.setattr(module, name, stop)
    return seen


def test_a_name_that_is_none() -> None:
    assert Crypto.named("software") is Crypto.SOFTWARE
    with pytest.raises(TesseraError, match="no cryptography called 'hardware'") as error:
        Crypto.named("hardware")
    assert "software, extensions" in error.value.remedy


@pytest.mark.parametrize(
    "words",
    [
        ("run", "lenet_digits", "--digits", "--key", "missing.key"),
        ("guest", "build"),
        ("guest", "xtest", "1004"),
        ("guest", "shell"),
        ("guest", "run", "true"),
    ],
)
def test_a_bad_name_ends_the_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Before anything else is looked at: the cache is empty."""
    done = subprocess.run(
        [sys.executable, "-c", "from tessera.cli import main; main()", *words, "--crypto", "none"],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no cryptography called 'none'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.bin"))
