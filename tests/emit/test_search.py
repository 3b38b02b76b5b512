"""The patched search on the host, against first fit in windows tried offset by offset."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from emit_cases import DNN, TOY_TREE
from emit_pool import GRANULE, HostPool, Reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera import resources
from tessera.emit import make_patch
from tessera.lang import load

RESERVE = 16
OTHER = "a1f47c90-3be2-4d57-8c6b-95d20e7f4b13"
TAS = {"ordinary": OTHER, "inference": DNN}


def compile_patched(tree: Path, folder: Path) -> HostPool:
    """The tree's pool with the priority policy and a small reserve."""
    spec = load(resources.path("specs/policies/priority.tess"), {"reserve": RESERVE})
    copy = folder / "tree"
    for name in ("core/mm", "core/include/mm", "core/kernel"):
        shutil.copytree(tree / name, copy / name)
    made = make_patch(spec, tree)
    subprocess.run(["patch", "-s", "-p1"], cwd=copy, input=made.text, text=True, check=True)
    return HostPool(copy, folder)


@pytest.fixture(scope="module", params=["toy", "real"])
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HostPool:
    """The pool of the small tree, and that of the real one where it is at hand."""
    tree = TOY_TREE if request.param == "toy" else request.getfixturevalue("optee_tree")
    return compile_patched(tree, tmp_path_factory.mktemp("pool"))


def reference(pages: int) -> Reference:
    edge = pages - min(RESERVE, pages)
    windows = {"ordinary": (0, edge), "inference": (edge, pages)}
    return Reference(pages, windows, {"ordinary": "ordinary", "inference": "ordinary"})


def actions(random: Random, ref: Reference, count: int) -> Iterator[tuple[str, int, str, int, int]]:
    """Random operations: name, block, class, offset, bytes."""
    for block in range(count):
        kind = random.choice(list(TAS))
        size = random.choice([1, GRANULE, GRANULE + 1, random.randint(1, 12 * GRANULE)])
        if ref.live and random.random() < 0.4:
            yield "free", random.choice(list(ref.live)), kind, 0, 0
        elif random.random() < 0.1:
            yield "at", block, kind, random.randrange(ref.pages), size
        else:
            yield "alloc", block, kind, 0, size


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), pages=st.integers(1, 80))
def test_search_is_first_fit_in_the_windows(pool: HostPool, seed: int, pages: int) -> None:
    ref, random = reference(pages), Random(seed)
    pool.init(pages)
    for step, (name, block, kind, offset, size) in enumerate(actions(random, ref, 60)):
        pool.active(TAS[kind])
        if name == "free":
            pool.free(block)
            ref.free(block)
            continue
        if name == "at":
            got, wanted = pool.alloc_at(block, offset, size), ref.alloc_at(block, offset, size)
        else:
            got, wanted = pool.alloc(block, size), ref.alloc(block, kind, size)
        assert got == wanted, f"seed {seed}, {pages} pages, step {step}: {name} {kind} {size}"


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


def test_pool_smaller_than_the_reserve_is_all_reserve(pool: HostPool) -> None:
    pool.init(RESERVE - 1)
    pool.active(OTHER)
    assert pool.alloc(0, 1) is None
    pool.active(DNN)
    assert pool.alloc(1, (RESERVE - 1) * GRANULE) == 0
