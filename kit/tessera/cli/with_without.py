"""The table of `tessera run --baseline`: one inference with a plan and without.

Goal: a line per way, what they mean, and how many times one is the other.
Non-goals: measuring (`tessera.guest.beside`).
"""

from __future__ import annotations

from tessera.guest.answers import TOP
from tessera.guest.beside import Beside, Way

_HEAD = f"{'with and without':<25}{'bytes':>13}{'instructions':>17}{'seconds':>11}{'decrypted':>13}"


def text(beside: Beside) -> str:
    """For people: the first input only."""
    lines = [f"{_HEAD}  beside the reference", *map(_line, beside.ways)]
    if beside.sealed is not None and beside.sealed.instructions is None:
        lines.append("  instructions in OP-TEE, Linux included: with --icount")
    lines += [_times(one, beside.plain) for one in beside.without]
    if not beside.float32:
        lines.append("  the reference is the network in float32, before it was quantised")
    return "\n".join(lines)


def _line(way: Way) -> str:
    instructions = "" if way.instructions is None else f"{way.instructions:,}"
    seconds = "" if way.seconds is None else f"{way.seconds:.6f}"
    top = f"same top {TOP}" if way.agreement.same_top else f"another top {TOP}"
    return (
        f"  {way.name:<23}{way.memory:>13,}{instructions:>17}{seconds:>11}{way.decrypted:>13,}"
        f"  {way.agreement.largest:.1e}, {top}"
    )


def _times(without: Way, plain: Way) -> str:
    """How often what the plan takes goes into what the other takes; decryption left out."""
    words = f"{without.memory / plain.memory:.1f} times the memory"
    if without.instructions and plain.instructions:
        words += f" and {without.instructions / plain.instructions:.2f} times the instructions"
    return f"  {without.name}: {words} of: {plain.name}"
