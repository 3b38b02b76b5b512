"""The patched files compile in the real tree, with OP-TEE's own flags, without a warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tessera import resources
from tessera.emit import make_patch
from tessera.guest import hosttools, optee
from tessera.lang import load

OBJECTS = ("core/mm/tee_mm.o", "core/mm/phys_mem.o", "core/mm/fobj.o", "core/kernel/ree_fs_ta.o")
CONFIGURATIONS = {
    "statistics": ("CFG_WITH_STATS=y",),
    "no statistics": ("CFG_WITH_STATS=n",),
    "virtualization": ("CFG_WITH_STATS=y", "CFG_NS_VIRTUALIZATION=y"),
    "virtualization, no statistics": ("CFG_WITH_STATS=n", "CFG_NS_VIRTUALIZATION=y"),
    "pager": ("CFG_WITH_STATS=n", "CFG_WITH_PAGER=y"),
    "no assertions": ("CFG_WITH_STATS=n", "CFG_TEE_CORE_DEBUG=n", "DEBUG=0"),
}


@pytest.fixture(scope="module")
def patched_tree(optee_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A patched copy of the real tree."""
    tree = tmp_path_factory.mktemp("compile") / "optee"
    shutil.copytree(optee_tree, tree, symlinks=True)
    made = make_patch(load(resources.path("specs/policies/priority.tess")), optee_tree)
    subprocess.run(["patch", "-s", "-p1"], cwd=tree, input=made.text, text=True, check=True)
    return tree


def compile_objects(tree: Path, out: Path, *flags: str) -> str:
    """What the compiler says about the patched files, at OP-TEE's highest warning level."""
    base = [flag for flag in optee.FLAGS if "CFG_WITH_STATS" not in flag]
    cross = [f"{n}={optee.CROSS}" for n in ("CROSS_COMPILE64", "CROSS_COMPILE_core")]
    cross += [f"CROSS_COMPILE_ta_arm64={optee.CROSS}", f"PYTHON3={hosttools.PYTHON}"]
    flags = (*flags, "CFG_REE_FS_TA_BUFFERED=y", "WARNS=3")
    targets = [str(out / name) for name in OBJECTS]
    command = ["make", "-s", "-j2", f"O={out}", *base, *cross, *flags, *targets]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(Path(target).stat().st_size for target in targets)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_warning(patched_tree: Path, tmp_path: Path, name: str) -> None:
    said = compile_objects(patched_tree, tmp_path / "out", *CONFIGURATIONS[name])
    assert "warning" not in said, said


def test_a_warning_would_be_seen(patched_tree: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(patched_tree, tree, symlinks=True)
    path = tree / "core/mm/tee_mm.c"
    path.write_text(
        path.read_text().replace("\tuint64_t lo = 0;\n", "\tuint64_t lo = 0;\n\tint x;\n")
    )
    said = compile_objects(tree, tmp_path / "out", "CFG_WITH_STATS=y")
    assert "warning: unused variable" in said
