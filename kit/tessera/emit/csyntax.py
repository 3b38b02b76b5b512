"""C statements and expressions as data, as far as patched functions need them.

Goal: what `readback` gives: frozen trees without types of the parser, that others walk, print
and compare. What was not understood stands in them as `Unread`, never silently left out.
Non-goals: meaning (see `tessera.conform.cread`) and parsing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Number:
    """An integer constant; `base` is 8, 10 or 16, `suffix` in lower case, e.g. "ull"."""

    value: int
    base: int
    suffix: str


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier: a variable, an enumerator or a macro without arguments."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`base.field`, or `base->field` with `arrow`."""

    base: CExpr
    field: str
    arrow: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function or a macro."""

    name: str
    args: tuple[CExpr, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` is one of ! ~ - + & *."""

    op: str
    arg: CExpr


@dataclass(frozen=True, slots=True)
class Binary:
    """Any operator with two operands, && and || too; not an assignment."""

    op: str
    left: CExpr
    right: CExpr


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? then : other`."""

    test: CExpr
    then: CExpr
    other: CExpr


@dataclass(frozen=True, slots=True)
class Cast:
    """`(type)arg`; the type as text without qualifiers, e.g. "uint32_t" or "void *"."""

    type: str
    arg: CExpr


@dataclass(frozen=True, slots=True)
class SizeOf:
    """`sizeof(type)` or `sizeof arg`; one of the two is there."""

    type: str
    arg: CExpr | None


@dataclass(frozen=True, slots=True)
class Braces:
    """The items of an initialiser without designators."""

    items: tuple[CExpr, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """An expression or statement that this reader does not know; `text` on one line."""

    text: str


CExpr = (
    Number | Name | Member | Call | Unary | Binary | Conditional | Cast | SizeOf | Braces | Unread
)


@dataclass(frozen=True, slots=True)
class Declare:
    """`type name = init;`, one for each name of a declaration."""

    type: str
    name: str
    init: CExpr | None


@dataclass(frozen=True, slots=True)
class Assign:
    """`target op value;`, where `op` is "=" or e.g. "+="."""

    target: CExpr
    op: str
    value: CExpr


@dataclass(frozen=True, slots=True)
class Do:
    """An expression as a statement, such as a call."""

    expr: CExpr


@dataclass(frozen=True, slots=True)
class If:
    """`if (test) then else other`; `other` is empty where there is no else."""

    test: CExpr
    then: tuple[Statement, ...]
    other: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class While:
    """`while (test) body`."""

    test: CExpr
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Goto:
    """`goto label;`."""

    label: str


@dataclass(frozen=True, slots=True)
class Label:
    """`name:`; the statement that it labels is the next one."""

    name: str


@dataclass(frozen=True, slots=True)
class Return:
    """`return value;`."""

    value: CExpr | None


Action = Declare | Assign | Do | If | While | Goto | Label | Return | Unread


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its lines, first and last, counted from 1."""

    what: Action
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function; parameters are (type, name). `last` is the line of its closing brace."""

    name: str
    type: str
    params: tuple[tuple[str, str], ...]
    body: tuple[Statement, ...]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class CFile:
    """What a file declares; of several of one name the first. `broken` are lines that are not C."""

    name: str
    functions: dict[str, Function]
    structs: dict[str, dict[str, str]]  # name -> field -> type
    fields: dict[str, dict[str, int]]  # name -> field -> line
    typedefs: dict[str, str]
    broken: tuple[int, ...]


def walk(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements, outer before inner, in the order of the text."""
    for statement in body:
        yield statement
        match statement.what:
            case If():
                yield from walk(statement.what.then)
                yield from walk(statement.what.other)
            case While():
                yield from walk(statement.what.body)


def parts(expr: CExpr) -> tuple[CExpr, ...]:
    """The direct operands."""
    match expr:
        case Member():
            return (expr.base,)
        case Call():
            return expr.args
        case Unary() | Cast():
            return (expr.arg,)
        case Binary():
            return (expr.left, expr.right)
        case Conditional():
            return (expr.test, expr.then, expr.other)
        case SizeOf():
            return (expr.arg,) if expr.arg is not None else ()
        case Braces():
            return expr.items
        case _:
            return ()


def mentions(expr: CExpr, name: str) -> bool:
    """Whether an identifier stands anywhere in an expression."""
    here = isinstance(expr, Name) and expr.name == name
    return here or any(mentions(part, name) for part in parts(expr))


def substitute(expr: CExpr, values: dict[str, CExpr]) -> CExpr:
    """The expression with identifiers replaced by expressions."""
    match expr:
        case Name():
            return values.get(expr.name, expr)
        case Member():
            return replace(expr, base=substitute(expr.base, values))
        case Call() as call:
            return replace(call, args=tuple(substitute(a, values) for a in call.args))
        case Unary() | Cast():
            return replace(expr, arg=substitute(expr.arg, values))
        case SizeOf(arg=arg) if arg is not None:
            return replace(expr, arg=substitute(arg, values))
        case Binary(op, left, right):
            return Binary(op, substitute(left, values), substitute(right, values))
        case Conditional():
            return Conditional(*(substitute(part, values) for part in parts(expr)))
        case _:
            return expr


def show(expr: CExpr) -> str:
    """The expression as text, with a parenthesis around every inner operator."""
    match expr:
        case Number():
            return f"{hex(expr.value) if expr.base == 16 else expr.value}{expr.suffix.upper()}"
        case Name():
            return expr.name
        case Member():
            return f"{_inner(expr.base)}{'->' if expr.arrow else '.'}{expr.field}"
        case Call():
            return f"{expr.name}({', '.join(show(a) for a in expr.args)})"
        case Unary():
            return f"{expr.op}{_inner(expr.arg)}"
        case Binary():
            return f"{_inner(expr.left)} {expr.op} {_inner(expr.right)}"
        case Conditional():
            test, then, other = (_inner(part) for part in parts(expr))
            return f"{test} ? {then} : {other}"
        case Cast():
            return f"({expr.type}){_inner(expr.arg)}"
        case SizeOf():
            return f"sizeof({expr.type or show(expr.arg or Name('?'))})"
        case Braces():
            return f"{{ {', '.join(show(i) for i in expr.items)} }}"
        case Unread():
            return expr.text


def _inner(expr: CExpr) -> str:
    text = show(expr)
    return f"({text})" if isinstance(expr, Binary | Conditional | Cast) else text
