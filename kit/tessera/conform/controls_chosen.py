"""Which negative controls the slow tiers are given, each with what it stands for.

Goal: `is_tried`: the quick tiers get all controls; the tiers that take minutes for one get a small
set by name, and any control that is asked for by name.
Non-goals: what the tiers make of them: that is measured (see `controls`).
"""

from __future__ import annotations

from collections.abc import Mapping

CHOSEN: Mapping[str, Mapping[str, str]] = {
    "guest": {
        "no-scrub-of-memory": "content is in no trace: only `crash` searches memory for it",
        "no-end-test": "the ordinary window is off: TAs of the boot and Linux go beyond it",
        "uuid-digit": "the test of the class is never true for the TA that is there",
    },
    "cbmc": {
        "max-for-min": "a window that is too large, in any pool",
        "no-end-test": "nothing ends a window",
        "offset-below": "a block outside its window, in any gap",
        "uuid-digit": "a UUID, of all there are",
        "no-spill": "a request that is refused although another window has room",
        "pages-in-16-bits": "a width that only large pools show",
        "no-pages": "a pool that is not placed by class",
        "no-scrub-of-image": "content that is left",
        "scrub-after-free": "what is cleared belongs to nobody any more",
        "refused-with-lock": "a way out that skips what follows",
    },
}
"""By tier: a control's name, and the reason why this one."""


def is_tried(tier: str, name: str, *, by_name: bool) -> bool:
    """Whether the tier is given the control; one that was asked for by name always is."""
    return by_name or tier not in CHOSEN or name in CHOSEN[tier]
