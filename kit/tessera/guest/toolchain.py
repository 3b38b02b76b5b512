"""Setting up: which versions the mirror offers, which were taken, and where they lie.

Goal: `setup` leaves in the cache everything that building and booting the guest needs, so that
nothing after it uses the network; the versions taken are recorded in one manifest.
Non-goals: building (see `tessera.guest.build`).
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import apt, aptsources, cache, hosttools, process

MEND = "tessera guest setup"

# The versions of OP-TEE that the hooks of the emitter are written for.
OPTEE_OLDEST = "4.5.0"
OPTEE_NEWEST = "4.10.99"

# Libraries and programs of the guest's Linux, and the oldest version that will do.
LIBRARIES = {
    "libc6": "2.38",
    "libssl3t64": "",
    "zlib1g": "",
    "libzstd1": "",
    "busybox-static": "",
}
# These follow OP-TEE's version: the same or newer.
CLIENT = ("tee-supplicant", "libteec2", "libckteec0t64", "optee-client-dev")
KERNEL_NAMES = r"^linux-image-6\.1\.0-[0-9]+-arm64$"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The parts at hand: package name to version. Sources and packages are cache entries."""

    optee: str  # Debian version of the optee-os source
    tfa: str  # Debian version of the arm-trusted-firmware source
    kernel: str  # package name of the kernel
    packages: dict[str, str]  # arm64 package -> version, with the kernel and xtest

    def package(self, name: str) -> Path:
        """The folder where an arm64 package is unpacked."""
        return cache.root() / _package_entry(name, self.packages[name])

    @property
    def optee_source(self) -> Path:
        """The pristine OP-TEE tree."""
        return cache.root() / "sources" / f"optee-os_{self.optee}"

    @property
    def tfa_source(self) -> Path:
        """The pristine TF-A tree."""
        return cache.root() / "sources" / f"arm-trusted-firmware_{self.tfa}"

    @property
    def optee_version(self) -> str:
        """The upstream version of the fetched OP-TEE, e.g. `4.10.0`."""
        return apt.upstream(self.optee)

    def folders(self) -> list[Path]:
        """Every cache folder that this toolchain needs."""
        return [self.optee_source, self.tfa_source, *(self.package(n) for n in self.packages)]


def _package_entry(name: str, version: str) -> str:
    # A colon in a path would end a word in make and in search paths.
    return f"packages/{name}_{version.replace(':', '-')}"


def _manifest() -> Path:
    return cache.root() / "toolchain.json"


def at_hand() -> Toolchain | None:
    """The toolchain that `setup` left, or None when there is none or a part of it is gone."""
    try:
        record = json.loads(_manifest().read_text(encoding="utf-8"))
        found = Toolchain(**record)
    except (OSError, ValueError, TypeError):
        return None
    return found if all(folder.is_dir() for folder in found.folders()) else None


def require() -> Toolchain:
    """The toolchain and all host tools, or a `TesseraError` that names the mending command."""
    gone = hosttools.missing()
    if gone:
        raise TesseraError(
            "host tools are missing: " + ", ".join(tool.package for tool in gone),
            where="tessera guest",
            remedy=MEND,
        )
    found = at_hand()
    if found is None:
        raise TesseraError("the guest's parts are not here yet", where="tessera guest", remedy=MEND)
    return found


def setup(progress: process.Progress = process.silent, *, refresh: bool = False) -> Toolchain:
    """Install host tools, fetch and unpack the guest's parts, and record what was taken.

    A second call finds everything and uses no network, unless `refresh` asks for newer versions.
    Raises `TesseraError` when a part cannot be had.
    """
    hosttools.ensure(progress)
    found = at_hand()
    if found is not None and not refresh:
        return found
    apt.require()
    with cache.locked("setup"):
        found = at_hand()
        if found is not None and not refresh:
            return found
        private = apt.PrivateApt(cache.root() / "apt", aptsources.main_archive())
        progress("reading package lists")
        private.update(progress)
        taken = _fetch_all(private, progress)
        record = json.dumps(asdict(taken), indent=2, sort_keys=True)
        cache.write_text(_manifest(), record + "\n")
        # Half a GiB of package lists that only the next refresh would want, and newer.
        shutil.rmtree(private.folder, ignore_errors=True)
    return taken


