"""What the emitter reads from a policy, and what it refuses."""

from __future__ import annotations

import pytest
from emit_cases import CLASSES, DNN, PRIORITY, TOY_TREE

from tessera import resources
from tessera.emit import make_patch
from tessera.emit.policy import read_policy
from tessera.emit.render import placeholders
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang.typed import Spec

OTHER = "a1f47c90-3be2-4d57-8c6b-95d20e7f4b13"
WINDOW = "function window(k: class): interval = "


def policy_block(window: str, spill: str = "k", scrub: str = "owned") -> str:
    return (
        f"policy {{ {WINDOW}{window}\n  function spill(k: class): class = {spill}\n"
        f"  const scrub: scrub_mode = {scrub} }}\n"
    )


def three_classes(*uuids: str) -> str:
    tas = [f'{{ ta "{uuid}" "a TA" }}' for uuid in uuids]
    return (
        f"class ordinary\nclass inference > ordinary {tas[0]}\nclass vital > inference {tas[1]}\n"
    )


def test_parameters_and_calls_are_put_in(priority: Spec) -> None:
    texts = placeholders(read_policy(priority))
    edge = "pool->pages - MIN(2048U, pool->pages - pool->pages / 4U)"
    assert texts["window_lo"] == f"k == 1 ? {edge} : 0U"
    assert texts["window_hi"] == f"(k == 1 ? pool->pages : {edge})"
    assert (texts["spill_moves"], texts["spill"]) == ("k == 1", "0")


def test_uuid_is_written_as_its_fields(priority: Spec) -> None:
    text = placeholders(read_policy(priority))["uuids"]
    assert "{ 0x2c3d9a52, 0x6f0e, 0x4b8a," in text
    assert "{ 0x9d, 0x41, 0x70, 0xc5, 0xe1, 0xa8, 0xb3, 0xf6 } };" in text


def test_vanilla_needs_no_patch() -> None:
    vanilla = load(resources.path("specs/policies/vanilla.tess"))
    made = make_patch(vanilla, TOY_TREE)
    assert made.text == "" and made.added == 0 and made.costs == {}


def test_no_listed_ta_keeps_the_placement(make_spec) -> None:  # type: ignore[no-untyped-def]
    classes = "class ordinary\nclass inference > ordinary\n"
    made = make_patch(make_spec(PRIORITY, classes), TOY_TREE)
    assert set(made.costs) == {"scrub TA memory", "scrub TA image"}


def test_scrub_never_keeps_the_free(make_spec) -> None:  # type: ignore[no-untyped-def]
    made = make_patch(make_spec(PRIORITY.replace("= owned", "= never")), TOY_TREE)
    assert "memtag_clear_mem" not in made.text and "goto again" in made.text


def test_scrub_always_is_in_the_pools_own_free(make_spec) -> None:  # type: ignore[no-untyped-def]
    made = make_patch(make_spec(policy_block("[0, pool_pages)", scrub="always")), TOY_TREE)
    assert made.costs == {"window": 3, "scrub in the pool": 5} and made.added == 8
    assert "+++ b/core/mm/tee_mm.c" in made.text and "+++ b/core/mm/fobj.c" not in made.text


def test_every_class_gets_a_number_and_its_tas(make_spec) -> None:  # type: ignore[no-untyped-def]
    rest = policy_block(
        "if k == ordinary then [0, pool_pages / 2) else [pool_pages / 2, pool_pages)",
        "if k == ordinary then k else ordinary",
    )
    policy = read_policy(make_spec(rest, three_classes(DNN, OTHER)))
    assert policy.numbers == {"ordinary": 0, "inference": 1, "vital": 2}
    texts = placeholders(policy)
    assert texts["class"].count("!memcmp") == 2 and "? 1 :" in texts["class"]
    assert texts["spill_moves"] == "(k == 1 || k == 2)" and texts["spill"] == "0"


def test_order_of_classes_is_spelled_out(make_spec) -> None:  # type: ignore[no-untyped-def]
    rest = policy_block("if k < vital then [0, pool_pages / 2) else [0, pool_pages)")
    texts = placeholders(read_policy(make_spec(rest, three_classes(DNN, OTHER))))
    assert texts["window_hi"].startswith("(k == 0 || k == 1 ? pool->pages / 2U")


def test_window_that_is_not_empty_in_an_empty_pool_is_guarded(make_spec) -> None:  # type: ignore[no-untyped-def]
    rest = policy_block("if k == inference then [4 granules, pool_pages) else [0, pool_pages)")
    made = make_patch(make_spec(rest), TOY_TREE)
    assert "+\tif (pool->pages)\n+\t\tlo = " in made.text
    assert "+\tif (pool->pages)\n+\t\tlo = " not in make_patch(make_spec(), TOY_TREE).text


def test_two_steps_of_spill_are_refused(make_spec) -> None:  # type: ignore[no-untyped-def]
    spill = "if k == vital then inference else ordinary"
    window = "if k == ordinary then [0, 1 granules) else [1 granules, pool_pages)"
    with pytest.raises(TesseraError, match="from vital to inference and on to ordinary"):
        read_policy(make_spec(policy_block(window, spill), three_classes(DNN, OTHER)))


def test_unclear_default_class_is_refused(make_spec) -> None:  # type: ignore[no-untyped-def]
    classes = f'class ordinary\nclass b\nclass inference > b {{ ta "{DNN}" "digits" }}\n'
    with pytest.raises(TesseraError, match="unlisted TAs is not clear"):
        read_policy(make_spec(PRIORITY, classes))


def test_spec_without_policy_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "none.tess"
    path.write_text(f'spec none "No policy."\nuse "optee/platforms/qemu_armv8a.tess"\n{CLASSES}')
    with pytest.raises(TesseraError, match="decides nothing about"):
        read_policy(load(path))


def test_policy_that_reads_a_table_is_refused(make_spec) -> None:  # type: ignore[no-untyped-def]
    rest = "const first: u32 granules in 0 granules .. 4 granules\n" + policy_block(
        "if k == inference then [first, pool_pages) else [0, pool_pages)"
    )
    with pytest.raises(TesseraError, match="'first' cannot become C"):
        read_policy(make_spec(rest))
