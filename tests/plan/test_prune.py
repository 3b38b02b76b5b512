"""Pruning: smaller tensors that compute what masked ones do, and wrong sets that do not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_graphs import HERE, Net, inputs_of, mobile, residual
from typer.testing import CliRunner

from tessera.cli import app
from tessera.dnn.digits import held_out
from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.compress import archive
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph, Node, Tensor
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ConvAttrs,
    EpsilonAttrs,
    GemmAttrs,
    LrnAttrs,
    ReduceAttrs,
    ShapeAttrs,
)
from tessera.plan.onnx_reader import read
from tessera.plan.onnx_writer import to_bytes
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.passes.rewrite import close, frozen
from tessera.plan.passes.simplify import simplify
from tessera.plan.prune import finetune
from tessera.plan.prune.choose import choose, order, parameters_after
from tessera.plan.prune.curve import ROUNDING, Point, difference, prune, to_csv
from tessera.plan.prune.dependencies import (
    RULES,
    TAKES,
    Dependencies,
    Rule,
    dependencies,
)
from tessera.plan.prune.importance import METHODS, importance
from tessera.plan.prune.judge import judge_of
from tessera.plan.prune.remove import masked, remove
from tessera.plan.quantise.qdq import quantise
from tessera.plan.quantise.samples import digit_samples, generated

LEAKY, GEMM = AlphaAttrs(0.1), GemmAttrs(transpose_b=True)


def norms() -> Graph:
    """Batch norms that are not folded, a flattening, a scale per channel, two dense layers."""
    net = Net(1, 2, 9, 9)

    def norm(x: Tensor) -> Tensor:
        parts = [net.weights(x.shape[1]) for _ in range(3)]
        variance = np.linspace(0.5, 2, x.shape[1]).astype(np.float32)
        parts.append(net.builder.constant(net.builder.fresh("v"), variance, HERE).name)
        return net.node("BatchNormalization", x.name, *parts, attrs=EpsilonAttrs(1e-3))

    x = net.node("Relu", norm(net.conv(net.x, 6)).name)
    y = net.node("Mul", norm(net.conv(x, 5, stride=2)).name, net.weights(5, 1, 1))
    z = net.conv(net.node("LeakyRelu", net.conv(y, 5, group=5).name, attrs=LEAKY), 4)
    flat = net.node("Reshape", net.pool(z).name, attrs=ShapeAttrs((1, 16)))
    mean = net.node("ReduceMean", y.name, attrs=ReduceAttrs((2, 3), False))
    both = net.node("Concat", flat.name, mean.name, attrs=AxisAttrs(1))
    hidden = net.node("Gemm", both.name, net.weights(7, 21), net.weights(7), attrs=GEMM)
    return net.finish(net.node("MatMul", net.node("Relu", hidden.name).name, net.weights(7, 3)))


def doubled() -> Graph:
    """A depthwise convolution that makes two channels of each, and a concat of a tensor twice."""
    net = Net(1, 3, 8, 8)
    x = net.node("Relu", net.conv(net.x, 4).name)
    attrs = ConvAttrs((3, 3), (1, 1), (1,) * 4, (1, 1), 4)
    deep = net.node("Conv", x.name, net.weights(8, 1, 3, 3), net.weights(8), attrs=attrs)
    both = net.node("Concat", x.name, deep.name, x.name, attrs=AxisAttrs(1))
    return net.finish(net.conv(both, 2, kernel=1))


NETS: dict[str, Callable[[], Graph]] = {
    "mobile": mobile,
    "residual": residual,
    "norms": norms,
    "doubled": doubled,
}


@cache
def known(name: str) -> tuple[Graph, Dependencies]:
    graph = NETS[name]()
    return graph, dependencies(graph)


def zeroed(graph: Graph, found: Dependencies, removed: Collection[int]) -> Graph:
    """The network at full size with everything that makes the channels at zero.

    The other half of what `masked` does, and only right where every op keeps zero: so the two say
    the same by different constants.
    """
    tensors = dict(graph.tensors)
    for part in found.slices:
        if part.role != TAKES:
            data = tensors[part.constant].data
            assert data is not None
            data = data.copy()
            np.moveaxis(data, part.axis, 0)[np.isin(part.sets, list(removed))] = 0
            tensors[part.constant] = frozen(tensors[part.constant], data)
    return close(graph, graph.nodes, tensors)


def compared(graph: Graph, found: Dependencies, removed: Collection[int]) -> Graph:
    """The smaller network, found equal to both masked ones."""
    small = remove(graph, found, removed)
    samples = [inputs_of(graph)]
    for full in (masked(graph, found, removed), zeroed(graph, found, removed)):
        assert difference(small, full, found, removed, samples) <= 1e-5
    return small


@pytest.mark.parametrize("name", sorted(NETS))
def test_half_of_the_channels_gone(name: str) -> None:
    graph, found = known(name)
    removed = found.free[::2]
    assert len(removed) >= 2
    small = compared(graph, found, removed)
    assert sum(one.values for one in small.constants()) == parameters_after(graph, found, removed)
    assert small.weight_bytes < 0.8 * graph.weight_bytes
    smaller = 0
    for one, sets in found.channels.items():
        before, after = graph.tensors[one].shape, small.tensors[one].shape
        assert after[1] == before[1] - np.isin(sets, removed).sum()
        smaller += small.tensors[one].bytes < graph.tensors[one].bytes
    assert smaller >= 3
    for one in (*graph.inputs, *graph.outputs):
        assert small.tensors[one].shape == graph.tensors[one].shape
    # It is not the unpruned network: something was removed that mattered.
    assert difference(small, graph, found, removed, [inputs_of(graph)]) > 1e-2


@settings(max_examples=40, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(NETS)), data=st.data())
def test_any_channels_may_go(name: str, data: st.DataObject) -> None:
    graph, found = known(name)
    going = data.draw(st.permutations(found.free))
    allowed = order(found, {one: float(going.index(one)) for one in found.free}, 1)
    compared(graph, found, allowed[: data.draw(st.integers(0, len(allowed)))])


def _concat_turned(find: object, node: Node) -> Array | None:
    made = RULES["Concat"](find, node)  # type: ignore[arg-type]
    return None if made is None else made[::-1]


def _not_joined(find: object, node: Node) -> Array | None:
    return find.channels.get(node.inputs[0])  # type: ignore[attr-defined,no-any-return]


def _flat_by_pixel(find: object, node: Node) -> Array | None:
    made = RULES["Reshape"](find, node)  # type: ignore[arg-type]
    given = find.channels[node.inputs[0]]  # type: ignore[attr-defined]
    return (
        made if made is None or len(made) == len(given) else np.tile(given, len(made) // len(given))
    )


def _turned(find: object, node: Node) -> Array | None:
    given = find.channels.get(node.inputs[0])  # type: ignore[attr-defined]
    return None if given is None else given[::-1]


WRONG: list[tuple[str, str, Rule]] = [
    ("residual", "Concat", _concat_turned),
    ("doubled", "Concat", _concat_turned),
    ("residual", "Add", _not_joined),
    ("norms", "Reshape", _flat_by_pixel),
    ("mobile", "GlobalAveragePool", _turned),
    ("norms", "LeakyRelu", _turned),
]


@pytest.mark.parametrize(("name", "op", "rule"), WRONG)
def test_wrong_sets_are_noticed(name: str, op: str, rule: Rule) -> None:
    """Each wrong rule: shapes that do not fit, or a network that computes something else."""
    graph = NETS[name]()
    found = dependencies(graph, {**RULES, op: rule})
    noticed = 0
    for seed in range(3):
        random = np.random.default_rng(seed)
        removed = random.choice(found.free, len(found.free) // 3, replace=False).tolist()
        try:
            compared(graph, found, removed)
        except (TesseraError, AssertionError):
            noticed += 1
    assert noticed == 3


def test_the_step_of_the_curve_notices_wrong_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = residual()
    wrong = {**RULES, "Concat": _concat_turned}
    monkeypatch.setattr(
        "tessera.plan.prune.curve.dependencies", lambda one: dependencies(one, wrong)
    )
    samples = [inputs_of(graph)]
    with pytest.raises(TesseraError, match=r"is not the masked one|do not fit"):
        prune(graph, (60.0,), judge_of(graph, samples), samples)


def test_what_no_rule_knows_keeps_its_channels() -> None:
    net = Net(1, 4, 6, 6)
    x = net.conv(net.x, 8, group=2)  # two groups of two
    y = net.node("LRN", net.conv(x, 6).name, attrs=LrnAttrs(3, 1e-4, 0.75, 1.0))
    z = net.conv(net.conv(y, 5), 4)
    graph = net.finish(z)
    found = dependencies(graph)
    assert len(found.free) == 5  # of the last convolution but one
    small = compared(graph, found, found.free[:3])
    assert small.tensors[graph.nodes[1].outputs[0]].shape[1] == 6


def test_shared_weights_stay() -> None:
    net = Net(1, 4, 6, 6)
    x = net.conv(net.x, 4)
    known_tensors = net.builder.tensors
    weights = next(name for name, one in known_tensors.items() if one.shape == (4, 4, 3, 3))
    attrs = ConvAttrs((3, 3), (1, 1), (1,) * 4, (1, 1))
    y = net.node("Conv", x.name, weights, attrs=attrs)
    graph = net.finish(net.conv(y, 3))
    assert dependencies(graph).free == ()


def test_quantised_networks_are_not_pruned() -> None:
    graph = mobile()
    int8 = quantise(graph, [inputs_of(graph)]).graph
    assert dependencies(int8).free == ()
    assert dependencies(fuse_integers(int8)).free == ()


@pytest.mark.parametrize("name", ["squeezenet11", "yolo_tiny"])
def test_networks_of_the_zoo(name: str) -> None:
    graph = simplify(zoo.build(name))
    found = dependencies(graph)
    scores = importance(graph, found, "l1")
    total = sum(one.values for one in graph.constants())
    removed = choose(graph, found, scores, total // 2)
    small = remove(graph, found, removed)
    assert 0.48 * total < sum(one.values for one in small.constants()) <= total // 2
    samples = generated(graph, 1, 0)
    full = masked(graph, found, removed)
    assert difference(small, full, found, removed, samples) <= ROUNDING


@pytest.mark.parametrize("method", METHODS)
def test_the_least_important_go_first(method: str) -> None:
    """A channel with weights that are nearly zero goes before all others of its layer."""
    net = Net(1, 3, 8, 8)
    x = net.node("Relu", net.conv(net.x, 6, name="first").name)
    graph = net.finish(net.conv(x, 4, name="second"))
    tensors = dict(graph.tensors)
    for name in graph.nodes[0].inputs[1:]:
        data = tensors[name].data
        assert data is not None
        data = data.copy()
        data[2] *= 1e-3
        tensors[name] = frozen(tensors[name], data)
    weak = close(graph, graph.nodes, tensors)
    found = dependencies(weak)
    scores = importance(weak, found, method, [inputs_of(weak)])
    assert min(scores, key=lambda one: scores[one]) == found.channels[x.name][2]
    with pytest.raises(TesseraError, match="no importance is called 'luck'"):
        importance(weak, found, "luck")


def test_layers_keep_channels_and_impossible_sizes_are_refused() -> None:
    graph, found = known("mobile")
    scores = importance(graph, found, "l1")
    least = remove(graph, found, order(found, scores, 3))
    for node in least.nodes:
        if node.op == "Conv":
            assert least.tensors[node.inputs[1]].shape[0] >= 3
    with pytest.raises(TesseraError, match="leaves layers without channels") as caught:
        choose(graph, found, scores, 100, 3)
    assert f"{sum(one.values for one in least.constants()):,}" in caught.value.remedy
    assert choose(graph, found, scores, 10**9) == frozenset()


def test_a_curve_falls_and_says_what_it_measured() -> None:
    graph = residual()
    samples = [inputs_of(graph), *generated(graph, 2, 1)]
    judge = judge_of(graph, samples)
    assert judge.what == "agreement with the unpruned network on 3 inputs"
    seen: list[Point] = []
    made = prune(graph, (70.0, 40.0), judge, samples, watch=seen.append)
    whole, first, last = made.points
    assert (whole.share, whole.error, whole.channels) == (1.0, 0.0, 0)
    assert whole.parameters * 0.4 >= last.parameters < first.parameters <= whole.parameters * 0.7
    assert last.multiply_adds < first.multiply_adds < whole.multiply_adds
    assert last.channels > first.channels > 0
    assert last.weight_bytes == made.graph.weight_bytes
    assert last.error > 0
    assert seen == [first, last]
    rows = list(csv.DictReader(io.StringIO(to_csv(made.points))))
    assert [int(row["parameters"]) for row in rows] == [one.parameters for one in made.points]
    assert rows[0]["tuned_share"] == ""


@pytest.mark.parametrize("targets", [(), (50.0, 60.0), (100.0,), (50.0, 50.0), (-1.0,), (0.0,)])
def test_steps_that_do_not_fall(targets: tuple[float, ...]) -> None:
    graph = mobile()
    samples = [inputs_of(graph)]
    with pytest.raises(TesseraError, match=r"are no steps|nothing would be left"):
        prune(graph, targets, judge_of(graph, samples), samples)


def test_a_regression_learns() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((300, 12)) * 40
    truth = random.standard_normal((4, 12))
    labels = (x @ truth.T).argmax(axis=1)
    weights, bias = np.zeros((4, 12), np.float32), np.zeros(4, np.float32)
    made, shift = finetune.regress(x, labels, weights, bias)
    right = ((x @ made.T + shift).argmax(axis=1) == labels).mean()
    assert right > 0.95
    assert (labels == 0).mean() < 0.6


def test_the_last_layer_of_the_digits_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy on held-out digits comes back; the training digits are others (a few, for speed)."""
    graph = zoo.build("lenet_digits")
    samples, labels = finetune.training_digits(graph)
    assert len(samples) == 1400
    few = (samples[:300], labels[:300])
    monkeypatch.setattr(finetune, "training_digits", lambda _: few)
    hook = finetune.hook("last-layer")
    made = prune(graph, (30.0,), judge_of(graph, ()), samples[:16], finetune=hook)
    last = made.points[-1]
    assert last.tuned_share is not None
    assert last.tuned_share > max(0.8, last.share + 0.05)


