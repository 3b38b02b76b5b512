"""Reading the machine's own apt sources, in both formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.guest.aptsources import (
    MIRROR_VARIABLE,
    Source,
    machine_sources,
    main_archive,
    parse_deb822,
    parse_one_line,
)


@pytest.fixture(autouse=True)
def _no_named_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)


def _system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        target = root / "etc/apt" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return root


def test_one_line_format_with_options_and_comments() -> None:
    text = """
# deb http://commented.example/debian bookworm main
deb http://a.example/debian bookworm main contrib # trailing
deb [arch=amd64 signed-by=/k/a.gpg] http://b.example/debian trixie main
deb-src http://c.example/debian bookworm main
"""
    assert list(parse_one_line(text)) == [
        Source("http://a.example/debian", "bookworm", ("main", "contrib")),
        Source("http://b.example/debian", "trixie", ("main",), "/k/a.gpg"),
    ]


def test_deb822_format_with_lists_continuations_and_disabled_stanzas() -> None:
    text = """Types: deb deb-src
# a comment inside a stanza
URIs: http://a.example/debian
 http://b.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k/a.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main
"""
    found = list(parse_deb822(text))
    assert [(s.uri, s.suite) for s in found] == [
        ("http://a.example/debian", "bookworm"),
        ("http://a.example/debian", "bookworm-updates"),
        ("http://b.example/debian", "bookworm"),
        ("http://b.example/debian", "bookworm-updates"),
    ]
    assert {s.signed_by for s in found} == {"/k/a.gpg"}


def test_an_embedded_key_is_not_taken_for_a_path() -> None:
    text = """Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA
"""
    assert [s.signed_by for s in parse_deb822(text)] == [""]


def test_the_main_archive_is_found_among_others(tmp_path: Path) -> None:
    root = _system(
        tmp_path,
        {
            "sources.list": "deb http://security.example/debian-security bookworm-security main\n"
            "deb http://vendor.example/apt stable main\n",
            "sources.list.d/debian.sources": "Types: deb\nURIs: http://m.example/debian\n"
            "Suites: bookworm-updates bookworm\nComponents: main\nSigned-By: /k/d.gpg\n",
            "sources.list.d/old.list.disabled": "deb http://no.example/debian bookworm main\n",
        },
    )
    archive = main_archive(root)
    assert (archive.uri, archive.keyring) == ("http://m.example/debian", "/k/d.gpg")
    assert "http://no.example/debian" not in {s.uri for s in machine_sources(root)}


def test_the_one_line_archive_uses_the_machines_keyring(tmp_path: Path) -> None:
    root = _system(tmp_path, {"sources.list": "deb http://m.example/debian/ bookworm main\n"})
    keyring = root / "usr/share/keyrings/debian-archive-keyring.gpg"
    assert main_archive(root).keyring == ""
    keyring.parent.mkdir(parents=True)
    keyring.write_bytes(b"key")
    assert main_archive(root).keyring == str(keyring)


def test_a_machine_without_debian_is_told_what_to_set(tmp_path: Path) -> None:
    root = _system(tmp_path, {"sources.list": "deb http://u.example/ubuntu noble main\n"})
    with pytest.raises(TesseraError, match="no source for Debian's main archive") as caught:
        main_archive(root)
    assert MIRROR_VARIABLE in caught.value.remedy


def test_a_named_mirror_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://mine.example/debian")
    assert main_archive(tmp_path).uri == "http://mine.example/debian"
