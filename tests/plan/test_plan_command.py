"""`tessera plan MODEL`: what it prints and writes, and one clear error per kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tessera.cli import plan as command
from tessera.cli.sizes import size_of, words_of
from tessera.errors import TesseraError
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.plan import from_json

FLOAT = TensorProto.FLOAT
app = typer.Typer()
command.register(app)
app.command(name="other")(lambda: None)


def run(*words: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error with the error as it is rendered."""
    done = CliRunner().invoke(app, ["plan", *map(str, words)])
    if isinstance(done.exception, TesseraError):
        return done.exception.exit_code, done.stdout, done.exception.render()
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def model(nodes: list[onnx.NodeProto], shape: tuple[int | str, ...] = (1, 2, 8, 8)) -> bytes:
    weights = [numpy_helper.from_array(np.ones((3, 2, 3, 3), np.float32), "w")]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return made.SerializeToString()


def conv(name: str = "conv", source: str = "x", target: str = "y") -> onnx.NodeProto:
    return helper.make_node("Conv", [source, "w"], [target], name=name)


def with_weights(data: np.ndarray) -> bytes:
    made = onnx.load_from_string(model([conv()]))
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(data, "w"))
    return made.SerializeToString()


def elsewhere() -> bytes:
    made = onnx.load_from_string(model([conv()]))
    weights = made.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="gone.bin")
    return made.SerializeToString()


def claims(size: int) -> bytes:
    made = onnx.load_from_string(model([conv()]))
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend([size, 2, 3, 3])
    return made.SerializeToString()


def relu(source: str, target: str, name: str = "") -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target], name=name or target)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "model.onnx"),
    "something else": (lambda: b"\x89PNG\r\n\x1a\n" * 9, "model.onnx"),
    "truncated": (lambda: model([conv()])[:-40], "model.onnx"),
    "external data missing": (elsewhere, "gone.bin"),
    "dynamic shape": (lambda: model([conv()], (1, 2, "height", 8)), "--dim height="),
    "cycle": (lambda: model([relu("b", "a"), relu("a", "b"), relu("x", "y")]), "cycle"),
    "zero-sized": (lambda: model([conv()], (1, 2, 0, 8)), "holds nothing"),
    "not a number": (lambda: with_weights(np.full((3, 2, 3, 3), np.nan, np.float32)), "NaN"),
    "claims 2 GiB": (lambda: claims(1 << 26), "'w'"),
    "large input": (lambda: model([conv()], (1, 2, 1 << 15, 1 << 15)), "bytes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_model_is_one_clear_error_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    file, out = tmp_path / "model.onnx", tmp_path / "plan.json"
    data, said = BAD[kind]
    file.write_bytes(data())
    code, printed, error = run(file, "--budget", "1MiB", "-o", out)
    assert (code, printed) == (2, ""), error
    assert said in error
    assert "help: " in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_network"], "neither a model file nor a network of the zoo"),
        (["gone.onnx"], "gone.onnx"),
        (["lenet_digits", "--budget", "8MB"], "'8MB' is not a size in bytes"),
        (["lenet_digits", "--budget", "0"], "'0' is not a size"),
        (["lenet_digits", "--budget", "-1"], "--budget"),
        (["lenet_digits", "--budget", "1MiB", "--minimise"], "--minimise looks for the budget"),
        (["lenet_digits", "mobilenet_v1"], "2 models"),
        (["lenet_digits", "--csv", "b.csv"], "--csv places buffers"),
        (["lenet_digits", "--curve", "--budget", "1MiB"], "--curve tries many budgets"),
        (["lenet_digits", "--picture", "plan.png"], "no picture of kind `.png`"),
        (["lenet_digits", "--dim", "a"], "'a' is not the size of an axis"),
        (["lenet_digits", "--dim", "a=1", "--dim", "a=2"], "axis 'a' is given two sizes"),
        (["lenet_digits", "--dim", "a=1"], "has no axis without a size"),
        (["lenet_digits", "--weights", "a.weights"], "has its weights with it"),
        (["lenet_digits", "-o", "."], "cannot write: it is a folder"),
        (["lenet_digits", "--curve", "-o", "."], "cannot write: it is a folder"),
        (["--csv", "b.csv", "-o", "."], "cannot write: it is a folder"),
    ],
)
def test_words_that_do_not_fit(words: list[str], said: str) -> None:
    code, printed, error = run(*words)
    assert code == 2
    assert printed == ""
    assert said in error


def test_a_place_that_cannot_be_written_leaves_the_others_alone(tmp_path: Path) -> None:
    out, picture = tmp_path / "plan.json", tmp_path / "plan.svg"
    picture.mkdir()
    code, printed, error = run("lenet_digits", "-o", out, "--picture", picture)
    assert (code, printed) == (2, "")
    assert str(picture) in error
    assert not out.exists()


def test_a_budget_that_is_too_small_names_the_layer_and_the_least_that_works() -> None:
    code, _, error = run("lenet_digits", "--budget", "7000")
    assert code == 2
    assert "layer '6.dense' does not fit into 7,000 bytes" in error
    least = int(error.split("the least budget that works is ")[1].split(" ")[0].replace(",", ""))
    assert run("lenet_digits", "--budget", str(least))[0] == 0
    code, printed, _ = run("lenet_digits", "--minimise")
    assert code == 0
    assert f"{least:,} bytes; bound by layer '6.dense'" in printed


def test_a_plan_is_printed_written_explained_and_drawn(tmp_path: Path) -> None:
    out, picture = tmp_path / "plan.json", tmp_path / "plan.svg"
    words = ("lenet_digits", "--budget", "64KiB", "--explain", "-o", out, "--picture", picture)
    code, printed, error = run(*words)
    assert code == 0, error
    assert "budget   65,536 bytes" in printed
    assert "checked" in printed
    assert "cheaper and none fits" in printed
    document = json.loads(out.read_text())
    plan = from_json(document)
    assert plan.budget == 65536 >= plan.peak
    assert certify_plan(document).holds
    assert "<svg" in picture.read_text()
    code, again, _ = run("lenet_digits", "--budget", "64 KiB", "--json")
    assert (code, again) == (0, out.read_text())


def test_the_curve_as_csv(tmp_path: Path) -> None:
    out, picture = tmp_path / "curve.csv", tmp_path / "curve.svg"
    code, _, error = run("lenet_digits", "--curve", "-o", out, "--picture", picture)
    assert code == 0, error
    assert out.read_text().startswith("model,method,budget,peak,cost")
    assert "<svg" in picture.read_text()


def test_sizes_as_users_write_them() -> None:
    assert size_of("8MiB", "x") == size_of("8 MiB", "x") == size_of("8_388_608", "x") == 8 << 20
    assert words_of(8 << 20) == "8,388,608 bytes (8.00 MiB)"
    assert words_of(100) == "100 bytes"
    for bad in ("", "MiB", "1.5MiB", "8 mib", "1e6", "9" * 30):
        with pytest.raises(TesseraError):
            size_of(bad, "x")
