"""Mutation operators on expressions: the small mistakes that a person makes.

Goal: for every node of an expression, the nodes that a slip of the pen would put there, each of
the same type. An operator that would give the same node gives nothing.
Non-goals: statements (see `tessera.mutate.changes`), and judging (see `tessera.mutate.trial`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tessera.lang import typed as t
from tessera.lang.types import BOOL, EnumType, IntType, SortType
from tessera.mutate.sites import Site, sites, without

_SWAPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_SWAPPED_NAMES = {
    **{"<": "allow-equal", "<=": "forbid-equal", ">": "allow-equal", ">=": "forbid-equal"},
    **{"==": "unequal", "!=": "equal"},
}
_WIDTHS = (8, 16, 32, 64)
_SHIFTS = ("<<", ">>")


@dataclass(frozen=True, slots=True)
class Slip:
    """A changed expression. `kind` is "" where it depends on the place (guard, update, policy)."""

    kind: str
    operator: str
    node: t.Expr  # what was changed
    put: t.Expr  # what stands there now
    whole: t.Expr  # the expression around it, changed


@dataclass(frozen=True, slots=True)
class _New:
    kind: str
    operator: str
    node: t.Expr


def slips(spec: t.Spec, expr: t.Expr) -> Iterator[Slip]:
    """Every changed expression; outermost places first, then in the order of the operators."""
    for site in sites(expr):
        for new in _at(spec, site):
            yield Slip(new.kind, new.operator, site.node, new.node, site.put(new.node))
        if isinstance(site.node, t.Quant):
            quant = site.node
            for part, rest in without(quant.guard):
                yield Slip("guard", "drop", part, rest, site.put(replace(quant, guard=rest)))


def _at(spec: t.Spec, site: Site) -> Iterator[_New]:
    match site.node:
        case t.Binary():
            yield from _binary(site, site.node)
        case t.Ite():
            yield from _if(site.node)
        case t.Cast():
            yield from _cast(site, site.node)
        case t.EnumLit():
            yield from _member(spec, site.node)
        case t.BoolLit():
            yield from _truth(site, site.node)
        case t.IntLit():
            if _is_bound(site):
                yield from _off_by_one(site.node)
        case t.Apply():
            yield from _named(spec, site.node)


# --- operators ------------------------------------------------------------------------------------


def _binary(site: Site, node: t.Binary) -> Iterator[_New]:
    if node.op in _SWAPPED and _comparable(node):
        swapped = replace(node, op=_SWAPPED[node.op])
        yield _New("", _SWAPPED_NAMES[node.op], swapped)
    if node.op == "<" and isinstance(node.left.type, EnumType):
        same = replace(node, op="==")
        yield _New("", "allow-equal", t.Binary("or", node, same, BOOL, node.span))
    if node.op in ("min", "max"):
        yield _New("bound", "swap", replace(node, op="max" if node.op == "min" else "min"))
    if node.op in ("+", "-") and isinstance(node.type, IntType) and not _is_shift_count(site):
        yield from _off_by_one(node)
    if node.op in _SHIFTS and isinstance(node.left, t.Cast):
        source, target = node.left.arg.type, node.type
        assert isinstance(source, IntType)
        assert isinstance(target, IntType)
        if source.width != target.width:
            narrow = IntType(source.width, target.unit)
            shifted = replace(node, left=node.left.arg, type=narrow)
            yield _New("width", "shift-first", t.Cast(shifted, target, node.span))


def _comparable(node: t.Binary) -> bool:
    """Order among classes is partial; there `<` has an operator of its own."""
    return isinstance(node.left.type, IntType) or node.op in ("==", "!=")


def _is_shift_count(site: Site) -> bool:
    parent = site.parent
    return isinstance(parent, t.Binary) and parent.op in _SHIFTS and site.index == 1


def _is_bound(site: Site) -> bool:
    """A number that is neither an address nor a number of bits."""
    type_ = site.node.type
    return isinstance(type_, IntType) and type_.unit != "bytes" and not _is_shift_count(site)


def _off_by_one(node: t.Expr) -> Iterator[_New]:
    """One more and one less: of a bound in granules, one granule."""
    assert isinstance(node.type, IntType)
    if isinstance(node, t.IntLit):
        if node.value < (1 << node.type.width) - 1:
            yield _New("bound", "plus-one", replace(node, value=node.value + 1))
        if node.value > 0:
            yield _New("bound", "minus-one", replace(node, value=node.value - 1))
        return
    one = t.IntLit(1, node.type, node.span)
    for name, op in (("plus-one", "+"), ("minus-one", "-")):
        yield _New("bound", name, t.Binary(op, node, one, node.type, node.span))


def _if(node: t.Ite) -> Iterator[_New]:
    if node.then != node.other:
        yield _New("", "branches", replace(node, then=node.other, other=node.then))


def _cast(site: Site, node: t.Cast) -> Iterator[_New]:
    """Through a narrower type, through a wider one, and on the other side of a shift."""
    source = node.arg.type
    assert isinstance(source, IntType)
    narrower = [w for w in _WIDTHS if w < min(node.type.width, source.width)]
    for width in narrower[-2:]:
        through = t.Cast(node.arg, IntType(width, source.unit), node.span)
        yield _New("width", f"u{width}", t.Cast(through, node.type, node.span))
    parent = site.parent
    if isinstance(parent, t.Cast) and node.type.width < min(source.width, parent.type.width):
        # A truncation between two wider types: here it may be made less narrow.
        for width in [w for w in _WIDTHS if node.type.width < w <= source.width][:1]:
            yield _New(
                "width", f"u{width}", t.Cast(node.arg, IntType(width, node.type.unit), node.span)
            )
    shifted = node.arg
    if isinstance(shifted, t.Binary) and shifted.op in _SHIFTS and node.type.width != source.width:
        left = shifted.left.type
        assert isinstance(left, IntType)
        cast = t.Cast(shifted.left, IntType(node.type.width, left.unit), node.span)
        yield _New("width", "cast-first", replace(shifted, left=cast, type=node.type))


def _member(spec: t.Spec, node: t.EnumLit) -> Iterator[_New]:
    for member in spec.enums[node.type.name]:
        if member != node.name:
            yield _New("", member, replace(node, name=member))


def _truth(site: Site, node: t.BoolLit) -> Iterator[_New]:
    """Not where nothing was written: the guard of a quantifier."""
    if not (isinstance(site.parent, t.Quant) and site.index == 0):
        yield _New("", "false" if node.value else "true", replace(node, value=not node.value))


def _named(spec: t.Spec, node: t.Apply) -> Iterator[_New]:
    base, dot, end = node.name.rpartition(".")
    if dot and end in ("lo", "hi"):
        other = replace(node, name=f"{base}.{'hi' if end == 'lo' else 'lo'}")
        yield _New("bound", "other-end", other)
    if node.kind == "const" and not node.args and isinstance(node.type, SortType):
        for name in spec.sort_elements(node.type):
            if name != node.name:
                yield _New("", name, replace(node, name=name))


def ends(expr: t.Expr) -> Iterator[Slip]:
    """One granule more and less of each result of a function that gives an end of an interval."""
    for site in sites(expr):
        inside = isinstance(site.parent, t.Ite) and site.index > 0
        leaf = not isinstance(site.node, t.Ite | t.IntLit)
        arithmetic = isinstance(site.node, t.Binary) and site.node.op in ("+", "-")
        if leaf and not arithmetic and (site.parent is None or _result(expr, site, inside)):
            for new in _off_by_one(site.node):
                yield Slip(new.kind, new.operator, site.node, new.node, site.put(new.node))


def _result(expr: t.Expr, site: Site, inside: bool) -> bool:
    """Whether the place is a result of the outermost `if`s, not of one deep inside."""
    return inside and any(site.node is leaf for leaf in _leaves(expr))


def _leaves(expr: t.Expr) -> Iterator[t.Expr]:
    if isinstance(expr, t.Ite):
        yield from _leaves(expr.then)
        yield from _leaves(expr.other)
    else:
        yield expr
