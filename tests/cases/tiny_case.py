"""The texts of a tiny case: a counter that passes its limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FACTS = """
title = "A counter passes its limit"
group = "history"
advisories = []
fixes = ["0123abc"]
place = "counter.c, up()"
affected = "all releases"
happened = "The limit was not tested."
model = "One counter of 8 bits."
fix = "The limit is tested."
"""
MODEL = """
interface { function may(n: u8): bool }
var count: u8
init { count := 0 }
action up() {
  require may(count) and count < 9
  count := count + 1
}
invariant below "the counter keeps its limit": count <= 3
cover full "the limit is reached" within 3: count == 3
view strip "counter" { length count zone "limit": 0, 3 as u8 }
"""
DEFECT = """
# Before 0123abc: no test.
spec counter_defect "The limit is not tested."
use "model.tess"
policy { function may(n: u8): bool = true }
expect below violated within 4
"""
FIXED = """
# 0123abc: a test.
spec counter_fixed "The limit | is tested."
use "model.tess"
policy { function may(n: u8): bool = n < 3 }
"""
FILES = {"case.toml": FACTS, "model.tess": MODEL, "defect.tess": DEFECT, "fixed.tess": FIXED}

MakeCase = Callable[..., Path]
