"""The zoo: published sizes, the same bytes each time, and the same answers as onnxruntime."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tessera.dnn import digits, reference
from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph
from tessera.plan.graph_count import summary
from tessera.plan.onnx_reader import read
from tessera.plan.onnx_writer import to_bytes
from tessera.plan.passes.simplify import simplify

TRAINABLE = {
    "mobilenet_v1": 4_231_976,
    "resnet18": 11_689_512,
    "squeezenet11": 1_235_496,
}
"""Published numbers of trainable parameters: weights, biases, scales and shifts."""

MULTIPLY_ADDS = {
    "mobilenet_v1": 568_740_352,
    "resnet18": 1_814_073_344,
    "squeezenet11": 349_151_936,
}
"""Published: 569, 1814 and 349 million."""


@cache
def network(name: str) -> Graph:
    return zoo.build(name)


@cache
def answers(name: str) -> dict[str, Array]:
    return run(network(name), zoo.sample(network(name)))


def peer(graph: Graph) -> dict[str, Array]:
    """What onnxruntime answers, with none of its own rewrites."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(to_bytes(graph), options)
    results = session.run(list(graph.outputs), zoo.sample(graph))
    return dict(zip(graph.outputs, results, strict=True))


@pytest.mark.parametrize("name", sorted(TRAINABLE))
def test_sizes_are_the_published_ones(name: str) -> None:
    graph = network(name)
    statistics = sum(
        graph.tensors[one].values
        for node in graph.nodes
        if node.op == "BatchNormalization"
        for one in node.inputs[3:]
    )
    about = summary(graph)
    assert about["parameters"] - statistics == TRAINABLE[name]
    assert about["multiply_adds"] == MULTIPLY_ADDS[name]


@pytest.mark.parametrize("name", zoo.NAMES)
def test_answers_are_those_of_onnxruntime(name: str) -> None:
    for output, value in peer(network(name)).items():
        made = answers(name)[output]
        assert np.abs(made - value).max() <= 1e-5 * np.abs(value).max()
        assert made.std() > 0


@pytest.mark.parametrize("name", zoo.NAMES)
def test_simplified_networks_answer_the_same(name: str) -> None:
    graph = simplify(network(name))
    assert not {"BatchNormalization", "Identity"} & {node.op for node in graph.nodes}
    for output, value in run(graph, zoo.sample(graph)).items():
        made = answers(name)[output]
        assert np.abs(made - value).max() <= 1e-5 * np.abs(made).max()


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_shapes_are_those_that_onnx_infers(name: str) -> None:
    graph = network(name)
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(to_bytes(graph)))
    inferred = {
        one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim)
        for one in model.graph.value_info
    }
    made = [node.outputs[0] for node in graph.nodes if node.outputs[0] in inferred]
    assert len(made) >= len(graph.nodes) - len(graph.outputs)
    assert {one: inferred[one] for one in made} == {one: graph.tensors[one].shape for one in made}


@pytest.mark.parametrize("name", ["lenet_digits", "squeezenet11", "yolo_tiny"])
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    path = zoo.write(name, tmp_path / "new")
    graph = read(path)
    assert [node.op for node in graph.nodes] == [node.op for node in network(name).nodes]
    assert [node.attrs for node in graph.nodes] == [node.attrs for node in network(name).nodes]
    assert path.read_bytes() == to_bytes(network(name))
    if name == "lenet_digits":
        back = run(graph, zoo.sample(graph))
        for output, value in answers(name).items():
            np.testing.assert_array_equal(back[output], value)


def test_the_same_bytes_each_time() -> None:
    names = ("lenet_digits", "squeezenet11")
    first, again = (
        [hashlib.sha256(to_bytes(zoo.build(name))).hexdigest() for name in names] for _ in range(2)
    )
    assert first == again
    assert first[0] != first[1]


def test_the_trained_digits_answer_as_their_reference() -> None:
    model = digits.model()
    images = digits.read_images(digits.images_path(), model.input.values)[:20]
    wanted = reference.run(model, images)
    graph = network("lenet_digits")
    for image, logits in zip(images, wanted, strict=True):
        x = image.reshape(1, *model.input).astype(np.float32)
        (made,) = run(graph, {"image": x}).values()
        np.testing.assert_allclose(made[0], logits, rtol=1e-5, atol=1e-5)


def test_a_network_that_the_zoo_does_not_have() -> None:
    with pytest.raises(TesseraError, match="no network 'vgg'"):
        zoo.build("vgg")
