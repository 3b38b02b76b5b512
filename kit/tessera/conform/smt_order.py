"""The order of the patch's statements and OP-TEE's own: what must have happened before what.

Goal: for each added statement the facts about its place on which its meaning rests, such as that
memory is cleared before it can be taken again; broken ones are differences.
Non-goals: that a statement stands exactly where its hook puts it (see `patched`), and jumps: the
functions concerned run from top to bottom, but for the second search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tessera.conform.patched import Part, Patched
from tessera.conform.result import Check
from tessera.emit import csyntax as c

Finds = Callable[[c.Action], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A part stands before, or after, every statement of its function that `finds` finds."""

    hook: str
    before: bool
    finds: Finds
    otherwise: str


def _calls(name: str) -> Finds:
    def finds(what: c.Action) -> bool:
        match what:
            case c.Do(c.Call(called)) | c.If(c.Unary("!", c.Call(called))):
                return called == name
        return False

    return finds


def _assigns(target: str, value: str = "") -> Finds:
    def finds(what: c.Action) -> bool:
        match what:
            case c.Assign(to, _, given):
                return c.show(to) == target and value in ("", c.show(given))
        return False

    return finds


def _label(name: str) -> Finds:
    return lambda what: what == c.Label(name)


def _is_null(name: str) -> Finds:
    def finds(what: c.Action) -> bool:
        return isinstance(what, c.If) and what.test == c.Unary("!", c.Name(name))

    return finds


_FREE = "memory is cleared after it was given back"
RULES = (
    Rule("scrub-fobj", True, _calls("tee_mm_free"), _FREE),
    Rule("scrub-image", True, _calls("tee_mm_free"), _FREE),
    Rule("scrub-image-error", True, _calls("tee_mm_free"), _FREE),
    Rule("scrub-always", True, _assigns("entry->next", "entry->next->next"), _FREE),
    Rule("window-hi", True, _calls("tee_mm_add"), "a refused entry is in the list already"),
    Rule("skip-below", False, _assigns("psize"), "the request has no size yet"),
    Rule("skip-below", False, _assigns("entry", "pool->entry"), "the search has not begun"),
    Rule("offset", False, _assigns("nn->offset"), "OP-TEE sets the offset afterwards"),
    Rule("pool-init", False, _calls("tee_mm_init"), "tee_mm_init() clears it afterwards"),
    Rule("window-lo", False, _label("again"), "the second search keeps the first one's window"),
    Rule("fall-back", False, _label("err"), "no failed search comes by"),
    Rule("fall-back", True, _calls("free_flags"), "the entry is freed already"),
    Rule("again", False, _assigns("exceptions"), "the second search takes the lock again"),
    Rule("offset", True, _calls("cpu_spin_unlock_xrestore"), "the lock is given up already"),
    Rule("scrub-image", False, _is_null("handle"), "there may be no image yet"),
    Rule("scrub-image-error", False, _label("err"), "no image that fails comes by"),
)


def in_order(patched: Patched) -> Check:
    """The check `smt/order`."""
    began = time.perf_counter()
    rules = [rule for rule in RULES if rule.hook in patched.parts]
    broken = [told for rule in rules for told in _broken(patched, rule)]
    broken += list(_without_lock(patched))
    seconds = time.perf_counter() - began
    counts = {"rules": len(rules)}
    if not broken:
        detail = f"{len(rules)} rules about what comes before what"
        return Check("smt", "smt/order", "AGREES", detail, counts, seconds)
    where, detail = broken[0]
    trace = tuple(f"{place}: {reason}" for place, reason in broken)
    return Check("smt", "smt/order", "DIFFERS", detail, counts, seconds, where, trace)


def _broken(patched: Patched, rule: Rule) -> Iterator[tuple[str, str]]:
    part = patched.parts[rule.hook]
    for line in _lines(patched, part, rule.finds):
        wrong = line < part.statement.first if rule.before else line > part.statement.first
        if wrong:
            yield part.where, f"{rule.otherwise} (line {line})"


def _lines(patched: Patched, part: Part, finds: Finds) -> list[int]:
    """The first lines of the tree's statements that are found in the part's function."""
    function = patched.function(part.file, part.function)
    own = range(part.statement.first, part.statement.last + 1)
    return [
        statement.first
        for statement in c.walk(function.body if function is not None else ())
        if finds(statement.what) and statement.first not in own
    ]


def _without_lock(patched: Patched) -> Iterator[tuple[str, str]]:
    """Between the label of failure and the second search the lock is still held."""
    part = patched.parts.get("fall-back")
    if part is None:
        return
    start = max(_lines(patched, part, _label("err")), default=0)
    for line in _lines(patched, part, _calls("cpu_spin_unlock_xrestore")):
        if start <= line < part.statement.first:
            yield part.where, f"the second search runs without the lock (line {line})"
