"""ONNX files and their tensors as data: everything is measured before it is believed.

Goal: a corrupt, truncated or lying file is refused in one sentence, and nothing is allocated
because a file says so.
Non-goals: what nodes mean (`onnx_reader`).
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from tessera.errors import TesseraError
from tessera.plan.graph import Array, DType

OLDEST_OPSET = 7
MAX_FILE = (1 << 31) - 1
"""A protobuf message ends here; larger models keep their weights in other files."""

_TYPES: dict[int, DType] = {
    TensorProto.FLOAT: DType.FLOAT32,
    TensorProto.INT8: DType.INT8,
    TensorProto.UINT8: DType.UINT8,
    TensorProto.INT32: DType.INT32,
    TensorProto.INT64: DType.INT64,
    TensorProto.BOOL: DType.BOOL,
}


def dtype_of(code: int, what: str, where: str) -> DType:
    """The element type of an ONNX type code. Raises `TesseraError` for those we do not have."""
    if code in _TYPES:
        return _TYPES[code]
    known = code in TensorProto.DataType.values()
    name = TensorProto.DataType.Name(code).lower() if known else f"number {code}"
    raise TesseraError(
        f"{what} has elements of type {name}",
        where=where,
        remedy=f"supported are {', '.join(DType)}; convert the model",
    )


def _opset(model: onnx.ModelProto, where: str) -> int:
    versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if not versions or not OLDEST_OPSET <= versions[0] <= newest:
        said = versions[0] if versions else "none"
        raise TesseraError(
            f"the operator set is {said}",
            where=where,
            remedy=f"export the model with an opset from {OLDEST_OPSET} to {newest}",
        )
    return int(versions[0])


def load_model(path: Path) -> tuple[onnx.ModelProto, int]:
    """The model in a file and its opset version. Raises `TesseraError` when it is no model."""
    where = str(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise TesseraError(
                f"the file has {size:,} bytes; an ONNX file has at most {MAX_FILE:,}",
                where=where,
                remedy="save the model with external data",
            )
        data = path.read_bytes()
    except OSError as error:
        raise TesseraError(
            f"cannot read the file: {error.strerror}", where=where, remedy="check the path"
        ) from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError):
        raise TesseraError(
            f"this is no ONNX model, or it is cut off or damaged ({len(data):,} bytes)",
            where=where,
            remedy="copy or export the model again",
        ) from None
    if not model.graph.node:
        raise TesseraError(
            "the file holds no graph with nodes",
            where=where,
            remedy="give a model, not a file of weights or test data",
        )
    return model, _opset(model, where)


def _external(tensor: TensorProto, need: int, folder: Path | None, where: str) -> Array:
    entries = {one.key: one.value for one in tensor.external_data}
    location = PurePosixPath(entries.get("location", ""))
    if folder is None or not location.name or location.is_absolute() or ".." in location.parts:
        raise TesseraError(
            f"tensor '{tensor.name}' keeps its data in '{location}'",
            where=where,
            remedy="external data lies in a file next to the model or below it",
        )
    file = folder / location
    # A link may point out of the folder although its name does not.
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        raise TesseraError(
            f"the external data of tensor '{tensor.name}' is missing: {location}",
            where=where,
            remedy="copy the data file to where the model is",
        )
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(need)))
    except ValueError:
        offset, length = -1, -1
    size = file.stat().st_size
    if offset < 0 or length != need or offset + length > size:
        raise TesseraError(
            f"tensor '{tensor.name}' needs {need:,} bytes, but {location} has {size:,} "
            f"and is to be read at {entries.get('offset', '0')}",
            where=where,
            remedy="the data file is cut off or belongs to another model; copy it again",
        )
    with file.open("rb") as stream:
        stream.seek(offset)
        return np.frombuffer(stream.read(length), np.uint8)


def _held(tensor: TensorProto, dtype: DType) -> int:
    """Bytes of elements that the message itself holds."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    field = helper.tensor_dtype_to_field(tensor.data_type)
    return len(getattr(tensor, field)) * dtype.bytes


def array_of(tensor: TensorProto, folder: Path | None, where: str) -> Array:
    """The elements of a tensor. Raises `TesseraError` when it claims more or less than it has."""
    dtype = dtype_of(tensor.data_type, f"tensor '{tensor.name}'", where)
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape):
        raise TesseraError(
            f"tensor '{tensor.name}' has the shape {shape}",
            where=where,
            remedy="sizes are not negative; the file is damaged",
        )
    need = math.prod(shape) * dtype.bytes
    if tensor.data_location == TensorProto.EXTERNAL:
        flat = _external(tensor, need, folder, where)
        return flat.view(dtype.numpy.newbyteorder("<")).reshape(shape).astype(dtype.numpy)
    held = _held(tensor, dtype)
    if held != need:
        raise TesseraError(
            f"tensor '{tensor.name}' claims {need:,} bytes ({shape}) and holds {held:,}",
            where=where,
            remedy="the file is damaged; copy or export the model again",
        )
    return np.array(numpy_helper.to_array(tensor), dtype.numpy)
