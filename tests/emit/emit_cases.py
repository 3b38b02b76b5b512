"""Texts and places that several tests of the emitter use."""

from __future__ import annotations

from pathlib import Path

TOY_TREE = Path(__file__).parent / "tree"
DNN = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"
HEAD = 'use "optee/pool.tess"\nuse "optee/platforms/qemu_armv8a.tess"\n'
CLASSES = f'class ordinary\nclass inference > ordinary {{ ta "{DNN}" "digits" }}\n'
PRIORITY = """
param reserve: u32 granules = 8 MiB
policy {
  function window(k: class): interval = if k == inference
    then [pool_pages - min(reserve, pool_pages), pool_pages)
    else [0, pool_pages - min(reserve, pool_pages))
  function spill(k: class): class = if k == inference then ordinary else k
  const scrub: scrub_mode = owned
}
"""
