"""`tessera model`: look at a model file, run it on the numpy reference, train the digits network.

Goal: see what a model file holds and how good it is without a guest.
Non-goals: running it in the secure world (`tessera validate`).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tessera import resources
from tessera.cli import compress, quantise
from tessera.cli.networks import AxisSizes, DarknetWeights, Network
from tessera.dnn import digits, reference
from tessera.dnn import format as tsm
from tessera.dnn.files import write_bytes
from tessera.errors import TesseraError

group = typer.Typer(
    name="model",
    help="Look at, run and train networks on the host.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

ModelFile = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="Model file (.tsm); the digits if left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def register(app: typer.Typer) -> None:
    """Adds the group to the `tessera` command."""
    quantise.add(group)
    compress.add(group)
    app.add_typer(group)


def _describe(model: tsm.Model, path: Path) -> dict[str, Any]:
    shapes = model.shapes()
    layers = [
        {
            "kind": layer.kind.name.lower(),
            "output": list(shape),
            "kernel": layer.kernel,
            "stride": layer.stride,
            "pad": layer.pad,
            "parameters": layer.weights.size + layer.bias.size,
        }
        for layer, shape in zip(model.layers, shapes[1:], strict=True)
    ]
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "input": list(model.input),
        "outputs": model.outputs,
        "parameters": sum(one.weights.size + one.bias.size for one in model.layers),
        "arena_bytes": reference.arena_bytes(model),
        "layers": layers,
    }


@group.command()
def info(file: ModelFile = None, as_json: AsJson = False) -> None:
    """What a model file holds, layer by layer.

    Example: `tessera model info models/dnn/zoo/lenet_digits/lenet_digits.tsm`
    """
    path = file or digits.model_path()
    about = _describe(tsm.load(path), path)
    if as_json:
        typer.echo(json.dumps(about))
        return
    typer.echo(f"{path}: {about['bytes']:,} bytes, {about['parameters']:,} parameters")
    typer.echo(f"arena of the C runtime: {about['arena_bytes']:,} bytes")
    typer.echo(f"{'layer':<10}{'output':>12}{'kernel':>8}{'stride':>8}{'pad':>5}{'parameters':>12}")
    rows = [{"kind": "input", "output": about["input"], "parameters": 0}, *about["layers"]]
    for row in rows:
        shape = "x".join(map(str, row["output"]))
        window = [row.get(key) or "" for key in ("kernel", "stride", "pad")]
        typer.echo(
            f"{row['kind']:<10}{shape:>12}{window[0]:>8}{window[1]:>8}{window[2]:>5}"
            f"{row['parameters'] or '':>12}"
        )


@group.command()
def infer(
    file: ModelFile = None,
    images: Annotated[
        Path | None,
        typer.Argument(
            metavar="[IMAGES]", help="Raw float32 images; the held-out digits if left out."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="One byte per image, to report the accuracy.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the logits here, as float32.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Runs a model on the numpy reference, the yardstick of the runtime in the secure world.

    Example: `tessera model infer` reports the accuracy on the held-out digits.
    """
    model = tsm.load(file or digits.model_path())
    inputs = digits.read_images(images or digits.images_path(), model.input.values)
    if images is None and labels is None:
        labels = digits.labels_path()
    truth = digits.read_labels(labels, len(inputs)) if labels else None
    logits = reference.run(model, inputs)
    if output is not None:
        write_bytes(output, logits.astype("<f4").tobytes())
    classes = logits.argmax(axis=1)
    share = None if truth is None else reference.accuracy(logits, truth)
    if as_json:
        finite = np.isfinite(logits).all()
        values = logits.tolist() if finite else None
        typer.echo(json.dumps({"classes": classes.tolist(), "accuracy": share, "logits": values}))
    elif share is not None:
        right = round(share * len(inputs))
        typer.echo(f"{len(inputs)} images, {right} right: {100 * share:.2f} %")
    else:
        typer.echo("\n".join(map(str, classes.tolist())))


@group.command()
def show(
    network: Network,
    weights: DarknetWeights = None,
    dim: AxisSizes = None,
    simplified: Annotated[
        bool, typer.Option("--simplified", help="After folding batch norms and constants.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The nodes of a network with shapes, bytes and multiply-adds.

    Example: `tessera model show mobilenet_v1 --simplified`
    """
    from tessera.plan import graph_load  # noqa: PLC0415 - onnx takes a while to import
    from tessera.plan.graph_count import summary  # noqa: PLC0415
    from tessera.plan.passes.simplify import simplify  # noqa: PLC0415

    graph = graph_load.load(network, weights=weights, dims=graph_load.sizes(dim or []))
    about = summary(simplify(graph) if simplified else graph)
    typer.echo(json.dumps(about) if as_json else _table(about))


def _table(about: dict[str, Any]) -> str:
    """A summary of a graph as lines."""
    lines = [f"{'node':<32}{'op':<22}{'output':>18}{'bytes':>13}{'weights':>13}{'mul-adds':>15}"]
    for row in about["nodes"]:
        shape = "x".join(map(str, row["output"]))
        lines.append(
            f"{row['name'][:31]:<32}{row['op']:<22}{shape:>18}{row['output_bytes']:>13,}"
            f"{row['weight_bytes']:>13,}{row['multiply_adds']:>15,}"
        )
    lines.append(
        f"{about['name']}: {len(about['nodes'])} nodes, {about['parameters']:,} parameters in "
        f"{about['weight_bytes']:,} bytes, {about['multiply_adds']:,} multiply-adds"
    )
    return "\n".join(lines)


@group.command()
def zoo(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network of the zoo.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for NAME.onnx.")] = Path(
        "out/zoo"
    ),
) -> None:
    """Writes a network of the zoo as an ONNX file, the same bytes each time.

    Example: `tessera model zoo squeezenet11 -o out/zoo`
    """
    from tessera.plan import zoo as networks  # noqa: PLC0415 - onnx takes a while to import

    path = networks.write(name, output)
    typer.echo(f"{path}: {path.stat().st_size:,} bytes")


@group.command()
def train(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the three files.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the images.")] = None,
) -> None:
    """Trains the digits network anew, as it was trained for the committed file (about 20 s).

    Needs scikit-learn for the images. Example: `tessera model train -o out/digits`
    """
    if importlib.util.find_spec("sklearn") is None:
        raise TesseraError(
            "scikit-learn holds the training images and is not installed",
            where="tessera model train",
            remedy="pip install scikit-learn",
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TesseraError(
            f"cannot make the folder: {error.strerror}",
            where=str(output),
            remedy="choose a folder that you may write to",
        ) from None
    script = resources.path(digits.FOLDER) / "train.py"
    words = [sys.executable, str(script), "--out", str(output)]
    if epochs is not None:
        words += ["--epochs", str(epochs)]
    done = subprocess.run(words, check=False)
    if done.returncode != 0:
        raise TesseraError(
            f"training ended with exit code {done.returncode}",
            where=str(script),
            remedy="read its message above",
        )
