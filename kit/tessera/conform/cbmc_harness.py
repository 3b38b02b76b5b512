"""What must hold, generated from the spec: the part of the model checker's harness that is not C.

Goal: `generated(spec)` gives `spec.inc` for verification/cbmc/harness.c: the spec's invariants as
assumptions before an operation and as assertions after it, its step properties, what may be
refused, what is promised, and what is cleared.
Non-goals: the C of expressions (see `cbmc_expr`) and running anything (see `cbmc`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tessera.conform.cbmc_expr import Place, Translator, Untranslatable
from tessera.conform.worlds import setting_of
from tessera.lang import typed as t
from tessera.lang.types import IntType, SortType

_REPLACED = {"physical": "c_physical", "found": "c_found"}
"""Spec functions that say what a function of `tee_mm.c` gives: there the C itself is asked."""
_BASE = 0x0E30_0000
_ALLOCATIONS = ("alloc", "alloc_spill", "alloc_core")
_RELEASES = ("free", "free_core")


@dataclass(frozen=True, slots=True)
class Generated:
    """`text` is spec.inc; `asked` and `left` are property names, with the reason for `left`.

    `ranging` are those that speak of a 32-bit number of any value.
    """

    text: str
    asked: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    ranging: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Formula:
    """One property in C; `uses_c`: it asks the tree's own functions."""

    name: str
    kind: str
    excepted: tuple[str, ...]
    text: str
    inputs: tuple[tuple[str, int], ...]
    uses_c: bool


def generated(spec: t.Spec, live: int) -> Generated:
    """The spec's part of the harness for up to `live` live blocks, the new one counted.

    Raises TesseraError for a spec that is not one of the page pool.
    """
    setting = setting_of(spec)
    names = spec.enums["class"]
    region = (
        next((r for r in spec.platform.regions if r.name == "pool"), None)
        if (spec.platform)
        else None
    )
    shared: dict[str, str] = {}
    formulas: list[_Formula] = []
    left: list[tuple[str, str]] = []
    violated = {n for n, expect in spec.expects.items() if expect.verdict == "violated"}
    left += [(p.name, "is expected to be violated") for p in spec.properties if p.name in violated]
    for one in spec.properties:
        if one.kind in ("invariant", "step") and one.name not in violated:
            try:
                formulas.append(_formula(spec, one, live, shared))
            except Untranslatable as what:
                left.append((one.name, str(what)))
    before = [f for f in formulas if f.kind == "invariant" and not f.inputs and not f.uses_c]
    held = [f for f in formulas if not f.uses_c]
    promises, promised = _promises(spec, live, shared, left)
    body = [
        _holds(before),
        _asserted("spec_after", [f for f in held if not set(f.excepted) & set(_ALLOCATIONS)]),
        _asserted("spec_freed", [f for f in held if not set(f.excepted) & set(_RELEASES)]),
        _asserted("spec_lookups", [f for f in formulas if f.uses_c]),
        _refused(spec, live, shared),
        promises,
        _scrub(spec, live, shared),
        _classes(spec, names),
    ]
    head = (
        f"#define SPEC_BASE {region.base if region else _BASE:#x}ULL\n"
        f"#define SPEC_CLASSES {len(names)}\n"
        f"#define SPEC_CORE_CLASS {names.index(setting.owners[0].kind)}\n"
    )
    text = "\n".join(
        [
            head,
            *(text for name, text in shared.items() if not name.startswith("fill ")),
            _tables(shared),
            *body,
        ]
    )
    ranging = tuple(f.name for f in formulas if _first_number(f.inputs))
    return Generated(text, (*(f.name for f in formulas), *promised), tuple(left), ranging)


def _tables(shared: dict[str, str]) -> str:
    """What depends on the pool's size alone is computed once: a solver sees it once, too."""
    filled = "".join(text for name, text in shared.items() if name.startswith("fill "))
    return f"static void spec_tables(void)\n{{\n{filled}}}\n"


