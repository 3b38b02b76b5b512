"""The patched search on the host, against first fit in windows tried offset by offset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from emit_cases import DNN, HEAD, TOY_TREE
from emit_pool import GRANULE, Reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera import resources
from tessera.conform.hostpool import HostPool, patched
from tessera.lang import load

RESERVE = 16
OTHER = "a1f47c90-3be2-4d57-8c6b-95d20e7f4b13"
VITAL = "b2c58da1-4cf3-4e68-9d7c-a6e31f805c24"
TAS = {"ordinary": OTHER, "inference": DNN, "vital": VITAL}
OVERLAPPING = f"""
class ordinary
class inference > ordinary {{ ta "{DNN}" "digits" }}
class vital > inference {{ ta "{VITAL}" "keys" }}
policy {{
  function window(k: class): interval = if k == vital then [pool_pages / 2, pool_pages)
    else if k < inference then [0, pool_pages / 2)
    else [pool_pages / 4, pool_pages / 4 + pool_pages / 2)
  function spill(k: class): class = ordinary
  const scrub: scrub_mode = never
}}
"""


@pytest.fixture(scope="module", params=["toy", "real"])
def tree(request: pytest.FixtureRequest) -> Path:
    """The small tree, and the real one where it is at hand."""
    found: Path = TOY_TREE if request.param == "toy" else request.getfixturevalue("optee_tree")
    return found


@pytest.fixture(scope="module")
def pool(tree: Path) -> HostPool:
    """A pool with the priority policy and a small reserve."""
    spec = load(resources.path("specs/policies/priority.tess"), {"reserve": RESERVE})
    return patched(spec, tree)


@pytest.fixture(scope="module")
def overlapping(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> HostPool:
    """A pool with three classes, whose windows overlap."""
    folder = tmp_path_factory.mktemp("overlapping")
    path = folder / "overlapping.tess"
    path.write_text(f'spec overlapping "Three classes."\n{HEAD}{OVERLAPPING}', encoding="utf-8")
    return patched(load(path), tree)


def priority_reference(pages: int) -> Reference:
    edge = pages - min(RESERVE, pages - pages // 4)
    windows = {"ordinary": (0, edge), "inference": (edge, pages)}
    return Reference(pages, windows, {"ordinary": "ordinary", "inference": "ordinary"})


def overlapping_reference(pages: int) -> Reference:
    windows = {
        "ordinary": (0, pages // 2),
        "inference": (pages // 4, pages // 4 + pages // 2),
        "vital": (pages // 2, pages),
    }
    return Reference(pages, windows, {"ordinary": "ordinary"} | dict.fromkeys(TAS, "ordinary"))


def actions(random: Random, ref: Reference, count: int) -> Iterator[tuple[str, int, str, int, int]]:
    """Random operations: name, block, class, offset, bytes."""
    for block in range(count):
        kind = random.choice(list(ref.windows))
        size = random.choice([1, GRANULE, GRANULE + 1, random.randint(1, 12 * GRANULE)])
        if ref.live and random.random() < 0.4:
            yield "free", random.choice(list(ref.live)), kind, 0, 0
        elif random.random() < 0.1:
            yield "at", block, kind, random.randrange(ref.pages), size
        else:
            yield "alloc", block, kind, 0, size


def compare(pool: HostPool, ref: Reference, seed: int) -> None:
    """Sixty random operations give the same offsets in the C and in the reference."""
    pool.init(ref.pages)
    for step, (name, block, kind, offset, size) in enumerate(actions(Random(seed), ref, 60)):
        pool.active(TAS[kind])
        if name == "free":
            pool.free(block)
            ref.free(block)
            continue
        if name == "at":
            got, wanted = pool.alloc_at(block, offset, size), ref.alloc_at(block, offset, size)
        else:
            got, wanted = pool.alloc(block, size), ref.alloc(block, kind, size)
        assert got == wanted, f"seed {seed}, {ref.pages} pages, step {step}: {name} {kind} {size}"


many = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@many
@given(seed=st.integers(0, 2**32), pages=st.integers(1, 80))
def test_search_is_first_fit_in_the_windows(pool: HostPool, seed: int, pages: int) -> None:
    compare(pool, priority_reference(pages), seed)


@many
@given(seed=st.integers(0, 2**32), pages=st.integers(1, 80))
def test_windows_may_overlap(overlapping: HostPool, seed: int, pages: int) -> None:
    compare(overlapping, overlapping_reference(pages), seed)


def test_a_wrong_reference_would_be_seen(pool: HostPool) -> None:
    with pytest.raises(AssertionError, match="step"):
        for seed in range(20):
            compare(pool, overlapping_reference(64), seed)


def test_reserve_is_there_after_ordinary_tas_took_all(pool: HostPool) -> None:
    pool.init(64)
    pool.active(OTHER)
    taken = 0
    while pool.alloc(taken, GRANULE) is not None:
        taken += 1
    assert taken == 64 - RESERVE
    pool.active(DNN)
    assert pool.alloc(100, RESERVE * GRANULE) == 64 - RESERVE
    assert pool.alloc(101, 1) is None  # both windows are full


def test_inference_falls_back_and_never_the_other_way(pool: HostPool) -> None:
    pool.init(64)
    pool.active(DNN)
    assert pool.alloc(0, RESERVE * GRANULE) == 48
    assert pool.alloc(1, 2 * GRANULE) == 0  # the reserve is full
    pool.free(0)
    pool.active(OTHER)
    assert pool.alloc(2, 47 * GRANULE) is None


@pytest.mark.parametrize("thread", [-1, 0])
def test_the_core_is_ordinary(pool: HostPool, thread: int) -> None:
    pool.init(64)
    pool.active(None, thread=thread)
    assert pool.alloc(0, 48 * GRANULE) == 0
    assert pool.alloc(1, 1) is None


def test_other_pools_are_searched_as_before(pool: HostPool) -> None:
    pool.init(64, by_class=False)
    pool.active(DNN)
    assert pool.alloc(0, GRANULE) == 0
    pool.active(OTHER)
    assert pool.alloc(1, 63 * GRANULE) == 1


def test_boot_may_take_any_range(pool: HostPool) -> None:
    pool.init(64)
    pool.active(None, thread=-1)
    assert pool.alloc_at(0, 60, 4 * GRANULE) == 60
    pool.active(DNN)
    assert pool.alloc(1, 12 * GRANULE) == 48


def test_a_quarter_of_a_small_pool_is_never_reserved(pool: HostPool) -> None:
    pool.init(RESERVE)
    pool.active(OTHER)
    assert pool.alloc(0, RESERVE // 4 * GRANULE) == 0
    assert pool.alloc(1, 1) is None
    pool.active(DNN)
    assert pool.alloc(2, (RESERVE - RESERVE // 4) * GRANULE) == RESERVE // 4
