"""The tier `smt`: every decision of the patch, read back from its C, equals the spec's function.

Goal: `run`, the checks of this tier: one for each decision, and one that every line of the patch is
read; none of them runs the C.
Non-goals: the loop over the list as a whole (see the tiers `host` and `cbmc`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from tessera.conform.ctypes_of import MODELS
from tessera.conform.patched import Patched, read_patched
from tessera.conform.prepared import Prepared
from tessera.conform.question import Asker, Question, SpecValues
from tessera.conform.result import Check
from tessera.conform.smt_class import Classes
from tessera.conform.smt_questions import Search
from tessera.conform.smt_scrub import PLACES, Scrubs
from tessera.conform.tiers import Options
from tessera.emit.policy import Policy, read_policy
from tessera.lang.typed import Spec

_CORES = f"{len(MODELS)} data models"


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier.

    Raises TesseraError for a spec whose policy has no C form, and for a tree without hooks.
    """
    policy = read_policy(spec)
    began = time.perf_counter()
    patched = read_patched(ready)
    yield _all_read(patched, time.perf_counter() - began)
    asker = Asker(SpecValues(spec, policy.numbers), options.limit)
    if policy.windowed or patched.uuids or "class" in patched.parts:
        yield from _classes(spec, policy, patched, asker)
    search = Search(patched, policy.numbers)
    kinds = f"{len(policy.numbers)} classes, {_CORES}"
    sets: list[tuple[str, str, str, Iterable[Question]]] = [
        ("window.lo", "window-lo", f"for every pool, {kinds}", search.window_lo()),
        ("window.hi", "window-hi", f"for every place and request, {kinds}", search.window_hi()),
        ("search", "skip-below", f"for every gap and request, {kinds}", search.search()),
        ("offset", "offset", f"for every gap that is taken, {kinds}", search.offset()),
        ("spill", "fall-back", f"for every pool, {kinds}", search.spill()),
    ]
    if policy.windowed or "pool-init" in patched.parts:
        sets.insert(0, ("pages", "pool-init", f"for every pool, {_CORES}", search.pages()))
    for name, hook, detail, questions in sets:
        options.progress(f"smt: {name}")
        yield asker.check(name, list(questions), detail, _where(patched, hook))
    yield from _scrubs(patched, asker)


def _classes(spec: Spec, policy: Policy, patched: Patched, asker: Asker) -> Iterator[Check]:
    classes = Classes(spec, patched, policy.numbers)
    yield classes.uuids()
    detail = f"for every thread, context and UUID, {_CORES}"
    where = _where(patched, "class")
    yield asker.check("class", list(classes.questions()), detail, where)


def _scrubs(patched: Patched, asker: Asker) -> Iterator[Check]:
    scrubs = Scrubs(patched, asker.values.constant("scrub"))
    for place in PLACES:
        if scrubs.needed(place):
            detail = f"scrub is {scrubs.mode}; for every block below 4 GiB, {_CORES}"
            where = _where(patched, place.hook)
            questions = list(scrubs.questions(place))
            yield asker.check(f"scrub/{place.function}", questions, detail, where)


def _where(patched: Patched, hook: str) -> str:
    part = patched.parts.get(hook)
    return part.where if part is not None else ""


def _all_read(patched: Patched, seconds: float) -> Check:
    """Every line that the patch adds is part of something that is compared, where it belongs."""
    lines = sum(len(source.added) for source in patched.sources.values())
    counts = {"lines": lines, "statements": len(patched.parts)}
    if not patched.unread:
        detail = f"{lines} added lines, {len(patched.parts)} statements, all where hooks put them"
        return Check("smt", "smt/patch", "AGREES", detail, counts, seconds)
    where, reason = patched.unread[0]
    trace = tuple(f"{place}: {why}" for place, why in patched.unread)
    detail = f"{reason}; another tier has to tell"
    return Check("smt", "smt/patch", "UNKNOWN", detail, counts, seconds, where, trace)
