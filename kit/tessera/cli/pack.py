"""`tessera pack`: a network as a sealed package for the secure runtime.

Goal: load, plan (or read a plan), lower, seal, write, say what came of it.
Non-goals: all of these themselves (`tessera.plan`, `tessera.package`).
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tessera.cli.networks import (
    AsJson,
    AxisSizes,
    Calibration,
    DarknetWeights,
    Network,
    Samples,
    Seed,
)
from tessera.cli.outputs import prepare
from tessera.cli.sizes import size_of, words_of
from tessera.dnn.files import MAX_BYTES, write_bytes
from tessera.errors import TesseraError

if TYPE_CHECKING:
    from tessera.package.pack import Packed, Packing
    from tessera.plan.graph import Graph
    from tessera.plan.plan import Plan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="pack")(pack)


def pack(
    network: Network,
    key: Annotated[Path, typer.Option("--key", help="The owner's key: tessera key new.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the package here.")],
    budget: Annotated[
        str | None, typer.Option(help="Bytes for weights and activations together: 8MiB.")
    ] = None,
    minimise: Annotated[
        bool, typer.Option("--minimise", help="The least budget that works.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A plan of this network: tessera plan -o.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise the network first and run it in integers.")
    ] = False,
    compress: Annotated[
        bool, typer.Option("--compress", help="Pack weights before they are encrypted.")
    ] = False,
    version: Annotated[
        int, typer.Option("--version", help="A device refuses lower ones than it has seen.")
    ] = 1,
    name: Annotated[
        str | None, typer.Option("--name", help="What versions belong to; the network's name.")
    ] = None,
    chunk: Annotated[str, typer.Option("--chunk", help="Bytes of the largest block.")] = "64KiB",
    inputs: Calibration = None,
    samples: Samples = 2,
    seed: Seed = 1,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    as_json: AsJson = False,
) -> None:
    """Plans a network, lowers it to a program of the secure runtime, and seals it with its weights.

    The same network, plan, key and options give the same bytes.

    Example: `tessera pack mobilenet_v1 --budget 8MiB --key owner.key -o out/mobilenet.tsp`
    """
    # Imported here, as in the commands beside this one: onnx takes a while to import.
    from tessera.package.file import to_bytes  # noqa: PLC0415
    from tessera.package.keys import read_key  # noqa: PLC0415
    from tessera.package.pack import Packing  # noqa: PLC0415
    from tessera.package.pack import pack as packed  # noqa: PLC0415
    from tessera.package.seal import seal  # noqa: PLC0415
    from tessera.plan import graph_load  # noqa: PLC0415
    from tessera.plan.prepare import Calibration, prepared  # noqa: PLC0415

    _consistent(budget, minimise, plan, inputs is not None and not int8)
    limit = None if budget is None else size_of(budget, "--budget")
    master = read_key(key)
    prepare(output)
    status = Console(stderr=True)
    with status.status("packing") if status.is_terminal else nullcontext():
        loaded = graph_load.load(network, weights=weights, dims=graph_load.sizes(dim or []))
        graph = prepared(loaded, Calibration(inputs, samples, seed) if int8 else None)
        chosen = _plan(graph, limit, minimise, plan, compress)
        # A plan that counted with packed weights gets them.
        compress = compress or chosen.chunk is not None
        wanted = Packing(name or graph.name, version, size_of(chunk, "--chunk"), compress)
        made = packed(graph, chosen, wanted)
        sealed = seal(made.contents, master)
        data = to_bytes(sealed)
    write_bytes(output, data)
    about = _about(made, chosen, wanted, sealed.identity)
    about |= {"file": str(output), "bytes": len(data)}
    typer.echo(json.dumps(about) if as_json else _table(about))


def _about(made: Packed, plan: Plan, wanted: Packing, identity: bytes) -> dict[str, Any]:
    """What a package holds, for programs and for the table."""
    contents = made.contents
    return {
        "name": wanted.name,
        "version": wanted.version,
        "identity": identity.hex(),
        "arena": contents.manifest.arena,
        "peak": plan.peak,
        "chunk": contents.manifest.chunk,
        "blocks": len(contents.blocks),
        "code_blocks": len(contents.manifest.code),
        "code_bytes": sum(contents.manifest.code),
        "constant_bytes": made.plain,
        "stored_bytes": sum(map(len, contents.blocks[1 + len(contents.manifest.code) :])),
        "once_blocks": len(contents.once),
        "once_bytes": sum(len(contents.blocks[k]) for k in contents.once),
        "inference_blocks": len(contents.each),
        "inference_bytes": sum(len(contents.blocks[k]) for k in contents.each),
    }


def _consistent(budget: str | None, minimise: bool, plan: Path | None, stray: bool) -> None:
    """Raises `TesseraError` where options exclude each other."""
    if sum((budget is not None, minimise, plan is not None)) != 1:
        raise TesseraError(
            "where everything lies has to be said in one way",
            where="tessera pack",
            remedy="give one of --budget 8MiB, --minimise and --plan plan.json",
        )
    if stray:
        raise TesseraError(
            "inputs are for measuring the ranges of int8",
            where="--inputs",
            remedy="say --int8 as well",
        )


def _plan(
    graph: Graph, budget: int | None, minimise: bool, path: Path | None, packed: bool
) -> Plan:
    from tessera.plan.network import plan_network  # noqa: PLC0415
    from tessera.plan.plan import from_json  # noqa: PLC0415
    from tessera.plan.tiles.candidates import Space  # noqa: PLC0415

    if path is None:
        return plan_network(graph, budget, minimise=minimise, space=Space(packed=packed))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("over 1 GiB")
        return from_json(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, RecursionError) as error:
        raise TesseraError(
            f"cannot read the plan: {error}",
            where=str(path),
            remedy="write it: tessera plan MODEL -o plan.json",
        ) from None


def _table(about: dict[str, Any]) -> str:
    rows = (
        ("package", f"{about['name']}, version {about['version']}, {about['identity']}"),
        ("arena", f"{words_of(about['arena'])}; blocks of at most {about['chunk']:,} bytes"),
        (
            "blocks",
            f"{about['blocks']:,}: the manifest, {about['code_blocks']:,} of code "
            f"({about['code_bytes']:,} bytes), the rest constants ({about['constant_bytes']:,} "
            f"bytes, stored as {about['stored_bytes']:,})",
        ),
        ("once", f"{about['once_blocks']:,} blocks, {about['once_bytes']:,} bytes"),
        ("per run", f"{about['inference_blocks']:,} blocks, {about['inference_bytes']:,} bytes"),
        ("sealed", f"{about['file']}: {about['bytes']:,} bytes"),
    )
    return "\n".join(f"{name:<9}{words}" for name, words in rows)
