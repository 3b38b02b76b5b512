"""The tier `smt`: shipped policies agree, and a token changed in the C is a difference."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from control_trees import TOY_TREE

from tessera import resources
from tessera.conform import smt
from tessera.conform.prepared import prepared
from tessera.conform.result import Check, exit_code
from tessera.conform.tiers import Options
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang.typed import Spec

QUIET = Options()
POLICIES = sorted(resources.path("specs/policies").rglob("*.tess"))
CHECKS = [
    *("patch", "order", "uuids", "class", "pages", "scrub/sec_mem_free", "scrub/buf_ta_close"),
    *("scrub/buf_ta_open", "window.lo", "spill", "offset", "window.hi", "search"),
]


def emitted(path: Path, tree: Path) -> Spec | None:
    """The spec of a policy that has a C form."""
    try:
        spec = load(path)
        make_patch(spec, tree)
    except TesseraError:
        return None
    return spec


def checks(spec: Spec, tree: Path, patch: Path | None = None) -> dict[str, Check]:
    """All checks of the tier by name."""
    with prepared(spec, tree, patch) as ready:
        return {c.name.removeprefix("smt/"): c for c in smt.run(spec, ready, QUIET)}


@pytest.fixture(scope="module")
def priority() -> Spec:
    return load(resources.path("specs/policies/priority.tess"))


@pytest.fixture(scope="module")
def one(priority: Spec, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Check]:
    """One check of the patch with a change, on the small tree."""

    def ask(name: str, change: Callable[[str], str]) -> Check:
        text = make_patch(priority, TOY_TREE).text
        changed = change(text)
        assert changed != text
        patch = tmp_path_factory.mktemp("patch") / "changed.patch"
        patch.write_text(changed, encoding="utf-8")
        with prepared(priority, TOY_TREE, patch) as ready:
            return smt.plan(priority, ready, QUIET)[name]()

    return ask


def swap(old: str, new: str, nth: int = 1) -> Callable[[str], str]:
    """The nth `old` in the added lines becomes `new`."""

    def change(text: str) -> str:
        lines, seen = text.split("\n"), 0
        for index, line in enumerate(lines):
            if line.startswith("+") and not line.startswith("+++") and old in line:
                seen += 1
                if seen == nth:
                    lines[index] = line.replace(old, new, 1)
        return "\n".join(lines)

    return change


# --- what agrees ----------------------------------------------------------------------------------


def test_priority_agrees_in_every_decision(priority: Spec) -> None:
    found = checks(priority, TOY_TREE)
    assert list(found) == CHECKS
    assert {c.verdict for c in found.values()} == {"AGREES"}, found
    for name in CHECKS[3:]:
        counts = found[name].counts
        assert counts["questions"] >= 3 and counts["solver units"] > 0 and counts["points"] > 0
    assert found["patch"].counts["lines"] == make_patch(priority, TOY_TREE).added


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_every_shipped_policy_agrees_on_the_small_tree(path: Path) -> None:
    spec = emitted(path, TOY_TREE)
    if spec is None:
        pytest.skip("no C form")
    found = checks(spec, TOY_TREE)
    assert {c.verdict for c in found.values()} == {"AGREES"}, found


def test_most_shipped_policies_are_emitted() -> None:
    assert sum(emitted(path, TOY_TREE) is not None for path in POLICIES) >= 13


@pytest.mark.parametrize("name", ["priority", "vanilla", "broken/scrub_in_pool_free"])
def test_shipped_policies_agree_on_the_real_tree(name: str, optee_tree: Path) -> None:
    spec = load(resources.path(f"specs/policies/{name}.tess"))
    found = checks(spec, optee_tree)
    assert {c.verdict for c in found.values()} == {"AGREES"}, found


def test_units_are_the_same_every_time(priority: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    units = []
    for _ in range(2):
        monkeypatch.setattr("tessera.conform.question._ANSWERED", {})
        with prepared(priority, TOY_TREE) as ready:
            units.append(smt.plan(priority, ready, QUIET)["window.lo"]().counts)
    assert units[0] == units[1]


# --- what differs ---------------------------------------------------------------------------------

MUTANTS = [
    ("window.lo", "2048U", "2049U", 1),
    ("window.lo", "2048U", "204U", 1),
    ("window.lo", "k == 1", "k != 1", 1),
    ("window.lo", "MIN(", "MAX(", 1),
    ("window.lo", "/ 4U", "/ 5U", 1),
    ("window.lo", "/ 4U", "/ 0U", 1),
    ("window.lo", "- MIN", "+ MIN", 1),
    ("window.lo", "0U;", "1U;", 1),
    ("window.lo", "uint64_t lo", "uint16_t lo", 1),
    ("window.hi", "psize >", "psize >=", 1),
    ("window.hi", "psize >", "psize <", 1),
    ("window.hi", "MAX(lo, entry->offset", "MIN(lo, entry->offset", 1),
    ("window.hi", "2048U", "2047U", 2),
    ("window.hi", "uint64_t lo", "uint32_t lo", 1),
    ("search", "offset < lo", "offset <= lo", 1),
    ("search", "lo + psize)", "lo - psize)", 1),
    ("search", "entry->next && ", "", 1),
    ("offset", "MAX(nn", "MIN(nn", 1),
    ("spill", "k == 1) {", "k == 0) {", 1),
    ("spill", "k = 0;", "k = 1;", 1),
    ("spill", "pool->pages && k", "pool->pages || k", 1),
    ("pages", "!flags", "flags", 1),
    ("pages", ">> CORE", "<< CORE", 1),
    ("pages", "uint32_t pages", "uint8_t pages", 1),
    ("uuids", "0x4b8a", "0x4b8b", 1),
    ("class", "0x4b8a", "0x4b8b", 1),
    ("class", "!memcmp", "memcmp", 1),
    ("class", ">= 0", "> 0", 1),
    ("class", ">= 0 &&", ">= 0 ||", 1),
    ("class", "sizeof(ta)", "4", 1),
    ("class", "sizeof(ta)", "17", 1),
    ("scrub/sec_mem_free", "tee_mm_get_bytes(f->mm)", "1", 1),
    ("scrub/buf_ta_close", "handle->buf, 0", "handle->buf, 2", 2),
    ("scrub/buf_ta_close", "(handle->buf,", "(handle->buf - 1,", 2),
    ("scrub/buf_ta_open", "if (handle->buf)", "if (!handle->buf)", 1),
]


@pytest.mark.parametrize(
    ("name", "old", "new", "nth"), MUTANTS, ids=[f"{m[0]}: {m[1]} -> {m[2]}" for m in MUTANTS]
)
def test_a_changed_token_differs(
    one: Callable[..., Check], name: str, old: str, new: str, nth: int
) -> None:
    check = one(name, swap(old, new, nth))
    assert check.verdict == "DIFFERS", check
    assert re.fullmatch(r"core/[\w/.]+:\d+", check.where) and check.trace


def test_a_change_without_effect_agrees(one: Callable[..., Check]) -> None:
    """Where the window starts at 0, a gap that is skipped is too small anyway."""
    assert one("search", swap("lo && entry->next &&", "entry->next &&")).verdict == "AGREES"
    assert one("window.lo", swap("2048U", "0x800ULL")).verdict == "AGREES"


def test_a_difference_shows_inputs_and_both_values(one: Callable[..., Check]) -> None:
    check = one("window.lo", swap("2048U", "2049U"))
    match = re.fullmatch(
        r"class inference, 64-bit core: window\(inference\)\.lo: (\d+) in C, (\d+) in the spec",
        check.detail,
    )
    assert match is not None, check.detail
    pages = int(dict(line.split(" = ") for line in check.trace[:-1])["pages"])
    assert int(match.group(2)) == pages - min(2048, pages - pages // 4)
    assert int(match.group(1)) == pages - min(2049, pages - pages // 4)


def test_undefined_behaviour_differs(one: Callable[..., Check]) -> None:
    assert "undefined in C" in one("window.lo", swap("/ 4U", "/ 0U")).detail
    check = one("class", swap("thread_get_id_may_fail() >= 0 && ", ""))
    assert "a thread is active" in check.detail


# --- what is not known ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("window.lo", "MIN(2048U", "MIN_UNSAFE(2048U", "MIN_UNSAFE"),
        ("window.lo", "pool->pages - pool->pages / 4U", "pool->granules", "pool->granules"),
        ("class", "memcmp(", "strcmp(", "strcmp"),
        ("pages", "CFG_NS_VIRTUALIZATION", "CFG_OTHER", "CFG_OTHER"),
        ("scrub/sec_mem_free", "SEC_RAM_OVERALL", "TEE_RAM_RW", "MEM_AREA_TEE_RAM_RW"),
        ("scrub/buf_ta_close", "\tmemset(", "\tbzero(", "bzero"),
    ],
)
def test_what_cannot_be_read_is_unknown_and_says_who_has_to_tell(
    one: Callable[..., Check], name: str, old: str, new: str, says: str
) -> None:
    check = one(name, swap(old, new, 2 if "memset" in old else 1))
    assert check.verdict == "UNKNOWN" and says in check.detail
    assert "another tier has to tell" in check.detail
    assert exit_code([check]) == 3


def test_a_line_of_no_known_shape_is_unknown(one: Callable[..., Check]) -> None:
    check = one("patch", swap("goto again;", "goto err;"))
    assert check.verdict == "UNKNOWN" and "of no known shape" in check.detail
    check = one("patch", swap("goto err;", "return NULL;"))
    assert check.verdict == "UNKNOWN" and len(check.trace) == 4


def test_what_is_not_c_is_unknown(one: Callable[..., Check]) -> None:
    assert one("patch", swap("goto again;", "goto again")).verdict == "UNKNOWN"


def test_a_low_limit_is_unknown(priority: Spec) -> None:
    with prepared(priority, TOY_TREE) as ready:
        check = smt.plan(priority, ready, Options(limit=50))["window.lo"]()
    assert check.verdict == "UNKNOWN"


def test_a_patch_for_another_spec_differs(tmp_path: Path, priority: Spec) -> None:
    other = load(resources.path("specs/policies/priority.tess"), {"reserve": 1024})
    patch = tmp_path / "other.patch"
    patch.write_text(make_patch(other, TOY_TREE).text, encoding="utf-8")
    found = checks(priority, TOY_TREE, patch)
    assert {n for n, c in found.items() if c.verdict == "DIFFERS"} == {"window.lo", "window.hi"}


def test_no_patch_where_one_is_needed_differs(tmp_path: Path, priority: Spec) -> None:
    vanilla = load(resources.path("specs/policies/vanilla.tess"))
    patch = tmp_path / "empty.patch"
    patch.write_text("", encoding="utf-8")
    assert exit_code(list(checks(vanilla, TOY_TREE, patch).values())) == 0
    found = checks(priority, TOY_TREE, patch)
    differing = {n for n, c in found.items() if c.verdict == "DIFFERS"}
    assert {"uuids", "class", "pages", "window.lo", "window.hi", "spill"} <= differing
    assert {n for n in CHECKS if n.startswith("scrub/")} <= differing


# --- other shapes of patches ----------------------------------------------------------------------

HEAD = 'use "optee/pool.tess"\nuse "optee/platforms/qemu_armv8a.tess"\n'
ONE, TWO = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6", "b2c58da1-4cf3-4e68-9d7c-a6e31f805c24"
GUARDED = f"""
class ordinary
class inference > ordinary {{ ta "{ONE}" "digits" }}
policy {{
  function window(k: class): interval = if k == inference
    then [16 granules, pool_pages) else [2 granules, pool_pages)
  function spill(k: class): class = k
  const scrub: scrub_mode = never
}}
"""
THREE = f"""
class ordinary
class inference > ordinary {{ ta "{ONE}" "digits" }}
class vital > inference {{ ta "{TWO}" "keys" }}
policy {{
  function window(k: class): interval = if k == vital then [pool_pages / 2, pool_pages)
    else if k < inference then [0, pool_pages / 2)
    else [pool_pages / 4, pool_pages / 4 + pool_pages / 2)
  function spill(k: class): class = ordinary
  const scrub: scrub_mode = never
}}
"""
NARROW = f"""
class ordinary
class inference > ordinary {{ ta "{ONE}" "digits" }}
function half(): u16 granules = (pool_pages as u16) / 2 + 40000 granules
policy {{
  function window(k: class): interval = if k == inference
    then [half() as u32, pool_pages) else [0, half() as u32)
  function spill(k: class): class = if k == inference then ordinary else k
  const scrub: scrub_mode = owned
}}
"""


@pytest.mark.parametrize(
    ("text", "guarded", "name", "old", "new"),
    [
        (GUARDED, True, "window.lo", "16U", "17U"),
        (THREE, False, "class", "? 2 :", "? 1 :"),
        (NARROW, True, "window.lo", "(uint16_t)", ""),
    ],
    ids=["guarded", "three", "narrow"],
)
def test_other_shapes_agree_and_differ(
    text: str, guarded: bool, name: str, old: str, new: str, tmp_path: Path
) -> None:
    path, patch = tmp_path / "other.tess", tmp_path / "changed.patch"
    path.write_text(f'spec other "A case."\n{HEAD}{text}', encoding="utf-8")
    spec = load(path)
    found = checks(spec, TOY_TREE)
    assert {c.verdict for c in found.values()} == {"AGREES"}, found
    lines = make_patch(spec, TOY_TREE).text
    assert ("if (pool->pages)\n" in lines) == guarded
    patch.write_text(swap(old, new)(lines), encoding="utf-8")
    with prepared(spec, TOY_TREE, patch) as ready:
        assert smt.plan(spec, ready, QUIET)[name]().verdict == "DIFFERS", lines


def test_a_guard_that_lets_an_old_window_through_differs(tmp_path: Path) -> None:
    path, patch = tmp_path / "other.tess", tmp_path / "changed.patch"
    path.write_text(f'spec other "A case."\n{HEAD}{GUARDED}', encoding="utf-8")
    spec = load(path)
    changed = swap("if (pool->pages)", "if (pool->pages && k)")(make_patch(spec, TOY_TREE).text)
    patch.write_text(changed, encoding="utf-8")
    with prepared(spec, TOY_TREE, patch) as ready:
        check = smt.plan(spec, ready, QUIET)["window.lo"]()
    assert check.verdict == "DIFFERS" and check.trace[1].startswith("lo before = ")
