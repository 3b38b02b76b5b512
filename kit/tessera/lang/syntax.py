"""The surface syntax tree: what was written, with a `Span` on every node.

Goal: frozen nodes that mirror the grammar one to one, so that a formatter can print them back.
Non-goals: names, types and units are not looked at here (see `tessera.lang.check`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import Span


@dataclass(frozen=True, slots=True)
class Ident:
    """A name where it is declared or used."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as written, e.g. `u32 granules`; `unit` is None when none was written."""

    name: str
    unit: str | None
    span: Span


# --- expressions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """An integer literal, e.g. `8 MiB`, `3 granules`, `64 Ki granules`; `text` is its digits."""

    value: int
    text: str
    scale: str | None
    unit: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A use of a name."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`f(a, b)`: a function, a state variable, or one of min, max, exact's built-in friends."""

    name: Ident
    args: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Prefix:
    """`not e`, `~e`, `old(e)` or `exact(e)`; `op` is that word."""

    op: str
    arg: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Infix:
    """A binary operator, arithmetic, comparing or logical; `op` as written."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """`if c then a else b`."""

    test: Expr
    then: Expr
    other: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class As:
    """`e as T`: conversion with C meaning."""

    arg: Expr
    type: TypeName
    span: Span


@dataclass(frozen=True, slots=True)
class Field:
    """`e.lo`, `region.base`."""

    arg: Expr
    name: Ident
    span: Span


@dataclass(frozen=True, slots=True)
class Interval:
    """`[lo, hi)`, half open."""

    lo: Expr
    hi: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class BinderGroup:
    """`a, b: T` or `a, b in P` (exactly one of `type` and `member_of` is set)."""

    names: tuple[Ident, ...]
    type: TypeName | None
    member_of: Ident | None
    span: Span


@dataclass(frozen=True, slots=True)
class Quantified:
    """`forall`/`exists` binders `where` guard `:` body."""

    kind: str
    groups: tuple[BinderGroup, ...]
    guard: Expr | None
    body: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Succeeds:
    """`act(args) succeeds with o = e`: the action can fire, with a witness for its choices."""

    call: Call
    witness: tuple[Override, ...]
    span: Span


Expr = (
    Number
    | Boolean
    | Name
    | Call
    | Prefix
    | Infix
    | Conditional
    | As
    | Field
    | Interval
    | Quantified
    | Succeeds
)


@dataclass(frozen=True, slots=True)
class Override:
    """`name = expr`."""

    name: Ident
    value: Expr
    span: Span


# --- declarations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """`use "path" with a = 1`."""

    path: str
    overrides: tuple[Override, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SpecDecl:
    """`spec name "what it promises"`."""

    name: Ident
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Region:
    """A physical region of a platform; `world` None means inherited from the parent.

    `base` None means `somewhere`; with `most` the size is open: `for size .. most`.
    """

    name: Ident
    parent: Ident | None
    world: str | None
    base: Expr | None
    size: Expr
    doc: str
    span: Span
    align: Expr | None = None
    most: Expr | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """`require name "why": test` in a platform."""

    name: Ident
    doc: str
    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Config:
    """`config kind "KEY" = value` in a platform; `dt` takes a base and a size."""

    kind: Ident
    key: str
    values: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Platform:
    """`platform name { granule ... width ... region ... require ... config ... expect ... }`."""

    name: Ident
    doc: str
    granule: Expr | None
    widths: tuple[tuple[Ident, int], ...]
    regions: tuple[Region, ...]
    span: Span
    constraints: tuple[Constraint, ...] = ()
    configs: tuple[Config, ...] = ()
    expects: tuple[Expect, ...] = ()


@dataclass(frozen=True, slots=True)
class TaMember:
    """`ta "uuid" "what it is"`: a trusted application that belongs to a class."""

    uuid: str
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class ClassDecl:
    """`class name > lower { ta ... }`."""

    name: Ident
    above: tuple[Ident, ...]
    doc: str
    members: tuple[TaMember, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class EnumDecl:
    """`enum name { a, b }`."""

    name: Ident
    members: tuple[Ident, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SortDecl:
    """`sort name as prefix`: an unbounded set of things; elements print as prefix1, prefix2."""

    name: Ident
    prefix: str
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Parameter:
    """`name: type` of a function, action or variable."""

    name: Ident
    type: TypeName
    span: Span


@dataclass(frozen=True, slots=True)
class ValueDecl:
    """`const`, `param`, `var` or `function`; `kind` is that word.

    `params` is None for a scalar; `low`/`high` are the bounds of `in low .. high`.
    """

    kind: str
    name: Ident
    params: tuple[Parameter, ...] | None
    type: TypeName
    low: Expr | None
    high: Expr | None
    doc: str
    value: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Interface:
    """`interface { ... }`: what every policy must define."""

    items: tuple[ValueDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Policy:
    """`policy { ... }`: the part that becomes C."""

    items: tuple[ValueDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Require:
    """A guard."""

    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """`let x = e`."""

    name: Ident
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Choose:
    """`some`, `least` or `fresh` `x: T where e`; `kind` is that word."""

    kind: str
    name: Ident
    type: TypeName
    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Update:
    """`f(args) := value`; `binders`/`guard` are set inside a `for` block."""

    target: Ident
    args: tuple[Expr, ...]
    value: Expr
    binders: tuple[BinderGroup, ...]
    guard: Expr | None
    span: Span


Statement = Require | Let | Choose | Update


@dataclass(frozen=True, slots=True)
class Init:
    """`init { ... }`."""

    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Action:
    """`action name(params) { ... }`."""

    name: Ident
    params: tuple[Parameter, ...]
    doc: str
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Property:
    """`invariant`, `step`, `promise`, `lemma`, `cover` or `assume`; `kind` is that word."""

    kind: str
    name: Ident
    doc: str
    given: Expr | None
    excepted: tuple[Ident, ...]
    within: int | None
    unbounded: bool
    formula: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Expect:
    """`expect a, b violated within 5`."""

    names: tuple[Ident, ...]
    verdict: str
    within: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class ViewItem:
    """`length e`, `run b in live: start, size, group, label`, `mark ...`, `zone "x": lo, hi`."""

    kind: str
    binders: BinderGroup | None
    label: str
    exprs: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class View:
    """How a state is drawn as a strip."""

    name: Ident
    doc: str
    items: tuple[ViewItem, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Simulate:
    """Sizes the simulator uses when none are given."""

    values: tuple[Override, ...]
    span: Span


Item = (
    Use
    | SpecDecl
    | Platform
    | ClassDecl
    | EnumDecl
    | SortDecl
    | ValueDecl
    | Interface
    | Policy
    | Init
    | Action
    | Property
    | Expect
    | View
    | Simulate
)