def test_held_out_digits_are_not_trained_on() -> None:
    graph = zoo.build("lenet_digits")
    samples, _ = finetune.training_digits(graph)
    images, _ = held_out()
    held = {one["image"].tobytes() for one in digit_samples(graph, images)}
    assert not held & {one["image"].tobytes() for one in samples}


def _other(graph: Graph) -> Graph:
    return replace(graph, nodes=graph.nodes[:-1], outputs=(graph.nodes[-2].outputs[0],))


def _broken(graph: Graph) -> Graph:
    one = graph.constants()[0]
    return replace(graph, tensors={**graph.tensors, one.name: frozen(one, one.data * np.inf)})


@pytest.mark.parametrize(
    ("hook", "said"),
    [(_other, "another network"), (_broken, "not finite"), (lambda _: None, "another network")],
)
def test_hooks_that_return_something_else(hook: Callable[[Graph], Graph], said: str) -> None:
    graph = mobile()
    samples = [inputs_of(graph)]
    with np.errstate(invalid="ignore"), pytest.raises(TesseraError, match=said):
        prune(graph, (70.0,), judge_of(graph, samples), samples, finetune=hook)


@pytest.mark.parametrize("words", ["nothing", "no.such.module:f", "math:pi", "math:no", "x.py:f"])
def test_hooks_that_are_none(words: str) -> None:
    with pytest.raises(TesseraError):
        finetune.hook(words)


