"""Building trusted applications and their Linux clients for a given build of OP-TEE.

Goal: `build_ta` gives a signed `.ta` made with that build's own kit (header and key must match),
`build_client` an aarch64 program linked to libteec; both cached by content.
Non-goals: OP-TEE itself (see `tessera.guest.build`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import cache, hosttools, optee, process, toolchain
from tessera.guest.build import Build


def build_ta(
    build: Build,
    source: Path,
    shared: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
) -> Path:
    """The signed TA made from the folder `source` by its Makefile.

    `shared` names the folders outside `source` that it compiles from, `variables` what the Makefile
    is given besides; both count for the cache. Raises `TesseraError` with the compiler's last
    lines.
    """
    given = dict(sorted((variables or {}).items()))
    parts = [build.key, str(source.name), _digests(source, shared), *([given] if given else [])]
    key = cache.key(1, *parts)

    def make(folder: Path) -> None:
        with cache.scratch("ta") as scratch:
            process.run(
                [
                    "make",
                    "-C",
                    source,
                    f"TA_DEV_KIT_DIR={build.devkit}",
                    f"CROSS_COMPILE={optee.CROSS}",
                    f"PYTHON3={hosttools.PYTHON}",
                    f"O={scratch / 'out'}",
                    *(f"{name}={value}" for name, value in given.items()),
                ],
                env=optee.EPOCH,
                clean=True,
            )
            made = sorted((scratch / "out").glob("*.ta"))
            if len(made) != 1:
                raise TesseraError("the Makefile made no single .ta file", where=str(source))
            made[0].rename(folder / made[0].name)

    return next(cache.entry(f"tas/{key}", make).glob("*.ta"))


def build_client(source: Path, program: str, shared: Sequence[Path] = ()) -> Path:
    """The Linux client `program` made from the folder `source` by its Makefile.

    The Makefile is given CROSS_COMPILE, TEEC_INCLUDE, TEEC_LIB, TEEC_LIBS and the output folder O.
    Raises `TesseraError` with the compiler's last lines.
    """
    parts = toolchain.require()
    versions = [parts.packages["libteec2"], parts.packages["optee-client-dev"]]
    key = cache.key(1, versions, program, _digests(source, shared))

    def make(folder: Path) -> None:
        library = next(parts.package("libteec2").rglob("libteec.so.2"))
        process.run(
            [
                "make",
                "-C",
                source,
                f"CROSS_COMPILE={optee.CROSS}",
                f"TEEC_INCLUDE={parts.package('optee-client-dev') / 'usr/include'}",
                f"TEEC_LIB={library.parent}",
                # The development package's libteec.so points at a file of another package.
                "TEEC_LIBS=-l:libteec.so.2",
                f"O={folder}",
            ],
            clean=True,
        )
        if not (folder / program).is_file():
            raise TesseraError(f"the Makefile made no program {program}", where=str(source))

    return cache.entry(f"clients/{key}", make) / program


def _digests(source: Path, shared: Sequence[Path]) -> list[str]:
    return [cache.digest_tree(folder) for folder in (source, *shared)]
