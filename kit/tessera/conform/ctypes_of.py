"""C's integer types on the cores that OP-TEE runs on, and the types of struct members.

Goal: widths and signs under three data models (C11 6.2.5, AAPCS32 and AAPCS64), the type of an
integer constant (6.4.4.1), promotion and the usual arithmetic conversions (6.3.1).
Non-goals: values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INT_BITS = 32


@dataclass(frozen=True, slots=True)
class Int:
    """An integer type; bool is the one of width 1."""

    width: int
    signed: bool

    @property
    def low(self) -> int:
        """The smallest value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value."""
        return (1 << (self.width - (1 if self.signed else 0))) - 1

    def promoted(self) -> Int:
        """The type after integer promotion: what fits into int becomes int."""
        return INT if self.width < INT_BITS else self


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer; `to` is the text of what it points to, "" when that does not matter."""

    to: str


Type = Int | Pointer
BOOL, INT = Int(1, False), Int(INT_BITS, True)


def usual(left: Int, right: Int) -> Int:
    """The usual arithmetic conversions: the wider type, unsigned where the two differ in that.

    Ranks of types of one width need no care: long and long long of 64 bits have the same values.
    """
    a, b = left.promoted(), right.promoted()
    if a.width == b.width:
        return Int(a.width, a.signed and b.signed)
    return a if a.width > b.width else b


_FIXED = {f"{'' if s else 'u'}int{w}_t": Int(w, s) for w in (8, 16, 32, 64) for s in (True, False)}
_FIXED |= {
    **dict.fromkeys(("bool", "_Bool"), BOOL),
    **dict.fromkeys(("int", "signed", "signed int"), INT),
    **dict.fromkeys(("unsigned", "unsigned int", "TEE_Result"), Int(INT_BITS, False)),
    **dict.fromkeys(("short", "short int"), Int(16, True)),
    **dict.fromkeys(("unsigned short", "unsigned short int"), Int(16, False)),
    **dict.fromkeys(("unsigned char", "char"), Int(8, False)),  # char is unsigned on Arm
    "signed char": Int(8, True),
    **dict.fromkeys(("long long", "long long int"), Int(64, True)),
    **dict.fromkeys(("unsigned long long", "unsigned long long int"), Int(64, False)),
}
_STRUCT_SIZES = {"TEE_UUID": 16}


@dataclass(frozen=True, slots=True)
class DataModel:
    """The widths in bits that differ between cores."""

    name: str
    size: int  # size_t
    pointer: int
    address: int  # paddr_t
    long: int

    def type(self, text: str) -> Type | None:
        """The type of that name, None when it is not known."""
        words = " ".join(w for w in text.split() if w not in ("const", "volatile", "static"))
        if words.endswith("*"):
            return Pointer(words[:-1].strip())
        own = {
            **dict.fromkeys(("size_t",), Int(self.size, False)),
            **dict.fromkeys(("ssize_t", "ptrdiff_t"), Int(self.size, True)),
            **dict.fromkeys(("uintptr_t", "vaddr_t"), Int(self.pointer, False)),
            **dict.fromkeys(("paddr_t", "paddr_size_t"), Int(self.address, False)),
            **dict.fromkeys(("long", "long int"), Int(self.long, True)),
            **dict.fromkeys(("unsigned long", "unsigned long int"), Int(self.long, False)),
        }
        return own.get(words) or _FIXED.get(words)

    def literal(self, value: int, base: int, suffix: str) -> Int:
        """The type of an integer constant: the first in its list that can hold it."""
        unsigned, longs = "u" in suffix, suffix.count("l")
        widths = [INT_BITS, self.long, 64][longs:]
        for width in widths:
            for signed in (True, False):
                if signed and unsigned:
                    continue
                if not signed and not unsigned and base == 10:
                    continue
                if value <= Int(width, signed).high:
                    return Int(width, signed)
        return Int(64, False)

    def sizeof(self, text: str) -> int | None:
        """The size of a type in bytes, None when it is not known."""
        type_ = self.type(text)
        if isinstance(type_, Pointer):
            return self.pointer // 8
        return max(type_.width // 8, 1) if type_ is not None else _STRUCT_SIZES.get(text)


MODELS = (
    DataModel("64-bit core", 64, 64, 64, 64),
    DataModel("32-bit core with LPAE", 32, 32, 64, 32),
    DataModel("32-bit core", 32, 32, 32, 32),
)


@dataclass(frozen=True, slots=True)
class Types:
    """Structs and typedefs, from the headers that were read."""

    structs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    typedefs: Mapping[str, str] = field(default_factory=dict)

    def field(self, struct: str, name: str) -> str | None:
        """The type of a member, as text; None when it is not known."""
        seen = struct
        while seen in self.typedefs:
            seen = self.typedefs[seen]
        return self.structs.get(seen.removeprefix("struct ").strip(), {}).get(name)
