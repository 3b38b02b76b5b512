"""`tessera guest`: set up, build, boot and talk to a real OP-TEE under QEMU.

Goal: thin commands over `tessera.guest`.
Non-goals: the validation scenarios (see `tessera validate`).
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal

from tessera.errors import TesseraError
from tessera.guest import build as building
from tessera.guest import cache, machine, modelchecker, process, releases, toolchain
from tessera.guest.optee import Crypto

group = typer.Typer(
    help="A real OP-TEE under QEMU: set up, build, boot, talk. "
    "Example: `tessera guest setup && tessera guest run -- xtest 1004`",
    no_args_is_help=True,
)

PatchOption = Annotated[
    Path | None, typer.Option("--patch", help="A patch for OP-TEE, as `tessera patch` writes it.")
]
TreeOption = Annotated[
    Path | None, typer.Option("--tree", help="Your own OP-TEE tree instead of the fetched source.")
]
CRYPTO_HELP = (
    "Of OP-TEE: extensions, the processor's instructions for AES and SHA, or software, what this "
    "platform has by itself."
)
CryptoOption = Annotated[str, typer.Option("--crypto", help=CRYPTO_HELP)]


def register(app: typer.Typer) -> None:
    """Add the group to the `tessera` command."""
    app.add_typer(group, name="guest")


@contextmanager
def progress() -> Iterator[process.Progress]:
    """A progress listener on stderr: a moving line on a terminal, plain lines elsewhere."""
    terminal = Terminal(stderr=True)
    if not terminal.is_terminal:
        yield lambda message: print(message, file=sys.stderr, flush=True)
        return
    with terminal.status("starting") as status:
        yield status.update


def read_patch(path: Path | None) -> str | None:
    """The text of a patch file. Raises `TesseraError` when it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TesseraError(
            f"cannot read the patch: {error}",
            where=str(path),
            remedy="write one with: tessera patch SPEC --tree DIR -o FILE",
        ) from error


@group.command()
def setup(
    refresh: Annotated[bool, typer.Option(help="Look for newer versions of the parts.")] = False,
    cbmc: Annotated[
        bool, typer.Option("--cbmc", help="Fetch the model checker CBMC instead (optional).")
    ] = False,
    builds: Annotated[
        bool, typer.Option("--builds", help="Fetch every OP-TEE and checkpatch instead (optional).")
    ] = False,
) -> None:
    """Install host tools and fetch the guest's parts (needs apt and the network, once).

    With --cbmc: only what `tessera conform --tier cbmc` needs, when no CBMC is installed. With
    --builds: what `--tier builds` needs: the sources of every OP-TEE that apt offers, a 32-bit
    compiler, and Linux's checkpatch.pl (a download of some 160 MiB, of which 2 MiB are kept).

    Example: `tessera guest setup`
    """
    if cbmc:
        with progress() as say:
            found = modelchecker.setup(say)
        typer.echo(f"CBMC {found.version}: ready")
        return
    if builds:
        with progress() as say:
            offered = releases.setup(say, refresh=refresh)
        for one in offered:
            typer.echo(f"OP-TEE {one.version}: {one.reason or 'ready'}")
        return
    with progress() as say:
        parts = toolchain.setup(say, refresh=refresh)
    typer.echo(f"OP-TEE {parts.optee}, TF-A {parts.tfa}, {parts.kernel}: ready in {cache.root()}")


@group.command()
def build(
    patch: PatchOption = None,
    tree: TreeOption = None,
    crypto: CryptoOption = Crypto.SOFTWARE.value,
) -> None:
    """Build OP-TEE and TF-A; what was built before is found in the cache.

    Example: `tessera guest build --patch out/priority.patch`
    """
    means = Crypto.named(crypto)
    with progress() as say:
        made = building.build(read_patch(patch), tree, say, means)
    typer.echo(f"OP-TEE {made.version}{' (patched)' if made.patched else ''}: {made.dir}")


def _talk(command: str, timeout: float, patch: Path | None, tree: Path | None, crypto: str) -> int:
    """Boot, run one command, print what it printed; the exit code is the command's."""
    means = Crypto.named(crypto)
    with progress() as say:
        made = building.build(read_patch(patch), tree, say, means)
        say("booting")
        with machine.boot(made, name="run", lifetime=timeout + 600) as guest:
            say(f"ready after {guest.ready_seconds:.1f} s; running: {command}")
            result = guest.run(command, timeout)
    typer.echo(result.output)
    return result.status


TimeoutOption = Annotated[float, typer.Option(help="Seconds until the command is ended.", min=1)]


@group.command(context_settings={"ignore_unknown_options": True})
def run(
    words: Annotated[list[str], typer.Argument(metavar="CMD...", help="A shell command.")],
    patch: PatchOption = None,
    tree: TreeOption = None,
    crypto: CryptoOption = Crypto.SOFTWARE.value,
    timeout: TimeoutOption = 120,
) -> None:
    """Boot the guest, run a command in it as root, and leave with its exit status.

    One word is a line for the guest's shell; several are a command and its arguments.

    Example: `tessera guest run -- 'ls -l /dev/tee*; dmesg | grep optee'`
    """
    line = words[0] if len(words) == 1 else shlex.join(words)
    raise typer.Exit(_talk(line, timeout, patch, tree, crypto))


@group.command()
def xtest(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="[FILTER]...", help="Cases to run, e.g. 1004.")
    ] = None,
    patch: PatchOption = None,
    tree: TreeOption = None,
    crypto: CryptoOption = Crypto.SOFTWARE.value,
    timeout: TimeoutOption = 1800,
) -> None:
    """Run OP-TEE's own regression tests (all of them take about 6 minutes).

    Example: `tessera guest xtest 1004 1013`
    """
    raise typer.Exit(_talk(shlex.join(["xtest", *(filters or [])]), timeout, patch, tree, crypto))


@group.command()
def shell(
    patch: PatchOption = None,
    tree: TreeOption = None,
    crypto: CryptoOption = Crypto.SOFTWARE.value,
) -> None:
    """Boot the guest and run the commands that you type, one per line, until end of input.

    Example: `echo 'xtest 1004' | tessera guest shell`
    """
    means = Crypto.named(crypto)
    with progress() as say:
        made = building.build(read_patch(patch), tree, say, means)
    with machine.boot(made, name="shell", lifetime=24 * 3600) as guest:
        typer.echo(f"ready after {guest.ready_seconds:.1f} s; end with Ctrl-D", err=True)
        while True:
            try:
                line = input("guest# " if sys.stdin.isatty() else "")
            except EOFError:
                return
            result = guest.run(line, 600)
            typer.echo(result.output)
            if result.status != 0:
                typer.echo(f"[exit status {result.status}]", err=True)


@group.command()
def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the fetched parts, not only what was built.")
    ] = False,
) -> None:
    """Remove what was built (and with --all what was fetched) from the cache.

    Example: `tessera guest clean --all`
    """
    root = cache.root()
    built = ("builds", "work", "tfa", "initramfs", "tas", "clients", "tmp")
    fetched = ("packages", "sources", "apt", "toolchain.json", "locks")
    for name in built + (fetched if everything else ()):
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    typer.echo(f"removed from {root}: {'everything' if everything else 'what was built'}")
