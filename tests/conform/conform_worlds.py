"""Pools for the lockstep's tests."""

from __future__ import annotations

from tessera.conform.worlds import HostWorld, Pool

BASE = 0x0E30_0000
SMALL = (
    HostWorld("one-pool", (Pool(BASE, 1),), True),
    HostWorld("one-pool", (Pool(BASE, 9),), True),
    HostWorld("two-pools", (Pool(BASE, 7), Pool(BASE + (1 << 24), 5)), True),
)
HUGE = HostWorld("wide", (Pool(BASE, 0xFFFF_FFFE),), False)
GUESTS = HostWorld("guests", SMALL[2].pools, True, core_falls_back=True)
