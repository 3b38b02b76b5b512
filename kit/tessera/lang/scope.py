"""What a name means: the symbols of a spec while it is being checked.

Goal: one table that every checking pass reads, with nearest-name suggestions.
Non-goals: typing expressions (see `tessera.lang.check_expr`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.diagnostics import Diagnostics, nearest
from tessera.lang.syntax_errors import EXPRESSION_WORDS, ITEM_WORDS, STATEMENT_WORDS
from tessera.lang.types import (
    BOOL,
    CLASS,
    GRANULES,
    INT_WIDTHS,
    PLATFORM_INTS,
    AnyType,
    EnumType,
    IntervalType,
    IntType,
    NatType,
    SortType,
    Type,
)

BUILTINS = ("min", "max", "is_secure", "touches_nonsecure", "granule_shift")
TYPE_WORDS = (*INT_WIDTHS, *PLATFORM_INTS, "bool", "class", "interval", "nat")
RESERVED = frozenset((*BUILTINS, *TYPE_WORDS, *ITEM_WORDS, *EXPRESSION_WORDS, *STATEMENT_WORDS))
_LIBRARY_HINT = 'declare it, or use the file that does, e.g. use "optee/pool.tess"'


@dataclass(frozen=True, slots=True)
class Signature:
    """A name that can be applied: its kind as in `typed.Apply`, parameter and result types."""

    kind: str
    params: tuple[tuple[str, Type], ...]
    result: AnyType
    decl: s.ValueDecl


@dataclass(slots=True)
class Symbols:
    """All global names of a spec."""

    diagnostics: Diagnostics
    platform: t.Platform | None = None
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    members: dict[str, EnumType] = field(default_factory=dict)
    sorts: dict[str, t.Sort] = field(default_factory=dict)
    values: dict[str, Signature] = field(default_factory=dict)
    actions: dict[str, s.Action] = field(default_factory=dict)
    declared: dict[str, Span] = field(default_factory=dict)
    # Names whose declaration was reported: their uses are not reported again.
    broken: set[str] = field(default_factory=set)
    # Functions that read the state, each with a variable that it reads.
    readers: dict[str, str] = field(default_factory=dict)
    # Regions of the platform whose place is not chosen yet (see `tessera.lang.typed_layout`).
    open_regions: set[str] = field(default_factory=set)

    def declare(self, name: s.Ident, space: str = "") -> bool:
        """Claim a name in a name space; reports a duplicate and returns False."""
        if not space and not self.usable(name):
            return False
        key = f"{space}:{name.text}"
        earlier = self.declared.get(key)
        if earlier is not None:
            self.diagnostics.add(
                name.span,
                f"duplicate name '{name.text}': it is already declared at {earlier}",
                "rename one of the two, or drop the 'use' that brings the other",
            )
            return False
        self.declared[key] = name.span
        return True

    def usable(self, name: s.Ident) -> bool:
        """Whether something may have that name; reports a word of the language."""
        if name.text not in RESERVED:
            return True
        self.diagnostics.add(
            name.span, f"'{name.text}' is a word of the language", "choose another name"
        )
        return False

    def region(self, name: str) -> t.Region | None:
        """The platform's region of that name."""
        regions = self.platform.regions if self.platform else ()
        return next((r for r in regions if r.name == name), None)

    def type(self, written: s.TypeName, *, unbounded: bool = False) -> AnyType | None:
        """The type a name stands for; reports an unknown one."""
        name, unit = written.name, written.unit
        if name in INT_WIDTHS:
            return IntType(INT_WIDTHS[name], unit, name)
        if name in PLATFORM_INTS:
            width = 64 if self.platform is None else getattr(self.platform, name)
            return IntType(width, unit, name)
        if unit is not None:
            self.diagnostics.add(written.span, f"'{name}' has no unit", "only integers have units")
            return None
        if name == "nat":
            if unbounded:
                return NatType()
            self.diagnostics.add(
                written.span,
                "'nat' is unbounded and is bound only by a quantifier in 'lemma ... unbounded'",
                "use an integer of a C width: u8 u16 u32 u64 usize paddr",
            )
            return None
        if name == "class" and not self.enums.get("class"):
            self._no_class(written.span)
            return None
        fixed: dict[str, AnyType] = {
            "bool": BOOL,
            "class": CLASS,
            "interval": IntervalType(GRANULES),
        }
        if name in fixed:
            return fixed[name]
        if name in self.enums:
            return EnumType(name)
        if name in self.sorts:
            return SortType(name)
        if name not in self.broken:
            self.diagnostics.add(written.span, f"unknown type '{name}'", self._type_hint(name))
        return None

    def _no_class(self, span: Span) -> None:
        """Said once: without classes, every use of the type would be one more message."""
        if "class" not in self.broken:
            self.broken.add("class")
            self.diagnostics.add(
                span, "no class is declared", "declare one in your spec: class ordinary"
            )

    def _type_hint(self, name: str) -> str:
        if name in self.values and len(self.values[name].params) == 1:
            return f"'{name}' is a set: write 'in {name}'"
        if name in ("granules", "bytes"):
            return f"'{name}' is a unit: write its width too, e.g. u32 {name}"
        if name == "int":
            return "integers are unsigned, of a C width: u8 u16 u32 u64 usize paddr"
        known = [*TYPE_WORDS, *self.enums, *self.sorts]
        return nearest(name, known) or _LIBRARY_HINT

    def is_type(self, name: str) -> bool:
        """Whether a type has that name."""
        return name in TYPE_WORDS or name in self.enums or name in self.sorts

    def plain_type(self, written: s.TypeName, *, unbounded: bool = False) -> Type | None:
        """As `type`, where an interval cannot stand."""
        found = self.type(written, unbounded=unbounded)
        if isinstance(found, IntervalType):
            self.diagnostics.add(
                written.span, "an interval cannot stand here", "use its two ends as integers"
            )
            return None
        return found

    def value_names(self) -> list[str]:
        """Every name an expression may use."""
        regions = [r.name for r in self.platform.regions] if self.platform else []
        return [*self.values, *self.members, *regions, *BUILTINS]
