"""Scenario `trace`: every operation on the page pools of a run, recorded from the booted machine.

The run: OP-TEE boots from the making of its pools on; the inference TA opens, infers and closes;
ordinary TAs take all memory that they get, and the inference TA opens, infers and closes again;
several of its instances are open at once, more than its reserve holds.
"""

from __future__ import annotations

from tessera.errors import TesseraError
from tessera.guest import layout, poolview
from tessera.guest.machine import Guest, GuestError
from tessera.guest.pooltrace import PoolTrace
from tessera.guest.recorder import Recorder
from tessera.guest.scenarios.bench import MODEL, ONE_IMAGE, Bench

NAME = "trace"
DOC = "Every pool operation of a run, replayed by the spec, gives the same offsets."
CROWD = 8  # instances of the inference TA that are open at once
_INFER = f"tessera_dnn infer {MODEL} {ONE_IMAGE}"
_HOLD = 600  # seconds: longer than the run, for they are ended by a signal
RUN = (
    f"{_INFER} /tmp/o",
    # Without a reserve it is refused, which is what the trace is to show.
    f"tessera_hog 2 sh -c '{_INFER} /tmp/o || true'",
    # One after the other, so that no two of them work at the same time.
    f"for i in $(seq {CROWD}); do ({_INFER} /tmp/o$i --hold-open {_HOLD} >/tmp/l$i 2>&1 & "
    "echo $! >/tmp/p$i); n=0; p=$(cat /tmp/p$i); "
    "until grep -q holding /tmp/l$i || [ ! -e /proc/$p ] || grep -q ') Z' /proc/$p/stat || "
    "[ $n = 600 ]; do sleep 0.1; n=$((n + 1)); done; done; "
    f"for i in $(seq {CROWD}); do p=$(cat /tmp/p$i); kill $p; n=0; "
    "until [ ! -e /proc/$p ] || grep -q ') Z' /proc/$p/stat || [ $n = 600 ]; do "
    "sleep 0.1; n=$((n + 1)); done; done; "
    f"grep -l holding /tmp/l* | wc -l | grep -qx {CROWD}",
)


def record(
    bench: Bench, run: tuple[str, ...] = RUN, timeout: float = 600.0
) -> tuple[PoolTrace, TesseraError | None]:
    """Boot one side, run the commands in it and record, up to a command that fails.

    The error says which one that was: what came before it is a whole trace, and may show why.
    Raises `TesseraError` when the guest dies or the stub is lost: a trace that is cut short is no
    trace.
    """
    recorder = Recorder(layout.layout_of(bench.build))
    try:
        with bench.boot(NAME, watch=recorder) as guest:
            failures = (_failure(guest, command, timeout) for command in run)
            failed = next(filter(None, failures), None)
            recorder.finish()
            memory = guest.secure_ram()
    except GuestError as error:
        raise TesseraError(
            f"the trace is cut short after {len(recorder.operations)} operations: {error.message}",
            where=str(error.where),
            remedy=error.remedy,
        ) from error
    pools = tuple(recorder.pools.values())
    seen = poolview.view(recorder.layout, memory)
    left = {pool.address: blocks for pool, blocks in seen.items()}
    recorded = PoolTrace(bench.build.version, pools, tuple(recorder.operations), left)
    return recorded, failed


def _failure(guest: Guest, command: str, timeout: float) -> TesseraError | None:
    result = guest.run(command, timeout=timeout)
    if result.status == 0:
        return None
    return TesseraError(
        f"the run that is traced failed with {result.status}: {result.output.strip()[-500:]}",
        where=str(guest.console_log),
        remedy="try the scenario infer first: tessera validate SPEC --scenario infer",
    )
