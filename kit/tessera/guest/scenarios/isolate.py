"""Scenario `isolate`: Linux, as root, reads secure RAM through /dev/mem and faults.

As a control the same program reads memory that OP-TEE shares with Linux, which must succeed: else
a refusal to map anything at all would pass for isolation.
"""

from __future__ import annotations

from tessera.guest import qemu
from tessera.guest.scenarios.bench import Bench, InconclusiveError
from tessera.results import Outcome

NAME = "isolate"
DOC = "Linux reads secure RAM and gets a bus error at every address tried."
STEP = 1024 * 1024
SHARED_MEMORY = 0x42000000  # OP-TEE's reserved shared memory on QEMU
BUS_ERROR = 128 + 7


def addresses() -> list[int]:
    """One address in each MiB of secure RAM, and its last word."""
    end = qemu.SECURE_RAM_BASE + qemu.SECURE_RAM_SIZE
    return [*range(qemu.SECURE_RAM_BASE, end, STEP), end - 4]


def trial(bench: Bench) -> Outcome:
    """Try every address once."""
    tried = addresses()
    reads = "; ".join(f"devmem {at:#x} 32; echo {at:#x} status $?" for at in tried)
    with bench.boot(NAME) as guest:
        control = guest.run(f"devmem {SHARED_MEMORY:#x} 32")
        if control.status != 0:
            raise InconclusiveError(f"/dev/mem does not work at all: {control.output.strip()}")
        text = guest.run(reads).output
    faults = sum(f"{at:#x} status {BUS_ERROR}\n" in text + "\n" for at in tried)
    readable = sum(f"{at:#x} status 0\n" in text + "\n" for at in tried)
    if faults + readable != len(tried):
        raise InconclusiveError(f"some reads ended otherwise: {text.strip()[-300:]}")
    return Outcome(
        passed=faults == len(tried),
        detail=f"{faults} of {len(tried)} reads of secure RAM faulted",
        figures={"reads": len(tried), "faults": faults, "readable": readable},
    )
