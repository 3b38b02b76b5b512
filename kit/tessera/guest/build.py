"""One build of the secure side: OP-TEE, patched or not, its TA kit, TF-A and the flash image.

Goal: `build` gives a folder in the cache, keyed by source versions, flags and patch content; a
second call with the same input builds nothing.
Non-goals: booting (see `tessera.guest.machine`) and TAs (see `tessera.guest.ta`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tessera.guest import cache, optee, process, tfa, toolchain, workshop

_RECIPE = 4  # counts up when the steps below change what they produce


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build in the cache."""

    key: str
    dir: Path
    version: str  # of OP-TEE, e.g. "4.10.0"
    patched: bool

    @property
    def flash(self) -> Path:
        """The flash image: TF-A with OP-TEE inside."""
        return self.dir / "flash.bin"

    @property
    def devkit(self) -> Path:
        """The kit that TAs for this build are compiled and signed with."""
        return self.dir / "export-ta_arm64"

    @property
    def own_tas(self) -> list[Path]:
        """The trusted applications that OP-TEE's tree itself holds, e.g. PKCS#11."""
        return sorted((self.dir / "ta").glob("*.ta"))

    @property
    def elf(self) -> Path:
        """The OP-TEE core with its symbols."""
        return self.dir / "tee.elf"


def build(
    patch_text: str | None = None,
    tree: Path | None = None,
    progress: process.Progress = process.silent,
    crypto: optee.Crypto = optee.Crypto.SOFTWARE,
) -> Build:
    """Build OP-TEE with `patch_text` applied, from `tree` or from the fetched source.

    Raises `TesseraError` when parts are missing, the patch does not fit or the compiler fails.
    """
    parts = toolchain.require()
    source = optee.read_tree(tree.resolve() if tree is not None else parts.optee_source)
    origin = parts.optee if tree is None else cache.digest_tree(source.path)
    patch = patch_text if patch_text and patch_text.strip() else None
    flags = optee.flags(crypto)
    key = cache.key(_RECIPE, origin, parts.tfa, flags, tfa.FLAGS, patch)

    if tree is None:
        place = workshop.kept(source.path, cache.key(origin, flags), patch)
    else:
        place = workshop.fresh(source.path, patch)

    def make(folder: Path) -> None:
        what = "with the patch" if patch else "unpatched"
        progress(f"building OP-TEE {source.version} {what} (about a minute)")
        if patch is not None:
            (folder / "applied.patch").write_text(patch, encoding="utf-8")
        with place as made:
            optee.compile_tree(made.tree, made.out, folder / "optee.log", crypto)
            _collect(made.out, folder)
        firmware = tfa.stages(parts.tfa_source, parts.tfa, progress)
        tfa.write_flash(firmware, folder, folder / "flash.bin")
        record = {"version": source.version, "origin": origin, "patched": patch is not None}
        (folder / "build.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    folder = cache.entry(f"builds/{source.version}-{key}", make)
    return Build(key=key, dir=folder, version=source.version, patched=patch is not None)


def _collect(out: Path, folder: Path) -> None:
    """Copy what a build is for out of its objects."""
    for name in (*optee.IMAGES, "tee.elf"):
        shutil.copy2(out / "core" / name, folder / name)
    shutil.copy2(out / "conf.mk", folder / "conf.mk")
    (folder / "ta").mkdir()
    for ta in (out / "ta").rglob("*.ta"):
        shutil.copy2(ta, folder / "ta" / ta.name)
    shutil.copytree(out / "export-ta_arm64", folder / "export-ta_arm64", symlinks=True)
