"""The page pools of a running OP-TEE, read out of a snapshot of its secure RAM.

Goal: each physical pool with the blocks of its own list, and the largest run of free granules;
nothing is asked of the guest.
Non-goals: how it came to be so (see `tessera.guest.recorder`).
"""

from __future__ import annotations

from collections.abc import Iterable

from tessera.errors import TesseraError
from tessera.guest import qemu
from tessera.guest.layout import Layout
from tessera.guest.pooltrace import Pool

Blocks = tuple[tuple[int, int], ...]
"""(offset, size) in granules, in order of address."""

ADDRESSES = (1 << 64) - 1  # the core may map itself below its physical address
_POOLS = ("nex_core_pool", "nex_ta_pool")
_MOST_ENTRIES = 100_000  # of a pool's list, before it is called endless


def view(layout: Layout, memory: bytes, base: int = qemu.SECURE_RAM_BASE) -> dict[Pool, Blocks]:
    """The pools and what their lists hold; `memory` is the guest's from physical `base` on.

    Raises `TesseraError` when a list leads out of the snapshot or has no end, and when there is no
    pool.
    """
    config = layout.symbol("boot_mmu_config") + layout.field("core_mmu_config.map_offset")

    def physical(address: int, size: int) -> int:
        at = address - base
        if not 0 <= at <= len(memory) - size:
            raise TesseraError(
                f"the list of a page pool leads to {address:#x}, out of secure RAM",
                where="a snapshot of secure RAM",
            )
        return int.from_bytes(memory[at : at + size], "little")

    offset = physical(config, 8)

    def number(record: int, name: str, size: int = 8) -> int:
        return physical((record - offset + layout.field(name)) & ADDRESSES, size)

    def blocks(pool: int) -> Iterable[tuple[int, int]]:
        entry = number(number(pool, "_tee_mm_pool_t.entry"), "_tee_mm_entry_t.next")
        for _ in range(_MOST_ENTRIES):
            if not entry:
                return
            place = number(entry, "_tee_mm_entry_t.offset", 4)
            yield place, number(entry, "_tee_mm_entry_t.size", 4)
            entry = number(entry, "_tee_mm_entry_t.next")
        raise TesseraError("the list of a page pool has no end", where="a snapshot of secure RAM")

    found: dict[Pool, Blocks] = {}
    for name in _POOLS:
        address = physical(layout.symbol(name), 8)
        if address:
            lo, size = (number(address, f"_tee_mm_pool_t.{n}") for n in ("lo", "size"))
            shift = number(address, "_tee_mm_pool_t.shift", 1)
            found[Pool(address, lo, size, shift)] = tuple(sorted(blocks(address)))
    if not found:
        raise TesseraError("OP-TEE has no page pool yet", where="a snapshot of secure RAM")
    return found


def taken(pools: dict[Pool, Blocks]) -> int:
    """Granules that are in use, in all pools together."""
    return sum(size for blocks in pools.values() for _offset, size in blocks)


def largest_free_run(pools: dict[Pool, Blocks]) -> int:
    """The longest run of free granules in any pool."""
    longest = 0
    for pool, blocks in pools.items():
        reached = 0
        for offset, size in blocks:
            longest = max(longest, offset - reached)
            reached = offset + size
        longest = max(longest, pool.granules - reached)
    return longest
