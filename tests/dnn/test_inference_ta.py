"""The TA's own code on the host, through a stand-in for the TEE, and its checks taken out in turn.

The stand-in seals shared memory off while the TA runs: the TA can only copy from it. As a hostile
normal world it changes every byte the moment it was read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from c_runtime import TA, compile_c, run_program

from tessera.dnn import digits, reference

HOSTILE = {"FAKE_TEE_HOSTILE": "1"}
MODEL = digits.model_path()
IMAGES = digits.images_path()


def logits(client: Path, folder: Path, *more: str, env: dict[str, str] | None = None) -> np.ndarray:
    """The results for all held-out images."""
    out = folder / "out.f32"
    done = run_program(client, "infer", MODEL, IMAGES, out, *more, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("397 images, 10 results each\n")
    return np.fromfile(out, "<f4").reshape(-1, 10)


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["calm", "hostile"])
def test_logits_are_those_of_the_reference(
    client: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    images, _ = digits.held_out()
    wanted = reference.run(digits.model(), images)
    got = logits(client, tmp_path, env=env)
    assert (got.argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert np.abs(got - wanted).max() <= 1e-4


def test_probabilities(client: Path, tmp_path: Path) -> None:
    images, _ = digits.held_out()
    plain = reference.run(digits.model(), images).astype(np.float64)
    powers = np.exp(plain - plain.max(axis=1, keepdims=True))
    got = logits(client, tmp_path, "--probabilities")
    assert np.abs(got - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-5


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["calm", "hostile"])
def test_abuse(client: Path, env: dict[str, str]) -> None:
    done = run_program(client, "abuse", MODEL, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{len(lines) - 1} cases, 0 surprises"
    assert len(lines) > 100
    assert all(line.startswith("ok ") for line in lines[:-1])


def test_info(client: Path) -> None:
    done = run_program(client, "info", MODEL)
    assert done.returncode == 0
    about = dict(line.split() for line in done.stdout.splitlines())
    assert about["input"] == "1x8x8"
    assert int(about["file_bytes"]) == MODEL.stat().st_size
    assert int(about["arena_bytes"]) == reference.arena_bytes(digits.model())
    held = int(about["file_bytes"]) + int(about["arena_bytes"])
    assert held < int(about["heap_bytes"]) <= int(about["heap_peak"]) < 1 << 20


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_out_of_memory_at_every_allocation(client: Path, number: int, tmp_path: Path) -> None:
    """Refused with the right code, nothing leaked (the stand-in counts what is held at the end)."""
    env = {"FAKE_TEE_FAIL_AT": str(number)}
    done = run_program(client, "infer", MODEL, IMAGES, tmp_path / "out", env=env)
    assert done.returncode == 1
    assert "0xffff000c (out of memory)" in done.stderr
    assert not (tmp_path / "out").exists()


def test_four_allocations_are_all(client: Path, tmp_path: Path) -> None:
    env = {"FAKE_TEE_FAIL_AT": "5"}
    assert run_program(client, "infer", MODEL, IMAGES, tmp_path / "out", env=env).returncode == 0


# --- Checks taken out: the battery must notice ---------------------------------------------------

BAD = "return TEE_ERROR_BAD_PARAMETERS;\n"
COPY = "TEE_MemMove(network->file, shared, size);\n"
DROP = "drop_network(session, session->network);\n\t"
MUTANTS: dict[str, tuple[str, str]] = {  # text of the TA and what it is replaced by
    "load: types": (f"if (types != expected)\n\t\t{BAD}\tsize = params", "size = params"),
    "load: empty": ("if (!params[0].memref.buffer || !size)", "if (0)"),
    "load: limit": ("if (size > TESSERA_DNN_MAX_FILE)", "if (0)"),
    "load: format": ("if (*status)\n\t\treturn TEE_ERROR_BAD_FORMAT;\n", ""),
    "load: arena": ("if (!network->arena)", "if (0)"),
    "load: in place": ("ts_model_parse(network->file, size,", "ts_model_parse(shared, size,"),
    "load: leak": (f"{DROP}session->network", "session->network"),
    "infer: state": ("if (!network)\n\t\treturn TEE_ERROR_BAD_STATE;\n\n\t/* Rows", "/* Rows"),
    "infer: no images": ("if (!count || !params", "if (!params"),
    "infer: size": ("params[0].memref.size != count * in_row ||", "0 ||"),
    "infer: wrapping size": ("size != count * in_row", "size != (uint32_t)(count * in_row)"),
    "infer: kind of result": ("params[2].value.b > TESSERA_DNN_PROBABILITIES", "0"),
    "infer: short buffer": ("params[1].memref.size < count * out_row", "0"),
    "infer: needed size": ("size = count * out_row;\n\t\treturn", "size = 0;\n\t\treturn"),
    "infer: in place": ("ts_run(model, network->arena,", "ts_run(model, (void *)shared_in,"),
    "infer: out in place": ("TEE_MemMove(shared_out, output,", "memcpy(shared_out, output,"),
    "info: short buffer": ("params[0].memref.size < sizeof(about)", "0"),
    "open: parameters": ("(void)params;\n\tif (types", "(void)params;\n\tif (0 && types"),
    "close: leak": (f"{DROP}TEE_Free", "TEE_Free"),
    "unknown command": ("return TEE_ERROR_NOT_SUPPORTED", "return TEE_SUCCESS"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_ta_without_a_check_is_caught(name: str, tmp_path: Path) -> None:
    program = compile_c(tmp_path, TA, [("tessera_dnn_ta.c", *MUTANTS[name])])
    assert run_program(program, "abuse", MODEL).returncode != 0


def test_a_ta_that_reads_shared_memory_twice_is_caught(tmp_path: Path) -> None:
    """What was checked at the first read is not what the second one gives."""
    program = compile_c(tmp_path, TA, [("tessera_dnn_ta.c", COPY, f"{COPY}\t{COPY}")])
    assert run_program(program, "abuse", MODEL).returncode == 0
    assert run_program(program, "abuse", MODEL, env=HOSTILE).returncode != 0


# --- The client's own mistakes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command"),
        (["bake"], "unknown command bake"),
        (["infer", "a", "b"], "infer takes three files"),
        (["infer", "a", "b", "c", "d"], "unexpected d"),
        (["infer", "--fast", "a", "b", "c"], "unexpected --fast"),
        (["infer", "a", "b", "c", "--hold-open"], "no seconds"),
        (["infer", "a", "b", "c", "--hold-open", "soon"], "not soon"),
        (["infer", "a", "b", "c", "--hold-open", "-1"], "not -1"),
        (["infer", "a", "b", "c", "--hold-open", "99999999999999999999"], "seconds must be"),
        (["infer", "none.tsm", "b", "c"], "none.tsm: No such file"),
        (["infer", str(MODEL), "none.f32", "c"], "none.f32: No such file"),
        (["infer", str(MODEL), str(MODEL), "c"], "not a whole number of images of 256 bytes"),
        (["infer", str(IMAGES), str(IMAGES), "c"], "cannot use the model: 0xffff0005 (bad format)"),
        (["infer", str(MODEL), str(IMAGES), "/none/out"], "/none/out.part: No such file"),
        (["infer", "/", str(IMAGES), "c"], "/: "),
        (["info"], "info takes one model file"),
        (["abuse", "/dev/null"], "the file is empty"),
    ],
)
def test_bad_usage_and_files(client: Path, words: list[str], message: str) -> None:
    done = run_program(client, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not Path("c").exists()


def test_help(client: Path) -> None:
    done = run_program(client, "--help")
    assert done.returncode == 0
    assert "Example: tessera_dnn infer" in done.stdout