def test_hooks_from_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def same(graph):\n    return graph\ndef fails(graph):\n    return 1 / 0\n")
    graph = mobile()
    assert finetune.hook(f"{path}:same")(graph) is graph
    with pytest.raises(TesseraError, match="fine-tuning failed: ZeroDivisionError"):
        finetune.hook(f"{path}:fails")(graph)
    with pytest.raises(TesseraError, match="does not end in a dense layer"):
        finetune.retrain_last_layer(doubled())


def test_the_hook_that_trains_all_layers() -> None:
    path = Path(__file__).resolve().parents[2] / "models/dnn/zoo/lenet_digits/finetune.py"
    module = finetune._module(str(path))
    graph = zoo.build("lenet_digits")
    made = module.finetune(graph, epochs=1)
    assert [one.shape for one in made.constants()] == [one.shape for one in graph.constants()]
    assert judge_of(graph, ())(made).share > 0.95
    with pytest.raises(TesseraError, match="has no backward pass"):
        module.finetune(mobile(), epochs=1)


def invoke(*words: str) -> str:
    made = CliRunner().invoke(app, words)
    if made.exception is not None and not isinstance(made.exception, SystemExit):
        raise made.exception
    assert made.exit_code == 0, made.output
    return made.stdout


def test_the_command_writes_what_it_says(tmp_path: Path) -> None:
    out, curve = tmp_path / "new" / "small.onnx", tmp_path / "curve.csv"
    words = ("prune", "lenet_digits", "--to", "60%", "--steps", "80", "--samples", "2")
    about = json.loads(invoke(*words, "-o", str(out), "--curve", str(curve), "--json"))
    assert about["judged_by"] == "accuracy on the 397 held-out digits"
    assert [one["target"] for one in about["points"]] == [100, 80, 60]
    rows = list(csv.DictReader(io.StringIO(curve.read_text())))
    assert [int(row["channels"]) for row in rows] == [one["channels"] for one in about["points"]]
    graph = read(out)
    assert sum(one.values for one in graph.constants()) >= about["points"][-1]["parameters"]
    last = judge_of(zoo.build("lenet_digits"), ())(graph)
    assert last.share == about["points"][-1]["share"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "half"), "'half' is no share"),
        (("--to", "120%"), "'120%' is no share"),
        (("--to", "50", "--steps", "60,70"), "does not fall"),
        (("--to", "50", "--steps", "60,40"), "does not fall"),
        (("--finetune", "nothing"), "names no function"),
        (("--importance", "luck"), "no importance"),
        (("--to", "0.1%", "--samples", "1"), "leaves layers without channels"),
    ],
)
def test_bad_words_leave_nothing_behind(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    steps = () if "--steps" in words or words[1] == "120%" else ("--steps", "99")
    with pytest.raises(TesseraError, match=said):
        invoke("prune", "lenet_digits", *words, *steps, "-o", str(out))
    assert not out.exists()


def test_places_that_cannot_be_written_are_told_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "small.onnx"):
        with pytest.raises(TesseraError, match="cannot write"):
            invoke("prune", "no network", "-o", str(place))
    for command in ("quantise", "compress"):
        with pytest.raises(TesseraError, match="cannot write"):
            invoke("model", command, "no network", "-o", str(tmp_path))


def test_the_commands_of_small_networks(tmp_path: Path) -> None:
    """What one writes the next reads: quantise, then pack."""
    int8, packed = tmp_path / "int8.onnx", tmp_path / "int8.tsw"
    words = ("model", "quantise", "lenet_digits", "--samples", "2", "-o", str(int8), "--json")
    about = json.loads(invoke(*words))
    assert about["accuracy"][1] >= about["accuracy"][0] - 0.02
    assert about["weight_bytes"][0] > 3.5 * about["weight_bytes"][1]
    text = invoke("model", "compress", str(int8), "-o", str(packed))
    assert "each unpacked again and found the same" in text
    again = json.loads(invoke("model", "compress", "lenet_digits", "--int8", "--json"))
    assert packed.stat().st_size < again["stored"] + 1000
    assert len(archive.read(packed.read_bytes())) == len(again["tensors"])


def test_the_pruned_network_runs_as_it_is_written(tmp_path: Path) -> None:
    graph, found = known("residual")
    small = remove(graph, found, found.free[::3])
    path = tmp_path / "small.onnx"
    path.write_bytes(to_bytes(small))
    for name, value in run(small, inputs_of(graph)).items():
        np.testing.assert_array_equal(run(read(path), inputs_of(graph))[name], value)
