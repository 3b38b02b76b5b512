"""Setting up, with an apt that is missing, incomplete, or breaks half-way."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import apt, hosttools, process, toolchain
from tessera.guest.apt import compare_versions, upstream


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("4.10.0-2", "4.10.0"),
        ("1:1.3.dfsg+really1.3.2-4", "1.3.dfsg"),
        ("2.12.1+dfsg-1", "2.12.1"),
        ("3.5.7-1~deb13u2", "3.5.7"),
        ("4.5.0", "4.5.0"),
    ],
)
def test_upstream_versions(version: str, expected: str) -> None:
    assert upstream(version) == expected


def test_version_order_is_debians() -> None:
    assert compare_versions("4.10.0-2", "4.5.0-2") > 0
    assert compare_versions("2.0~rc1-1", "2.0-1") < 0
    assert compare_versions("1.0-1", "1.0-1") == 0


class FakeApt:
    """A mirror that offers versions, and gives only some of what it offers."""

    def __init__(self, gone: set[str]) -> None:
        self.gone = gone
        self.asked: list[str] = []

    def versions(self, package: str) -> list[str]:
        if package.startswith("linux-image"):
            return ["6.1.9-1"]
        table = {
            "libc6": ["2.43-7", "2.36-9"],
            "optee-test-qemu": ["4.10.0-1", "4.5.0-1"],
        }
        return table.get(package, ["5.0.0-1", "4.5.0-1"])

    def source_versions(self, package: str) -> list[str]:
        return {"optee-os": ["9.0.0-1", "4.10.0-2", "4.5.0-2", "3.9.0-1"]}.get(package, ["2.12-1"])

    def names(self, _pattern: str) -> list[str]:
        return ["linux-image-6.1.0-9-arm64", "linux-image-6.1.0-10-arm64"]

    def _give(self, name: str, version: str, folder: Path) -> Path:
        self.asked.append(f"{name}={version}")
        (folder / "partial").write_bytes(b"half a file")
        if f"{name}={version}" in self.gone or name in self.gone:
            raise TesseraError(f"404 for {name} {version}")
        file = folder / f"{name}.deb"
        file.write_bytes(b"")
        return file

    download = _give
    source = _give


@pytest.fixture
def fake_unpack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking that puts one file where the real one puts a tree."""

    def run(command: list[object], **_options: object) -> str:
        words = [str(word) for word in command]
        if words[0] == "dpkg-source":
            Path(words[-1]).mkdir()
            (Path(words[-1]) / "Makefile").touch()
        return ""

    monkeypatch.setattr(process, "run", run)


def _fetch(fake: FakeApt) -> toolchain.Toolchain:
    return toolchain._fetch_all(fake, process.silent)  # type: ignore[arg-type]


@pytest.mark.usefixtures("fake_unpack")
def test_the_newest_supported_versions_are_taken(own_cache: Path) -> None:
    taken = _fetch(FakeApt(set()))
    assert taken.optee == "4.10.0-2"  # 9.0.0 is newer than the hooks know
    assert taken.packages["optee-test-qemu"] == "4.10.0-1"
    assert taken.kernel == "linux-image-6.1.0-10-arm64"
    assert all(folder.is_dir() for folder in taken.folders())


@pytest.mark.usefixtures("fake_unpack")
def test_what_the_mirror_lost_is_replaced_by_the_next(own_cache: Path) -> None:
    taken = _fetch(FakeApt({"optee-os=4.10.0-2", "linux-image-6.1.0-10-arm64"}))
    assert taken.optee == "4.5.0-2"
    assert taken.packages["optee-test-qemu"] == "4.5.0-1"
    assert taken.kernel == "linux-image-6.1.0-9-arm64"
    assert taken.packages["tee-supplicant"] == "5.0.0-1"
    assert not (own_cache / "sources/optee-os_4.10.0-2").exists()


@pytest.mark.usefixtures("fake_unpack")
def test_a_broken_download_leaves_no_half_written_entry(own_cache: Path) -> None:
    with pytest.raises(TesseraError, match="libc6 cannot be had") as caught:
        _fetch(FakeApt({"libc6"}))
    assert "404 for libc6 2.43-7" in caught.value.message
    assert "2.36" not in caught.value.message  # too old for xtest: never tried
    assert not list((own_cache / "packages").glob("libc6*"))
    assert not list((own_cache / "tmp").iterdir())
    assert not list(own_cache.rglob("partial"))
    assert toolchain.at_hand() is None


def test_a_manifest_whose_parts_are_gone_counts_for_nothing(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    manifest = own_cache / "toolchain.json"
    for text in (
        '{"optee": "4.10.0-2", "tfa": "2-1", "kernel": "k", "packages": {}}',
        '{"unknown": 1}',
        '{"optee": ',
    ):
        manifest.write_text(text)
        assert toolchain.at_hand() is None


def test_without_apt_setup_says_so(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosttools, "TOOLS", ())
    monkeypatch.setenv("PATH", str(own_cache))
    result = CliRunner().invoke(app, ["guest", "setup"])
    assert isinstance(result.exception, TesseraError)
    assert "apt is not on this machine" in result.exception.message
    assert result.exception.exit_code == 2


def test_missing_host_tools_without_root_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = (hosttools.Tool("no-such-package", program="no-such-program"),)
    monkeypatch.setattr(hosttools, "TOOLS", missing)
    monkeypatch.setattr(hosttools, "_privilege", lambda: None)
    monkeypatch.setattr(apt, "require", lambda: None)
    with pytest.raises(TesseraError, match="only root may install them: no-such-package") as caught:
        hosttools.ensure(process.silent)
    assert caught.value.remedy.startswith("sudo apt-get install")
    assert caught.value.remedy.endswith("no-such-package")


def test_an_apt_that_installs_nothing_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = (hosttools.Tool("no-such-package", program="no-such-program"),)
    monkeypatch.setattr(hosttools, "TOOLS", missing)
    monkeypatch.setattr(hosttools, "_privilege", list)
    monkeypatch.setattr(apt, "require", lambda: None)
    ran: list[list[str]] = []
    monkeypatch.setattr(process, "run", lambda command, **_: ran.append(command) or "")
    with pytest.raises(TesseraError, match="still missing: no-such-package"):
        hosttools.ensure(process.silent)
    assert [command[0] for command in ran] == ["apt-get", "apt-get"]


@pytest.mark.parametrize("command", [["run", "true"], ["build"], ["xtest"], ["shell"]])
def test_commands_without_parts_name_the_mending_command(
    own_cache: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosttools, "TOOLS", ())
    result = CliRunner().invoke(app, ["guest", *command])
    assert isinstance(result.exception, TesseraError)
    assert "not here yet" in result.exception.message
    assert result.exception.remedy == "tessera guest setup"


def test_a_missing_qemu_is_named(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = hosttools.Tool("qemu-system-arm", program="qemu-system-aarch64")
    monkeypatch.setattr(hosttools, "TOOLS", (tool,))
    monkeypatch.setenv("PATH", str(own_cache))
    with pytest.raises(TesseraError, match="host tools are missing: qemu-system-arm") as caught:
        toolchain.require()
    assert caught.value.remedy == "tessera guest setup"


def test_status_tells_each_part_and_its_mending(own_cache: Path) -> None:
    rows = {name: (version, mend) for name, version, mend in toolchain.status()}
    assert rows["optee-os (source)"] == ("", "tessera guest setup")
    assert rows["libc6 (arm64)"][0] == ""
    assert set(rows) >= {tool.package for tool in hosttools.TOOLS}
