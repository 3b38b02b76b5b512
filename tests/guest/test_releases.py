"""What `tessera guest setup --builds` fetches, from a mirror that lost some of what it offers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import apt, aptsources, checkpatch, hosttools, process, releases

LOST = """apt-get failed with exit code 100:
    Err:1 http://mirror.example/debian trixie/main optee-os 4.5.0-2 (dsc)
      404  Not Found [IP: 192.0.2.1 80]
    E: Failed to fetch http://mirror.example/debian/pool/o/optee-os_4.5.0-2.dsc  404  Not Found \
[IP: 192.0.2.1 80]
    E: Failed to fetch some archives."""


class FakeApt:
    """Offers two sources, of which it gives one, and two versions of Linux's source."""

    offered = ("4.10.0-2", "4.5.0-2")
    kernels = ("linux-source-6.12", "linux-source-7.2", "linux-source-6.1")
    lost = frozenset({"4.5.0-2"})

    def __init__(self, folder: Path, *_more: object) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        FakeApt.asked = []

    asked: list[str]

    def update(self, _progress: process.Progress) -> None:
        self.asked.append("update")

    def source_versions(self, _package: str) -> list[str]:
        return list(self.offered)

    def versions(self, package: str, _architecture: str = "arm64") -> list[str]:
        return [f"{package.removeprefix('linux-source-')}.9-1"]

    def names(self, pattern: str) -> list[str]:
        assert pattern == checkpatch._SOURCES
        return list(self.kernels)

    def source(self, package: str, version: str, folder: Path) -> Path:
        self.asked.append(f"{package}={version}")
        if version in self.lost:
            raise TesseraError(LOST)
        return folder / "a.dsc"

    def download(self, package: str, version: str, folder: Path, _architecture: str) -> Path:
        self.asked.append(f"{package}={version}")
        if package in self.lost:
            raise TesseraError(f"404 for {package}")
        return folder / f"{package}.deb"


@pytest.fixture
def mirror(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeApt]:
    """The fake mirror, with unpacking that puts small files where the real one puts trees."""

    def run(command: list[object], **_options: object) -> str:
        words = [str(word) for word in command]
        if words[0] == "dpkg-source":
            Path(words[-1]).mkdir()
            (Path(words[-1]) / "Makefile").touch()
        elif words[0] == "bash":
            for name in words[7:]:
                (Path(words[6]) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(words[6]) / name).write_text(name)
        elif words[:2] == ["dpkg-deb", "-x"]:
            data = Path(words[3]) / "usr/lib/data"
            data.mkdir(parents=True)
            (data / checkpatch.WORDS).write_text("teh->the\n")
        return "amd64\n"

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(hosttools, "TOOLS", ())
    monkeypatch.setattr(hosttools, "FOR_BUILDS", ())
    monkeypatch.setattr(apt, "require", lambda: None)
    monkeypatch.setattr(apt, "PrivateApt", FakeApt)
    monkeypatch.setattr(aptsources, "main_archive", lambda: None)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(FakeApt, "lost", frozenset({"4.5.0-2"}))
    return FakeApt


def test_every_offered_version_is_listed_with_source_or_reason(
    mirror: type[FakeApt], own_cache: Path
) -> None:
    assert releases.at_hand() is None
    found = releases.setup()
    assert [(one.version, one.reason) for one in found] == [
        ("4.10.0-2", ""),
        ("4.5.0-2", "optee-os_4.5.0-2.dsc: 404 Not Found"),
    ]
    assert found[0].tree == own_cache / "sources/optee-os_4.10.0-2"
    assert found[1].tree is None
    assert releases.at_hand() == found
    assert not (own_cache / "apt-builds").exists()


def test_a_second_call_asks_nobody(mirror: type[FakeApt]) -> None:
    first = releases.setup()
    asked = list(mirror.asked)
    assert "update" in asked
    assert releases.setup() == first
    assert mirror.asked == asked


