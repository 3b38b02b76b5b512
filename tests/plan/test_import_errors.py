"""A bad model file is one clear error, whatever is wrong; nothing is allocated on its word."""

from __future__ import annotations

import resource
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tessera.errors import TesseraError
from tessera.plan.onnx_reader import read

FLOAT = TensorProto.FLOAT


def small(
    nodes: list[onnx.NodeProto] | None = None,
    *,
    shape: tuple[int | str | None, ...] = (1, 2, 8, 8),
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model with input `x` and output `y`; by default one convolution, `conv`."""
    if nodes is None:
        nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")]
        weights = weights or {"w": np.ones((3, 2, 3, 3), np.float32)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(data, name) for name, data in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def save(tmp_path: Path, model: onnx.ModelProto) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path, *words: str, dims: dict[str, int] | None = None) -> TesseraError:
    """The error that reading the file gives; it says all of `words`, where, and a remedy."""
    with pytest.raises(TesseraError) as caught:
        read(path, dims)
    said = caught.value.render()
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"
    assert "model.onnx" in str(caught.value.where)
    assert caught.value.remedy
    return caught.value


def test_the_model_that_the_mistakes_are_made_in_is_read(tmp_path: Path) -> None:
    graph = read(save(tmp_path, small()))
    assert [node.op for node in graph.nodes] == ["Conv"]
    assert graph.tensors["y"].shape == (1, 3, 6, 6)
    assert str(graph.nodes[0].source) == "model.onnx: node 0 'conv'"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "model.onnx", "cannot read")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a model", bytes(range(256)) * 9])
def test_a_file_of_something_else(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(TesseraError, match=r"no ONNX model|no graph|operator set"):
        read(path)


def test_a_file_cut_off_anywhere(tmp_path: Path) -> None:
    whole = small().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(TesseraError):
            read(path)


def test_a_file_with_any_byte_changed_gives_a_graph_or_a_clear_error(tmp_path: Path) -> None:
    whole = small().SerializeToString()
    path = tmp_path / "model.onnx"
    random = np.random.default_rng(5)
    refusals = 0
    for _ in range(300):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= int(random.integers(1, 256))
        path.write_bytes(bytes(data))
        try:
            read(path)
        except TesseraError:
            refusals += 1
    assert refusals > 20


def test_an_old_opset(tmp_path: Path) -> None:
    refused(save(tmp_path, small(opset=6)), "operator set is 6", "from 7 to")


def test_no_opset(tmp_path: Path) -> None:
    model = small()
    del model.opset_import[:]
    refused(save(tmp_path, model), "operator set is none")


def test_an_op_that_we_do_not_have(tmp_path: Path) -> None:
    model = small([helper.make_node("NonZero", ["x"], ["y"], name="where")])
    refused(save(tmp_path, model), "op NonZero is not supported", "node 0 'where'", "Conv, ")


def test_an_op_of_another_domain(tmp_path: Path) -> None:
    model = small([helper.make_node("Conv", ["x"], ["y"], domain="com.example")])
    refused(save(tmp_path, model), "of domain 'com.example'")


def test_an_attribute_that_we_do_not_have(tmp_path: Path) -> None:
    model = small()
    model.graph.node[0].attribute.append(helper.make_attribute("sparkle", 3))
    refused(
        save(tmp_path, model), "Conv: attribute 'sparkle'", "node 0 'conv'", "supported attributes"
    )


def test_a_value_of_an_attribute_that_we_do_not_have(tmp_path: Path) -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], name="up", mode="cubic")
    model = small([node], weights={"s": np.array([1, 1, 2, 2], np.float32)})
    refused(save(tmp_path, model), "Resize: attribute 'mode' is 'cubic'", "'nearest' and 'linear'")


def test_an_attribute_of_a_wrong_type(tmp_path: Path) -> None:
    model = small()
    model.graph.node[0].attribute.append(helper.make_attribute("group", "two"))
    refused(save(tmp_path, model), "attribute 'group' is not of type int")


def test_an_element_type_that_we_do_not_have(tmp_path: Path) -> None:
    model = small(weights={"w": np.ones((3, 2, 3, 3), np.float16)})
    refused(save(tmp_path, model), "tensor 'w' has elements of type float16", "float32")


@pytest.mark.parametrize("axis", [2, 3])
def test_an_axis_without_a_size(tmp_path: Path, axis: int) -> None:
    shape: list[int | str | None] = [None, 2, 8, 8]
    shape[axis] = "side"
    path = save(tmp_path, small(shape=tuple(shape)))
    refused(path, f"axis {axis} of input 'x' has no size", "'side'", "--dim side=SIZE")
    graph = read(path, {"side": 8})
    assert graph.tensors["x"].shape == (1, 2, 8, 8)


def test_an_axis_without_a_size_or_a_name(tmp_path: Path) -> None:
    path = save(tmp_path, small(shape=("batch", 2, 8, None)))
    refused(path, "axis 3 of input 'x'", "--dim x:3=SIZE")
    assert read(path, {"x:3": 9}).tensors["x"].shape == (1, 2, 8, 9)


def test_a_size_that_is_given_for_nothing(tmp_path: Path) -> None:
    refused(save(tmp_path, small()), "called 'sied'", dims={"sied": 8})


def test_an_input_without_a_shape(tmp_path: Path) -> None:
    model = small()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    refused(save(tmp_path, model), "input 'x' has no shape")


def test_a_shape_that_depends_on_the_input(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["n"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["x", "n"], ["y"], name="shape"),
    ]
    refused(save(tmp_path, small(nodes)), "Reshape: input 'n' (shape) is computed", "'shape'")


def test_a_cycle(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
        helper.make_node("Relu", ["b"], ["y"], name="third"),
    ]
    refused(save(tmp_path, small(nodes)), "wait for each other", "first", "second")


def test_nodes_in_any_order_are_put_in_order(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["a"], ["y"], name="second"),
        helper.make_node("Neg", ["x"], ["a"], name="first"),
    ]
    graph = read(save(tmp_path, small(nodes)))
    assert [node.name for node in graph.nodes] == ["first", "second"]
    assert [node.source.index for node in graph.nodes] == [1, 0]


def test_an_input_that_nothing_makes(tmp_path: Path) -> None:
    model = small([helper.make_node("Relu", ["ghost"], ["y"])])
    refused(save(tmp_path, model), "nothing makes the input 'ghost'")


def test_an_output_that_nothing_makes(tmp_path: Path) -> None:
    model = small([helper.make_node("Relu", ["x"], ["z"])])
    with pytest.raises(TesseraError, match="nothing makes the output 'y'"):
        read(save(tmp_path, model))


def test_a_value_that_is_made_twice(tmp_path: Path) -> None:
    nodes = [helper.make_node(op, ["x"], ["y"], name=op) for op in ("Relu", "Neg")]
    refused(save(tmp_path, small(nodes)), "'y' is made twice", "'Relu'", "'Neg'")


@pytest.mark.parametrize("axis", [0, 2])
def test_a_tensor_without_elements(tmp_path: Path, axis: int) -> None:
    shape = [1, 2, 8, 8]
    shape[axis] = 0
    refused(save(tmp_path, small(shape=tuple(shape))), "'x'", "holds nothing")


def test_weights_without_elements(tmp_path: Path) -> None:
    model = small(weights={"w": np.ones((0, 2, 3, 3), np.float32)})
    refused(save(tmp_path, model), "'w'", "holds nothing")


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    weights = np.ones((3, 2, 3, 3), np.float32)
    weights[1, 1, 1, 1] = np.nan
    refused(save(tmp_path, small(weights={"w": weights})), "'w'", "NaN")


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    model = small(weights={"w": np.ones((3, 5, 3, 3), np.float32)})
    refused(save(tmp_path, model), "(1, 2, 8, 8)", "(3, 5, 3, 3)", "'conv'")


def test_a_window_that_does_not_fit(tmp_path: Path) -> None:
    model = small(weights={"w": np.ones((3, 2, 9, 9), np.float32)})
    refused(save(tmp_path, model), "a window of 9 does not fit into 8")


def test_a_tensor_that_claims_more_than_it_has(tmp_path: Path) -> None:
    """Two gigabytes are claimed and a few bytes are there: refused with no memory taken."""
    model = small()
    model.graph.initializer[0].dims[:] = [1 << 20, 512, 1, 1]
    path = save(tmp_path, model)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "claims 2,147,483,648 bytes", "holds 216")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10  # KiB


def test_a_tensor_that_claims_more_than_an_integer_holds(tmp_path: Path) -> None:
    model = small()
    model.graph.initializer[0].dims[:] = [(1 << 62), 1 << 62, 1 << 62]
    refused(save(tmp_path, model), "claims", "holds 216")


def test_a_negative_size(tmp_path: Path) -> None:
    model = small()
    model.graph.initializer[0].dims[0] = -3
    refused(save(tmp_path, model), "'w' has the shape (-3,")


def test_an_input_that_is_too_large(tmp_path: Path) -> None:
    model = small([helper.make_node("Relu", ["x"], ["y"])], shape=(1, 1 << 16, 1 << 16))
    refused(save(tmp_path, model), "takes 17,179,869,184 bytes")


def test_an_expansion_that_is_too_large(tmp_path: Path) -> None:
    node = helper.make_node("Expand", ["x", "n"], ["y"])
    model = small([node], weights={"n": np.array([1 << 40, 2, 8, 8])})
    refused(save(tmp_path, model), "at most 2,147,483,647 bytes")


def test_a_constant_of_shape_that_is_too_large(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["n"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    model = small(nodes, weights={"n": np.array([1 << 20, 1 << 20])})
    refused(save(tmp_path, model), "ConstantOfShape", "at most 1,048,576 elements")


def external(tmp_path: Path, location: str, **more: str) -> Path:
    """The small model with its weights in another file, which is not written."""
    model = small()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weights.external_data.add(key=key, value=value)
    return save(tmp_path, model)


def test_external_data(tmp_path: Path) -> None:
    path = external(tmp_path, "weights.bin", offset="8", length="216")
    values = np.arange(54, dtype="<f4")
    (tmp_path / "weights.bin").write_bytes(bytes(8) + values.tobytes())
    found = read(path).tensors["w"].data
    assert found is not None
    np.testing.assert_array_equal(found.reshape(-1), values)


def test_external_data_that_is_missing(tmp_path: Path) -> None:
    refused(external(tmp_path, "weights.bin"), "data of tensor 'w' is missing: weights.bin")


def test_external_data_that_is_cut_off(tmp_path: Path) -> None:
    path = external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(215))
    refused(path, "needs 216 bytes", "weights.bin has 215")


@pytest.mark.parametrize("more", [{"offset": "-4"}, {"offset": "many"}, {"length": "1" * 30}])
def test_external_data_at_an_impossible_place(tmp_path: Path, more: dict[str, str]) -> None:
    path = external(tmp_path, "weights.bin", **more)
    (tmp_path / "weights.bin").write_bytes(bytes(500))
    refused(path, "needs 216 bytes")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "a/../../b", ""])
def test_external_data_outside_of_the_folder(tmp_path: Path, location: str) -> None:
    refused(external(tmp_path, location), "tensor 'w' keeps its data in", "next to the model")


def test_external_data_behind_a_link_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(216))
    (inside / "weights.bin").symlink_to(tmp_path / "secret.bin")
    refused(external(inside, "weights.bin"), "is missing")


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def sequence(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.CopyFrom(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    )


@pytest.mark.parametrize(("change", "word"), [(sparse, "sparse"), (sequence, "is no tensor")])
def test_models_of_other_kinds(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], word: str
) -> None:
    model = small()
    change(model)
    refused(save(tmp_path, model), word)


def test_a_scale_that_is_no_number(tmp_path: Path) -> None:
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], name="q")]
    weights = {"s": np.array(0, np.float32), "z": np.array(0, np.int8)}
    refused(save(tmp_path, small(nodes, weights=weights)), "not a positive number", "'q'")


def test_the_magic_of_struct_is_not_needed() -> None:
    """The models above are little-endian, as ONNX says they are."""
    raw = numpy_helper.from_array(np.ones(1, np.float32)).raw_data
    assert struct.unpack("<f", raw) == (1.0,)
