"""How the TA is compiled: its own copying of memory, and when vectors may lie at any address."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_runtime import DNN, compiler

from tessera.guest import build, hosttools, optee

TA = DNN / "sealed/ta"
SIZES = (*range(70), 127, 128, 129, 1000)
ROOM = 1200
NAMES = ("memory.c", "package.c", "tl_conv.c", "tq_conv.c", "tx_run.c")


class Memory:
    """The functions of memory.c under names of their own, at an optimisation."""

    def __init__(self, folder: Path, edit: tuple[str, str] | None = None) -> None:
        text = (TA / "memory.c").read_text()
        if edit is not None:
            assert text.count(edit[0]) == 1
            text = text.replace(*edit)
        source, library = folder / "memory.c", folder / "memory.so"
        source.write_text(text)
        words = [compiler(), "-O2", "-fno-tree-loop-distribute-patterns", "-shared", "-fPIC"]
        words += ["-Wall", "-Wextra", "-Werror", "-DMEMORY_NAME(name)=tessera_##name"]
        subprocess.run([*words, str(source), "-o", str(library)], check=True)
        self._made = ctypes.CDLL(str(library))

    def wrong(self, name: str) -> list[tuple[int, ...]]:
        """Sizes and places where memory is not as Python's own slices make it."""
        call = getattr(self._made, f"tessera_{name}")
        call.restype = ctypes.c_void_p
        found = []
        for size in SIZES:
            for to, source in self._places(name, size):
                start = np.random.default_rng(size).integers(0, 256, 2 * ROOM, np.uint8).tobytes()
                block = ctypes.create_string_buffer(start, 2 * ROOM)
                base = ctypes.addressof(block)
                wanted = bytearray(start)
                if name == "memset":
                    given = call(
                        ctypes.c_void_p(base + to), ctypes.c_int(source), ctypes.c_size_t(size)
                    )
                    wanted[to : to + size] = bytes([source & 255]) * size
                else:
                    given = call(
                        ctypes.c_void_p(base + to),
                        ctypes.c_void_p(base + source),
                        ctypes.c_size_t(size),
                    )
                    wanted[to : to + size] = start[source : source + size]
                if given != base + to or block.raw != bytes(wanted):
                    found.append((size, to, source))
        return found

    @staticmethod
    def _places(name: str, size: int) -> list[tuple[int, int]]:
        """Where to, and where from, in bytes; for memset the value."""
        if name == "memset":
            return [(at, value) for at in (0, 3, 16) for value in (0, 0x1A5)]
        apart = [(ROOM + at, 16 + other) for at in (0, 5) for other in (0, 1)]
        if name == "memcpy":
            return [*apart, *((one, other) for other, one in apart)]
        steps = {1, 4, 15, 16, 17, 64, max(size - 1, 1), size}
        return [*apart, *(pair for k in steps for pair in ((8, 8 + k), (8 + k, 8))), (8, 8)]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    return Memory(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize("name", ["memcpy", "memmove", "memset"])
def test_memory_is_moved_and_filled(memory: Memory, name: str) -> None:
    assert memory.wrong(name) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("memmove", "if ((uintptr_t)to - (uintptr_t)from >= size)", "if (1)"),
        ("memmove", "if ((uintptr_t)to - (uintptr_t)from >= size)", "if (to < from)"),
        ("memset", "*at++ = (uint8_t)value", "*at++ = 0"),
        ("memcpy", "*(piece *)(to + 3 * PIECE) = d", "*(piece *)(to + 2 * PIECE) = d"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, name: str, old: str, new: str) -> None:
    found = Memory(tmp_path, (old, new)).wrong(name)
    # Backwards is right wherever forwards is, but for pieces that overlap the other way round.
    assert bool(found) == (new != "if (to < from)")


# --- The kit's flags ------------------------------------------------------------------------------


def commands(kit: Path, out: Path) -> dict[str, list[str]]:
    """By source, the words of its compiler, as `make` would run it."""
    words = ["make", "-n", "V=1", "-C", str(TA), f"TA_DEV_KIT_DIR={kit}", f"O={out}"]
    words += [f"CROSS_COMPILE={optee.CROSS}", f"PYTHON3={hosttools.PYTHON}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if " -c " in line]
    found = {Path(line[line.index("-c") + 1]).name: line for line in lines}
    return {name: line for name, line in found.items() if name in NAMES}


def kit_with(kit: Path, folder: Path, setting: str | None) -> Path:
    """The kit of a core with another setting of alignment checks, or with none."""
    made = folder / "kit"
    made.mkdir()
    for part in kit.iterdir():
        if part.name != "host_include":
            (made / part.name).symlink_to(part)
    (made / "host_include").mkdir()
    lines = (kit / "host_include/conf.mk").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("CFG_SCTLR_ALIGNMENT_CHECK=")]
    assert len(kept) == len(lines) - 1
    more = [] if setting is None else [f"CFG_SCTLR_ALIGNMENT_CHECK={setting}"]
    (made / "host_include/conf.mk").write_text("\n".join([*kept, *more, ""]))
    return made


@pytest.mark.guest
def test_vectors_are_loaded_whole_where_the_core_allows_it(
    unpatched_build: build.Build, tmp_path: Path
) -> None:
    made = commands(unpatched_build.devkit, tmp_path / "out")
    assert sorted(made) == sorted(NAMES)
    for words in made.values():
        assert words.index("-mno-strict-align") > words.index("-mstrict-align")
        assert words.index("-O2") > words.index("-Os")
    assert "-fno-tree-loop-distribute-patterns" in made["memory.c"]
    assert "-fno-tree-loop-distribute-patterns" not in made["tl_conv.c"]


@pytest.mark.guest
@pytest.mark.parametrize("setting", ["y", None])
def test_a_core_that_checks_alignment_gets_single_loads(
    unpatched_build: build.Build, tmp_path: Path, setting: str | None
) -> None:
    kit = kit_with(unpatched_build.devkit, tmp_path, setting)
    made = commands(kit, tmp_path / "out")
    assert sorted(made) == sorted(NAMES)
    for words in made.values():
        assert "-mstrict-align" in words
        assert "-mno-strict-align" not in words
