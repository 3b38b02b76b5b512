"""The worlds of the lockstep: which pools there are, who owns memory, and what the policy says.

Goal: pools from one granule to beyond the limits of 16 and 32 bits, one or both; the policy's
decisions as tables, read off the spec by the simulator's evaluator.
Non-goals: running anything.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tessera.errors import Span, TesseraError
from tessera.lang import typed as t
from tessera.lang.types import CLASS
from tessera.model.engine import Engine
from tessera.model.scope import Scope
from tessera.model.script import Value, World

GRANULE = 4096
GROUPS = ("one-pool", "two-pools", "guests", "wide")
SCRUBS = ("never", "owned", "returned", "always")
UNLISTED = uuid.UUID("00000000-0000-4000-8000-000000000001")
BLOCKS = 12  # of a simulated world; slots 0 to 11
_DEFAULT_BASE = 0x0E30_0000
_GAP = 1 << 28
_MOST_OWNERS = 16
_SIZES = (1, 2, 3, 4, 5, 7, 8, 33, 48, 100, 1000, 65_535, 65_536, 65_537, 70_000)
_PAIRS = ((48, 32), (1, 1), (2, 3), (5, 48), (3000, 64), (64, 3000), (65_537, 16), (16, 65_537))
_GUESTS = ((5,), (48, 32), (16, 3000))
_WIDE = (
    ((1 << 20) - 1,),
    (1 << 20,),
    ((1 << 20) + 1,),
    (1 << 24,),
    ((1 << 31) + 5,),
    (0xFFFF_FFFE,),
    (1 << 21, 1 << 22),
)
_NEEDED = ("open", "alloc", "alloc_spill", "alloc_core", "carve_out", "free", "free_core")
_NOWHERE = Span("", 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who memory is taken for; the first one is the core."""

    name: str  # in the model
    label: str  # for people
    kind: str  # class
    uuid: uuid.UUID


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool at a physical address."""

    base: int
    pages: int


@dataclass(frozen=True, slots=True)
class HostWorld:
    """The core's pool and, when there is a second one, the TAs'."""

    group: str
    pools: tuple[Pool, ...]
    content: bool  # there is memory behind it, and what it holds is compared
    core_falls_back: bool = False  # to the TAs' pool, as with CFG_NS_VIRTUALIZATION

    @property
    def name(self) -> str:
        """E.g. "48 granules" or "core 48, TAs 32 granules"."""
        if len(self.pools) == 1:
            return f"{self.pools[0].pages} granules"
        return f"core {self.pools[0].pages}, TAs {self.pools[1].pages} granules"


@dataclass(frozen=True, slots=True)
class Setting:
    """A spec with its owners."""

    spec: t.Spec
    owners: tuple[Owner, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The owners for people."""
        return tuple(owner.label for owner in self.owners)


def setting_of(spec: t.Spec) -> Setting:
    """Who takes part: the core, every listed TA, one that is not listed, and near misses.

    Raises TesseraError for a spec that is not one of the page pool.
    """
    actions = {action.name for action in spec.actions}
    missing = [name for name in _NEEDED if name not in actions]
    if missing or "pool_pages" not in spec.consts or "class_of" not in spec.consts:
        raise TesseraError(
            f"spec '{spec.name}' is not one of the page pool"
            + (f": it has no action '{missing[0]}'" if missing else ""),
            where=spec.file,
            remedy="use optee/pool.tess; specs/policies/priority.tess shows how",
        )
    lowest = _lowest(spec)
    listed = [(c.name, uuid.UUID(ta.uuid)) for c in spec.classes for ta in c.tas]
    owners = [Owner("core", "the core", lowest, uuid.UUID(int=0))]
    people = [(kind, who, f"a TA of class {kind}") for kind, who in listed]
    people.append((lowest, UNLISTED, "a TA that is not listed"))
    for kind, who in listed:
        if kind != lowest:
            people.append((lowest, _flip(who, 15), f"a TA whose UUID is nearly one of {kind}'s"))
            people.append((lowest, _flip(who, 0), f"a TA whose UUID ends like one of {kind}'s"))
    for number, (kind, who, label) in enumerate(people[: _MOST_OWNERS - 1], start=1):
        owners.append(Owner(f"ta{number}", f"ta{number} ({label})", kind, who))
    return Setting(spec, tuple(owners))


def _lowest(spec: t.Spec) -> str:
    """The class of the core: the one that outranks none; where several do, the one without TAs."""
    lowest = [c for c in spec.classes if not c.above]
    return next((c.name for c in lowest if not c.tas), lowest[0].name)


