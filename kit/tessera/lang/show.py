"""Typed expressions back to readable one-line text.

Goal: text that a reader of the spec recognises and that parses to the same expression again, for
messages, reports and traces.
Non-goals: layout of whole files (a formatter works on the surface syntax) and line breaking.
"""

from __future__ import annotations

from tessera.lang import typed as t
from tessera.lang.types import BOOL, CLASS, IntType, NatType

# How tightly each construct binds; what binds looser than its place takes gets parentheses.
_ANY, _IMPLIES, _OR, _AND, _NOT, _COMPARE = range(6)
_BITS, _SHIFT, _SUM, _PRODUCT, _CAST, _UNARY, _ATOM = range(6, 13)
_LEVELS = {
    "=>": _IMPLIES,
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARE),
    **dict.fromkeys(("|", "^", "&"), _BITS),
    **dict.fromkeys(("<<", ">>"), _SHIFT),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
}
_KI, _MI = 1 << 10, 1 << 20
_LARGEST_DECIMAL = 0xFFFF


def show(expr: t.Expr, *, atom: bool = False) -> str:
    """The expression as one line; with `atom`, in parentheses unless it is a single thing."""
    return _at(expr, _ATOM if atom else _ANY)


def _at(expr: t.Expr, level: int) -> str:
    """The text of a subexpression in a place that takes what binds at least as tightly."""
    own, text = _show(expr)
    return text if own >= level else f"({text})"


def _show(expr: t.Expr) -> tuple[int, str]:
    match expr:
        case t.IntLit():
            return _ATOM, _number(expr)
        case t.BoolLit():
            return _ATOM, "true" if expr.value else "false"
        case t.EnumLit() | t.Local():
            return _ATOM, expr.name
        case t.Apply():
            return _ATOM, _apply(expr)
        case t.Unary(op="not"):
            return _NOT, f"not {_at(expr.arg, _ATOM)}"
        case t.Unary():
            return _UNARY, f"{expr.op}{_at(expr.arg, _UNARY)}"
        case t.Binary():
            return _binary(expr)
        case t.Ite():
            parts = (show(part) for part in (expr.test, expr.then, expr.other))
            return _ANY, "if {} then {} else {}".format(*parts)
        case t.Cast():
            return _CAST, f"{_at(expr.arg, _CAST)} as {_target(expr)}"
        case t.Quant():
            return _ANY, _quantified(expr)
        case t.Old():
            return _ATOM, f"old({show(expr.arg)})"
        case t.Exact():
            return _ATOM, f"exact({_exact(expr.args)})"
        case t.Succeeds():
            return _COMPARE, _succeeds(expr)


