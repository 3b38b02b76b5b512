"""CSV files of buffers, and the command that plans them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from arena_cases import PAPER, drawn
from typer.testing import CliRunner

from tessera.cli import plan as command
from tessera.errors import TesseraError
from tessera.plan.arena import Budget, plan_arena
from tessera.plan.arena.csv_file import csv_text, parse_csv, read_csv
from tessera.plan.arena.picture import picture_html, picture_svg

HEAD = "id,lower,upper,size\n"
app = typer.Typer()
command.register(app)
app.callback()(lambda: None)


def test_what_is_written_is_read_back() -> None:
    buffers = drawn(2, 9, alignments=(1, 8))
    offsets = {b.name: 16 * i for i, b in enumerate(buffers)}
    table = parse_csv(csv_text(buffers, offsets), "x.csv")
    assert (table.buffers, table.offsets) == (buffers, offsets)
    assert csv_text(PAPER).splitlines()[:2] == ["id,lower,upper,size", "b1,0,3,4"]


def test_columns_stand_in_any_order_and_blank_lines_are_skipped() -> None:
    table = parse_csv("size, upper ,id,lower,offset\r\n\r\n4,3,b1,0,8\r\n", "x.csv")
    assert table.buffers == PAPER[:1]
    assert table.offsets == {"b1": 8}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", "", "no buffers"),
        (HEAD, "", "no buffers"),
        ("id,lower,upper\na,0,1\n", ":1", "no column size"),
        ("id,lower,upper,size,gaps\n", ":1", "`gaps` is not known"),
        ("id,lower,upper,size,size\n", ":1", "twice"),
        (HEAD + "a,0,1\n", ":2", "3 cells"),
        (HEAD + "a,0,1,4\nb,x,1,4\n", ":3", "lower is `x`"),
        (HEAD + "a,0,1,-4\n", ":2", "size is `-4`"),
        (HEAD + "a,0,1,1e3\n", ":2", "size is `1e3`"),
        (HEAD + "a,3,3,4\n", ":2", "lives in no step"),
        (HEAD + "a,0,1,0\n", ":2", "size of 0"),
        (HEAD + "a,0,1,99999999999999999999\n", ":2", "more than any step or size can be"),
        (HEAD + "a,0,1,9223372036854775808\n", ":2", "a size of 9223372036854775808"),
        (HEAD + "a,0,99999999999999999,4\n", ":2", "steps are out of range"),
        (HEAD + "a\0,0,1,4\n", ":2", "cannot be printed"),
        (HEAD + "a,0,1,\N{ARABIC-INDIC DIGIT THREE}\n", ":2", "not a whole number"),
        (HEAD + ",0,1,4\n", ":2", "no id"),
        (HEAD + "a,0,1,4\n\na,1,2,4\n", ":4", "stands in line 2"),
        (HEAD + '"a,0,1,4\n', "", "not CSV"),
    ],
)
def test_a_bad_row_is_named(text: str, line: str, words: str) -> None:
    with pytest.raises(TesseraError, match=re.escape(words)) as raised:
        parse_csv(text, "x.csv")
    assert str(raised.value.where).startswith(f"x.csv{line}")
    assert raised.value.remedy


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"\xff\xfe\x00")
    for bad in (file, tmp_path / "none.csv", tmp_path):
        with pytest.raises(TesseraError, match="cannot be read"):
            read_csv(bad)


def run(tmp_path: Path, *words: str, text: str | None = None) -> tuple[int, str]:
    file = tmp_path / "in.csv"
    file.write_text(csv_text(PAPER) if text is None else text, encoding="utf-8")
    done = CliRunner().invoke(app, ["plan", "--csv", str(file), *words])
    if isinstance(done.exception, TesseraError):
        return done.exception.exit_code, done.exception.render()
    return done.exit_code, done.stdout


def test_the_command_plans_checks_writes_and_draws(tmp_path: Path) -> None:
    out, drawing = tmp_path / "out.csv", tmp_path / "p.html"
    code, said = run(tmp_path, "--capacity", "12", "--out", str(out), "--picture", str(drawing))
    assert code == 0
    assert "12 bytes: fits" in said
    assert "checked 7 rules" in said
    assert set(read_csv(out).offsets) == {b.name for b in PAPER}
    assert "peak: 12 bytes" in drawing.read_text(encoding="utf-8")


def test_json_is_the_plan_and_its_certificate(tmp_path: Path) -> None:
    code, said = run(tmp_path, "--json")
    document = json.loads(said)
    assert code == 0
    assert (document["height"], document["bound"], document["capacity"]) == (12, 12, 12)
    assert document["certificate"]["holds"] is True


def test_a_capacity_below_the_load_cannot_be_met(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    code, said = run(tmp_path, "--capacity", "11", "--out", str(out))
    assert code == 1
    assert "1 bytes too small" in said
    assert not out.exists()


def test_not_found_is_not_impossible(tmp_path: Path) -> None:
    """Without a search the rules miss the load, and nothing is known in between."""
    buffers = drawn(1, 40)
    found = plan_arena(buffers, method="start/first")
    assert found.height > found.bound, "this case is no longer hard for the rule"
    capacity = str(found.height - 1)
    text = csv_text(buffers)
    code, _ = run(tmp_path, "--method", "start/first", "--capacity", capacity, text=text)
    assert code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "magic"], "no method `magic`"),
        (["--picture", "x.png"], "no picture of kind"),
    ],
)
def test_bad_options_are_bad_input(tmp_path: Path, words: list[str], said: str) -> None:
    code, text = run(tmp_path, *words)
    assert (code, said in text) == (2, True)


def test_nothing_to_plan_is_bad_input() -> None:
    done = CliRunner().invoke(app, ["plan"])
    assert isinstance(done.exception, TesseraError)


def test_the_picture_has_a_box_per_buffer_in_its_place() -> None:
    plan = plan_arena(PAPER)
    root = ElementTree.fromstring(picture_svg(plan, "paper & pen"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = {
        str(g.findtext(f"{space}title")).split(":")[0]: g.find(f"{space}rect")
        for g in root.iter(f"{space}g")
    }
    assert set(boxes) == {b.name for b in PAPER}
    for buffer in PAPER:
        box = boxes[buffer.name]
        assert box is not None
        top = float(box.attrib["y"]) + float(box.attrib["height"])
        assert top == pytest.approx(64 + 460 - plan.offsets[buffer.name] * 460 / 12, abs=0.02)
        assert float(box.attrib["width"]) == pytest.approx(
            (buffer.upper - buffer.lower) * 880 / 21, abs=0.02
        )


def test_a_plan_above_its_bound_shows_the_bound_and_pages_fetch_nothing() -> None:
    buffers = drawn(1, 40)
    plan = plan_arena(buffers, method="start/first", budget=Budget(nodes=0))
    page = picture_html(plan, "<script>")
    assert 'class="bound"' in page
    assert "<script" not in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert 'class="bound"' not in picture_svg(plan_arena(PAPER), "x")
