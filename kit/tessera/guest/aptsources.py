"""Where this machine gets Debian from: its own apt sources, in both formats that apt reads.

Goal: the address and keyring of the main Debian archive as the machine's owner configured them,
so that the kit never names a mirror of its own.
Non-goals: fetching (see `tessera.guest.apt`), security and third-party archives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tessera.errors import TesseraError

MIRROR_VARIABLE = "TESSERA_DEBIAN_MIRROR"
ARCHIVE_KEYRING = Path("usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Source:
    """One enabled binary source: an archive address, a suite, its components and its keyring."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class Archive:
    """The main Debian archive of this machine; `keyring` is empty when apt's default holds."""

    uri: str
    keyring: str


def parse_one_line(text: str) -> Iterator[Source]:
    """The binary sources of a `sources.list` file (`deb [options] uri suite component...`)."""
    for line in text.splitlines():
        words = line.split("#", 1)[0].strip()
        match = re.match(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$", words)
        if match is None:
            continue
        options, uri, suite, components = match.groups()
        signed = re.search(r"signed-by=(\S+)", options or "")
        yield Source(uri, suite, tuple(components.split()), signed.group(1) if signed else "")


def parse_deb822(text: str) -> Iterator[Source]:
    """The binary sources of a `.sources` file (stanzas of `Field: value`, continued by indent)."""
    for stanza in re.split(r"\n\s*\n", _without_comments(text)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace() and name:
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off", "disable"):
            continue
        signed = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                # An embedded key spans lines; only a path can be handed on.
                keyring = signed if signed.startswith("/") and "\n" not in signed else ""
                yield Source(uri, suite, tuple(fields.get("components", "").split()), keyring)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def machine_sources(system: Path = Path("/")) -> Iterator[Source]:
    """Every enabled binary source below `system` (`/`, or a test's own root)."""
    etc = system / "etc/apt"
    files = [etc / "sources.list"]
    if (etc / "sources.list.d").is_dir():
        files += sorted((etc / "sources.list.d").iterdir())
    for path in files:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)


def _is_main_archive(source: Source) -> bool:
    """Whether a source is Debian's own archive: `main` of a plain suite under a `debian` path."""
    folders = urlsplit(source.uri).path.strip("/").split("/")
    return "debian" in folders and "main" in source.components and "-" not in source.suite


def main_archive(system: Path = Path("/")) -> Archive:
    """The machine's main Debian archive, or the one that `TESSERA_DEBIAN_MIRROR` names.

    Raises `TesseraError` when the machine's apt knows none.
    """
    default = system / ARCHIVE_KEYRING
    fallback = str(default) if default.is_file() else ""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return Archive(named, fallback)
    for source in machine_sources(system):
        if _is_main_archive(source):
            return Archive(source.uri, source.signed_by or fallback)
    raise TesseraError(
        "this machine's apt has no source for Debian's main archive",
        where=str(system / "etc/apt"),
        remedy=f"set {MIRROR_VARIABLE} to the address of a Debian mirror",
    )
