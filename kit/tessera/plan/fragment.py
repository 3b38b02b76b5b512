"""From a plan to a spec: the secure memory of the TA that runs it, sized before it runs.

Goal: text that `tessera check` takes: the shipped pool and policy, the TA's blocks as constants,
and what is demanded of them: together they are inside the reserve, and while no other inference
runs every request of the TA succeeds, one after the other. The same sizes for the TA's header.
Non-goals: proving (`tessera check` does) and building the TA.

What a TA takes from the page pool when its session opens (optee_os 4.10.0): a bounce buffer, stack,
code and data of the loader ldelf (core/kernel/ldelf_loader.c), its heap (ldelf/main.c) and the
first page of the TA's file (ldelf/ta_elf.c), the TA's code and read-only data, its data with the
heap in it (TA_DATA_SIZE is a part of its .bss), its stack; the whole file while it is loaded where
CFG_REE_FS_TA_BUFFERED is set (core/kernel/ree_fs_ta.c); and page tables where
CFG_CORE_PREALLOC_EL0_TBLS is, 4 KiB for each 2 MiB of addresses, taken in parents of four pages
(core/mm/pgt_cache.c). A plan knows neither setting and counts both. Requests are whole granules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from tessera.errors import TesseraError
from tessera.plan.plan import Plan

GRANULE = 4096
_TABLE_SPAN = 2 << 20
_TABLES_PER_PARENT = 4
_PARENT_GRANULES = 4
_EDGES = 2
"""Tables more than the bytes ask for: two ranges may cross into the next table's span."""
_LARGEST = 1 << 40


@dataclass(frozen=True, slots=True)
class TaSizes:
    """Bytes of a TA that no plan can know.

    `beside`: what the heap holds beside the arena (bookkeeping, tables of the model, headers of
    blocks); `shared`: buffers of the normal world that are mapped, so that they need page tables;
    `loader`: ldelf's bounce buffer (1 page), stack (2), code (8), data (1) and heap (4), and the
    first page of the TA's file, as a build of 4.10.0 for qemu_armv8a has them.
    """

    code: int = 128 << 10
    data: int = 16 << 10
    stack: int = 8 << 10
    image: int = 160 << 10
    beside: int = 64 << 10
    shared: int = 1 << 20
    loader: int = 17 * GRANULE


@dataclass(frozen=True, slots=True)
class Demand:
    """Granules of every kind of block; `heap` is TA_DATA_SIZE in granules."""

    heap: int
    data: int
    code: int
    stack: int
    image: int
    loader: int
    tables: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(int(getattr(self, field.name)) for field in fields(self))


_WORDS = {
    "heap": "the heap (TA_DATA_SIZE)",
    "data": "data and bss without the heap",
    "code": "code and read-only data",
    "stack": "the stack (TA_STACK_SIZE)",
    "image": "the TA's file while it is loaded",
    "loader": "ldelf: bounce buffer, stack, code, data, heap, the file's first page",
    "tables": "page tables, in parents of four pages",
}


def demand_of(plan: Plan, ta: TaSizes) -> Demand:
    """What the TA takes. Raises `TesseraError` for sizes that are negative or out of range."""
    return demand_for(plan.peak + ta.beside, ta)


def demand_for(heap: int, ta: TaSizes) -> Demand:
    """As `demand_of`, for a heap of so many bytes, in which `beside` is counted already."""
    for field in fields(ta):
        value = getattr(ta, field.name)
        if not 0 <= value <= _LARGEST:
            raise TesseraError(
                f"a TA with {value} bytes for '{field.name}'", remedy=f"give 0 to {_LARGEST} bytes"
            )
    sizes = {
        "heap": granules(heap),
        **{name: granules(getattr(ta, name)) for name in ("data", "code", "stack", "image")},
        "loader": granules(ta.loader),
    }
    mapped = sum(sizes.values()) * GRANULE + ta.shared
    tables = -(-mapped // _TABLE_SPAN) + _EDGES
    parents = -(-tables // _TABLES_PER_PARENT)
    return Demand(**sizes, tables=parents * _PARENT_GRANULES)


def granules(size: int) -> int:
    """Whole granules that hold `size` bytes."""
    return -(-size // GRANULE)


def fragment(plan: Plan, ta: TaSizes | None = None, reserve: int | None = None) -> str:
    """The spec. `reserve` is in bytes, whole granules; without one, exactly what the TA takes.

    `ta_fits` and `ta_served` are proved when the plan fits, and violated when it does not. Raises
    `TesseraError` for a reserve that is no whole number of granules.
    """
    ta = ta or TaSizes()
    demand = demand_of(plan, ta)
    if reserve is not None and (reserve <= 0 or reserve % GRANULE):
        raise TesseraError(
            f"a reserve of {reserve} bytes",
            remedy=f"give a multiple of {GRANULE}, as --reserve 8MiB",
        )
    kept = demand.total if reserve is None else reserve // GRANULE
    head = f"network {_plain(plan.model.digest)[:16]}, arena of {plan.peak} bytes"
    params = [
        *(
            (field.name, getattr(demand, field.name), _WORDS[field.name])
            for field in fields(demand)
        ),
        ("reserve", kept, "the reserve that is configured"),
    ]
    lines = [
        f"# Secure memory of the TA that runs {_plain(plan.model.name)}, sized before it runs.",
        f"# Written by tessera plan: {head}.",
        f'spec planned_{_name(plan.model.name)} "The reserve holds the TA, and serves it."',
        'use "policies/priority.tess"',
        "",
        "# Blocks that the TA takes when its session opens.",
        *(f'param ta_{name}: u32 granules "{words}" = {n} granules' for name, n, words in params),
        f'param ta_arena: u64 bytes "the arena of the plan" = {plan.peak} bytes',
        f'param ta_beside: u64 bytes "what else lies in the heap" = {ta.beside} bytes',
        "",
        "function ta_takes(): u32 granules",
        f"  = {' + '.join(f'ta_{field.name}' for field in fields(demand))}",
        _DEMANDS,
    ]
    return "\n".join(lines)


_DEMANDS = """\
function here(): bool "on this board, with the reserve that is configured"
  = reserve == ta_reserve and pool_pages == (pool.size >> granule_shift) as u32

lemma ta_exact "the sum of the blocks does not wrap": exact(ta_takes())

lemma ta_heap_holds "the heap holds the arena and what lies beside it":
  ta_arena + ta_beside <= ((ta_heap as u64) << granule_shift)

lemma ta_fits "the blocks of the TA are together inside the reserve" given here():
  ta_takes() <= reserved()

promise ta_served
  "while no other inference runs, each request of the TA succeeds, one after the other"
  given here():
  forall w: owner, below, n: u32 granules
    where alive(w) and w != core and class_of(w) == inference and
    1 granules <= n and below <= ta_takes() and n <= ta_takes() - below and
    (forall b in live: kind(b) != inference or end(b) <= reserve_start() + below):
    alloc(w, n) succeeds with o = reserve_start() + below
"""


def header_lines(plan: Plan, ta: TaSizes | None = None) -> str:
    """The sizes of `fragment` as lines of the TA's user_ta_header_defines.h."""
    demand = demand_of(plan, ta or TaSizes())
    sizes = (("TA_STACK_SIZE", demand.stack), ("TA_DATA_SIZE", demand.heap))
    return "".join(f"#define {name}\t({size} * {GRANULE})\n" for name, size in sizes)


def _name(model: str) -> str:
    """A name of the language: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", model).strip("_").lower() or "network"


def _plain(words: str) -> str:
    """For a comment: one line."""
    return " ".join(words.split())
