"""The checked spec: every name resolved, every expression with a type and a width.

Goal: the one input of the model, the proofs and the emitter. Intervals are gone (a function that
returns one has become two, `f.lo` and `f.hi`), `x in P` has become a guard, units have done their
work, `succeeds` keeps the action's name and witness.
Non-goals: evaluation. The meaning of the operators, which every backend must give exactly:

- unsigned integers wrap at their width; `a / 0` is all ones and `a % 0` is `a`; a shift by the
  width or more gives 0 (as in SMT-LIB);
- `as` truncates or zero-extends;
- `and`, `or`, `=>` and `if` are short-circuit only for `exact`, else total;
- `exact(e)` is true when no operation that e needs wraps, truncates a set bit, shifts by the width
  or more or divides by zero, at this state, looking through function calls;
- `old(e)` is e in the state before the step (step properties only);
- class `<` is "has strictly lower priority": the transitive order of the class declarations.
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import Span
from tessera.lang.types import EnumType, IntType, SortType, Type


@dataclass(frozen=True, slots=True)
class IntLit:
    """An integer; for enum and sort constants see `Const`."""

    value: int
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class BoolLit:
    """`true` or `false`."""

    value: bool
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class EnumLit:
    """A class or a member of an enum."""

    name: str
    type: EnumType
    span: Span


@dataclass(frozen=True, slots=True)
class Local:
    """A parameter, quantified variable, `let`, or choice of the enclosing action."""

    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Apply:
    """`name(args)`; `kind` tells what is applied.

    - "const": a rigid symbolic constant or function, the same in every state (args may be empty);
    - "param": a parameter of the spec, with a configured value (no args);
    - "var": a state variable (scalar when args is empty);
    - "function": a defined function of the model (may read state), see `Spec.functions`;
    - "policy": a function or constant of the policy block, also in `Spec.functions`;
    - "region": base, size or end of a region whose place is open; only in a `typed_layout.Layout`.
    """

    kind: str
    name: str
    args: tuple[Expr, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` is "not" or "~"."""

    op: str
    arg: Expr
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`op`: + - * / % << >> & | ^ min max, == != < <= > >=, and or =>.

    Operands of arithmetic and comparisons have one width, except a shift's right operand.
    """

    op: str
    left: Expr
    right: Expr
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Ite:
    """`if test then then else other`."""

    test: Expr
    then: Expr
    other: Expr
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Cast:
    """To the integer type `type`: truncation or zero extension."""

    arg: Expr
    type: IntType
    span: Span


@dataclass(frozen=True, slots=True)
class Binder:
    """A bound variable."""

    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Quant:
    """`kind` is "forall" or "exists"; `guard` is true when none was written.

    forall means: for all values, guard => body; exists means: for some value, guard and body.
    """

    kind: str
    binders: tuple[Binder, ...]
    guard: Expr
    body: Expr
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Old:
    """The value in the state before the step."""

    arg: Expr
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Exact:
    """True when nothing in `args` wraps (an interval gives two)."""

    args: tuple[Expr, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Succeeds:
    """The action can fire with these arguments; `witness` proposes values for its choices."""

    action: str
    args: tuple[Expr, ...]
    witness: tuple[tuple[str, Expr], ...]
    type: Type
    span: Span


Expr = (
    IntLit
    | BoolLit
    | EnumLit
    | Local
    | Apply
    | Unary
    | Binary
    | Ite
    | Cast
    | Quant
    | Old
    | Exact
    | Succeeds
)


@dataclass(frozen=True, slots=True)
class Region:
    """A physical region: `[base, base + size)` in bytes, world secure, nonsecure or device."""

    name: str
    parent: str | None
    world: str
    base: int
    size: int
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform's layout; `granule` is the page size in bytes, a power of two."""

    name: str
    doc: str
    granule: int
    usize: int
    paddr: int
    regions: tuple[Region, ...]
    span: Span

    @property
    def granule_shift(self) -> int:
        """log2 of the granule."""
        return self.granule.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Ta:
    """A trusted application that belongs to a class; uuid in lower case."""

    uuid: str
    doc: str