def _formula(spec: t.Spec, one: t.Property, live: int, shared: dict[str, str]) -> _Formula:
    says = Translator(spec, live, replaced=_REPLACED)
    given = says.text(one.given, Place().within())
    text = f"(!{given} || {says.text(one.formula, Place())})"
    shared.update(says.done)
    asked = "".join([text, *says.done.values()])
    uses_c = any(f"{name}(" in asked for name in _REPLACED.values())
    return _Formula(one.name, one.kind, one.excepted, text, tuple(says.inputs), uses_c)


def _holds(formulas: list[_Formula]) -> str:
    lines = "".join(f"\t__CPROVER_assume({f.text});\n" for f in formulas)
    head = "static void spec_assumed(const struct state *s)\n{\n\t(void)s;\n"
    return f"{head}{lines}}}\n"


def _asserted(name: str, formulas: list[_Formula]) -> str:
    return (
        f"static void {name}(const struct state *old, const struct state *s)\n"
        f"{{\n\t(void)old;\n\t(void)s;\n{''.join(map(_check, formulas))}}}\n"
    )


def _check(one: _Formula) -> str:
    first = _first_number(one.inputs)
    case = f"__CPROVER_assume(is_gap({first}));\n\t\t" if first else ""
    return _block(one.inputs, f'{case}CHECK({one.text}, "spec: {one.name}");')


def _first_number(inputs: tuple[tuple[str, int], ...]) -> str:
    """The number that is looked at by cases, or nothing."""
    return next((name for name, bits in inputs if bits == 32), "")


def _block(inputs: tuple[tuple[str, int], ...], statement: str) -> str:
    drawn = "".join(f"\t\tuint64_t {name} = {_any(bits)};\n" for name, bits in inputs)
    return f"\t{{\n{drawn}\t\t{statement}\n\t}}\n"


def _any(bits: int) -> str:
    return "nondet_u32()" if bits == 32 else f"nondet_u64() & {(1 << bits) - 1:#x}ULL"


# --- requests -------------------------------------------------------------------------------------


def _refused(spec: t.Spec, live: int, shared: dict[str, str]) -> str:
    """A request may be refused only when no action that takes memory could fire.

    That is when no place passes the test of its `least o where ...`; what else the actions require
    (that the owner is alive, that its own window is full) does not depend on the place.
    """
    lines = []
    for action in spec.actions:
        if action.name not in _ALLOCATIONS:
            continue
        for statement in action.body:
            if isinstance(statement, t.Choose) and statement.kind == "least":
                says = Translator(spec, live, alive=True)
                names = {statement.binder.name: "any_o", **_request(action.params)}
                test = says.text(statement.test, Place("s", names, positive=False))
                shared.update(says.done)
                who = "!w" if action.name == "alloc_core" else "w"
                lines.append(_block((), f'CHECK(!({who}) || !{test}, "refused: only when full");'))
    return (
        "static void spec_refused(const struct state *s, uint64_t w, uint64_t n, uint64_t any_o)\n"
        f"{{\n\t(void)s;\n\t(void)w;\n\t(void)n;\n\t(void)any_o;\n{''.join(lines)}}}\n"
    )


def _request(params: tuple[t.Binder, ...]) -> dict[str, str]:
    """The C names of who asks and for how many granules."""
    names = {}
    for param in params:
        names[param.name] = "n" if isinstance(param.type, IntType) else "w"
    return names


def _promises(
    spec: t.Spec, live: int, shared: dict[str, str], left: list[tuple[str, str]]
) -> tuple[str, list[str]]:
    lines, names = [], []
    for one in spec.properties:
        if one.kind == "promise" and one.name not in {name for name, _ in left}:
            try:
                lines.append(_promise(spec, one, live, shared))
                names.append(one.name)
            except Untranslatable as what:
                left.append((one.name, str(what)))
    text = (
        "static void spec_promises(const struct state *s, uint64_t w, uint64_t n, bool granted,\n"
        "\t\t\t  uint64_t offset)\n{\n"
        f"\t(void)s;\n\t(void)w;\n\t(void)n;\n\t(void)granted;\n\t(void)offset;\n{''.join(lines)}}}\n"
    )
    return text, names


