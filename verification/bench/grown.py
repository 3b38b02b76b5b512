"""Specs of any size for benchmarks: a pool allocator with so many classes and so many pools.

Goal: one small machine whose only difference is the number that is varied.
Non-goals: realism (the shipped policies are measured too).
"""

from __future__ import annotations

SPEC = """
spec grown_{classes}_{pools} "A pool allocator with {classes} classes and {pools} pools."
{class_lines}
enum place {{ {places} }}
sort block as b
const pages(p: place): u32
var live(b: block): bool
var home(b: block): place
var start(b: block): u32
var fin(b: block): u32
var rank(b: block): class

assume roomy: forall p: place: pages(p) >= {classes}

function low(p: place, k: class): u32 =
  {bounds}

init {{ for b: block {{ live(b) := false }} }}

action alloc(p: place, k: class, n: u32) "first fit from the class's own bound up" {{
  least o: u32 where low(p, k) <= o and o < o + n and o + n <= pages(p) and
    (forall b in live where home(b) == p: fin(b) <= o or o + n <= start(b))
  fresh e: block where not live(e)
  live(e) := true
  home(e) := p
  start(e) := o
  fin(e) := o + n
  rank(e) := k
}}

action free(e: block) {{
  require live(e)
  live(e) := false
}}

invariant disjoint:
  forall a, b in live where a != b and home(a) == home(b): fin(a) <= start(b) or fin(b) <= start(a)
invariant inside: forall a in live: start(a) < fin(a) and fin(a) <= pages(home(a))
invariant window: forall a in live: low(home(a), rank(a)) <= start(a)
"""


def grown(classes: int, pools: int) -> str:
    """The text of the spec; class i starts at i parts of its pool."""
    names = [f"c{i}" for i in range(classes)]
    lines = "\n".join(
        f"class {name} > {names[i - 1]}" if i else f"class {name}" for i, name in enumerate(names)
    )
    bounds = "0"
    for i in range(1, classes):
        bounds = f"if k == c{i} then pages(p) / {classes} * {i} else {bounds}"
    places = ", ".join(f"p{i}" for i in range(pools))
    return SPEC.format(
        classes=classes, pools=pools, class_lines=lines, places=places, bounds=bounds
    )
