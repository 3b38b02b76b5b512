"""A recorded trace of a page-pool policy, taken again by the compiled C.

Goal: every allocation of the trace is asked of the tree's own pool, patched with the same policy
and the same parameters; the offsets must be the trace's. So a counterexample is one of the code.
Non-goals: content (scrubbing happens outside the pool), and models with other actions than the page
pool's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tessera.conform.hostpool import HostPool, patched
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang.typed import Spec
from tessera.model.script import Event, Script, Value

GRANULE = 4096
# A TA that no policy lists.
UNLISTED = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the C did: `steps` taken with the same result; `differs` says where it stopped."""

    steps: int
    asked: int  # of them, requests for memory
    differs: str = ""


def replay_in_c(file: Path | str, script: Script, tree: Path) -> Agreement:
    """Take a script on the C of `tree` with the policy of the spec in `file`.

    Raises TesseraError for a spec without a policy that becomes C, for a tree that does not fit,
    and for an action that the pool does not have.
    """
    known = load(file)
    numbers = {n: int(v) for n, v in script.world.scalars.items() if n in known.params}
    spec = load(file, numbers)
    return PoolRun(spec, script, patched(spec, tree)).take()


@dataclass(slots=True)
class PoolRun:
    """A script that the C of a pool takes."""

    spec: Spec
    script: Script
    pool: HostPool
    blocks: dict[str, int] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    def take(self) -> Agreement:
        """Take all events, up to the first one that comes out otherwise."""
        pages = self.script.world.scalars.get("pool_pages")
        if not isinstance(pages, int):
            raise TesseraError(
                "only traces of the page pool can be taken by its C: there is no 'pool_pages'",
                where=self.spec.file,
                remedy="replay it in the simulator alone, without --tree",
            )
        self.pool.init(pages)
        for number, event in enumerate(self.script.events, start=1):
            said = self._step(event)
            if said:
                return Agreement(number - 1, self.asked, f"step {number}, {event.action}: {said}")
        return Agreement(len(self.script.events), self.asked)

    def _step(self, event: Event) -> str:
        """Take one event; what differs, if anything."""
        values: Mapping[str, Value] = {**event.args, **event.choices}
        match event.action:
            case "open" | "write":
                return ""  # nothing that the pool sees
            case "alloc" | "alloc_spill":
                return self._alloc(values, str(values["w"]))
            case "alloc_core":
                return self._alloc(values, "core")
            case "carve_out":
                return self._carve_out(str(values["e"]), int(values["o"]), int(values["n"]))
            case "free" | "free_core":
                self._free(str(values["e"]))
                return ""
            case "shrink":
                block, low, high = str(values["e"]), int(values["lo"]), int(values["hi"])
                owner = self.owner[block]
                self._free(block)
                said = self._carve_out(block, low, high - low)
                self.owner[block] = owner
                return said
            case "die":
                for block in [b for b, o in self.owner.items() if o == values["w"]]:
                    self._free(block)
                return ""
        raise TesseraError(
            f"the page pool's C has no '{event.action}'",
            where=self.spec.file,
            remedy="replay it in the simulator alone, without --tree",
        )

    def _alloc(self, values: Mapping[str, Value], owner: str) -> str:
        self.pool.active(None if owner == "core" else self._uuid(owner))
        number = self._number(str(values["e"]), owner)
        return self._same(self.pool.alloc(number, int(values["n"]) * GRANULE), int(values["o"]))

    def _carve_out(self, block: str, offset: int, size: int) -> str:
        self.pool.active(None)
        number = self._number(block, "core")
        return self._same(self.pool.alloc_at(number, offset, size * GRANULE), offset)

    def _same(self, got: int | None, wanted: int) -> str:
        self.asked += 1
        if got == wanted:
            return ""
        shown = "refuses" if got is None else f"gives offset {got}"
        return f"the C {shown}, the trace has offset {wanted}"

    def _free(self, block: str) -> None:
        self.pool.free(self.blocks.pop(block))
        del self.owner[block]

    def _number(self, block: str, owner: str) -> int:
        number = next(i for i in range(4096) if i not in self.blocks.values())
        self.blocks[block] = number
        self.owner[block] = owner
        return number

    def _uuid(self, owner: str) -> str:
        """A TA of the owner's class; the lowest class also has all TAs that no class lists."""
        name = self.script.world.tables.get("class_of", {}).get((owner,), self.spec.classes[0].name)
        found = next(c for c in self.spec.classes if c.name == name)
        if found.tas:
            return found.tas[0].uuid
        if found.above:
            raise TesseraError(
                f"class '{name}' lists no TA, so the C cannot put '{owner}' into it",
                where=found.span,
                remedy='list one: ta "UUID" "what it is"',
            )
        return UNLISTED
