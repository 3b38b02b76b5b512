"""Darknet networks: a second statement of their layers agrees, and mistakes name file and line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tessera.errors import TesseraError
from tessera.plan.darknet_reader import build, read
from tessera.plan.darknet_weights import HEADER
from tessera.plan.execute import run
from tessera.plan.passes.simplify import simplify
from tessera.plan.zoo_net import SeededWeights

NET = "[net]\nchannels=2\nheight=6\nwidth=6\n"
CONV = "[convolutional]\nbatch_normalize=1\nfilters=3\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
POOL = "[maxpool]\nsize=2\nstride=2\n"
CONV_VALUES = 3 * 4 + 3 * 2 * 9


def written(tmp_path: Path, text: str, values: np.ndarray | None = None) -> tuple[Path, Path]:
    cfg, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    cfg.write_text(text, encoding="utf-8")
    data = np.zeros(0) if values is None else values
    weights.write_bytes(HEADER + data.astype("<f4").tobytes())
    return cfg, weights


def test_a_convolution_as_darknet_computes_it(tmp_path: Path) -> None:
    """Written out in loops from Darknet's definition: bias, scale, mean, variance, weights."""
    random = np.random.default_rng(3)
    values = random.random(CONV_VALUES).astype(np.float32)
    graph = read(*written(tmp_path, NET + CONV, values))
    x = random.standard_normal((1, 2, 6, 6)).astype(np.float32)
    bias, scale, mean, variance = values[:12].reshape(4, 3).astype(np.float64)
    weights = values[12:].reshape(3, 2, 3, 3).astype(np.float64)
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    expected = np.empty((3, 6, 6))
    for f in range(3):
        for i in range(6):
            for j in range(6):
                total = (padded[:, i : i + 3, j : j + 3] * weights[f]).sum()
                normed = (total - mean[f]) / (np.sqrt(variance[f]) + 1e-6) * scale[f] + bias[f]
                expected[f, i, j] = normed if normed > 0 else 0.1 * normed
    for version in (graph, simplify(graph)):
        (made,) = run(version, {"data": x}).values()
        np.testing.assert_allclose(made[0], expected, rtol=2e-6, atol=2e-6)
    assert [node.op for node in simplify(graph).nodes] == ["Conv", "LeakyRelu"]


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 1), (2, 1, 1), (3, 2, 2), (2, 2, 0)]
)
def test_pools_as_darknet_computes_them(
    tmp_path: Path, size: int, stride: int, padding: int
) -> None:
    """Output (h + padding - size) / stride + 1; a window begins at i * stride - padding / 2."""
    text = f"{NET}[maxpool]\nsize={size}\nstride={stride}\npadding={padding}\n"
    graph = read(*written(tmp_path, text))
    x = np.random.default_rng(1).standard_normal((1, 2, 6, 6)).astype(np.float32)
    (made,) = run(graph, {"data": x}).values()
    side = (6 + padding - size) // stride + 1
    assert made.shape == (1, 2, side, side)
    for i in range(side):
        for j in range(side):
            rows, columns = (
                [at for k in range(size) if 0 <= (at := o * stride - padding // 2 + k) < 6]
                for o in (i, j)
            )
            best = x[0][:, rows][:, :, columns].max(axis=(1, 2))
            np.testing.assert_array_equal(made[0, :, i, j], best)


def test_routes_shortcuts_and_heads(tmp_path: Path) -> None:
    text = (
        NET + CONV + CONV + "[shortcut]\nfrom=-2\nactivation=linear\n"
        "[yolo]\nclasses=1\n"
        "[route]\nlayers=-2,0\n[upsample]\nstride=2\n[route]\nlayers=-1\ngroups=3\ngroup_id=1\n"
    )
    cfg, _ = written(tmp_path, text)
    graph = build(cfg, SeededWeights("routes"))
    ops = [node.op for node in graph.nodes]
    assert ops[-3:] == ["Concat", "Resize", "Slice"]
    assert [graph.tensors[one].shape for one in graph.outputs] == [(1, 3, 6, 6), (1, 2, 12, 12)]
    x = {"data": np.random.default_rng(2).random((1, 2, 6, 6), np.float32)}
    seen = {}
    out = run(graph, x, lambda node, value: seen.__setitem__(node.name, value))
    head, last = (out[name] for name in graph.outputs)
    first = next(value for name, value in seen.items() if name.startswith("0.") and "leaky" in name)
    both = np.concatenate([head, first], axis=1).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(last, both[:, 2:4])


def test_every_node_knows_its_line(tmp_path: Path) -> None:
    cfg, _ = written(tmp_path, "# a comment\n" + NET + CONV + POOL)
    graph = build(cfg, SeededWeights("lines"))
    assert [str(node.source) for node in graph.nodes] == ["net.cfg:6"] * 3 + ["net.cfg:13"]


def test_headers_of_old_versions_are_shorter(tmp_path: Path) -> None:
    cfg, weights = written(tmp_path, NET + CONV)
    values = np.arange(CONV_VALUES, dtype="<f4").tobytes()
    weights.write_bytes(struct.pack("<iiii", 0, 1, 0, 7) + values)
    old = read(cfg, weights)
    weights.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 7) + values)
    new = read(cfg, weights)
    name = "0.convolutional.weights"
    np.testing.assert_array_equal(old.tensors[name].data, new.tensors[name].data)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (NET + CONV + "nonsense\n", 12, "'nonsense' is neither a section nor key=value"),
        ("stride=2\n" + NET, 1, "neither a section"),
        (NET + "[local]\nsize=3\n", 5, "[local]: this layer is not supported"),
        (NET + CONV + "dilation=2\n", 12, "key 'dilation' is not supported"),
        (NET + CONV.replace("filters=3", "filters=three"), 7, "filters is 'three'"),
        (NET + CONV.replace("filters=3", "filters=0"), 7, "filters is '0'"),
        (NET + CONV.replace("filters=3", "filters=99999999999"), 7, "filters is '999"),
        (NET.replace("width=6", "width=0") + CONV, 4, "width is '0'"),
        (NET + CONV.replace("leaky", "hardtan"), 11, "activation 'hardtan' is not supported"),
        (NET + CONV + "groups=2\n", 12, "2 groups of 2 channels"),
        (NET + CONV + "[route]\nlayers=-2\n", 13, "layers=-2 is not a layer before this one"),
        (NET + CONV + "[route]\nlayers=1\n", 13, "layers=1 is not a layer before this one"),
        (NET + CONV + "[route]\ngroups=1\n", 12, "'layers' is missing"),
        (NET + CONV + POOL + "[shortcut]\nfrom=0\n", 16, "supported are equal shapes"),
        (NET + "[maxpool]\nsize=9\nstride=1\npadding=0\n", 5, "a window of 9 does not fit into 6"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, line: int, words: str) -> None:
    cfg, _ = written(tmp_path, text)
    with pytest.raises(TesseraError) as caught:
        build(cfg, SeededWeights("bad"))
    assert words in caught.value.render()
    assert str(caught.value.where) == f"net.cfg:{line}"
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "[convolutional]\n", "[net]\nwidth=6\n"])
def test_a_file_that_is_no_network(tmp_path: Path, text: str) -> None:
    cfg, _ = written(tmp_path, text)
    with pytest.raises(TesseraError, match="does not begin with"):
        build(cfg, SeededWeights("empty"))


