"""The tier cbmc: agreement, changed patches, OP-TEE as it is, and a checker that misbehaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from tessera import resources
from tessera.conform import cbmc, cbmc_cover
from tessera.conform.cbmc import Harness, harnesses_of
from tessera.conform.cbmc_cover import coverage, reached
from tessera.conform.cbmc_expr import Place, Translator, Untranslatable
from tessera.conform.cbmc_harness import generated
from tessera.conform.cbmc_run import (
    Answer,
    Bounds,
    Done,
    Property,
    Question,
    read_answer,
    trace_lines,
)
from tessera.conform.hostbuild import write_headers
from tessera.conform.prepared import prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.conform.worlds import Decisions, setting_of
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import modelchecker
from tessera.guest.modelchecker import ModelChecker
from tessera.lang import load
from tessera.lang.typed import Spec

IN_EMPTY = ("inside", "promise", "refused", "memory", "reached")
QUICK = (
    Harness("alloc", (0,), "a request to an empty pool", IN_EMPTY),
    Harness("free", (1,), "a block is given back", ("list", "reached")),
    Harness("find", (1,), "an address is looked up", ("lookup", "reached")),
    Harness("scrub", (1,), "memory is released", ("scrub", "reached")),
    Harness("image", (1,), "an image is released", ("scrub", "reached")),
)
"""For each operation the cheapest questions that need all of it: a run of CBMC takes a second."""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load(resources.find_spec("priority"))


@pytest.fixture(scope="module")
def checker() -> ModelChecker:
    found = modelchecker.at_hand()
    if found is None:
        pytest.skip(f"CBMC is optional and not here: {modelchecker.MEND}")
    return found


def checks_of(
    spec: Spec, tree: Path, harnesses: tuple[Harness, ...], patch: Path | None = None
) -> dict[str, Check]:
    with prepared(spec, tree, patch) as ready:
        return {c.name: c for c in cbmc.run(spec, ready, Options(), harnesses)}


def test_the_emitted_patch_agrees(checker: ModelChecker, spec: Spec, optee_tree: Path) -> None:
    checks = checks_of(spec, optee_tree, QUICK)
    assert {c.verdict for c in checks.values()} == {"AGREES"}
    assert {f"cbmc/alloc/{name}" for name in ("inside", "promise", "refused", "memory")} <= {
        *checks
    }
    assert {"cbmc/find/lookup", "cbmc/scrub/scrub", "cbmc/image/scrub"} <= {*checks}
    assert checks["cbmc/alloc/memory"].counts["assertions"] > 100
    assert checks["cbmc/alloc/inside"].counts["clauses"] > 1000


CHANGES = (
    ("offset + entry->size) + psize >\n", "offset + entry->size) + psize >=\n", "alloc", "promise"),
    ("{ 0x2c3d9a52,", "{ 0x2c3d9a53,", "alloc", "promise"),
    (
        "+\tmemset(handle->buf, 0, tee_mm_get_bytes(handle->mm));\n \ttee_mm_free",
        "+\tmemset(handle->buf, 0, handle->ta_size);\n \ttee_mm_free",
        "image",
        "scrub",
    ),
    ("+\t\tk = 0;\n", "+\t\tk = 1;\n", "alloc", "loops"),
)


@pytest.mark.parametrize(("old", "new", "harness", "group"), CHANGES)
def test_a_changed_patch_differs(
    checker: ModelChecker,
    spec: Spec,
    optee_tree: Path,
    tmp_path: Path,
    old: str,
    new: str,
    harness: str,
    group: str,
) -> None:
    text = make_patch(spec, optee_tree).text
    assert old in text
    changed = tmp_path / "changed.patch"
    changed.write_text(text.replace(old, new, 1))
    asked = "asked" if group == "loops" else group  # the ends of loops come with any question
    one = Harness(harness, (0,) if harness == "alloc" else (1,), "", (asked,))
    check = checks_of(spec, optee_tree, (one,), changed)[f"cbmc/{harness}/{group}"]
    assert check.verdict == "DIFFERS"
    if group == "loops":
        assert check.where.startswith("core/mm/tee_mm.c:")
        return
    assert check.trace[0].startswith("a pool of ")
    if harness == "alloc":
        assert check.trace[-2].startswith("a TA asks for ")
        assert check.trace[-1].startswith("the C: ")


def test_optee_as_it_is_in_a_pool_beyond_4_gib(checker: ModelChecker, optee_tree: Path) -> None:
    """Its room behind the last block is computed in 32 bits; the host tier sees that as well."""
    vanilla = load(resources.find_spec("vanilla"))
    assert "reserve_kept" not in generated(vanilla, 2).asked
    one = Harness("alloc", (1,), "", ("inside",))
    checks = checks_of(vanilla, optee_tree, (one,))
    inside = checks["cbmc/alloc/inside"]
    assert inside.verdict == "DIFFERS"
    assert int(inside.trace[0].split()[3]) >= 1 << 20


def test_without_cbmc_it_is_skipped(
    spec: Spec, optee_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelchecker, "at_hand", lambda: None)
    (check,) = checks_of(spec, optee_tree, QUICK).values()
    assert (check.verdict, check.remedy) == ("SKIPPED", modelchecker.MEND)


def test_with_two_blocks_it_is_asked_case_by_case(
    checker: ModelChecker, spec: Spec, optee_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three who ask, three places for the new block: which questions there are. None is run."""
    asked: list[tuple[int | None, int | None, int | None, str]] = []

    def said(_: ModelChecker, one: Question, names: Sequence[str], bounds: Bounds) -> Answer:
        asked.append((one.asker, one.place, one.gap, names[0]))
        return Answer((Property(names[0], "reserve_kept", "SUCCESS", ""),), 0.0, 1, 1, 1)

    monkeypatch.setattr(cbmc, "ask", said)
    one = Harness("alloc", (2,), "", ("asked", "reserve_kept", "first_fit"))
    checks = checks_of(spec, optee_tree, (one,))
    assert checks["cbmc/alloc/asked"].counts["runs"] == 3
    assert checks["cbmc/alloc/reserve_kept"].counts["runs"] == 9
    assert checks["cbmc/alloc/first_fit"].counts["runs"] == 27  # it speaks of any granule
    assert len({*asked}) == len(asked) == 39
    every = range(3)
    placed = {(who, place) for who, place, gap, _ in asked if place is not None and gap is None}
    assert placed == {*product(every, every)}
    between = {(who, place, gap) for who, place, gap, _ in asked if gap is not None}
    assert between == {*product(every, every, every)}


