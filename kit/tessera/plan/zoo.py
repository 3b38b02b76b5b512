"""The zoo: networks of our own definition by name, as graphs and as ONNX files.

Goal: `build(name)` gives the same network on every machine; nothing large is kept in the source.
Definitions lie in `models/dnn/zoo/`: a `.py` with `build()`, a Darknet `.cfg`, or the trained
digits network (`.tsm`).
Non-goals: trained weights for the large networks; accuracy means nothing there.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from tessera import resources
from tessera.dnn import digits
from tessera.dnn.files import write_bytes
from tessera.dnn.format import Kind, LayerSpec, Model
from tessera.errors import TesseraError
from tessera.plan import darknet_reader
from tessera.plan import graph_ops as ops
from tessera.plan.graph import Array, Attrs, DType, Graph, Source, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.onnx_writer import to_bytes
from tessera.plan.zoo_net import SeededWeights

FOLDER = "models/dnn/zoo"
NAMES = (
    *("lenet_digits", "mobilenet_v1", "resnet18", "squeezenet11"),
    *("darknet_reference", "yolo_tiny"),
)


def _layer(builder: GraphBuilder, layer: LayerSpec, x: Tensor, name: str) -> Tensor:
    source = Source("lenet_digits.tsm", name)

    def node(op: str, inputs: list[Tensor], attrs: Attrs, label: str = "") -> Tensor:
        made = f"{name}{label}"
        return builder.node(op, [i.name for i in inputs], attrs, source, name=made, output=made)

    def weights(shape: tuple[int, ...]) -> list[Tensor]:
        return [
            builder.constant(f"{name}.weights", layer.weights.reshape(shape).copy(), source),
            builder.constant(f"{name}.bias", layer.bias.copy(), source),
        ]

    window = ((layer.kernel,) * 2, (layer.stride,) * 2, (layer.pad,) * 4, (1, 1))
    match layer.kind:
        case Kind.CONV2D:
            shape = (layer.out, x.shape[1], layer.kernel, layer.kernel)
            return node("Conv", [x, *weights(shape)], ops.ConvAttrs(*window))
        case Kind.MAXPOOL:
            return node("MaxPool", [x], ops.PoolAttrs(*window))
        case Kind.DENSE:
            if len(x.shape) > 2:
                x = node("Reshape", [x], ops.ShapeAttrs((1, x.values)), ".flat")
            gemm = ops.GemmAttrs(transpose_b=True)
            return node("Gemm", [x, *weights((layer.out, x.values))], gemm)
        case Kind.RELU:
            return node("Relu", [x], Attrs())
        case Kind.SOFTMAX:
            return node("Softmax", [x], ops.AxisAttrs(1))


def from_model_file(model: Model) -> Graph:
    """The graph of a model file (`.tsm`), which is a chain of layers."""
    builder = GraphBuilder("lenet_digits")
    source = Source("lenet_digits.tsm")
    x = builder.input("image", (1, *model.input), DType.FLOAT32, source)
    for index, layer in enumerate(model.layers):
        x = _layer(builder, layer, x, f"{index}.{layer.kind.name.lower()}")
    return builder.finish([x.name])


def _defined(path: Path) -> Graph:
    spec = importlib.util.spec_from_file_location(f"tessera_zoo_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = module.build()
    assert isinstance(graph, Graph)
    return graph


def build(name: str) -> Graph:
    """A network of the zoo. Raises `TesseraError` for a name that it does not have."""
    if name not in NAMES:
        raise TesseraError(
            f"the zoo has no network '{name}'", where="zoo", remedy=f"it has {', '.join(NAMES)}"
        )
    if name == "lenet_digits":
        return from_model_file(digits.model())
    folder = resources.path(FOLDER)
    cfg = folder / f"{name}.cfg"
    if cfg.is_file():
        return darknet_reader.build(cfg, SeededWeights(name))
    return _defined(folder / f"{name}.py")


def write(name: str, folder: Path) -> Path:
    """Writes a network as `<name>.onnx` into a folder and returns the path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TesseraError(
            f"cannot make the folder: {error.strerror}",
            where=str(folder),
            remedy="choose a folder that you may write to",
        ) from None
    path = folder / f"{name}.onnx"
    write_bytes(path, to_bytes(build(name)))
    return path


def sample(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Inputs for a network: floats 0 to 1 as of images, integers 0; the same for the same seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    made = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if tensor.dtype is DType.FLOAT32:
            made[name] = random.random(tensor.shape, np.float32)
        else:
            made[name] = np.zeros(tensor.shape, tensor.dtype.numpy)
    return made
