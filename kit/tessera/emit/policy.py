"""What a spec's policy block decides, made ready for emission.

Goal: the window, spill and scrub decisions as closed expressions over the class `k` and the pool's
size; which TA has which class; which decisions differ from what OP-TEE does anyway.
Non-goals: C text (see `render`) and trees (see `source`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.emit.reduce import POOL_PAGES, Reducer
from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.types import CLASS, EnumType, IntType

K = "k"  # the class of a request, in C
_NEEDED = ("window.lo", "window.hi", "spill", "scrub")
_EMITTED = ("window", "spill", "scrub")
_SCRUBS = ("never", "owned", "always")


@dataclass(frozen=True, slots=True)
class Policy:
    """The decisions of one spec.

    `numbers` maps classes to the numbers they have in C, the default class (core and unlisted TAs)
    being 0. `lo` and `hi` are in granules. `scrub` is "never", "owned" or "always".
    """

    spec: t.Spec
    numbers: dict[str, int]
    lo: t.Expr
    hi: t.Expr
    spill: t.Expr
    scrub: str

    @property
    def listed(self) -> tuple[tuple[int, str], ...]:
        """The class number and UUID of every TA that is not of the default class."""
        return tuple(
            (self.numbers[c.name], ta.uuid)
            for c in self.spec.classes
            for ta in c.tas
            if self.numbers[c.name] != 0
        )

    @property
    def windowed(self) -> bool:
        """Whether placement differs from OP-TEE's: some TA is listed and some window is not all."""
        whole = all(self._is_whole(name) for name in self.numbers)
        return bool(self.listed) and not whole

    @property
    def spills(self) -> bool:
        """Whether any class falls back into another's window."""
        return any(self.spill_of(name) != name for name in self.numbers)

    @property
    def zero_in_empty_pool(self) -> bool:
        """Whether the window of every class starts at 0 when the pool's size is 0."""
        reducer = Reducer(self.spec, {POOL_PAGES: 0})
        starts = [_for_class(reducer, self.lo, name) for name in self.numbers]
        return all(isinstance(s, t.IntLit) and s.value == 0 for s in starts)

    def spill_of(self, name: str) -> str:
        """The class whose window a class may fall back into; itself for none."""
        found = _for_class(Reducer(self.spec, {}), self.spill, name)
        if not isinstance(found, t.EnumLit):
            raise TesseraError(
                "spill depends on more than the class",
                where=self.spill.span,
                remedy="let spill(k) name a class for every k",
            )
        return found.name

    def _is_whole(self, name: str) -> bool:
        reducer = Reducer(self.spec, {})
        lo, hi = (_for_class(reducer, e, name) for e in (self.lo, self.hi))
        starts = isinstance(lo, t.IntLit) and lo.value == 0
        return starts and isinstance(hi, t.Apply) and hi.name == POOL_PAGES


def read_policy(spec: t.Spec) -> Policy:
    """The policy of a checked spec; raises `TesseraError` when a decision is missing or not C."""
    _check_emitted(spec)
    missing = [name for name in _NEEDED if name not in spec.functions]
    if missing:
        wanted = ", ".join(sorted({name.split(".")[0] for name in missing}))
        raise TesseraError(
            f"spec '{spec.name}' decides nothing about {wanted}, so there is nothing to emit",
            where=spec.file,
            remedy="give it a policy block; specs/policies/priority.tess shows one",
        )
    reducer = Reducer(spec, {})
    lo, hi, spill = (
        _of_class(reducer, spec.functions[n]) for n in ("window.lo", "window.hi", "spill")
    )
    scrub = reducer.call("scrub")
    if not isinstance(scrub, t.EnumLit) or scrub.name not in _SCRUBS:
        raise TesseraError(
            "scrub is not one of never, owned, always",
            where=spec.functions["scrub"].span,
            remedy="write e.g. `const scrub: scrub_mode = owned`",
        )
    policy = Policy(spec, _numbers(spec), lo, hi, spill, scrub.name)
    _check_one_step(policy)
    return policy


def _check_emitted(spec: t.Spec) -> None:
    """A decision that no hook turns into C would be proved and then silently left out."""
    decided = {n.partition(".")[0]: f for n, f in spec.functions.items() if f.policy}
    others = [n for n in decided if n not in _EMITTED]
    if others:
        names = ", ".join(others)
        raise TesseraError(
            f"spec '{spec.name}' decides {names}, which no hook turns into C; "
            f"{', '.join(_EMITTED)} are all that is emitted",
            where=decided[others[0]].span,
            remedy="use the model optee/pool.tess; specs/policies/priority.tess shows how",
        )


def _of_class(reducer: Reducer, function: t.Function) -> t.Expr:
    """The function's body over the class `k`."""
    if [b.type for b in function.params] != [CLASS]:
        raise TesseraError(
            f"'{function.name}' must take exactly one class",
            where=function.span,
            remedy="write it as a function of `k: class`",
        )
    body = reducer.call(function.name, t.Local(K, CLASS, function.span))
    if isinstance(body.type, IntType) and body.type.width > 32:
        raise TesseraError(
            f"'{function.name}' is {body.type.width} bits wide; granules are u32 in OP-TEE",
            where=function.span,
            remedy="give it the type `u32 granules`",
        )
    return body


def _for_class(reducer: Reducer, expr: t.Expr, name: str) -> t.Expr:
    return reducer.reduce(expr, {K: t.EnumLit(name, EnumType("class"), expr.span)})


def _numbers(spec: t.Spec) -> dict[str, int]:
    """Class numbers by declaration, the default class first.

    The default class is the lowest one; where several are lowest, the one without TAs.
    """
    lowest = [c for c in spec.classes if not c.above]
    if len(lowest) > 1:
        lowest = [c for c in lowest if not c.tas]
    if len(lowest) != 1:
        names = ", ".join(c.name for c in lowest) or "none"
        raise TesseraError(
            f"the class of the core and of unlisted TAs is not clear (candidates: {names})",
            where=spec.file,
            remedy="let every other class outrank one class, e.g. `class inference > ordinary`",
        )
    ordered = [lowest[0], *(c for c in spec.classes if c is not lowest[0])]
    return {c.name: number for number, c in enumerate(ordered)}


def _check_one_step(policy: Policy) -> None:
    """The model falls back once; the emitted search follows spill until it rests."""
    for name in policy.numbers:
        once = policy.spill_of(name)
        twice = policy.spill_of(once)
        if once != twice:
            raise TesseraError(
                f"spill goes from {name} to {once} and on to {twice}; a request falls back once",
                where=policy.spill.span,
                remedy=f"let spill({once}) be {once}, or spill({name}) be {twice}",
            )