@dataclass(frozen=True, slots=True)
class Class:
    """A priority class; `above` are the classes it directly outranks."""

    name: str
    above: tuple[str, ...]
    doc: str
    tas: tuple[Ta, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Const:
    """A rigid symbol: a function of `params` (scalar when empty); bounds are for scalars."""

    name: str
    params: tuple[Binder, ...]
    type: Type
    low: Expr | None
    high: Expr | None
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Param:
    """A number one may configure; `value` is the configured one, `low`/`high` its proven range.

    With a range, proofs hold for every value in it; without one, for `value`.
    """

    name: str
    type: IntType
    low: Expr | None
    high: Expr | None
    value: int
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Var:
    """A state variable: a map from `params` to `type`, or a scalar."""

    name: str
    params: tuple[Binder, ...]
    type: Type
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Function:
    """A defined function; `policy` ones read no state and become C. Not recursive."""

    name: str
    params: tuple[Binder, ...]
    type: Type
    body: Expr
    policy: bool
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Require:
    """A guard."""

    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """`name` stands for `value` in the rest of the action."""

    name: str
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Choose:
    """A local choice. `some`: any value that passes `test`; `least`: the smallest such integer;
    `fresh`: any, and one is assumed to exist."""

    kind: str
    binder: Binder
    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Update:
    """`var(x...) := value` for all `binders` with `guard`; `args` are then the binders themselves.

    Without binders it is a point update at `args`. All updates read the state before the action;
    later updates of one variable win where they meet earlier ones.
    """

    var: str
    args: tuple[Expr, ...]
    binders: tuple[Binder, ...]
    guard: Expr
    value: Expr
    span: Span


Statement = Require | Let | Choose | Update


@dataclass(frozen=True, slots=True)
class Action:
    """A guarded update of the state."""

    name: str
    params: tuple[Binder, ...]
    doc: str
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Property:
    """`kind`: invariant, step, promise, lemma, cover or assume; `text` as written.

    `given` restricts it (true when not written). `excepted` names actions a step property skips.
    """

    kind: str
    name: str
    doc: str
    given: Expr
    excepted: tuple[str, ...]
    within: int | None
    unbounded: bool
    formula: Expr
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Expect:
    """What is expected of a property (proved, violated, covered) or of an action (unreachable).

    In `Spec.expects` a property stands under its name, an action under `action NAME`.
    """

    verdict: str
    within: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class ViewItem:
    """One layer of a strip.

    run: start, size, group, label; mark: label, and the value that is not shown; zone: lo, hi;
    length: one expression.
    """

    kind: str
    binder: Binder | None
    guard: Expr
    label: str
    exprs: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class View:
    """How a state is drawn."""

    name: str
    doc: str
    items: tuple[ViewItem, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """An unbounded sort; its elements print as `prefix`1, `prefix`2, ..."""

    name: str
    prefix: str
    doc: str


@dataclass(frozen=True, slots=True)
class Spec:
    """A checked spec. Tuples are in order of declaration; dicts map a name to its declaration."""

    name: str
    doc: str
    file: str
    digest: str  # sha256 over all files used
    platform: Platform | None
    classes: tuple[Class, ...]
    enums: dict[str, tuple[str, ...]]  # includes "class"
    sorts: tuple[Sort, ...]
    consts: dict[str, Const]
    params: dict[str, Param]
    vars: dict[str, Var]
    functions: dict[str, Function]
    init: tuple[Statement, ...]
    actions: tuple[Action, ...]
    properties: tuple[Property, ...]
    expects: dict[str, Expect]
    views: tuple[View, ...]
    simulate: dict[str, int]
    lines: dict[str, list[str]]  # file name -> source lines, for messages

    def outranks(self, high: str, low: str) -> bool:
        """Whether class `high` has strictly higher priority than class `low`."""
        by_name = {c.name: c for c in self.classes}
        todo, seen = list(by_name[high].above), set()
        while todo:
            name = todo.pop()
            if name == low:
                return True
            if name not in seen and name in by_name:
                seen.add(name)
                todo += by_name[name].above
        return False

    def action(self, name: str) -> Action:
        """The action of that name."""
        return next(a for a in self.actions if a.name == name)

    def sort_elements(self, sort: SortType) -> tuple[str, ...]:
        """The scalar constants of a sort, in order: its named elements."""
        return tuple(c.name for c in self.consts.values() if not c.params and c.type == sort)
