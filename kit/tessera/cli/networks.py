"""The options by which every command takes a network.

Goal: one wording of them, for `plan`, `prune` and the group `model`.
Non-goals: loading the network (see `tessera.plan.graph_load`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "ONNX, Darknet .cfg or .tsm file, or a zoo name."

Network = Annotated[str, typer.Argument(metavar="NETWORK", help=HELP)]
DarknetWeights = Annotated[
    Path | None, typer.Option("--weights", help="Darknet weights; beside the .cfg if left out.")
]
AxisSizes = Annotated[
    list[str] | None, typer.Option("--dim", help="Size of an axis that has none: NAME=SIZE.")
]
Calibration = Annotated[
    str | None,
    typer.Option("--inputs", help="Calibration inputs: .npz, or `digits`, the training digits."),
]
Samples = Annotated[int, typer.Option("--samples", min=1, help="At most so many samples.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of generated inputs.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
