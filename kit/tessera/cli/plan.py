"""`tessera plan`: where every byte of a network lives, decided before anything runs, and checked.

Goal: options in, the planner for networks or for bare buffers called, exit codes out.
Non-goals: planning, printing (`plan_network`, `plan_buffers`).
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.networks import AxisSizes, Calibration, DarknetWeights, Samples
from tessera.cli.plan_buffers import plan_buffers
from tessera.cli.sizes import size_of
from tessera.errors import TesseraError
from tessera.plan.arena import DEFAULT_NODES, METHODS, Budget


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plan")(plan)


def plan(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]", help="ONNX, Darknet .cfg or .tsm file, or a zoo name."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Bytes for weights and activations together: 8MiB.")
    ] = None,
    minimise: Annotated[
        bool, typer.Option("--minimise", help="The least budget that works.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="What was chosen per group, and the alternatives.")
    ] = False,
    curve: Annotated[
        bool, typer.Option("--curve", help="Cost over budgets as CSV, for one or several models.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise the network first and run it in integers.")
    ] = False,
    compressed: Annotated[
        bool,
        typer.Option("--compressed", help="Weights are stored packed, decoded block by block."),
    ] = False,
    inputs: Calibration = None,
    samples: Samples = 2,
    blocks: Annotated[
        int, typer.Option(min=1, max=1024, help="The most blocks that a layer's weights come in.")
    ] = 32,
    rates: Annotated[
        Path | None, typer.Option(help="Coefficients of the cost model, as JSON (docs/plan.md).")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Have Z3 prove the arena, and the tiles' rows.")
    ] = False,
    heights: Annotated[
        str | None, typer.Option(help="With --confirm: input heights, LOW:HIGH; else 1:4096.")
    ] = None,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Buffers: id,lower,upper,size[,alignment].")
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Bytes that are there, with --csv.")
    ] = None,
    method: Annotated[
        str, typer.Option(help=f"With --csv: one of {', '.join(METHODS)}.")
    ] = "search",
    nodes: Annotated[
        int, typer.Option(min=0, help="Decisions of the search, with --csv.")
    ] = DEFAULT_NODES,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="End earlier, by the clock; not repeatable.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the search (--csv), of inputs (--int8).")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write the plan (JSON), placed CSV or curve."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw steps by addresses into this .svg or .html file.")
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="Write the spec of the TA's secure memory here, for tessera check."),
    ] = None,
    reserve: Annotated[
        str | None, typer.Option(help="With --spec: the reserve; what the TA takes if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Plan a network under a budget of secure memory, or place buffers with known lifetimes.

    Examples: `tessera plan mobilenet_v1 --budget 8MiB`, `tessera plan net.onnx --minimise`,
    `tessera plan mobilenet_v1 --int8 --budget 2MiB`, `tessera plan mobilenet_v1 resnet18 --curve`,
    `tessera plan --csv buffers.csv --capacity 1048576 --out placed.csv`

    Exit code 0: planned, and checked; 1: the check or Z3 refuses it, or no placement fits the
    capacity; 2: bad input, or a budget that is too small; 3: no placement of the buffers was found
    that fits, and none is known to be impossible, or Z3 could not say (--confirm).
    """
    asked = {
        "--csv": csv is not None,
        "--curve": curve,
        "--minimise": minimise,
        "--budget": budget is not None,
        "--explain": explain,
        "--spec": spec is not None,
        "--reserve": reserve is not None,
        "--int8": int8,
        "--compressed": compressed,
        "--rates": rates is not None,
        "--confirm": confirm,
        "--heights": heights is not None,
        "--inputs": inputs is not None,
    }
    _consistent({name for name, said in asked.items() if said}, bool(models))
    if csv is not None:
        effort = Budget(nodes, seconds)
        plan_buffers(csv, capacity, method, effort, seed, out, picture, as_json)
        return
    from tessera.cli import plan_confirm, plan_network  # noqa: PLC0415 - onnx takes a while
    from tessera.plan import prepare  # noqa: PLC0415
    from tessera.plan.cost import Coefficients  # noqa: PLC0415
    from tessera.plan.rates_file import read_rates  # noqa: PLC0415
    from tessera.plan.tiles.candidates import Space, blocks_up_to  # noqa: PLC0415

    limit = None if budget is None else size_of(budget, "--budget")
    given = prepare.Calibration(inputs, samples, seed) if int8 else None
    source = plan_network.Source(tuple(models or ()), weights, tuple(dim or ()), given)
    coefficients = Coefficients() if rates is None else read_rates(rates)
    space = Space(blocks=blocks_up_to(blocks), packed=compressed, rates=coefficients)
    if curve:
        plan_network.print_curve(source, space, out, picture, as_json)
        return
    kept = None if reserve is None else size_of(reserve, "--reserve")
    over = plan_confirm.heights_of(heights or plan_confirm.HEIGHTS) if confirm else None
    shown = plan_network.Shown(explain, as_json, out, picture, spec, kept, space, over)
    plan_network.print_plan(source, limit, minimise, shown)


_OF_ONE_PLAN = frozenset(("--budget", "--minimise", "--explain", "--confirm"))
_OF_NETWORKS = _OF_ONE_PLAN | {"--curve", "--int8", "--compressed", "--rates"}


def _consistent(said: Set[str], models: bool) -> None:
    """Raises `TesseraError` where options exclude each other, or nothing is asked for."""
    if "--reserve" in said and "--spec" not in said:
        raise TesseraError(
            "a reserve is a part of the spec", where="--reserve", remedy="say --spec FILE as well"
        )
    if "--inputs" in said and "--int8" not in said:
        raise TesseraError(
            "inputs are for measuring the ranges of int8",
            where="--inputs",
            remedy="say --int8 as well",
        )
    if "--heights" in said and "--confirm" not in said:
        raise TesseraError(
            "heights are what Z3 is asked about", where="--heights", remedy="say --confirm as well"
        )
    if "--spec" in said and said & {"--csv", "--curve"}:
        raise TesseraError(
            "only the plan of one network has a spec",
            where="--spec",
            remedy="give one MODEL, without --csv and --curve",
        )
    if "--csv" in said and (models or said & _OF_NETWORKS):
        raise TesseraError(
            "--csv places buffers; a network is planned without it",
            where="--csv",
            remedy="give either --csv FILE or a MODEL",
        )
    if "--csv" not in said and not models:
        raise TesseraError(
            "nothing to plan",
            remedy="give a model, such as tessera plan mobilenet_v1 --budget 8MiB, or --csv FILE",
        )
    if {"--minimise", "--budget"} <= said:
        raise TesseraError(
            "--minimise looks for the budget itself", where="--budget", remedy="give one of both"
        )
    if "--curve" in said and said & _OF_ONE_PLAN:
        raise TesseraError(
            "--curve tries many budgets itself", where="--curve", remedy="give it alone"
        )