def _number(expr: t.IntLit) -> str:
    """A literal in its unit; large values as multiples or in hexadecimal."""
    value, unit = expr.value, _unit(expr)
    if isinstance(expr.type, NatType) or value == 0:
        return str(value)
    if unit == "bytes" and value % _KI == 0 and value <= 64 * _MI:
        return f"{value // _MI} MiB" if value % _MI == 0 else f"{value // _KI} KiB"
    scale = ""
    if unit == "granules" and value > _LARGEST_DECIMAL and value % _KI == 0:
        scale, value = (" Mi", value // _MI) if value % _MI == 0 else (" Ki", value // _KI)
    digits = str(value) if value <= _LARGEST_DECIMAL else hexadecimal(value)
    return f"{digits}{scale} {unit}" if unit else digits


def hexadecimal(value: int) -> str:
    """In groups of four digits, as specs write it."""
    digits = f"{value:x}"
    digits = digits.zfill(-(-len(digits) // 4) * 4)
    return "0x" + "_".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _apply(expr: t.Apply) -> str:
    base, dot, end = expr.name.partition(".")
    args = ", ".join(show(arg) for arg in expr.args)
    call = f"{base}({args})" if expr.args or expr.kind == "function" else base
    return f"{call}{dot}{end}"


def _binary(expr: t.Binary) -> tuple[int, str]:
    if expr.op in ("min", "max"):
        return _ATOM, f"{expr.op}({show(expr.left)}, {show(expr.right)})"
    ordered = _class_at_most(expr)
    if ordered is not None:
        return _COMPARE, ordered
    level = _LEVELS[expr.op]
    right = _operand(expr.right, expr.op, level + (level != _IMPLIES))
    if level == _SHIFT and _unit(expr.left) != _unit(expr):
        right = "granule_shift"
    chained = level not in (_IMPLIES, _COMPARE)
    return level, f"{_operand(expr.left, expr.op, level + (not chained))} {expr.op} {right}"


def _unit(expr: t.Expr) -> str | None:
    return expr.type.unit if isinstance(expr.type, IntType) else None


def _operand(expr: t.Expr, op: str, level: int) -> str:
    """An operand; where readers know the precedence less well it gets parentheses anyway."""
    inner = expr.op if isinstance(expr, t.Binary) else ""
    mixed = inner != op and (
        _LEVELS.get(inner) in (_BITS, _SHIFT)
        or (_LEVELS.get(op) in (_BITS, _SHIFT) and inner not in ("", "min", "max"))
        or (op == "or" and inner == "and")
    )
    return _at(expr, _ATOM if mixed or isinstance(expr, t.Cast) else level)


def _class_at_most(expr: t.Binary) -> str | None:
    """`a <= b` of classes, which checking turned into `a < b or a == b`."""
    low, same = expr.left, expr.right
    if expr.op != "or" or not isinstance(low, t.Binary) or not isinstance(same, t.Binary):
        return None
    if (low.op, same.op) != ("<", "==") or low.left.type != CLASS:
        return None
    if (low.left, low.right) != (same.left, same.right):
        return None
    return f"{_at(low.left, _BITS)} <= {_at(low.right, _BITS)}"


def _target(expr: t.Cast) -> str:
    """The type after `as`; the unit is left out where the argument brings it."""
    kept = isinstance(expr.arg.type, IntType) and expr.arg.type.unit == expr.type.unit
    return str(IntType(expr.type.width, None, expr.type.name)) if kept else str(expr.type)


def _quantified(expr: t.Quant) -> str:
    """`forall a, b in live where ...`: a guard of the form P(a) goes back behind `in`."""
    tests = _conjuncts(expr.guard)
    groups: list[tuple[str, list[str]]] = []
    for binder in expr.binders:
        member = next((test for test in tests if _is_member(test, binder)), None)
        if member is not None:
            tests.remove(member)
        set_ = f" in {member.name}" if isinstance(member, t.Apply) else f": {binder.type}"
        if groups and groups[-1][0] == set_:
            groups[-1][1].append(binder.name)
        else:
            groups.append((set_, [binder.name]))
    names = ", ".join(", ".join(group) + set_ for set_, group in groups)
    where = " and ".join(_at(test, _NOT) for test in tests)
    return f"{expr.kind} {names}{f' where {where}' if where else ''}: {show(expr.body)}"


def _conjuncts(expr: t.Expr) -> list[t.Expr]:
    if isinstance(expr, t.BoolLit) and expr.value:
        return []
    if isinstance(expr, t.Binary) and expr.op == "and":
        return [*_conjuncts(expr.left), *_conjuncts(expr.right)]
    return [expr]


def _is_member(test: t.Expr, binder: t.Binder) -> bool:
    if not isinstance(test, t.Apply) or test.type != BOOL or len(test.args) != 1:
        return False
    arg = test.args[0]
    return isinstance(arg, t.Local) and arg.name == binder.name


def _exact(args: tuple[t.Expr, ...]) -> str:
    if len(args) == 1:
        return show(args[0])
    low, high = args
    if isinstance(low, t.Apply) and isinstance(high, t.Apply) and low.args == high.args:
        base = low.name.removesuffix(".lo")
        if (low.name, high.name) == (f"{base}.lo", f"{base}.hi"):
            return show(low).removesuffix(".lo")
    return f"[{show(low)}, {show(high)})"


def _succeeds(expr: t.Succeeds) -> str:
    args = ", ".join(show(arg) for arg in expr.args)
    chosen = ", ".join(f"{name} = {show(value)}" for name, value in expr.witness)
    return f"{expr.action}({args}) succeeds{f' with {chosen}' if chosen else ''}"
