"""A tree that make can build: two files, a header, and settings that it takes or refuses."""

from __future__ import annotations

import difflib
from pathlib import Path

from tessera.conform.build_cells import Configuration, Core

HOST = Core("host", "", {}, ())
STATS = Configuration("host/stats", HOST, {"CFG_WITH_STATS": "y"})
NO_STATS = Configuration("host/no-stats", HOST, {"CFG_WITH_STATS": "n"})
PAGER = Configuration("host/pager", HOST, {"CFG_WITH_STATS": "y", "CFG_WITH_PAGER": "y"})
GUESTS = Configuration("host/guests", HOST, {"CFG_WITH_STATS": "n", "CFG_NS_VIRTUALIZATION": "y"})

MAKEFILE = """\
ifeq ($(CFG_WITH_PAGER),y)
$(warning Warning: Disabling CFG_WITH_PAGER [requires CFG_MORE])
override CFG_WITH_PAGER := n
endif
ifeq ($(CFG_NS_VIRTUALIZATION)-$(CFG_WITH_STATS),y-n)
$(error CFG_NS_VIRTUALIZATION and no statistics are incompatible)
endif
$(O)/conf.mk:
	@mkdir -p $(@D)
	@echo CFG_WITH_STATS=$(CFG_WITH_STATS) > $@
	@echo CFG_WITH_PAGER=$(CFG_WITH_PAGER) >> $@
$(O)/%.o: %.c include/pool.h
	@mkdir -p $(@D)
	@gcc -Wall -Iinclude $(if $(filter y,$(CFG_WITH_STATS)),-DCFG_WITH_STATS) -c $< -o $@
"""

POOL_C = """\
#include "pool.h"

int pool_room(struct pool *pool)
{
	return pool->size - pool->taken;
}

int pool_take(struct pool *pool, int size)
{
	if (size > pool_room(pool))
		return -1;
	pool->taken += size;
	return 0;
}
"""

OBJECT_C = """\
#include "pool.h"

void object_free(struct pool *pool, int size)
{
	pool->taken -= size;
}
"""

FILES = {
    "Makefile": MAKEFILE,
    "include/pool.h": "struct pool {\n\tint size;\n\tint taken;\n};\n",
    "core/pool.c": POOL_C,
    "core/object.c": OBJECT_C,
}

HEAD = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Person <person@example.invalid>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH] core: pool: count what is taken

Somebody wants to know.

Signed-off-by: A Person <person@example.invalid>
---
"""


def made_tree(folder: Path, **changed: str) -> Path:
    """The tree in `folder/tree`; `changed` are other texts, `pool_c` for `pool.c`."""
    tree = folder / "tree"
    for name, text in FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.name.replace(".", "_"), text), encoding="utf-8")
    return tree


def changes(tree: Path, *edits: tuple[str, str, str]) -> str:
    """A mail that puts `new` where `old` stands, for each (file, old, new)."""
    out = HEAD
    for file, old, new in edits:
        text = (tree / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        lines = [t.splitlines(keepends=True) for t in (text, text.replace(old, new))]
        out += f"diff --git a/{file} b/{file}\n"
        out += "".join(difflib.unified_diff(*lines, f"a/{file}", f"b/{file}"))
    return out + "-- \nsomebody\n"
