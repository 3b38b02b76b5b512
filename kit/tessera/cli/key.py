"""`tessera key`: the owner's key, or a user's, and giving it to a device.

Goal: make a key file; encrypt the key to a device's point (docs/package.md).
Non-goals: keeping keys safe on the owner's machine beyond the file's mode.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.networks import AsJson
from tessera.cli.outputs import prepare
from tessera.dnn.files import write_bytes

group = typer.Typer(
    name="key",
    help="The owner's key of sealed packages, and keys of their users.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Adds the group to the `tessera` command."""
    app.add_typer(group)


@group.command()
def new(
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the key here.")],
    as_json: AsJson = False,
) -> None:
    """Makes a key of random numbers: a file that only its owner can read; never overwrites one.

    Example: `tessera key new -o owner.key`
    """
    from tessera.package.keys import new_key  # noqa: PLC0415

    new_key(output)
    typer.echo(json.dumps({"file": str(output)}) if as_json else f"{output}: a new key, keep it")


@group.command()
def wrap(
    key: Annotated[Path, typer.Argument(help="The owner's key, or a user's.")],
    device: Annotated[Path, typer.Option("--device", help="The device's point, 65 bytes.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the wrapped key here.")],
    user: Annotated[
        bool, typer.Option("--user", help="It is a user's, for sealed inputs and outputs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Encrypts the key to one device, so that it can be carried there in the open.

    Compare the printed digest of the device's point over a way that you trust: whoever puts their
    own point in its place gets the key. Two calls give different bytes.

    Example: `tessera key wrap owner.key --device device.point -o device.wrap`,
    `tessera key wrap user.key --user --device device.point -o user.wrap`
    """
    from tessera.package.keys import read_key  # noqa: PLC0415
    from tessera.package.wrap import OWNER, USER, read_point  # noqa: PLC0415
    from tessera.package.wrap import wrap as wrapped  # noqa: PLC0415

    master, point = read_key(key), read_point(device)
    prepare(output)
    blob = wrapped(master, point, str(device), kind=USER if user else OWNER)
    write_bytes(output, blob)
    digest = hashlib.sha256(point).hexdigest()
    about = {"file": str(output), "bytes": len(blob), "device": digest}
    typer.echo(
        json.dumps(about)
        if as_json
        else f"{output}: {len(blob)} bytes, for the device with the point\n{digest} (SHA-256)"
    )
