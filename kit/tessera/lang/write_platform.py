"""A platform with all its places chosen, as the text of a .tess file.

Goal: a file that the language reads back to the same regions, constraints and configuration, with
every base and size a number.
Non-goals: comments of the original (the new file names it), and formatting of other items.
"""

from __future__ import annotations

from tessera.lang.show import hexadecimal, show
from tessera.lang.typed_layout import Area, Layout, Places

_SCALES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def size_text(size: int) -> str:
    """A number of bytes as one writes it, e.g. `64 MiB`."""
    for word, scale in _SCALES:
        if size and size % scale == 0:
            return f"{size // scale} {word}"
    return str(size)


def address_text(address: int) -> str:
    """An address with at least eight digits, e.g. `0x0e10_0000`."""
    return hexadecimal(address) if address >= 1 << 16 else f"0x0000_{address:04x}"


def platform_text(layout: Layout, places: Places, how: str) -> str:
    """The whole file; `how` says in a comment where the places come from."""
    lines = [f"# Written by `{how}`", f"# from {layout.file}.", ""]
    lines += [f'platform {layout.name} "{layout.doc}" {{']
    lines += [f"  granule {size_text(layout.granule)}"]
    lines += [f"  width usize = {layout.usize}", f"  width paddr = {layout.paddr}"]
    lines += [f"  width reach = {layout.reach}", ""]
    lines += [f"  {_region(area, *places[area.name], layout.granule)}" for area in layout.areas]
    if layout.demands:
        lines.append("")
    for demand in layout.demands:
        lines.append(f"  require {demand.name}{_doc(demand.doc)}: {demand.text}")
    if layout.settings:
        lines.append("")
    for setting in layout.settings:
        values = ", ".join(show(value) for value in setting.values)
        lines.append(f'  config {setting.kind} "{setting.key}" = {values}')
    if layout.expects:
        lines.append("")
    lines += [f"  expect {name} {verdict}" for name, verdict in layout.expects.items()]
    return "\n".join([*lines, "}", ""])


def _doc(text: str) -> str:
    return f' "{text}"' if text else ""


def _region(area: Area, base: int, size: int, granule: int) -> str:
    where = f"in {area.parent}" if area.parent is not None else area.world
    align = f" align {size_text(area.align)}" if area.align != granule else ""
    place = f"at {address_text(base)}{align} for {size_text(size)}"
    return f"region {area.name} {where} {place}{_doc(area.doc)}"
