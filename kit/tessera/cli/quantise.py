"""`tessera model quantise`: a float32 network to an int8 one, with the loss per layer.

Goal: read, quantise, measure, print, write.
Non-goals: choosing steps and measuring (`tessera.plan.quantise`).
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

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
from tessera.dnn.files import write_bytes


def add(group: typer.Typer) -> None:
    """Adds the command to the `model` group."""
    group.command()(quantise)


def quantise(
    network: Network,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the int8 network here, as ONNX.")
    ] = None,
    inputs: Calibration = None,
    samples: Samples = 8,
    seed: Seed = 0,
    method: Annotated[str, typer.Option(help="Range: minmax, percentile or mse.")] = "minmax",
    percentile: Annotated[
        float, typer.Option(help="Per cent of the values inside, for `percentile`.")
    ] = 99.99,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="Activations with zero point 0.")
    ] = False,
    keep: Annotated[
        list[str] | None, typer.Option(help="A node that stays in float32; may be repeated.")
    ] = None,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    as_json: AsJson = False,
) -> None:
    """Quantises a network to int8 and says what it costs, layer by layer.

    Weights: one scale per output channel; activations: one per tensor, calibrated. The loss is
    measured on the samples after those that were calibrated on, if there are more; for a network
    that reads the digits also as accuracy on those that are held out.

    Example: `tessera model quantise lenet_digits --inputs digits --samples 64 -o out/lenet8.onnx`
    """
    # Imported here, as in the commands beside this one: onnx takes a while to import.
    from tessera.plan import graph_load  # noqa: PLC0415
    from tessera.plan.onnx_writer import to_bytes  # noqa: PLC0415
    from tessera.plan.passes.simplify import simplify  # noqa: PLC0415
    from tessera.plan.quantise.choose import Choice  # noqa: PLC0415
    from tessera.plan.quantise.loss import measure  # noqa: PLC0415
    from tessera.plan.quantise.qdq import quantise as quantised  # noqa: PLC0415
    from tessera.plan.quantise.samples import chosen  # noqa: PLC0415

    prepare(output)
    choice = Choice(method, percentile, symmetric)
    loaded = graph_load.load(network, weights=weights, dims=graph_load.sizes(dim or []))
    graph = simplify(loaded)
    given, tested = chosen(graph, inputs, samples, seed)
    status = Console(stderr=True)
    with status.status("quantising") if status.is_terminal else nullcontext():
        made = quantised(graph, given, choice, keep or [])
        loss = measure(graph, made, tested)
        shares = _digits(graph, made.graph)
    if output is not None:
        write_bytes(output, to_bytes(made.graph))
    about = {
        "name": graph.name,
        "inputs": inputs or f"generated from seed {seed}",
        "calibrated_on": len(given),
        "measured_on_others": tested[0] is not given[0],
        "method": method,
        **loss.document(),
        "accuracy": shares,
    }
    typer.echo(json.dumps(about) if as_json else _table(about, output))


def _digits(graph: Any, made: Any) -> list[float] | None:
    """Accuracy on the held-out digits before and after; None for a network of something else."""
    from tessera.dnn.digits import held_out  # noqa: PLC0415
    from tessera.plan.passes.integers import fuse_integers  # noqa: PLC0415
    from tessera.plan.quantise.loss import accuracy  # noqa: PLC0415
    from tessera.plan.quantise.samples import digit_samples, takes_digits  # noqa: PLC0415

    if not takes_digits(graph):
        return None
    images, labels = held_out()
    samples = digit_samples(graph, images)
    return [accuracy(one, samples, labels) for one in (graph, fuse_integers(made))]


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def _table(about: dict[str, Any], output: Path | None) -> str:
    lines = [f"{'tensor of':<32}{'op':<20}{'scale':>12}{'zero':>6}{'SQNR':>10}"]
    for row in about["layers"]:
        lines.append(
            f"{row['name'][:31]:<32}{row['op']:<20}{row['scale']:>12.6g}{row['zero_point']:>6}"
            f"{_decibels(row['sqnr']):>10}"
        )
    before, after = about["weight_bytes"]
    others = "others" if about["measured_on_others"] else "the same"
    lines.append(
        f"{about['name']}: calibrated ({about['method']}) on {about['calibrated_on']} samples "
        f"({about['inputs']}), measured on {about['samples']} {others}"
    )
    lines.append(f"weights {before:,} -> {after:,} bytes, {before / after:.2f} times fewer")
    lines.append(
        f"outputs {_decibels(about['output_sqnr'])}; the same class in "
        f"{100 * about['agreement']:.1f} % of {about['samples']} samples"
    )
    if about["accuracy"] is not None:
        first, second = (f"{100 * one:.2f} %" for one in about["accuracy"])
        lines.append(f"accuracy on the held-out digits: float32 {first}, int8 {second}")
    if output is not None:
        lines.append(f"{output}: {output.stat().st_size:,} bytes")
    return "\n".join(lines)
