"""`tessera layout`: the physical memory map of a platform, proved, drawn, or chosen.

Goal: load a platform, prove its layout, choose what is open, print values to configure.
Non-goals: proofs and choices (see `tessera.prove.layout`) and pictures
(see `tessera.report.memory_map`).
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tessera import resources
from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.lang.diagnostics import nearest
from tessera.lang.literals import SCALES
from tessera.lang.load import load_layout
from tessera.lang.typed_layout import KINDS, Layout, Places
from tessera.lang.write_platform import address_text, platform_text, size_text
from tessera.prove.layout import Arrangement, lay_out, settings
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.report.files import to_text, write_text
from tessera.report.memory_map import depth, map_strips, map_svg
from tessera.report.strip import legend, strip_lines
from tessera.report.terminal import print_obligation
from tessera.results import Results

_PLATFORMS = "models/optee/platforms"
_PLAIN_WIDTH = 100
_NUMBER = re.compile(r"(0x[0-9a-fA-F_]+|[0-9][0-9_]*)\s*(KiB|MiB|GiB)?")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="layout")(layout)


def layout(
    spec: Annotated[
        str | None,
        typer.Argument(help="A .tess file with a platform, a shipped platform or a shipped spec."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every shipped platform whose places are fixed.")
    ] = False,
    maximise: Annotated[
        str | None, typer.Option(help="Make this region as large as the constraints allow.")
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", help="Give an open base or size a value: carveout.size=64MiB."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write the platform with its places chosen to this file.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the memory map into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results document.")] = False,
    limit: Annotated[
        int, typer.Option(min=1000, help="Z3 resource units per question.")
    ] = DEFAULT_LIMIT,
    seed: Annotated[int, typer.Option(help="Z3's random seed.")] = 0,
) -> None:
    """Prove the memory map of a platform, and choose the bases and sizes that it leaves open.

    Example: `tessera layout qemu_armv8a_open --maximise ta_ram --fix carveout.size=64MiB`

    Exit code 0: every property is as expected; 1: one is not, or no layout satisfies the
    constraints; 2: bad input; 3: the solver gave up.
    """
    if every:
        _refuse_beside_all(spec, maximise, fix, write, svg)
        raise typer.Exit(_all(as_json=as_json, limit=limit, seed=seed))
    if spec is None:
        raise TesseraError(
            "nothing to lay out",
            remedy=f"name a platform ({', '.join(_platforms())}), or say --all",
        )
    loaded = load_layout(_find(spec))
    fixed = dict(_fixed(text) for text in fix or [])
    status = Console(stderr=True)
    with status.status("choosing places") if status.is_terminal else nullcontext():
        found = lay_out(loaded, maximise=maximise, fixed=fixed, limit=limit, seed=seed)
    results = _results(loaded, found)
    if as_json:
        typer.echo(to_text(results.to_json()), nl=False)
    else:
        _print(loaded, found, results)
    _write_files(loaded, found, results, write, svg, _how(loaded, maximise, fix or []))
    raise typer.Exit(results.exit_code)


def _refuse_beside_all(*given: object) -> None:
    if any(given):
        raise TesseraError(
            "--all looks at every shipped platform and takes no other choice",
            remedy="drop --all, or what stands beside it",
        )


def _platforms() -> list[str]:
    return sorted(file.stem for file in resources.path(_PLATFORMS).glob("*.tess"))


def _find(name: str) -> Path:
    """A path, the name of a shipped platform, or the name of a shipped spec."""
    if Path(name).exists():
        return Path(name)
    if name in _platforms():
        return resources.path(f"{_PLATFORMS}/{name}.tess")
    try:
        return resources.find_spec(name)
    except TesseraError as error:
        remedy = nearest(name, _platforms()) or (
            f"give a path, a shipped platform ({', '.join(_platforms())}) or a shipped spec"
        )
        raise TesseraError(f"there is no platform or spec `{name}`", remedy=remedy) from error


def _fixed(text: str) -> tuple[str, int]:
    key, _, number = text.partition("=")
    found = _NUMBER.fullmatch(number.strip())
    if found is None:
        raise TesseraError(
            f"--fix {text}: not a value",
            remedy="write REGION.size=64MiB or REGION.base=0x4000_0000",
        )
    scale = SCALES[found[2][:2]] if found[2] else 1
    return key.strip(), int(found[1].replace("_", ""), 0) * scale


def _how(loaded: Layout, maximise: str | None, fix: list[str]) -> str:
    """The command in a word, for the comment of a written file."""
    words = ["tessera layout", Path(loaded.file).stem]
    words += ["--maximise", maximise] if maximise else []
    return " ".join([*words, *(f"--fix {text}" for text in fix)])


def _results(loaded: Layout, found: Arrangement) -> Results:
    return Results(
        spec=loaded.name,
        doc=loaded.doc,
        file=loaded.file,
        digest=loaded.digest,
        obligations=found.obligations,
    )


def _write_files(
    loaded: Layout,
    found: Arrangement,
    results: Results,
    write: Path | None,
    svg: Path | None,
    how: str,
) -> None:
    """Files are written only of layouts that keep what they promise."""
    if write is None and svg is None:
        return
    say = Console(stderr=True, highlight=False)
    if found.places is None or (write is not None and results.exit_code != EXIT_OK):
        say.print("nothing is written: the layout is not as expected")
        return
    if write is not None:
        write_text(write, platform_text(loaded, found.places, how))
        say.print(f"written: {escape(str(write))}")
    if svg is not None:
        write_text(svg, map_svg(loaded, found.places))
        say.print(f"drawn: {escape(str(svg))}")


def _print(loaded: Layout, found: Arrangement, results: Results) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    console.print(f"[bold]{escape(loaded.name)}[/]  {escape(loaded.doc)}\n", soft_wrap=True)
    if found.places is not None:
        console.print(_table(loaded, found.places))
        _print_map(loaded, found.places, console)
    if found.conflict:
        _print_conflict(loaded, found, console)
        return
    _print_verdicts(results, console)
    if found.places is not None:
        _print_settings(loaded, found.places, console)


def _table(loaded: Layout, places: Places) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("region", no_wrap=True)
    for heading in ("base", "end", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("world", no_wrap=True)
    table.add_column("", overflow="fold")
    for area in loaded.areas:
        base, size = places[area.name]
        chosen = "[cyan]chosen[/] " if area.fixed is None else ""
        table.add_row(
            "  " * depth(loaded, area) + area.name,
            address_text(base),
            address_text(base + size),
            size_text(size),
            area.world,
            chosen + escape(area.doc),
        )
    return table


def _print_map(loaded: Layout, places: Places, console: Console) -> None:
    strips = map_strips(loaded, places)
    plain = not console.encoding.lower().startswith("utf")
    console.print()
    for line in strip_lines(strips, min(console.width, 120), plain=plain):
        console.print(line, no_wrap=True, crop=False)
    words = legend(strips, plain=plain).replace(" free", " nothing")
    console.print(Text(f"{words}; not to scale\n", style="dim"))


def _print_verdicts(results: Results, console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for obligation in results.obligations:
        if obligation.met:
            note = f"; {obligation.detail}" if obligation.verdict != "PROVED" else ""
            expected = ", as expected" if obligation.verdict != "PROVED" else ""
            table.add_row(
                f"[green]{obligation.verdict}[/]",
                f"[bold]{escape(obligation.property)}[/]",
                escape(f"{obligation.doc}{note}{expected}"),
            )
    console.print(table)
    for obligation in results.obligations:
        if not obligation.met:
            print_obligation(obligation, console)
    met = sum(o.met for o in results.obligations)
    total = len(results.obligations)
    units = sum(o.resource for o in results.obligations)
    console.print(f"{met} of {total} as expected  [dim]({units} Z3 resource units)[/]")


def _print_conflict(loaded: Layout, found: Arrangement, console: Console) -> None:
    """The lines that cannot hold together, each once, with what is asked of it."""
    few = len(found.conflict)
    count = f"{few} constraints" if few != 1 else "One constraint"
    least = "no fewer are in conflict" if found.smallest else "none can be left out"
    console.print(f"[bold red]No layout exists.[/] {count} cannot hold together; {least}:")
    by_line: dict[tuple[str, int], list[str]] = {}
    for span, words in found.conflict:
        by_line.setdefault((span.file, span.line) if span else ("", 0), []).append(words)
    for (file, line), asked in by_line.items():
        lines = loaded.lines.get(file, [])
        text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        console.print(Text(f"  {file}:{line}: {text}"), soft_wrap=True)
        for words in asked:
            console.print(Text(f"      {words}", style="dim"), soft_wrap=True)


def _print_settings(loaded: Layout, places: Places, console: Console) -> None:
    """The values to set, as each program wants them."""
    found = settings(loaded, places)
    for kind in ("optee", "tfa"):
        values = [f"{key}={numbers[0]:#010x}" for k, key, numbers in found if k == kind]
        if values:
            console.print(f"\n[bold]{KINDS[kind]}[/]")
            console.print(Text("  " + " ".join(values)), soft_wrap=True)
    nodes = [(key, numbers) for kind, key, numbers in found if kind == "dt"]
    if nodes:
        console.print(f"\n[bold]{KINDS['dt']}[/]")
        console.print(Text(_reserved(nodes)), soft_wrap=True)


def _reserved(nodes: list[tuple[str, tuple[int, ...]]]) -> str:
    """A reserved-memory node, with addresses and sizes of two cells."""
    out = ["reserved-memory {", "  #address-cells = <2>;", "  #size-cells = <2>;", "  ranges;"]
    for key, (base, size) in nodes:
        cells = " ".join(f"{x >> 32:#x} {x & 0xFFFFFFFF:#x}" for x in (base, size))
        out += [f"  {key}@{base:x} {{", f"    reg = <{cells}>;", "    no-map;", "  };"]
    return "\n".join(f"  {line}" for line in [*out, "};"])


def _all(*, as_json: bool, limit: int, seed: int) -> int:
    """A row per shipped platform."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("platform", "pool", "granules", "for TAs", "paddr", "reach", "as expected", ""):
        right = heading in ("pool", "granules", "for TAs", "paddr", "reach")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    documents, worst = [], EXIT_OK
    for name in _platforms():
        loaded = load_layout(resources.path(f"{_PLATFORMS}/{name}.tess"))
        if loaded.open_areas:
            continue
        results = _results(loaded, lay_out(loaded, limit=limit, seed=seed))
        documents.append(results.to_json())
        worst = max(worst, results.exit_code, key=(EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET).index)
        _row(table, loaded, results)
    if as_json:
        typer.echo(to_text(documents), nl=False)
    else:
        console = Console(highlight=False)
        width = console.width if console.is_terminal else _PLAIN_WIDTH
        Console(highlight=False, width=width).print(table)
    return worst


def _row(table: Table, loaded: Layout, results: Results) -> None:
    places = loaded.places
    pool, ta_ram = (places.get(name, (0, 0))[1] for name in ("pool", "ta_ram"))
    odd = [f"{o.property} {o.verdict}" for o in results.obligations if o.verdict != "PROVED"]
    table.add_row(
        f"[bold]{escape(loaded.name)}[/]",
        size_text(pool),
        str(pool // loaded.granule),
        size_text(ta_ram),
        str(loaded.paddr),
        str(loaded.reach),
        f"{sum(o.met for o in results.obligations)} of {len(results.obligations)}",
        escape(", ".join(odd)),
    )
