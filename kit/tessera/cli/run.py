"""`tessera run`: a network, sealed, through the TA of a booted OP-TEE, and the reference beside it.

Goal: options to a package and inputs, the run called, answers printed, exit codes out.
Non-goals: packing (`tessera.package`), running (`tessera.guest.sealed`), judging (`guest.answers`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.guest import CRYPTO_HELP, TreeOption, progress
from tessera.cli.networks import AsJson, AxisSizes, DarknetWeights
from tessera.cli.sizes import size_of
from tessera.errors import EXIT_UNMET
from tessera.guest import machine
from tessera.guest.optee import Crypto


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="run")(run)


def run(
    target: Annotated[
        str, typer.Argument(metavar="PACKAGE|NETWORK", help="A .tsp file, or what is packed now.")
    ],
    key: Annotated[Path, typer.Option("--key", help="The owner's key: tessera key new.")],
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image",
            help="A picture: turned upright, grey or RGB as the network takes it, resized to just "
            "cover its input, the middle cut out, scaled to 0 .. 1. May be repeated.",
        ),
    ] = None,
    digits: Annotated[bool, typer.Option("--digits", help="Held-out handwritten digits.")] = False,
    raw: Annotated[
        Path | None, typer.Option("--input", help="Raw values of one or more inputs.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="With --digits: the first so many.")] = 10,
    budget: Annotated[
        str, typer.Option(help="With a network: bytes for weights and activations together.")
    ] = "8MiB",
    int8: Annotated[
        bool, typer.Option("--int8", help="With a network: quantised first, run in integers.")
    ] = False,
    compress: Annotated[
        bool, typer.Option("--compress", help="With a network: weights packed, then encrypted.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="With a network: the numpy reference beside it.")
    ] = False,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="With a network: beside it a naive runtime, without a plan: all weights and "
            "layers in memory, im2col, three loops; memory, instructions, time, answers.",
        ),
    ] = False,
    sealed_io: Annotated[
        bool,
        typer.Option(
            "--sealed-io",
            help="Inputs and outputs encrypted, too, with a user's key that is drawn for the run.",
        ),
    ] = False,
    unpatched: Annotated[
        bool, typer.Option("--unpatched", help="OP-TEE as it is, without the memory policy.")
    ] = False,
    icount: Annotated[
        bool, typer.Option("--icount", help="Count instructions: one processor, slower.")
    ] = False,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    tree: TreeOption = None,
    crypto: Annotated[str, typer.Option(help=CRYPTO_HELP)] = Crypto.EXTENSIONS.value,
    logs: Annotated[
        Path, typer.Option(help="Folder for the guest's console logs.")
    ] = machine.LOG_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Seals a network, boots OP-TEE, gives its TA the key and the package, and runs inputs.

    Examples: `tessera run lenet_digits --digits --key owner.key --compare`,
    `tessera run mobilenet_v1 --image photo.jpg --budget 8MiB --key owner.key`,
    `tessera run lenet_digits --digits --budget 64KiB --key owner.key --baseline`

    Exit code 0: it ran, and with --compare or --baseline the answers are the reference's; 1: they
    are not; 2: bad input, parts missing, or the TA refused.
    """
    # Imported here: onnx and the cipher library take a while.
    from tessera.cli import run_network  # noqa: PLC0415

    means = Crypto.named(crypto)
    asked = run_network.Asked(
        target,
        weights,
        tuple(dim or ()),
        size_of(budget, "--budget"),
        int8,
        compress,
        compare,
        baseline,
        sealed_io,
    )
    inputs = run_network.Inputs(tuple(image or ()), digits, raw, count)
    with progress() as say:
        shown = run_network.run(
            *(asked, inputs, key),
            patched=not unpatched,
            counting=icount,
            tree=tree,
            crypto=means,
            logs=logs,
            progress=say,
        )
    typer.echo(json.dumps(shown.to_json()) if as_json else shown.text())
    if not shown.holds:
        raise typer.Exit(EXIT_UNMET)
