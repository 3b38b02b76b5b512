"""The C lines of one policy: what the placeholders of the hook templates stand for.

Goal: a mapping from placeholder to C text, all from the spec; deterministic.
Non-goals: where lines go (see `hooks`) and how templates look (optee_os_patch/hooks/).
"""

from __future__ import annotations

from tessera.emit.cexpr import Translator
from tessera.emit.layout import wrap
from tessera.emit.policy import K, Policy
from tessera.emit.reduce import POOL_PAGES
from tessera.lang import typed as t

PAGES_FIELD = "pool->pages"
_CURRENT = "thread_get_id_may_fail() >= 0 && thread_get_tsd()->ctx"
_UUID_OF_CURRENT = "&thread_get_tsd()->ctx->uuid"


def placeholders(policy: Policy) -> dict[str, str]:
    """The text of every placeholder that a template may use."""
    below = policy.spec.outranks
    names = {K: K, POOL_PAGES: PAGES_FIELD}
    to_c = Translator(names, policy.numbers, lambda a, b: below(b, a))
    moves, moved = _spill(policy, to_c)
    return {
        "uuids": "\n".join(_uuid_lines(policy)),
        "class": _class_of_request(policy),
        "guard_lo": "" if policy.zero_in_empty_pool else f"\tif ({PAGES_FIELD})\n\t",
        "window_lo": to_c.text(policy.lo),
        "window_hi": to_c.compared(policy.hi),
        "spill_moves": moves,
        "spill": moved,
    }


def expand(template: str, texts: dict[str, str]) -> list[str]:
    """The template's lines with placeholders `$name` replaced, broken at 80 columns."""
    lines: list[str] = []
    for line in template.strip("\n").split("\n"):
        filled = line
        for name in sorted(texts, key=len, reverse=True):
            filled = filled.replace(f"${name}", texts[name])
        lines += [piece for part in filled.split("\n") for piece in wrap(part)]
    return lines


def _uuid_lines(policy: Policy) -> list[str]:
    """One constant per listed TA, two lines each."""
    out = []
    for index, (_, uuid) in enumerate(policy.listed):
        low, mid, high, *tail = uuid.split("-")
        node = ", ".join(f"0x{b:02x}" for b in bytes.fromhex("".join(tail)))
        out += [
            f"\tstatic const TEE_UUID {_name(policy, index)} = {{ 0x{low}, 0x{mid}, 0x{high},",
            f"\t\t{{ {node} }} }};",
        ]
    return out


def _name(policy: Policy, index: int) -> str:
    # Two letters, so that the comparisons of a list fit a line each.
    return "ta" if len(policy.listed) == 1 else f"t{index}"


def _class_of_request(policy: Policy) -> str:
    """The class number of the TA whose context is active on this thread; 0 for none."""
    by_class: dict[int, list[str]] = {}
    for index, (number, _) in enumerate(policy.listed):
        name = _name(policy, index)
        test = f"!memcmp({_UUID_OF_CURRENT}, &{name}, sizeof({name}))"
        by_class.setdefault(number, []).append(test)
    if list(by_class) == [1]:
        return f"{_CURRENT} && {_any(by_class[1])}"
    chosen = "".join(f"{' || '.join(tests)} ? {n} : " for n, tests in sorted(by_class.items()))
    return f"{_CURRENT} ? ({chosen}0) : 0"


def _any(tests: list[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' || '.join(tests)})"


def _spill(policy: Policy, to_c: Translator) -> tuple[str, str]:
    """The test that spill changes the class, and the class it changes to."""
    moving = [name for name in policy.numbers if policy.spill_of(name) != name]
    targets = {policy.spill_of(name) for name in moving}
    body = policy.spill
    if len(targets) == 1 and isinstance(body, t.Ite):
        # `if k is one of these then that else k`: say it without the useless assignment.
        tests = [f"{K} == {policy.numbers[name]}" for name in moving]
        return _any(tests), str(policy.numbers[targets.pop()])
    moved = to_c.text(body)
    return f"{K} != ({moved})", moved