def _fetch_all(private: apt.PrivateApt, progress: process.Progress) -> Toolchain:
    packages: dict[str, str] = {}
    optee = _fetch_optee(private, progress, packages)
    tfa = _first(
        "arm-trusted-firmware",
        private.source_versions("arm-trusted-firmware"),
        functools.partial(fetch_source, private, progress, "arm-trusted-firmware"),
    )
    kernels = sorted(private.names(KERNEL_NAMES), key=_kernel_number, reverse=True)
    kernel = _first("a Linux 6.1 kernel", kernels, functools.partial(_kernel, private, progress))
    packages[kernel] = private.versions(kernel)[0]
    oldest = {**LIBRARIES, **{name: apt.upstream(optee) for name in CLIENT}}
    for name, least in oldest.items():
        versions = [
            version
            for version in private.versions(name)
            if not least or apt.compare_versions(apt.upstream(version), least) >= 0
        ]
        take = functools.partial(_fetch, private, progress, name)
        packages[name] = _first(name, versions, take)
    return Toolchain(optee=optee, tfa=tfa, kernel=kernel, packages=packages)


def _fetch_optee(
    private: apt.PrivateApt, progress: process.Progress, packages: dict[str, str]
) -> str:
    """OP-TEE's source and the test suite of the same version: the newest pair that can be had."""
    tests = private.versions("optee-test-qemu")

    def take(version: str) -> None:
        wanted = apt.upstream(version)
        same = [test for test in tests if apt.upstream(test) == wanted]
        if not same:
            raise TesseraError(f"no optee-test-qemu of version {wanted}")
        fetch_source(private, progress, "optee-os", version)
        _fetch(private, progress, "optee-test-qemu", same[0])
        packages["optee-test-qemu"] = same[0]

    known = [
        version
        for version in private.source_versions("optee-os")
        if apt.compare_versions(apt.upstream(version), OPTEE_OLDEST) >= 0
        and apt.compare_versions(apt.upstream(version), OPTEE_NEWEST) <= 0
    ]
    return _first("optee-os", known, take)


def _first(what: str, candidates: Iterable[str], take: Callable[[str], object]) -> str:
    """The first candidate that `take` gets; the reasons of the others are kept for the error."""
    reasons = []
    for candidate in candidates:
        try:
            take(candidate)
            return candidate
        except TesseraError as error:
            reasons.append(f"{candidate}: {error.message}")
    listing = "\n".join(f"    {reason}" for reason in reasons) or "    no version is offered"
    raise TesseraError(
        f"{what} cannot be had from this machine's Debian mirror:\n{listing}",
        where="tessera guest setup",
        remedy="try again later, or build your own OP-TEE tree with --tree",
    )


def _kernel_number(name: str) -> int:
    return int(name.removeprefix("linux-image-6.1.0-").removesuffix("-arm64"))


def _kernel(private: apt.PrivateApt, progress: process.Progress, name: str) -> None:
    versions = private.versions(name)
    if not versions:
        raise TesseraError("not for arm64")
    _fetch(private, progress, name, versions[0])


def _fetch(private: apt.PrivateApt, progress: process.Progress, name: str, version: str) -> Path:
    """The unpacked folder of an arm64 package; of a kernel, only what the guest boots."""

    def make(folder: Path) -> None:
        progress(f"fetching {name} {version}")
        with cache.scratch("deb") as scratch:
            file = private.download(name, version, scratch)
            if name.startswith("linux-image"):
                tar = scratch / "data.tar"
                process.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" > "$2"', "-", file, tar])
                wanted = ["./boot/vmlinuz*", "./lib/modules/*/kernel/drivers/tee"]
                process.run(["tar", "-xf", tar, "-C", folder, "--wildcards", *wanted])
            else:
                process.run(["dpkg-deb", "-x", file, folder])

    return cache.entry(_package_entry(name, version), make)


def fetch_source(
    private: apt.PrivateApt, progress: process.Progress, name: str, version: str
) -> Path:
    """The unpacked, Debian-patched tree of a source package."""

    def make(folder: Path) -> None:
        progress(f"fetching source {name} {version}")
        with cache.scratch("src") as scratch:
            dsc = private.source(name, version, scratch)
            process.run(["dpkg-source", "-x", dsc, scratch / "tree"])
            for path in (scratch / "tree").iterdir():
                path.rename(folder / path.name)

    return cache.entry(f"sources/{name}_{version}", make)


def status() -> list[tuple[str, str, str]]:
    """For `tessera doctor`: (part, version found or '', mending command) for each guest part."""
    rows = [(tool.package, "found" if tool.found() else "", MEND) for tool in hosttools.TOOLS]
    found = at_hand()
    versions = {} if found is None else {**found.packages}
    names = ["optee-test-qemu", *LIBRARIES, *CLIENT]
    rows.append(("optee-os (source)", found.optee if found else "", MEND))
    rows.append(("arm-trusted-firmware (source)", found.tfa if found else "", MEND))
    rows.append(("linux-image (arm64)", versions.get(found.kernel, "") if found else "", MEND))
    rows += [(f"{name} (arm64)", versions.get(name, ""), MEND) for name in names]
    return rows
