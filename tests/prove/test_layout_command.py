"""`tessera layout` as one types it: output, files, exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.lang.load import load_layout
from tessera.report.schema import results_schema

SMALL = """
platform small "few granules" {
  granule 4 KiB
  width paddr = 32
  region ram secure at 0x0e00_0000 for 16 MiB
  region pool in ram somewhere align 2 MiB for 1 MiB .. 16 MiB "open"
  region tfa in ram at 0x0e00_0000 for 1 MiB
  region dram nonsecure at 0x4000_0000 for 1 GiB
  config optee "CFG_TZDRAM_START" = pool.base
  config tfa "SEC_DRAM_SIZE" = pool.size
  config dt "optee_core" = pool.base, pool.size
}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small.tess, and the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.tess").write_text(SMALL, "utf-8")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["layout", *words])


def refused(*words: str) -> TesseraError:
    done = run(*words)
    assert isinstance(done.exception, TesseraError), done.output
    return done.exception


def test_a_chosen_layout_is_shown_with_what_to_configure(small: Path) -> None:
    done = run("small.tess", "--maximise", "pool")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    for said in (
        "0x0e20_0000  0x0f00_0000  14 MiB  secure",
        "CFG_TZDRAM_START=0x0e200000",
        "SEC_DRAM_SIZE=0x00e00000",
        "optee_core@e200000 {",
        "reg = <0x0 0xe200000 0x0 0xe00000>;",
        "PROVED  maximal",
        "chosen open",
    ):
        assert said in done.output, done.output


def test_json_is_the_results_document(small: Path) -> None:
    done = run("small.tess", "--maximise", "pool", "--json")
    document = json.loads(done.stdout)
    Draft202012Validator(results_schema()).validate(document)
    assert document["spec"] == "small"
    found = {o["property"]: o for o in document["obligations"]}
    assert found["satisfiable"]["trace"]["constants"]["pool.size"] == "0xe00000"
    assert found["configuration"]["trace"]["constants"]["tfa SEC_DRAM_SIZE"] == "0xe00000"


def test_files_are_written_and_read_back(small: Path) -> None:
    done = run("small.tess", "--maximise", "pool", "--write", "fixed.tess", "--svg", "map.svg")
    assert done.exit_code == 0, done.output
    assert load_layout(small / "fixed.tess").places["pool"] == (0x0E20_0000, 14 << 20)
    drawing = ET.parse(small / "map.svg").getroot()
    texts = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "pool · 14 MiB" in texts
    boxes = drawing.iter("{http://www.w3.org/2000/svg}rect")
    assert sum("chosen" in node.attrib["class"] for node in boxes) == 2  # one, and the legend
    first = (small / "fixed.tess").read_bytes(), (small / "map.svg").read_bytes()
    run("small.tess", "--maximise", "pool", "--write", "fixed.tess", "--svg", "map.svg")
    assert first == ((small / "fixed.tess").read_bytes(), (small / "map.svg").read_bytes())
    again = run("fixed.tess")
    assert again.exit_code == 0, again.output


def test_a_conflict_leaves_with_1_and_writes_nothing(small: Path) -> None:
    done = run("small.tess", "--fix", "pool.size=16MiB", "--write", "fixed.tess")
    assert done.exit_code == 1
    assert not (small / "fixed.tess").exists()
    assert "No layout exists." in done.output
    assert "small.tess:6:" in done.output
    assert "pool.size = 0x1000000, fixed by the caller" in done.output


def test_a_layout_that_is_not_as_expected_leaves_with_1(small: Path) -> None:
    text = SMALL.replace("somewhere align 2 MiB for 1 MiB .. 16 MiB", "at 0x0e10_0800 for 8 MiB")
    (small / "crooked.tess").write_text(text, "utf-8")
    done = run("crooked.tess", "--write", "out.tess")
    assert done.exit_code == 1
    assert "'pool' [0x0e10_0800, 0x0e90_0800) does not start at a multiple of 0x1000" in " ".join(
        done.output.split()
    )
    assert not (small / "out.tess").exists()


def test_a_solver_that_gives_up_leaves_with_3(small: Path) -> None:
    assert run("small.tess", "--maximise", "pool", "--limit", "1000").exit_code == 3


def test_shipped_platforms_and_specs_have_short_names() -> None:
    assert "Raspberry Pi 3" in run("rpi3").output
    assert run("priority").output == run("qemu_armv8a").output


def test_all_shipped_platforms_in_one_table() -> None:
    done = run("--all")
    assert done.exit_code == 0
    assert "d06" in done.output and "lookup VIOLATED" in done.output
    assert "qemu_armv8a_open" not in done.output


def test_bad_input(small: Path) -> None:
    assert "rpi3" in refused().remedy
    assert "did you mean 'hikey'?" in refused("hikeey").remedy
    assert "not a value" in refused("small.tess", "--fix", "pool.size=many").message
    assert "not a value" in refused("small.tess", "--fix", "pool.size").message
    assert "no such base or size" in refused("small.tess", "--fix", "pool.end=1").message
    assert "no region" in refused("small.tess", "--maximise", "pol").message
    assert "is fixed" in refused("rpi3", "--maximise", "pool").message
    assert "--all" in refused("small.tess", "--all").message
    (small / "none.tess").write_text("spec none\n", "utf-8")
    assert "no platform" in refused("none.tess").message
    (small / "folder").mkdir()
    assert "cannot write" in refused("small.tess", "--svg", "folder").message


def test_a_spec_with_open_places_is_told_what_to_do(small: Path) -> None:
    (small / "mine.tess").write_text('spec mine\nuse "small.tess"\n', "utf-8")
    done = CliRunner().invoke(app, ["check", "mine.tess"])
    assert isinstance(done.exception, TesseraError)
    assert "tessera layout" in done.exception.remedy
    assert run("mine.tess").exit_code == 0