def _flip(who: uuid.UUID, byte: int) -> uuid.UUID:
    raw = bytearray(who.bytes)
    raw[byte] ^= 1
    return uuid.UUID(bytes=bytes(raw))


def worlds_of(spec: t.Spec, group: str) -> list[HostWorld]:
    """The pools of a group. Near every configured number of granules there is a pool as well."""
    region = (
        next((r for r in spec.platform.regions if r.name == "pool"), None)
        if (spec.platform)
        else None
    )
    base = region.base if region else _DEFAULT_BASE
    if group == "one-pool":
        sizes = {*_SIZES, *_near_parameters(spec)}
        found: list[tuple[int, ...]] = [(pages,) for pages in sorted(sizes)]
    else:
        found = list({"two-pools": _PAIRS, "guests": _GUESTS, "wide": _WIDE}[group])
    return [_world(group, base, pages) for pages in found]


def _world(group: str, base: int, pages: tuple[int, ...]) -> HostWorld:
    pools = [Pool(base, pages[0])]
    if len(pages) > 1:
        pools.append(Pool(base + pages[0] * GRANULE + _GAP, pages[1]))
    return HostWorld(group, tuple(pools), group != "wide", group == "guests")


def _near_parameters(spec: t.Spec) -> set[int]:
    """Pools as large as a configured size, or such that it is three quarters of them."""
    out: set[int] = set()
    for param in spec.params.values():
        if 1 < param.value <= 1 << 16:
            for size in (param.value, 4 * param.value // 3):
                out |= {size - 1, size, size + 1}
    return out


def model_world(setting: Setting, pages: int) -> World:
    """The simulator's world of one pool."""
    spec = setting.spec
    scalars: dict[str, Value] = {name: param.value for name, param in spec.params.items()}
    scalars["pool_pages"] = pages
    owners = tuple(owner.name for owner in setting.owners)
    universe = {
        "owner": ("core", "nobody", *owners[1:]),
        "block": tuple(f"b{i}" for i in range(BLOCKS)),
    }
    kinds: dict[tuple[Value, ...], Value] = {(o.name,): o.kind for o in setting.owners}
    kinds[("nobody",)] = setting.owners[0].kind
    return World(scalars, universe, {"class_of": kinds})


class Decisions:
    """What the policy decides for a pool, asked of the simulator's evaluator."""

    def __init__(self, setting: Setting, pages: int) -> None:
        self.spec = setting.spec
        self._engine = Engine(setting.spec, model_world(setting, pages))

    def window(self, kind: str) -> tuple[int, int]:
        """The window of a class, in granules."""
        return int(self._ask("window.lo", kind)), int(self._ask("window.hi", kind))

    def spill(self, kind: str) -> str:
        """The class whose window it may fall back into."""
        return str(self._ask("spill", kind))

    def scrub(self) -> str:
        """When content is wiped."""
        return str(self._ask("scrub"))

    def _ask(self, name: str, *kinds: str) -> Value:
        function = self.spec.functions.get(name)
        if function is None:
            raise TesseraError(
                f"spec '{self.spec.name}' decides nothing about {name.partition('.')[0]}",
                where=self.spec.file,
                remedy="give it a policy block; specs/policies/priority.tess shows one",
            )
        args = tuple(t.EnumLit(kind, CLASS, _NOWHERE) for kind in kinds)
        call = t.Apply(
            "policy" if function.policy else "function", name, args, function.type, _NOWHERE
        )
        scope = Scope()
        code = self._engine.compile(call, scope)
        value: Value = code(scope.frame(()))
        return value


def scrubs(setting: Setting) -> str:
    """When the policy wipes content; it depends on no pool."""
    return Decisions(setting, 1).scrub()


def setting_text(setting: Setting, worlds: list[HostWorld]) -> str:
    """The setting as verification/host/lockstep.c reads it: numbers only, in its order."""
    names = [c.name for c in setting.spec.classes]
    numbers: list[list[int]] = []
    numbers.append([SCRUBS.index(scrubs(setting)), len(names), len(setting.owners), len(worlds)])
    numbers += [[names.index(o.kind), *o.uuid.bytes_le] for o in setting.owners]
    for world in worlds:
        numbers.append([int(world.content), int(world.core_falls_back), len(world.pools)])
        for pool in world.pools:
            says = Decisions(setting, pool.pages)
            numbers.append([pool.base, pool.pages])
            numbers += [[*says.window(k), names.index(says.spill(k))] for k in names]
    return "".join(" ".join(map(str, row)) + "\n" for row in numbers)
