"""Where the watchers of an OP-TEE core look (symbols, field offsets), and how large it is.

Runs with Debian's own python, which has pyelftools:  python3 elf_layout.py tee.elf  prints JSON:
{"symbols": {name: [address, size]}, "fields": {"struct.field": offset}, "sizes": {struct: bytes},
"sections": {"text": bytes, "data": bytes, "bss": bytes}}.
"""

import json
import sys
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

WANTED = {
    "_tee_mm_pool_t": ("entry", "lo", "size", "flags", "shift"),
    "_tee_mm_entry_t": ("pool", "next", "offset", "size"),
    "core_mmu_config": ("map_offset",),
    "thread_ctx": ("tsd",),
    "thread_core_local": ("curr_thread",),
    "thread_specific_data": ("ctx",),
    "ts_ctx": ("uuid",),
}
UNITS = (b"core/mm/tee_mm.c", b"core/kernel/thread.c", b"core/mm/core_mmu.c")


def structs(elf):
    """(name, size, {field: offset}) of every wanted structure in the units that know them."""
    for unit in elf.get_dwarf_info().iter_CUs():
        top = unit.get_top_DIE()
        if not top.attributes["DW_AT_name"].value.endswith(UNITS):
            continue
        for entry in top.iter_children():
            name = entry.attributes.get("DW_AT_name")
            if entry.tag != "DW_TAG_structure_type" or name is None:
                continue
            known = name.value.decode()
            if known in WANTED and "DW_AT_byte_size" in entry.attributes:
                fields = {
                    field.attributes["DW_AT_name"].value.decode(): field.attributes[
                        "DW_AT_data_member_location"
                    ].value
                    for field in entry.iter_children()
                    if "DW_AT_name" in field.attributes
                    and "DW_AT_data_member_location" in field.attributes
                }
                yield known, entry.attributes["DW_AT_byte_size"].value, fields


def sections(elf):
    """Bytes of code and constants, of variables with a value, and of those that start as zero."""
    totals = {"text": 0, "data": 0, "bss": 0}
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if not flags & SH_FLAGS.SHF_ALLOC:
            continue
        if section["sh_type"] == "SHT_NOBITS":
            kind = "bss"
        else:
            kind = "data" if flags & SH_FLAGS.SHF_WRITE else "text"
        totals[kind] += section["sh_size"]
    return totals


def main() -> None:
    """Print what was found; what is missing is missing in the output, too."""
    with Path(sys.argv[1]).open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        symbols = {
            s.name: [s["st_value"], s["st_size"]]
            for s in table.iter_symbols()
            if s["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
        }
        fields, sizes = {}, {}
        for name, size, found in structs(elf):
            sizes[name] = size
            for field in WANTED[name]:
                if field in found:
                    fields[f"{name}.{field}"] = found[field]
        found = {"symbols": symbols, "fields": fields, "sizes": sizes, "sections": sections(elf)}
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
