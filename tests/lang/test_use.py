"""Several files as one spec: where they are found, what replaces what, what the digest covers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import Spec, load

LoadText = Callable[..., Spec]

BASE = "param limit: u32 in 1 .. 50 = 5\nparam twice: u32 = limit * 2\nvar x: u32\n"


def values(spec: Spec) -> dict[str, int]:
    return {name: param.value for name, param in spec.params.items()}


def test_a_used_file_brings_its_declarations(load_text: LoadText) -> None:
    spec = load_text('spec s\nuse "base.tess"\ninvariant i: x < limit\n', base=BASE)
    assert values(spec) == {"limit": 5, "twice": 10}
    assert list(spec.vars) == ["x"]


def test_order_of_use_and_declaration_does_not_matter(load_text: LoadText) -> None:
    spec = load_text('invariant i: x < limit\nuse "base.tess"\nspec s\n', base=BASE)
    assert [p.name for p in spec.properties] == ["i"]


def test_with_replaces_a_parameter(load_text: LoadText) -> None:
    spec = load_text('spec s\nuse "base.tess" with limit = 7\n', base=BASE)
    assert values(spec) == {"limit": 7, "twice": 14}


def test_the_outermost_with_counts(load_text: LoadText) -> None:
    middle = 'use "base.tess" with limit = 7, twice = 1\n'
    spec = load_text('spec s\nuse "middle.tess" with limit = 9\n', base=BASE, middle=middle)
    assert values(spec) == {"limit": 9, "twice": 1}


def test_overrides_from_outside_count_most(load_text: LoadText) -> None:
    text = 'spec s\nuse "base.tess" with limit = 7\n'
    assert values(load_text(text, {"limit": 11}, base=BASE)) == {"limit": 11, "twice": 22}
    assert values(load_text(text, {"twice": 3}, base=BASE)) == {"limit": 7, "twice": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limit": 51}, "limit = 51 lies outside its range 1 .. 50"),
        ({"limit": -1}, "limit = -1 lies outside its range 1 .. 50"),
        ({"twice": 1 << 32}, "lies outside its range 0 .. 4294967295"),
        ({"limti": 3}, "unknown parameter 'limti' is given from outside"),
    ],
)
def test_bad_overrides_from_outside(given: dict[str, int], said: str, load_text: LoadText) -> None:
    with pytest.raises(TesseraError, match=said.replace(".", r"\.")):
        load_text('spec s\nuse "base.tess"\n', given, base=BASE)


def test_a_file_used_twice_is_read_once(load_text: LoadText) -> None:
    spec = load_text(
        'spec s\nuse "left.tess"\nuse "right.tess"\n',
        left='use "base.tess"\n',
        right='use "./base.tess" with limit = 8\n',
        base=BASE,
    )
    assert values(spec) == {"limit": 8, "twice": 16}


def test_a_spec_may_build_on_a_spec(load_text: LoadText) -> None:
    """Only the file that is asked for gives the name."""
    spec = load_text('spec outer "o"\nuse "base.tess"\n', base="spec inner\n" + BASE)
    assert (spec.name, spec.doc) == ("outer", "o")


def test_digest_covers_every_file(load_text: LoadText) -> None:
    text = 'spec s\nuse "base.tess"\n'
    first = load_text(text, base=BASE).digest
    assert load_text(text, base=BASE).digest == first
    assert load_text(text, base=BASE + "# a comment counts too\n").digest != first
    assert load_text(text + "\n", base=BASE).digest != first
    assert len(first) == 64


def test_beside_the_using_file_first_then_the_kit(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "optee").mkdir()
    spec = load_text('spec s\nuse "optee/platforms/qemu_armv8a.tess"\n')
    assert spec.platform is not None
    assert spec.platform.name == "qemu_armv8a"
    assert "models/optee/platforms/qemu_armv8a.tess" in {
        str(Path(name).relative_to(resources.root())) if Path(name).is_absolute() else name
        for name in spec.lines
    }
    (tmp_path / "optee/platforms").mkdir()
    own = "platform own { granule 4 KiB }\n"
    (tmp_path / "optee/platforms/qemu_armv8a.tess").write_text(own)
    platform = load(tmp_path / "main.tess").platform
    assert platform is not None
    assert platform.name == "own"


def test_a_machine_with_another_platform(load_text: LoadText) -> None:
    board = """
platform small {
  granule 64 KiB
  region ram secure at 0 for 16 MiB
  region pool in ram at 1 MiB for 8 MiB
}
"""
    text = 'spec s\nuse "policies/private_inference.tess"\nuse "policies/vanilla.tess"\n'
    spec = load_text(text + 'use "board.tess" with reserve = 1 MiB\n', board=board)
    assert spec.platform is not None
    assert spec.platform.name == "small"
    assert spec.params["reserve"].value == 16


def test_every_place_is_in_a_file_with_lines(load_text: LoadText) -> None:
    spec = load_text('spec s\nuse "base.tess"\n', base=BASE)
    assert spec.file == "main.tess"
    assert spec.vars["x"].span.file == "base.tess"
    assert spec.lines["base.tess"][spec.vars["x"].span.line - 1] == "var x: u32"
