"""Random and mutilated specs: whatever comes in, only a `TesseraError` may come out."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import load

_PARTS = (
    "specs/policies/priority.tess",
    "models/optee/platforms/qemu_armv8a.tess",
    "models/optee/page_pool.tess",
    "models/optee/first_fit.tess",
    "models/optee/pool_life.tess",
    "models/optee/pool.tess",
    "specs/policies/inference_demands.tess",
    "specs/policies/reserve_demands.tess",
    "specs/policies/private_inference.tess",
    "specs/policies/spared_demands.tess",
)
_USE = re.compile(r"^use.*$", re.MULTILINE)
_TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|\w+|:=|=>|==|!=|<=|>=|<<|>>|\.\.|\s+|.')
WHOLE = "\n".join(_USE.sub("", resources.path(part).read_text("utf-8")) for part in _PARTS)
TOKENS = _TOKEN.findall(WHOLE)
SOLID = [i for i, token in enumerate(TOKENS) if token.strip() and not token.startswith("#")]
WORDS = sorted({TOKENS[i] for i in SOLID})
NAMES = [word for word in WORDS if re.fullmatch(r"[a-z_]\w*", word)]

# Derandomised: the same examples in every run.
steady = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def only_clear_errors(folder: Path, data: bytes) -> None:
    file = folder / "fuzz.tess"
    file.write_bytes(data)
    try:
        load(file)
    except TesseraError as error:
        assert error.message
        assert error.remedy
        assert all(line.isprintable() for line in error.render().split("\n"))


def test_the_whole_is_a_spec(tmp_path: Path) -> None:
    """Else the mutations below would start from a mistake."""
    (tmp_path / "whole.tess").write_text(WHOLE, "utf-8")
    assert load(tmp_path / "whole.tess").name == "priority"


@steady
@given(st.binary(max_size=400))
def test_bytes(tmp_path: Path, data: bytes) -> None:
    only_clear_errors(tmp_path, data)


@steady
@given(st.text(max_size=200))
def test_text(tmp_path: Path, text: str) -> None:
    only_clear_errors(tmp_path, f"spec s\n{text}".encode("utf-8", "replace"))


@steady
@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_token_soup(tmp_path: Path, words: list[str]) -> None:
    only_clear_errors(tmp_path, f"spec s\n{' '.join(words)}".encode())


_CHANGES = st.lists(
    st.tuples(st.sampled_from(SOLID), st.sampled_from(["", *WORDS])), min_size=1, max_size=4
)


@steady
@given(_CHANGES)
def test_changed_tokens(tmp_path: Path, changes: list[tuple[int, str]]) -> None:
    tokens = list(TOKENS)
    for place, word in changes:
        tokens[place] = word
    only_clear_errors(tmp_path, "".join(tokens).encode())


_NAMED = [i for i in SOLID if TOKENS[i] in NAMES]


@steady
@given(st.lists(st.tuples(st.sampled_from(_NAMED), st.sampled_from(NAMES)), min_size=1, max_size=2))
def test_changed_names(tmp_path: Path, changes: list[tuple[int, str]]) -> None:
    """Names for names: most of these get through the grammar."""
    tokens = list(TOKENS)
    for place, word in changes:
        tokens[place] = word
    only_clear_errors(tmp_path, "".join(tokens).encode())


_LINES = WHOLE.split("\n")


@steady
@given(st.lists(st.integers(0, len(_LINES) - 1), min_size=1, max_size=5))
def test_lost_lines(tmp_path: Path, lost: list[int]) -> None:
    kept = [line for i, line in enumerate(_LINES) if i not in lost]
    only_clear_errors(tmp_path, "\n".join(kept).encode())
