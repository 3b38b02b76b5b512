"""The private apt: its own sources and folders, and a mirror that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.guest import apt, aptsources


def _private(folder: Path, keyring: str = "/k/d.gpg") -> apt.PrivateApt:
    return apt.PrivateApt(folder, aptsources.Archive("http://m.example/debian", keyring))


def test_the_sources_are_the_machines_mirror_in_newer_suites(tmp_path: Path) -> None:
    _private(tmp_path)
    lines = (tmp_path / "sources.list").read_text().splitlines()
    assert "deb [signed-by=/k/d.gpg] http://m.example/debian sid main" in lines
    assert "deb-src [signed-by=/k/d.gpg] http://m.example/debian trixie main" in lines
    assert len(lines) == 6


def test_without_a_keyring_apts_own_trust_holds(tmp_path: Path) -> None:
    _private(tmp_path, "")
    assert "deb http://m.example/debian bookworm main" in (tmp_path / "sources.list").read_text()


def test_apt_is_pointed_at_our_folders_only(tmp_path: Path) -> None:
    words = " ".join(_private(tmp_path)._options())
    for name in ("Dir::State", "Dir::State::lists", "Dir::Cache", "Dir::Etc::sourcelist"):
        assert f"-o{name}={tmp_path}" in words
    assert "APT::Architectures::=arm64" in words
    assert "AllowUnauthenticated" not in words


class Broken(apt.PrivateApt):
    """An apt whose update fails a number of times."""

    failures = 3
    calls = 0

    def _apt(self, program: str, *words: str, cwd: Path | None = None) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise TesseraError("apt-get failed:\n    Err:1 Connection refused")
        return ""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Broken:
    monkeypatch.setattr(apt, "_PAUSE", 0.0)
    return Broken(tmp_path, aptsources.Archive("http://m.example/debian", ""))


def test_a_mirror_that_never_answers_is_one_error_with_its_reason(broken: Broken) -> None:
    said: list[str] = []
    with pytest.raises(TesseraError, match="Connection refused") as caught:
        broken.update(said.append)
    assert "http://m.example/debian" in caught.value.message
    assert "try again" in caught.value.remedy
    assert len(said) == broken.calls == 3


def test_a_mirror_that_answers_at_last_is_enough(broken: Broken) -> None:
    broken.failures = 2
    broken.update(lambda _message: None)
    assert broken.calls == 3


def test_lists_from_before_will_do(broken: Broken, tmp_path: Path) -> None:
    (tmp_path / "lists/m.example_debian_dists_sid_main_binary-arm64_Packages").touch()
    broken.update(lambda _message: None)
    assert broken.calls == 3


def test_versions_are_read_from_the_right_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        "optee-os:arm64 |  4.9.0-1 | http://m.example/debian sid/main arm64 Packages\n"
        "optee-os:arm64 | 4.10.0-2 | http://m.example/debian sid/main arm64 Packages\n"
        "  optee-os |  4.5.0-2 | http://m.example/debian trixie/main Sources\n"
    )
    private = _private(tmp_path)
    monkeypatch.setattr(private, "_apt", lambda *_words, **_more: rows)
    assert private.versions("optee-os") == ["4.10.0-2", "4.9.0-1"]
    assert private.source_versions("optee-os") == ["4.5.0-2"]


def test_a_download_that_gives_no_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = _private(tmp_path / "apt")
    (tmp_path / "into").mkdir()
    monkeypatch.setattr(private, "_apt", lambda *_words, **_more: "")
    with pytest.raises(TesseraError, match="no file for libc6"):
        private.download("libc6", "2.41-1", tmp_path / "into")
    with pytest.raises(TesseraError, match=r"no \.dsc for optee-os"):
        private.source("optee-os", "4.10.0-2", tmp_path / "into")
