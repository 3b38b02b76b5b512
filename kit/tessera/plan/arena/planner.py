"""The arena planner: quick rules first, then search per component, with the bound beside it.

Goal: `plan_arena` gives offsets, the height, a height that no plan can go below, and how both were
found; the same input, seed and count of nodes give the same plan.
Non-goals: printing, and judging the plan (see `tessera.plan.certificate.arena`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.arena.bounds import components, live_load
from tessera.plan.arena.buffers import Alias, Buffer, require_sound
from tessera.plan.arena.core import core_name
from tessera.plan.arena.exact import DEFAULT_NODES, Budget, height_of, improve
from tessera.plan.arena.greedy import RULES, place
from tessera.plan.arena.sharing import join

SEARCH, GREEDY = "search", "greedy"
METHODS = (SEARCH, GREEDY, *RULES)
"""`search` begins where `greedy`, the best of all rules, ends."""

__all__ = ["DEFAULT_NODES", "METHODS", "ArenaPlan", "Budget", "plan_arena"]


@dataclass(frozen=True, slots=True)
class ArenaPlan:
    """Offsets by name in bytes. `height` is what the arena needs; no plan needs less than `bound`.

    `load` is the largest live load and `load_step` the first step that has it; `bound` is above
    `load` where a search was exhausted. `rules` has the height of every quick rule that was tried.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    height: int
    bound: int
    load: int
    load_step: int
    method: str
    rules: Mapping[str, int]
    shared: tuple[Alias, ...]
    nodes: int
    restarts: int
    seed: int
    core: str

    @property
    def gap(self) -> float:
        """How far the height is above the bound, as a part of the bound."""
        return (self.height - self.bound) / self.bound


def plan_arena(
    buffers: Sequence[Buffer],
    *,
    method: str = SEARCH,
    good_enough: int = 0,
    aliases: Sequence[Alias] = (),
    budget: Budget | None = None,
    seed: int = 1,
) -> ArenaPlan:
    """Plan an arena; the search ends at a height of `good_enough` bytes, or at the bound.

    Raises `TesseraError` for unsound buffers and aliases, and for an unknown method.
    """
    require_sound(buffers, aliases)
    if method not in METHODS:
        raise TesseraError(f"no method `{method}`", remedy=f"one of {', '.join(METHODS)}")
    spend = budget if budget is not None else Budget()
    joined = join(buffers, aliases)
    blocks = joined.blocks
    rules, start = _quick(blocks, method)
    offsets, bound = start, live_load(blocks)[0]
    if method == SEARCH:
        offsets, bound = _search(blocks, start, good_enough, spend, seed)
    at = {block.name: offset for block, offset in zip(blocks, offsets, strict=True)}
    load, step = live_load(blocks)
    return ArenaPlan(
        buffers=tuple(buffers),
        offsets={buffer.name: at[joined.home[buffer.name]] for buffer in buffers},
        height=height_of(blocks, offsets),
        bound=bound,
        load=load,
        load_step=step,
        method=method,
        rules=rules,
        shared=joined.taken,
        nodes=spend.spent,
        restarts=spend.restarts,
        seed=seed,
        core=core_name() if spend.spent else "",
    )


def _quick(blocks: Sequence[Buffer], method: str) -> tuple[dict[str, int], tuple[int, ...]]:
    """The heights of the rules asked for, and the offsets of the lowest; the first of equals."""
    tried = {
        rule: place(blocks, rule) for rule in (RULES if method in (SEARCH, GREEDY) else [method])
    }
    heights = {rule: height_of(blocks, offsets) for rule, offsets in tried.items()}
    return heights, tried[min(heights, key=heights.__getitem__)]


def _search(
    blocks: Sequence[Buffer], start: Sequence[int], good_enough: int, budget: Budget, seed: int
) -> tuple[tuple[int, ...], int]:
    """Components apart, the highest first; none has to be lower than the highest bound."""
    groups = [[blocks[i] for i in numbers] for numbers in components(blocks)]
    numbers = components(blocks)
    offsets = list(start)
    bound = live_load(blocks)[0]
    order = sorted(
        range(len(groups)),
        key=lambda g: (-height_of(groups[g], [offsets[i] for i in numbers[g]]), g),
    )
    for g in order:
        here = [offsets[i] for i in numbers[g]]
        done = improve(groups[g], here, max(good_enough, bound), budget, seed)
        bound = max(bound, done.bound)
        for number, offset in zip(numbers[g], done.offsets, strict=True):
            offsets[number] = offset
    return tuple(offsets), bound
