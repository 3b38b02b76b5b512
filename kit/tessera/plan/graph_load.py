"""A network from what a user names: an ONNX file, a Darknet `.cfg`, a `.tsm`, or a name of the zoo.

Goal: every command reads networks alike.
Non-goals: options of one format beyond sizes of axes and a weights file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tessera.dnn.format import load as load_tsm
from tessera.errors import TesseraError
from tessera.plan import darknet_reader, onnx_reader, zoo
from tessera.plan.graph import Graph

SUFFIXES = (".onnx", ".cfg", ".tsm")


def sizes(words: Sequence[str]) -> dict[str, int]:
    """Sizes of axes from words such as `sequence=64`. Raises `TesseraError` for a bad word."""
    made: dict[str, int] = {}
    for word in words:
        name, _, size = word.rpartition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            raise TesseraError(
                f"'{word}' is not the size of an axis",
                where="--dim",
                remedy="write NAME=SIZE, such as --dim sequence=64",
            )
        if name in made:
            raise TesseraError(
                f"axis '{name}' is given two sizes", where="--dim", remedy="give it one size"
            )
        made[name] = int(size)
    return made


def load(name: str, *, weights: Path | None = None, dims: Mapping[str, int] | None = None) -> Graph:
    """The graph that a user means. Raises `TesseraError` when there is no such network.

    A `.cfg` takes its weights from `weights`, else from the file of its name with `.weights`; only
    an ONNX file has axes without a size. What does not belong to the network is refused.
    """
    kind = "" if name in zoo.NAMES else Path(name).suffix.lower()
    if weights is not None and kind != ".cfg":
        raise TesseraError(
            f"{name} has its weights with it",
            where="--weights",
            remedy="leave --weights out; it belongs to a Darknet .cfg",
        )
    if dims and kind != ".onnx":
        raise TesseraError(
            f"{name} has no axis without a size",
            where="--dim",
            remedy="leave --dim out; it is for axes that an ONNX file leaves open",
        )
    if name in zoo.NAMES:
        return zoo.build(name)
    path = Path(name)
    match kind:
        case ".onnx":
            return onnx_reader.read(path, dims)
        case ".cfg":
            return darknet_reader.read(path, weights or path.with_suffix(".weights"))
        case ".tsm":
            return zoo.from_model_file(load_tsm(path))
        case _:
            raise TesseraError(
                "this is neither a model file nor a network of the zoo",
                where=name,
                remedy=f"give a file ({', '.join(SUFFIXES)}) or one of {', '.join(zoo.NAMES)}",
            )