def test_refresh_asks_again_and_takes_what_is_there_now(
    mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.setup()
    monkeypatch.setattr(mirror, "lost", frozenset())
    found = releases.setup(refresh=True)
    assert [one.tree is not None for one in found] == [True, True]


def test_the_newest_script_that_can_be_had_is_taken(mirror: type[FakeApt], own_cache: Path) -> None:
    releases.setup()
    tool = checkpatch.at_hand()
    assert tool is not None and tool.version == "linux-source-7.2 7.2.9-1"
    assert tool.script.read_text() == "linux-source-7.2/scripts/checkpatch.pl"
    assert tool.words is not None and tool.words.read_text() == "teh->the\n"
    assert {path.name for path in tool.script.parent.iterdir()} == {
        checkpatch.SCRIPT, *checkpatch.COMPANIONS, checkpatch.WORDS, "origin",
    }  # fmt: skip


def test_an_older_script_will_do(
    mirror: type[FakeApt], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "lost", frozenset({"linux-source-7.2"}))
    releases.setup()
    tool = checkpatch.at_hand()
    assert tool is not None and tool.version == "linux-source-6.12 6.12.9-1"
    assert not list((own_cache / "tmp").iterdir())


def test_no_script_at_all_is_an_error_with_every_reason(
    mirror: type[FakeApt], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "lost", frozenset(mirror.kernels))
    with pytest.raises(TesseraError, match=r"checkpatch\.pl cannot be had") as caught:
        releases.setup()
    assert all(f"404 for {name}" in caught.value.message for name in mirror.kernels)
    assert releases.at_hand() is None
    assert not (own_cache / "apt-builds").exists()


def test_a_mirror_without_optee_says_so(
    mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "offered", ())
    with pytest.raises(TesseraError, match="offers no source of optee-os"):
        releases.setup()


def test_a_compiler_that_only_root_may_install_comes_last(
    mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = hosttools.Tool("gcc-arm-linux-gnueabihf", program="no-such-program-here")
    monkeypatch.setattr(hosttools, "FOR_BUILDS", (absent,))
    monkeypatch.setattr(hosttools, "_privilege", lambda: None)
    with pytest.raises(TesseraError, match="gcc-arm-linux-gnueabihf") as caught:
        releases.setup()
    assert caught.value.remedy.startswith("sudo apt-get install")
    assert releases.at_hand() is not None and checkpatch.at_hand() is not None


def test_a_missing_compiler_is_installed(
    mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tmp_path / "bin/arm-gcc"
    absent = hosttools.Tool("gcc-arm-linux-gnueabihf", file=str(made))
    asked: list[list[str]] = []

    def run(command: list[object], **_options: object) -> str:
        asked.append([str(word) for word in command])
        if "gcc-arm-linux-gnueabihf" in asked[-1]:
            made.parent.mkdir()
            made.touch()
        return ""

    monkeypatch.setattr(hosttools, "FOR_BUILDS", (absent,))
    monkeypatch.setattr(hosttools, "_privilege", list)
    monkeypatch.setattr(process, "run", run)
    hosttools.ensure(lambda _m: None, hosttools.FOR_BUILDS)
    assert [words[:2] for words in asked] == [["apt-get", "-o"], ["apt-get", "install"]]
    hosttools.ensure(lambda _m: None, hosttools.FOR_BUILDS)
    assert len(asked) == 2


def test_the_command_lists_the_versions(mirror: type[FakeApt]) -> None:
    done = CliRunner().invoke(app, ["guest", "setup", "--builds"])
    assert done.exit_code == 0, done.output
    assert "OP-TEE 4.10.0-2: ready\n" in done.stdout
    assert "OP-TEE 4.5.0-2: optee-os_4.5.0-2.dsc: 404 Not Found\n" in done.stdout
    assert "mirror.example" not in done.output


def test_a_source_that_was_removed_is_not_there(mirror: type[FakeApt], own_cache: Path) -> None:
    found = releases.setup()
    (own_cache / "sources/optee-os_4.10.0-2/Makefile").unlink()
    (own_cache / "sources/optee-os_4.10.0-2").rmdir()
    assert found[0].tree is None


@pytest.mark.parametrize("text", ["[", '{"version": 1}', '[{"unknown": 1}]', "5"])
def test_a_broken_record_counts_for_nothing(own_cache: Path, text: str) -> None:
    own_cache.mkdir(parents=True)
    (own_cache / "releases.json").write_text(text)
    assert releases.at_hand() is None


def test_a_script_on_the_path_will_do(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / checkpatch.SCRIPT
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}/usr/bin:/bin")
    tool = checkpatch.at_hand()
    assert tool is not None and (tool.script, tool.version) == (script, "on the PATH")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (LOST, "optee-os_4.5.0-2.dsc: 404 Not Found"),
        ("dpkg-source failed:\n    no space left\n", "no space left"),
        ("", "no reason was given"),
    ],
)
def test_the_reason_is_apts_without_its_address(said: str, reason: str) -> None:
    assert releases.reason_of(said) == reason
