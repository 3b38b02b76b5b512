"""`tessera model compress`: how small the weights of a network become, tensor by tensor.

Goal: read, pack, print, write the archive.
Non-goals: the code itself (`tessera.plan.compress`).
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tessera.cli.networks import AsJson, AxisSizes, DarknetWeights, Network
from tessera.cli.outputs import prepare
from tessera.dnn.files import write_bytes

_FIGURES = ("plain", "stored", "zlib", "entropy")
_CALIBRATION = 2
"""Samples for `--int8`: activations are calibrated on them, weights do not depend on them."""


def add(group: typer.Typer) -> None:
    """Adds the command to the `model` group."""
    group.command()(compress)


def compress(
    network: Network,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the packed weights here.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise first (see `tessera model quantise`).")
    ] = False,
    block: Annotated[int, typer.Option(help="Bytes of a block before it is packed.")] = 4096,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    as_json: AsJson = False,
) -> None:
    """Packs the weights of a network losslessly, in blocks that decode alone.

    Every tensor is unpacked again and compared. Beside the packed size stands that of zlib on the
    same blocks and the entropy of the bytes. Sizes are those after folding batch norms.

    Example: `tessera model compress lenet_digits --int8 -o out/lenet.tsw`
    """
    # Imported here, as in the commands beside this one: onnx takes a while to import.
    from tessera.plan import graph_load  # noqa: PLC0415
    from tessera.plan.compress import archive  # noqa: PLC0415
    from tessera.plan.compress.sizes import sizes  # noqa: PLC0415
    from tessera.plan.passes.integers import fuse_integers  # noqa: PLC0415
    from tessera.plan.passes.simplify import simplify  # noqa: PLC0415
    from tessera.plan.quantise.qdq import quantise  # noqa: PLC0415
    from tessera.plan.quantise.samples import generated  # noqa: PLC0415

    prepare(output)
    loaded = graph_load.load(network, weights=weights, dims=graph_load.sizes(dim or []))
    status = Console(stderr=True)
    with status.status("packing") if status.is_terminal else nullcontext():
        graph = simplify(loaded)
        if int8:
            graph = quantise(graph, generated(graph, _CALIBRATION, 0)).graph
        about = sizes(fuse_integers(graph), block).document()
        if output is not None:
            write_bytes(output, archive.write(fuse_integers(graph), block))
    typer.echo(json.dumps(about) if as_json else _table(about, output))


def _table(about: dict[str, Any], output: Path | None) -> str:
    head = "".join(f"{label:>13}" for label in _FIGURES)
    lines = [f"{'constant':<36}{'type':<8}{head}{'share':>8}"]
    for row in [*about["tensors"], {**about, "name": "all", "dtype": ""}]:
        cells = "".join(f"{row[field]:>13,}" for field in _FIGURES)
        share = 100 * row["stored"] / row["plain"]
        lines.append(f"{row['name'][:35]:<36}{row['dtype']:<8}{cells}{share:>6.1f} %")
    lines.append(
        f"{about['name']}: {about['plain']:,} -> {about['stored']:,} bytes in blocks of "
        f"{about['block_bytes']:,}; each unpacked again and found the same"
    )
    if output is not None:
        lines.append(f"{output}: {output.stat().st_size:,} bytes")
    return "\n".join(lines)