def _promise(spec: t.Spec, one: t.Property, live: int, shared: dict[str, str]) -> str:
    """A promise that a TA's request succeeds: granted, and where its witness says."""
    quant = one.formula
    if not isinstance(quant, t.Quant) or not isinstance(quant.body, t.Succeeds):
        raise Untranslatable("a promise of another shape")
    body = quant.body
    kinds = [type(b.type) for b in quant.binders]
    same = [a.name for a in body.args if isinstance(a, t.Local)] == [b.name for b in quant.binders]
    if body.action != "alloc" or kinds != [SortType, IntType] or not same:
        raise Untranslatable("a promise of another shape")
    says = Translator(spec, live, alive=True)
    place = Place("s", _request(quant.binders), positive=False)
    given = says.text(one.given, place)
    guard = says.text(quant.guard, place)
    wanted = [f"offset == {says.text(e, place)}" for name, e in body.witness if name == "o"]
    shared.update(says.done)
    kept = " && ".join(["granted", *wanted])
    return _block((), f'CHECK(!{given} || !{guard} || ({kept}), "spec: {one.name}");')


# --- content --------------------------------------------------------------------------------------


def _scrub(spec: t.Spec, live: int, shared: dict[str, str]) -> str:
    """Which granules `free` leaves clean, and so must have been cleared, and no others."""
    action = spec.action("free")
    (block,) = (b.name for b in action.params)
    says = Translator(spec, live)
    parts = ["0"]
    for one in action.body:
        if isinstance(one, t.Update) and one.var == "residue":
            names = {block: "e", **{b.name: "g" for b in one.binders}}
            parts.append(says.text(one.guard, Place("s", names, positive=False)))
    shared.update(says.done)
    return (
        "static void spec_scrub(const struct state *s, uint64_t e)\n{\n"
        "\tuint64_t g = nondet_u64() & 0xffffffffULL;\n"
        "\tuint64_t at = SPEC_BASE + (g << TESSERA_SHIFT);\n"
        "\tbool all = clearings && cleared_at <= at &&\n"
        "\t\t   at + (1 << TESSERA_SHIFT) <= cleared_at + cleared_bytes;\n"
        "\tbool some = clearings && cleared_at < at + (1 << TESSERA_SHIFT) &&\n"
        "\t\t    at < cleared_at + cleared_bytes;\n"
        f"\tbool wanted = {' || '.join(parts)};\n\n"
        '\tCHECK(!wanted || all, "scrub: all that comes back");\n'
        '\tCHECK(wanted || !some, "scrub: nothing else");\n}\n'
    )


def _classes(spec: t.Spec, names: tuple[str, ...]) -> str:
    """The class of a UUID; and for each class a UUID that has it, all zeros when none is listed."""
    core = "SPEC_CORE_CLASS"
    told, some = core, []
    for one in spec.classes:
        for ta in one.tas:
            who = uuid.UUID(ta.uuid)
            fields = [
                f"u->timeLow == {who.time_low:#x}U",
                f"u->timeMid == {who.time_mid:#x}U",
                f"u->timeHiAndVersion == {who.time_hi_version:#x}U",
                *(f"u->clockSeqAndNode[{i}] == {b:#x}U" for i, b in enumerate(who.bytes[8:])),
            ]
            told = f"({' && '.join(fields)}) ? {names.index(one.name)} :\n\t       {told}"
        if one.tas:
            who = uuid.UUID(one.tas[0].uuid)
            tail = ", ".join(f"{b:#x}U" for b in who.bytes[8:])
            some.append(
                f"\tif (k == {names.index(one.name)})\n\t\treturn (TEE_UUID){{ "
                f"{who.time_low:#x}U, {who.time_mid:#x}U, {who.time_hi_version:#x}U,\n"
                f"\t\t\t{{ {tail} }} }};\n"
            )
    return (
        "static uint8_t spec_class(const TEE_UUID *u)\n{\n\t(void)u;\n"
        f"\treturn {told};\n}}\n"
        "static TEE_UUID spec_uuid(unsigned int k)\n{\n\t(void)k;\n"
        f"{''.join(some)}\treturn (TEE_UUID){{ }};\n}}\n"
    )
