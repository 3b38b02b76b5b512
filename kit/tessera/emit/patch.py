"""From a spec's policy and a tree to a patch, within the line budget.

Goal: `make_patch`, the one entry point of this package.
Non-goals: applying the patch, and any change to the tree.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tessera.emit.hooks import Finder, Hook, hooks_for
from tessera.emit.mail import Edit, message
from tessera.emit.policy import Policy, read_policy
from tessera.emit.render import expand, placeholders
from tessera.emit.source import Tree, open_tree
from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.results import PatchInfo

BUDGET = 32  # added plus removed lines, as `git diff --numstat` counts them
CONTEXT = 3


def make_patch(spec: Spec, tree: Path, *, context: int = CONTEXT) -> PatchInfo:
    """The patch that makes the tree follow the spec's policy; empty when it does already.

    Raises `TesseraError` for a tree that is missing, not OP-TEE, of an unknown version, already
    patched or not as expected, for a policy that has no C form, and over the budget.
    """
    policy = read_policy(spec)
    source = open_tree(tree)
    finder = Finder(source)
    known = hooks_for(source).hooks
    _refuse_patched(finder, known)
    hooks = [hook for hook in known if _needed(hook, policy)]
    if not hooks:
        return PatchInfo("", 0, 0, BUDGET, (), {}, source.name)
    edits, costs = _edits(finder, hooks, policy)
    added = sum(edit.added for edit in edits)
    if added > BUDGET:
        raise _over_budget(spec, added, costs)
    text = message(_subject(policy), _body(policy, source), edits, context)
    return PatchInfo(text, added, 0, BUDGET, tuple(e.file for e in edits), costs, source.name)


def _needed(hook: Hook, policy: Policy) -> bool:
    """Whether the policy decides otherwise than OP-TEE where this hook stands."""
    return {
        "pages": policy.windowed or policy.scrub == "always",
        "windows": policy.windowed,
        "spills": policy.windowed and policy.spills,
        "scrub owned": policy.scrub == "owned",
        "scrub always": policy.scrub == "always",
    }[hook.when]


def _refuse_patched(finder: Finder, hooks: tuple[Hook, ...]) -> None:
    for hook in hooks:
        if finder.is_done(hook):
            raise TesseraError(
                f"this tree is patched already: it has what hook '{hook.name}' puts in",
                where=str(finder.tree.root / hook.file),
                remedy="give a fresh copy of the tree, or take the patch out with `patch -R -p1`",
            )


def _edits(finder: Finder, hooks: list[Hook], policy: Policy) -> tuple[list[Edit], dict[str, int]]:
    """The insertions per file, in the order of the paths, and the lines that each part costs."""
    texts = placeholders(policy)
    places: dict[str, dict[int, tuple[str, ...]]] = {}
    costs: Counter[str] = Counter()
    for hook in hooks:
        lines = tuple(expand(hook.lines, texts))
        at = finder.line_of(hook)
        here = places.setdefault(hook.file, {})
        here[at] = here.get(at, ()) + lines
        costs[hook.part] += len(lines)
    edits = [Edit(file, finder.text(file), places[file]) for file in sorted(places)]
    return edits, dict(costs)


def _over_budget(spec: Spec, added: int, costs: dict[str, int]) -> TesseraError:
    parts = ", ".join(f"{part} {count}" for part, count in costs.items())
    return TesseraError(
        f"the patch needs {added} added lines, more than {BUDGET}: {parts}",
        where=spec.file,
        remedy="list fewer TAs, let windows be simpler expressions, or drop a decision",
    )


def _subject(policy: Policy) -> str:
    if policy.windowed and policy.scrub != "never":
        return "core: mm: place TA memory by class and scrub it"
    if policy.windowed:
        return "core: mm: place TA memory by class"
    return "core: mm: scrub memory that TAs owned"


def _body(policy: Policy, source: Tree) -> list[str]:
    """The paragraphs of the commit message."""
    out = [policy.spec.doc or f"The memory policy '{policy.spec.name}'."]
    if policy.windowed:
        out.append(
            "A request for physical pages has the class of the TA whose context is active on the "
            "thread, by the UUIDs listed here; the core and all other TAs have class 0. The search "
            "is first fit from low within the window of the class"
            + (
                ", then within the window of the class that it may fall back into."
                if policy.spills
                else "."
            )
        )
        out.append("\n".join(f"  class {n}: {name}" for name, n in policy.numbers.items()))
    if policy.scrub == "owned":
        out.append(
            "Memory that a TA owned is cleared, at its rounded size, before it can be taken again."
        )
    elif policy.scrub == "always":
        out.append("Every range that returns to a page pool is cleared.")
    out.append(f"Emitted from the spec '{policy.spec.name}' for {source.name}.")
    return out