def test_cases_that_are_not_all_differ(
    checker: ModelChecker,
    spec: Spec,
    optee_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the case of what comes after the last block, some numbers are in none."""
    one = Harness("alloc", (1,), "", ("cases",))
    assert checks_of(spec, optee_tree, (one,))["cbmc/alloc/cases"].verdict == "AGREES"
    where = resources.path
    text = (where("verification/cbmc") / "harness.c").read_text()
    assert "many == BLOCKS ||" in text
    (tmp_path / "harness.c").write_text(text.replace("many == BLOCKS ||", "many < BLOCKS &&"))
    monkeypatch.setattr(
        resources, "path", lambda name: tmp_path if name == "verification/cbmc" else where(name)
    )
    assert checks_of(spec, optee_tree, (one,))["cbmc/alloc/cases"].verdict == "DIFFERS"


def test_with_two_blocks_a_place_that_is_not_the_lowest_differs(
    checker: ModelChecker,
    spec: Spec,
    optee_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The core's window starts a granule late: what it passes over lies before both blocks."""
    questions, cases = cbmc._Asking._questions, cbmc._Asking._cases
    monkeypatch.setattr(cbmc._Asking, "_questions", lambda *a: questions(*a)[:1])
    monkeypatch.setattr(cbmc._Asking, "_cases", lambda *a: cases(*a)[:1])
    one = Harness("alloc", (2,), "", ("first_fit",))
    assert checks_of(spec, optee_tree, (one,))["cbmc/alloc/first_fit"].verdict == "AGREES"
    changed = tmp_path / "changed.patch"
    text = make_patch(spec, optee_tree).text
    assert "\n+\t     0U;\n" in text
    changed.write_text(text.replace("\n+\t     0U;\n", "\n+\t     1U;\n", 1))
    check = checks_of(spec, optee_tree, (one,), changed)["cbmc/alloc/first_fit"]
    assert check.verdict == "DIFFERS"


def test_with_two_blocks_a_window_without_an_end_differs(
    checker: ModelChecker,
    spec: Spec,
    optee_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The core asks, and places come one after the other; then the same with the C changed."""
    every = cbmc._Asking._questions
    monkeypatch.setattr(cbmc._Asking, "_questions", lambda *a: every(*a)[:1])
    one = Harness("alloc", (2,), "", ("reserve_kept",))
    check = checks_of(spec, optee_tree, (one,))["cbmc/alloc/reserve_kept"]
    assert (check.verdict, check.counts["runs"]) == ("AGREES", 3)
    assert 1 <= check.counts["mebibytes"] < 4096
    changed = tmp_path / "changed.patch"
    text = make_patch(spec, optee_tree).text
    assert "(k == 1 ? pool->pages : pool->pages -" in text
    changed.write_text(text.replace("(k == 1 ? pool->pages :", "(k < 2 ? pool->pages :", 1))
    check = checks_of(spec, optee_tree, (one,), changed)["cbmc/alloc/reserve_kept"]
    assert check.verdict == "DIFFERS"


def test_every_added_line_is_reached_or_says_why_not(
    checker: ModelChecker,
    spec: Spec,
    optee_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, said = cbmc_cover.covering, dict[str, Done]()

    def once(found: ModelChecker, one: Question, bounds: Bounds) -> Done:
        """CBMC looks at a harness once; what is made of its answer is looked at twice."""
        if one.function not in said:
            said[one.function] = run(found, one, bounds)
        return said[one.function]

    monkeypatch.setattr(cbmc_cover, "covering", once)
    with prepared(spec, optee_tree) as ready:
        write_headers(ready.root, tmp_path)
        asking = cbmc._Asking(spec, ready.root, tmp_path, checker, cbmc.BOUNDS, Options())
        questions = asking.open_questions()
        assert len(questions) == 5
        check = coverage(checker, ready, questions, cbmc.BOUNDS)
        assert (check.verdict, check.counts["missing"]) == ("AGREES", 0), check.trace
        assert check.counts["lines"] == len(check.trace) > 20
        assert check.counts["reached"] > 15
        assert sum("excepted" in row for row in check.trace) == 2
        # Without the exception, and without an operation, lines are missing.
        monkeypatch.setattr(cbmc_cover, "EXCEPTED", {})
        few = [one for one in questions if one.function != "harness_scrub"]
        check = coverage(checker, ready, few, cbmc.BOUNDS)
    assert (check.verdict, check.counts["missing"] >= 3) == ("UNKNOWN", True)
    missing = [row for row in check.trace if row.endswith("NOT REACHED")]
    assert {row.split(":")[0] for row in missing} == {"core/mm/fobj.c", "core/kernel/ree_fs_ta.c"}


def test_a_line_that_only_fails_is_not_reached() -> None:
    def goal(status: str, lines: str) -> dict[str, object]:
        return {"status": status, "basicBlockLines": {"/t/a.c": {"f": lines}, "/u/b.c": {"g": "1"}}}

    said = json.dumps([{"goals": [goal("satisfied", "1,3-4"), goal("failed", "4,5")]}])
    found = reached(said, "/t")
    assert found == {("a.c", 1): True, ("a.c", 3): True, ("a.c", 4): True, ("a.c", 5): False}
    assert reached("no json", "/t") == {}


@pytest.mark.parametrize("blocks", [0, 5])
def test_more_blocks_than_there_are_harnesses_for(blocks: int) -> None:
    with pytest.raises(TesseraError, match="takes 1 to 4 live blocks"):
        harnesses_of(blocks)


# --- a checker that misbehaves --------------------------------------------------------------------


def fake(folder: Path, script: str) -> ModelChecker:
    program = folder / "cbmc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return ModelChecker((str(program),), "6.6.0")


LISTED = json.dumps(
    [{"properties": [{"name": "spec_after.assertion.1", "description": "spec: inside"}]}]
)


def first_check(
    spec: Spec, tree: Path, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Check:
    """What is said of the one property that this checker lists, or of another that it answers."""
    said = f"case \"$*\" in *--show-properties*) echo '{LISTED}'; exit 0;; esac; {script}"
    found = fake(folder, said)
    monkeypatch.setattr(modelchecker, "at_hand", lambda: found)
    with prepared(spec, tree) as ready:
        checks = {c.name: c for c in cbmc.run(spec, ready, Options(), QUICK[:1], Bounds(1, 2048))}
    return checks.get("cbmc/alloc/reached", checks["cbmc/alloc/inside"])


def test_time_and_memory_are_bounded(
    spec: Spec, optee_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = first_check(spec, optee_tree, "exec sleep 30", tmp_path, monkeypatch)
    assert (late.verdict, "not decided within 1 s" in late.detail) == ("UNKNOWN", True)
    ended = first_check(spec, optee_tree, "kill -9 $$", tmp_path, monkeypatch)
    assert (ended.verdict, "2048 MiB" in ended.detail) == ("UNKNOWN", True)


def test_output_that_is_no_json(
    spec: Spec, optee_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TesseraError, match="not the JSON that it promises"):
        first_check(spec, optee_tree, "echo hello", tmp_path, monkeypatch)
    refused = '[{"messageType": "ERROR", "messageText": "syntax error"}]'
    with pytest.raises(TesseraError, match="refuses the tree's pool: syntax error") as error:
        first_check(spec, optee_tree, f"echo '{refused}'; exit 6", tmp_path, monkeypatch)
    assert error.value.where == "cbmc"


def test_what_cbmc_refuses_is_told_with_its_place(
    checker: ModelChecker, spec: Spec, optee_tree: Path, tmp_path: Path
) -> None:
    text = make_patch(spec, optee_tree).text
    changed = tmp_path / "changed.patch"
    changed.write_text(text.replace("+\tuint64_t lo = 0;", "+\tuint64_t lo = 0", 1))
    with pytest.raises(TesseraError, match="syntax error") as error:
        checks_of(spec, optee_tree, QUICK[:1], changed)
    assert str(error.value.where).startswith("core/mm/tee_mm.c:")


def test_an_assertion_that_is_not_decided_is_unknown(
    spec: Spec, optee_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"property": "spec_after.assertion.1", "description": "spec: inside", "status": "UNKNOWN"}
    said = json.dumps([{"result": [row]}])
    check = first_check(spec, optee_tree, f"echo '{said}'; exit 10", tmp_path, monkeypatch)
    assert check.verdict == "UNKNOWN"


def test_a_request_that_is_never_granted_is_vacuous(
    spec: Spec, optee_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"property": "harness_alloc.assertion.3", "description": "reached: x"}
    said = json.dumps([{"result": [{**row, "status": "SUCCESS"}]}])
    check = first_check(spec, optee_tree, f"echo '{said}'; exit 0", tmp_path, monkeypatch)
    assert (check.name, check.verdict) == ("cbmc/alloc/reached", "UNKNOWN")
    assert "vacuous" in check.detail


def test_an_answer_to_another_question_is_unknown(
    spec: Spec, optee_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = first_check(spec, optee_tree, "echo '[{\"result\": []}]'", tmp_path, monkeypatch)
    assert (check.verdict, "nothing was asserted" in check.detail) == ("UNKNOWN", True)


def test_the_answer_is_read() -> None:
    row = {"property": "f.unwind.0", "description": "unwinding assertion", "status": "SUCCESS"}
    row["sourceLocation"] = {"file": "/t/core/mm/tee_mm.c", "line": "80"}  # type: ignore[assignment]
    said = [
        {"messageText": "size of program expression: 7 steps"},
        {"messageText": "3 variables, 5 clauses"},
        {"result": [row]},
    ]
    answer = read_answer(json.dumps(said), 0, 1.0, Bounds(1, 1), Path("/t"))
    assert (answer.steps, answer.variables, answer.clauses) == (7, 3, 5)
    (prop,) = answer.properties
    assert (prop.group, prop.where) == ("loops", "core/mm/tee_mm.c:80")


def test_the_last_assignment_counts() -> None:
    def step(name: str, value: str) -> dict[str, object]:
        return {"stepType": "assignment", "lhs": name, "value": {"data": value}}

    steps = [step("pool_pages", "0u"), step("pool_pages", "9u"), step("before.live[0l]", "TRUE")]
    steps += [step("before.start[0l]", "2u"), step("before.size[0l]", "3u")]
    steps += [step("request", "4u"), step("asker", "2u"), step("result", "5u")]
    assert list(trace_lines(steps)) == [
        "a pool of 9 granules",
        "block 0: the core's, granules [2, 5)",
        "a TA asks for 4 granules",
        "the C: at granule 5",
    ]


# --- the spec's functions in C --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["priority", "scrub_on_alloc", "vanilla"])
def test_the_spec_in_c_says_what_the_simulator_says(name: str, tmp_path: Path) -> None:
    spec = load(resources.find_spec(name))
    says = Translator(spec, 2)
    names = [says.function(f) for f in ("window.lo", "window.hi", "spill")]
    harness = resources.path("verification/cbmc/harness.c").read_text()
    helpers = harness[harness.index("#define s_div(") : harness.index("static uint64_t c_")]
    texts = [text for key, text in says.done.items() if not key.startswith("fill ")]
    fills = [text for key, text in says.done.items() if key.startswith("fill ")]
    classes = spec.enums["class"]
    shown = "".join(
        f'printf("%lu ", (unsigned long){one}(0, {k}));'
        for k in range(len(classes))
        for one in names
    )
    program = tmp_path / "spec.c"
    program.write_text(
        "#include <stdint.h>\n#include <stdbool.h>\n#include <stdio.h>\n"
        "struct state { uint32_t start[2], size[2], owner_of[2]; bool live[2]; };\n"
        f"static uint32_t pool_pages; static uint8_t class_of[3];\n{helpers}\n{''.join(texts)}"
        'int main(void) { while (scanf("%u", &pool_pages) == 1) { (void)class_of;'
        f"{''.join(fills)} {shown} }} }}\n"
    )
    subprocess.run(["gcc", "-o", tmp_path / "spec", program], check=True)
    sizes = [1, 2, 3, 4, 5, 2047, 2048, 2730, 2731, 3840, 1 << 20, (1 << 31) + 5, 0xFFFFFFFE]
    done = subprocess.run(
        [tmp_path / "spec"],
        input=" ".join(map(str, sizes)),
        text=True,
        capture_output=True,
        check=True,
    )
    wanted: list[int] = []
    for pages in sizes:
        decides = Decisions(setting_of(spec), pages)
        for k in classes:
            wanted += [*decides.window(k), classes.index(decides.spill(k))]
    assert list(map(int, done.stdout.split())) == wanted


def test_what_cannot_be_asked_is_said(spec: Spec) -> None:
    made = generated(spec, 3)
    assert {"disjoint", "inside", "reserve_kept", "first_fit", "promise"} <= {*made.asked}
    assert dict(made.left)["no_residue_at_rest"] == "residue"
    residue = next(p for p in spec.properties if p.name == "no_residue_at_rest")
    with pytest.raises(Untranslatable, match="residue"):
        Translator(spec, 3).text(residue.formula, Place())