def test_weights_that_are_cut_off(tmp_path: Path) -> None:
    cfg, weights = written(tmp_path, NET + CONV, np.ones(CONV_VALUES - 1))
    with pytest.raises(TesseraError, match=r"layer 0 .*needs 54 values \(weights\), but 53 are"):
        read(cfg, weights)
    weights.write_bytes(HEADER[:9])
    with pytest.raises(TesseraError, match="less than its header"):
        read(cfg, weights)


def test_weights_that_are_left_over(tmp_path: Path) -> None:
    cfg, weights = written(tmp_path, NET + CONV, np.ones(CONV_VALUES + 2))
    with pytest.raises(TesseraError, match="2 values are left over"):
        read(cfg, weights)


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    values = np.ones(CONV_VALUES)
    values[20] = np.nan
    with pytest.raises(TesseraError, match="NaN"):
        read(*written(tmp_path, NET + CONV, values))


def test_a_variance_below_zero(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="a variance is negative"):
        read(*written(tmp_path, NET + CONV, -np.ones(CONV_VALUES)))


def test_a_version_that_does_not_exist(tmp_path: Path) -> None:
    cfg, weights = written(tmp_path, NET + CONV, np.ones(CONV_VALUES))
    weights.write_bytes(struct.pack("<iii", -5, 2, 0) + bytes(400))
    with pytest.raises(TesseraError, match=r"version -5\.2"):
        read(cfg, weights)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    cfg, weights = written(tmp_path, NET + CONV)
    weights.unlink()
    with pytest.raises(TesseraError, match="cannot read the weights"):
        read(cfg, weights)
