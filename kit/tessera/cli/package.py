"""`tessera package`: what a sealed package says, and data that its users seal.

Goal: the public part for anybody; with the key every block is opened and checked. Inputs sealed and
outputs opened with a user's key.
Non-goals: making packages (`tessera pack`), running them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.cli.networks import AsJson
from tessera.cli.outputs import prepare
from tessera.dnn.files import read_bytes, write_bytes
from tessera.errors import TesseraError

group = typer.Typer(
    name="package",
    help="Look into sealed packages; seal their inputs, open their outputs.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@group.callback()
def _group() -> None:
    """Look into sealed packages; seal their inputs, open their outputs."""


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


@group.command()
def binding(
    file: Annotated[Path, typer.Argument(help="A package that `tessera pack` wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The owner's key.")],
    as_json: AsJson = False,
) -> None:
    """Prints what users bind their sealed inputs to: give it to them over a way that they trust.

    Example: `tessera package binding digits.tsp --key owner.key`
    """
    from tessera.guest.answers import total  # noqa: PLC0415
    from tessera.package.file import open_sealed, read  # noqa: PLC0415
    from tessera.package.keys import read_key  # noqa: PLC0415
    from tessera.package.user_data import binding_of  # noqa: PLC0415

    sealed, master = read(file), read_key(key)
    manifest = open_sealed(sealed, master, str(file))[0].manifest
    made = binding_of(master, sealed.identity, sealed.version).hex()
    sizes = {"input_bytes": total(manifest.inputs), "output_bytes": total(manifest.outputs)}
    typer.echo(json.dumps({"binding": made, **sizes}) if as_json else made)


@group.command("seal-inputs")
def seal_inputs(
    raw: Annotated[Path, typer.Argument(help="Raw values, one inference after the other.")],
    binding: Annotated[str, typer.Option("--binding", help="From the network's owner, in hex.")],
    size: Annotated[
        int, typer.Option("--size", min=1, help="Bytes of the inputs of one inference.")
    ],
    user: Annotated[Path, typer.Option("--user", help="The user's key: tessera key new.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the sealed inputs here.")],
    as_json: AsJson = False,
) -> None:
    """Encrypts inputs, so that only the TA of a device with the wrapped key can read them.

    Example: `tessera package seal-inputs images.f32 --size 256 --binding HEX --user user.key
    -o images.tsin`
    """
    from tessera.package import user_data  # noqa: PLC0415
    from tessera.package.keys import read_key  # noqa: PLC0415

    secret, data = read_key(user), read_bytes(raw, "input file")
    bound = _binding(binding)
    if not data or len(data) % size:
        raise TesseraError(
            f"{len(data)} bytes are not a whole number of inputs of {size} bytes",
            where=str(raw),
            remedy="give raw values, each tensor from a multiple of 4 bytes on, and their --size",
        )
    prepare(output)
    inputs = [data[at : at + size] for at in range(0, len(data), size)]
    made = user_data.seal_inputs(inputs, secret, bound)
    write_bytes(output, made)
    about = {"file": str(output), "bytes": len(made), "inputs": len(inputs)}
    typer.echo(
        json.dumps(about) if as_json else f"{output}: {len(inputs):,} inputs, {len(made):,} bytes"
    )


@group.command("open-outputs")
def open_outputs(
    file: Annotated[Path, typer.Argument(help="What `tessera_sealed run-sealed` wrote.")],
    inputs: Annotated[Path, typer.Option("--inputs", help="The sealed inputs that were run.")],
    user: Annotated[Path, typer.Option("--user", help="The user's key that sealed them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the raw outputs here.")],
    as_json: AsJson = False,
) -> None:
    """Decrypts outputs, and says so if they do not answer those inputs.

    Example: `tessera package open-outputs logits.tsou --inputs images.tsin --user user.key
    -o logits.f32`
    """
    from tessera.package import user_data  # noqa: PLC0415
    from tessera.package.keys import read_key  # noqa: PLC0415

    secret = read_key(user)
    batch = user_data.read_batch(read_bytes(inputs, "sealed inputs"), str(inputs))
    data = read_bytes(file, "sealed outputs")
    made = user_data.open_outputs(data, batch, secret, str(file))
    prepare(output)
    write_bytes(output, b"".join(made))
    about = {"file": str(output), "bytes": sum(map(len, made)), "outputs": len(made)}
    typer.echo(json.dumps(about) if as_json else f"{output}: {len(made):,} outputs")


def _binding(text: str) -> bytes:
    """Raises `TesseraError` for anything but 32 hexadecimal digits."""
    if not re.fullmatch("[0-9a-f]{32}", text):
        raise TesseraError(
            f"'{text}' is no binding",
            where="--binding",
            remedy="give the 32 digits of: tessera package binding FILE --key owner.key",
        )
    return bytes.fromhex(text)


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
