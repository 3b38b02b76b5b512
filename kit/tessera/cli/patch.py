"""`tessera patch`: the policy of a spec as a patch for an OP-TEE tree."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tessera import resources
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.results import PatchInfo


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("patch")(patch)


def patch(
    spec: Annotated[Path, typer.Argument(help="The spec whose policy becomes C.")],
    tree: Annotated[Path, typer.Option("--tree", help="An OP-TEE source tree; only read.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the patch here, not to stdout.")
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Show lines per file and per part.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    context: Annotated[int, typer.Option(min=0, help="Unchanged lines around every hunk.")] = 3,
) -> None:
    """Emit a patch of at most 32 lines that makes OP-TEE follow the spec's policy.

    Lines are counted as `git diff --numstat` does, added plus removed. The patch is for `git am`
    and for `patch -p1`; the tree is not changed.

    Example: `tessera patch specs/policies/priority.tess --tree optee_os -o priority.patch --stat`
    """
    made = make_patch(load(resources.find_spec(spec)), tree, context=context)
    if output is not None:
        _write(output, made.text)
    if as_json:
        typer.echo(json.dumps(asdict(made), indent=2))
    elif stat:
        typer.echo(_table(made), nl=False)
    elif output is None:
        typer.echo(made.text, nl=False)
    if not made.text:
        typer.echo(f"{made.target} follows this policy already: nothing to patch", err=True)


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing. Raises `TesseraError` when the place is not writable."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".patch-", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if "temporary" in locals():
            temporary.unlink(missing_ok=True)
        raise TesseraError(
            f"cannot write the patch: {error.strerror}",
            where=str(path),
            remedy="give -o a file in a folder that exists and that you may write to",
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _table(made: PatchInfo) -> str:
    """Lines per file as `git diff --numstat` prints them, then per part of the policy."""
    added: dict[str, int] = {}
    file = ""
    for line in made.text.splitlines():
        if line.startswith("+++ b/"):
            file = line.removeprefix("+++ b/")
        elif line.startswith("+") and file:
            added[file] = added.get(file, 0) + 1
    rows = [f"{count}\t0\t{name}\n" for name, count in added.items()]
    rows += [f"{count:>4}  {part}\n" for part, count in made.costs.items()]
    total = f"{made.added + made.removed:>4}  of {made.budget} lines, {made.target}\n"
    return "".join(rows) + total
