"""Other runtimes on networks of the zoo, one thread each: what a bench sets beside ours.

Goal: onnxruntime and ncnn, where they are installed (the extra `peers`), take a graph and give a
function that runs it once. ncnn reads no ONNX: the graph is written in its own two files.
Non-goals: tuning them (they run as they come, but for one thread, and in float32), their memory.

Source of ncnn's format: the project's page "param and model file structure".
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tessera.plan.graph import Array, Graph, Node
from tessera.plan.graph_ops import AxisAttrs, ConvAttrs, PoolAttrs
from tessera.plan.onnx_writer import to_bytes

Once = Callable[[], tuple[Array, float]]
MAGIC = 7767517
FLOAT32 = bytes(4)
"""Before weights: they are float32, not packed."""


def onnxruntime_once(graph: Graph, x: Array) -> tuple[str, Once]:
    """Its name, and a run that gives the output and processor seconds. Raises `ImportError`."""
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(to_bytes(graph), options, providers=providers)

    def once() -> tuple[Array, float]:
        session.run(None, {graph.inputs[0]: x})
        start = time.process_time()
        made = session.run(None, {graph.inputs[0]: x})
        return made[0], time.process_time() - start

    return f"onnxruntime {onnxruntime.__version__}", once


@dataclass(slots=True)
class Writer:
    """A graph as ncnn's text of layers and its weights."""

    graph: Graph
    lines: list[str] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)
    blobs: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)
    """Names under which a tensor can still be read: a blob is read once."""

    def layer(self, kind: str, inputs: Iterable[str], output: str, **numbers: object) -> None:
        """One layer; a keyword `p4` is its parameter 4. Its output is split where it is read."""
        read = [self.left[one].pop() for one in inputs]
        words = [f"{name[1:]}={value}" for name, value in numbers.items()]
        self.lines.append(" ".join([kind, output, str(len(read)), "1", *read, output, *words]))
        uses = Counter(name for node in self.graph.nodes for name in node.inputs)[output]
        self.left[output] = [output]
        self.blobs += 1
        if uses > 1:
            copies = [f"{output}/{k}" for k in range(uses)]
            self.lines.append(f"Split {output}/split 1 {uses} {output} {' '.join(copies)}")
            self.left[output] = copies
            self.blobs += uses

    def constant(self, name: str) -> Array:
        """A constant of the graph."""
        return np.ascontiguousarray(self.graph.tensors[name].data, "<f4")

    def weighted(self, kind: str, node: Node, outputs: int, **numbers: object) -> None:
        """A layer with weights and a bias."""
        w = self.constant(node.inputs[1])
        self.weights += FLOAT32 + w.tobytes()
        bias = len(node.inputs) > 2
        self.weights += self.constant(node.inputs[2]).tobytes() if bias else b""
        place = {"p5" if "p6" in numbers else "p1": int(bias)}
        self.layer(kind, node.inputs[:1], node.outputs[0], p0=outputs, **place, **numbers)

    def conv(self, node: Node, attrs: ConvAttrs) -> None:
        """A convolution, of groups too."""
        outputs = self.graph.tensors[node.outputs[0]].shape[1]
        size = self.constant(node.inputs[1]).size
        numbers = _window(attrs) | {"p2": attrs.dilations[1], "p12": attrs.dilations[0]}
        pads = {"p4": attrs.pads[1], "p14": attrs.pads[0], "p15": attrs.pads[3]}
        numbers |= pads | {"p16": attrs.pads[2], "p6": size}
        if attrs.group > 1:
            numbers["p7"] = attrs.group
        kind = "Convolution" if attrs.group == 1 else "ConvolutionDepthWise"
        self.weighted(kind, node, outputs, **numbers)

    def pool(self, node: Node, attrs: PoolAttrs) -> None:
        """The largest of a window."""
        pads = {"p3": attrs.pads[1], "p13": attrs.pads[0], "p14": attrs.pads[3]}
        numbers = _window(attrs, stride=(2, 12)) | pads | {"p15": attrs.pads[2]}
        # 0 rounds sizes up, 1 down
        numbers["p5"] = 0 if attrs.ceil_mode else 1
        self.layer("Pooling", node.inputs, node.outputs[0], p0=0, **numbers)

    def put(self, node: Node) -> None:
        """One node. Raises `ValueError` if it is none of those that are known here."""
        attrs, output = node.attrs, node.outputs[0]
        if isinstance(attrs, ConvAttrs):
            self.conv(node, attrs)
        elif node.op == "MaxPool" and isinstance(attrs, PoolAttrs):
            self.pool(node, attrs)
        elif node.op == "Gemm":
            w = self.constant(node.inputs[1])
            self.weighted("InnerProduct", node, w.shape[0], p2=w.size)
        elif node.op == "GlobalAveragePool":
            self.layer("Pooling", node.inputs, output, p0=1, p4=1)
        elif node.op == "Softmax" and isinstance(attrs, AxisAttrs):
            self.layer("Softmax", node.inputs, output, p0=attrs.axis - 1, p1=1)
        elif node.op == "Concat" and isinstance(attrs, AxisAttrs):
            self.layer("Concat", node.inputs, output, p0=attrs.axis - 1)
        elif node.op in {"Relu", "Add", "Reshape"}:
            kind = {"Relu": "ReLU", "Add": "BinaryOp", "Reshape": "Flatten"}[node.op]
            self.layer(kind, node.inputs[: 1 + (node.op == "Add")], output)
        else:
            raise ValueError(f"{node.op} is not written for ncnn")

    def text(self) -> str:
        """All layers. Raises `ValueError` as `put`."""
        name = self.graph.inputs[0]
        _, channels, rows, columns = self.graph.tensors[name].shape
        self.layer("Input", (), name, p0=columns, p1=rows, p2=channels)
        for node in self.graph.nodes:
            self.put(node)
        return "\n".join([str(MAGIC), f"{len(self.lines)} {self.blobs}", *self.lines, ""])


def _window(attrs: ConvAttrs | PoolAttrs, stride: tuple[int, int] = (3, 13)) -> dict[str, object]:
    rows, columns = attrs.kernel
    where = {"p1": columns, "p11": rows}
    return where | {f"p{stride[0]}": attrs.strides[1], f"p{stride[1]}": attrs.strides[0]}


def ncnn_once(graph: Graph, x: Array) -> tuple[str, Once]:
    """As `onnxruntime_once`. Raises `ImportError`, or `ValueError` for what it does not load."""
    ncnn: Any = importlib.import_module("ncnn")
    writer = Writer(graph)
    text = writer.text()
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.param").write_text(text, encoding="ascii")
        (folder / "net.bin").write_bytes(writer.weights)
        if net.load_param(str(folder / "net.param")) or net.load_model(str(folder / "net.bin")):
            raise ValueError(f"ncnn does not load {graph.name}")
    taken = ncnn.Mat(np.ascontiguousarray(x[0]))

    def once() -> tuple[Array, float]:
        for _ in range(2):
            start = time.process_time()
            with net.create_extractor() as extractor:
                extractor.input(graph.inputs[0], taken)
                failed, made = extractor.extract(graph.outputs[0])
            seconds = time.process_time() - start
        if failed:
            raise RuntimeError(f"ncnn does not run {graph.name}")
        return np.array(made), seconds

    return f"ncnn {ncnn.__version__}", once


ALL = {"onnxruntime": onnxruntime_once, "ncnn": ncnn_once}
