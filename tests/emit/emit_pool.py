"""What the search of a patched page pool should do: first fit in windows, in the plainest way."""

from __future__ import annotations

from dataclasses import dataclass, field

GRANULE = 4096


@dataclass(slots=True)
class Reference:
    """First fit from low in the windows of a class, then in those of its fall-back."""

    pages: int
    windows: dict[str, tuple[int, int]]
    spill: dict[str, str]
    live: dict[int, tuple[int, int]] = field(default_factory=dict)

    def alloc(self, block: int, kind: str, size: int) -> int | None:
        """Where `size` bytes of a class must go."""
        count = -(-size // GRANULE)
        for name in dict.fromkeys([kind, self.spill[kind]]):
            lo, hi = self.windows[name]
            for offset in range(lo, hi - count + 1):
                if self.clear(offset, count):
                    self.live[block] = (offset, count)
                    return offset
        return None

    def alloc_at(self, block: int, offset: int, size: int) -> int | None:
        """Take a given range if it is free."""
        count = -(-size // GRANULE)
        if offset + count > self.pages or not self.clear(offset, count):
            return None
        self.live[block] = (offset, count)
        return offset

    def free(self, block: int) -> None:
        """Give a block back."""
        del self.live[block]

    def clear(self, offset: int, count: int) -> bool:
        """Whether no live block meets the range."""
        return all(offset + count <= o or o + c <= offset for o, c in self.live.values())
