"""`tessera package show`: what a sealed package says, and with the key what it holds.

Goal: the public part for anybody; with the key every block is opened and checked.
Non-goals: making packages (`tessera pack`), running them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.cli.networks import AsJson
from tessera.errors import TesseraError

group = typer.Typer(
    name="package",
    help="Look into sealed packages.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@group.callback()
def _group() -> None:
    """Look into sealed packages."""


def register(app: typer.Typer) -> None:
    """Adds the group to the `tessera` command."""
    app.add_typer(group)


@group.command()
def show(
    file: Annotated[Path, typer.Argument(help="A package that `tessera pack` wrote.")],
    key: Annotated[Path | None, typer.Option("--key", help="The owner's key.")] = None,
    code: Annotated[
        bool, typer.Option("--code", help="With --key and --json: every instruction.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Shows a package; with the key it is opened, and all of it is checked.

    Example: `tessera package show out/mobilenet.tsp --key owner.key`
    """
    from tessera.package.file import open_sealed, read  # noqa: PLC0415
    from tessera.package.keys import read_key  # noqa: PLC0415

    if code and (key is None or not as_json):
        raise TesseraError(
            "the code is encrypted, and is printed as JSON only",
            where="--code",
            remedy="say --key owner.key and --json as well",
        )
    sealed = read(file)
    about: dict[str, Any] = {
        "file": str(file),
        "version": sealed.version,
        "identity": sealed.identity.hex(),
        "chunk": sealed.chunk,
        "blocks": len(sealed.blocks),
        "code_blocks": sealed.codes,
        "sealed_bytes": sum(map(len, sealed.blocks)),
        "once_blocks": len(sealed.once),
        "inference_blocks": len(sealed.each),
        "opened": key is not None,
    }
    if key is not None:
        contents, instructions = open_sealed(sealed, read_key(key), str(file))
        manifest = contents.manifest
        about |= {
            "family": manifest.family.hex(),
            "arena": manifest.arena,
            "inputs": [asdict(one) for one in manifest.inputs],
            "outputs": [asdict(one) for one in manifest.outputs],
            "instructions": dict(Counter(type(one).__name__ for one in instructions)),
        }
        if code:
            about["code"] = [{"op": type(one).__name__, **asdict(one)} for one in instructions]
    typer.echo(_json(about) if as_json else _table(about))


def _json(about: dict[str, Any]) -> str:
    """JSON has no infinities, which bounds of a clip may be: they become words."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        finite = not isinstance(value, float) or abs(value) < float("inf")
        return value if finite else str(value)

    return json.dumps(plain(about), allow_nan=False)


def _sides(sides: list[dict[str, Any]]) -> str:
    kinds = ("float32", "int8", "uint8")
    return ", ".join(
        f"{kinds[one['element']]} {one['channels']} x {one['rows']} x {one['columns']}"
        for one in sides
    )


def _table(about: dict[str, Any]) -> str:
    rows = [
        ("package", f"version {about['version']}, {about['identity']}"),
        (
            "blocks",
            f"{about['blocks']:,} of at most {about['chunk']:,} bytes, {about['code_blocks']:,} "
            f"of code; {about['sealed_bytes']:,} bytes sealed",
        ),
        ("once", f"{about['once_blocks']:,} blocks"),
        ("per run", f"{about['inference_blocks']:,} blocks"),
    ]
    if about["opened"]:
        counts = about["instructions"]
        rows += [
            ("arena", f"{about['arena']:,} bytes"),
            ("inputs", _sides(about["inputs"])),
            ("outputs", _sides(about["outputs"])),
            ("code", ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))),
            ("checked", "every block opens, and all of them are at one with each other"),
        ]
    return "\n".join(f"{name:<9}{words}" for name, words in rows)
