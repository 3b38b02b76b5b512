"""`tessera prune`: fewer channels, smaller tensors, and what the network still knows.

Goal: read, prune step by step, print the curve, write the network and the CSV.
Non-goals: pruning itself (`tessera.plan.prune`).
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from itertools import pairwise
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
from tessera.errors import TesseraError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(name="prune")(prune)


def prune(
    network: Network,
    to: Annotated[
        str, typer.Option(help="Parameters that are left: per cent of the network's, such as 50%.")
    ] = "50%",
    steps: Annotated[
        str | None, typer.Option(help="The steps on the way, such as 80,60; every 10 if left out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the last network here, as ONNX.")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="Write a line for every step into this CSV file.")
    ] = None,
    importance: Annotated[
        str, typer.Option(help="What goes first: least by `activation` or `l1`.")
    ] = "activation",
    finetune: Annotated[
        str | None,
        typer.Option(help="After each step: last-layer, module:function or file.py:function."),
    ] = None,
    least: Annotated[int, typer.Option(min=1, help="Channels that every layer keeps.")] = 2,
    inputs: Calibration = None,
    samples: Samples = 8,
    seed: Seed = 0,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    as_json: AsJson = False,
) -> None:
    """Removes the least important channels, step by step, and measures what is left.

    At every step the smaller network has to compute what the one at full size computes with the
    removed channels masked. A network of digits is judged by its accuracy on those that are held
    out, any other by its agreement with the unpruned network, which is no accuracy.

    Example: `tessera prune lenet_digits --to 30% --inputs digits --finetune last-layer -o l.onnx`
    """
    # Imported here, as in other commands: onnx takes a while to import.
    from tessera.plan import graph_load  # noqa: PLC0415
    from tessera.plan.onnx_writer import to_bytes  # noqa: PLC0415
    from tessera.plan.passes.simplify import simplify  # noqa: PLC0415
    from tessera.plan.prune.curve import Point, to_csv  # noqa: PLC0415
    from tessera.plan.prune.curve import prune as pruned  # noqa: PLC0415
    from tessera.plan.prune.finetune import hook  # noqa: PLC0415
    from tessera.plan.prune.judge import judge_of  # noqa: PLC0415
    from tessera.plan.quantise.samples import chosen  # noqa: PLC0415

    prepare(output, curve)
    targets = _targets(to, steps)
    tune = hook(finetune) if finetune else None
    graph = simplify(graph_load.load(network, weights=weights, dims=graph_load.sizes(dim or [])))
    given, judged = chosen(graph, inputs, samples, seed)
    console = Console(stderr=True)
    with console.status("pruning") if console.is_terminal else nullcontext() as status:

        def watch(point: Point) -> None:
            if status is not None:
                status.update(f"pruning: {point.target:g} % done")

        judge = judge_of(graph, judged)
        made = pruned(
            *(graph, targets, judge, given),
            method=importance,
            least=least,
            finetune=tune,
            watch=watch,
        )
    if output is not None:
        write_bytes(output, to_bytes(made.graph))
    if curve is not None:
        write_bytes(curve, to_csv(made.points).encode())
    about = {
        "name": graph.name,
        "importance": importance,
        "inputs": inputs or f"generated from seed {seed}",
        "judged_by": judge.what,
        "finetune": finetune,
        "points": [asdict(one) for one in made.points],
    }
    typer.echo(json.dumps(about) if as_json else _table(about))
    for path in (output, curve):
        if path is not None and not as_json:
            typer.echo(f"{path}: {path.stat().st_size:,} bytes")


def _per_cent(word: str, option: str) -> float:
    try:
        value = float(word.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 < value < 100:
        raise TesseraError(
            f"'{word}' is no share of the parameters",
            where=option,
            remedy="give per cent above 0 and below 100, such as 50%",
        )
    return value


def _targets(to: str, steps: str | None) -> tuple[float, ...]:
    """Falling shares, the last of them `to`."""
    last = _per_cent(to, "--to")
    if steps is None:
        way = [float(one) for one in range(90, 0, -10)]
    else:
        way = [_per_cent(one, "--steps") for one in steps.split(",")]
        if any(b >= a for a, b in pairwise(way)) or way[-1] < last:
            raise TesseraError(
                f"'{steps}' does not fall to {last:g} per cent",
                where="--steps",
                remedy="give falling numbers, none below --to",
            )
    return (*(one for one in way if one > last), last)


def _table(about: dict[str, Any]) -> str:
    tuned = about["finetune"] is not None
    lines = [
        f"{'left':>7}{'parameters':>13}{'bytes':>13}{'mul-adds':>15}{'channels gone':>15}"
        f"{'judged':>9}{'error':>8}{'tuned' if tuned else '':>9}"
    ]
    for row in about["points"]:
        after = row["tuned_share"]
        lines.append(
            f"{row['target']:>5g} %{row['parameters']:>13,}{row['weight_bytes']:>13,}"
            f"{row['multiply_adds']:>15,}{row['channels']:>15,}{100 * row['share']:>7.2f} %"
            f"{row['error']:>8.3f}" + ("" if after is None else f"{100 * after:>7.2f} %")
        )
    worst = max(row["difference"] for row in about["points"])
    lines.append(f"{about['name']}: judged by {about['judged_by']}")
    lines.append(
        f"importance by {about['importance']} ({about['inputs']}); largest difference from the "
        f"masked network, over all tensors: {worst:.1g}"
    )
    return "\n".join(lines)
