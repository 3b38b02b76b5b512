"""The tier `builds`: the patch on every version of OP-TEE at hand, in every configuration.

Goal: `run`. For every version that apt offers and the tree that was given: the hooks fit and the
patch applies, the touched files compile without a new warning, checkpatch has nothing to say, and
git takes the mail and gives the tree back.
Non-goals: running anything that was built (see the tiers `host` and `guest`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.conform import build_cells, checkpatch, mail_roundtrip
from tessera.conform.build_cells import CONFIGURATIONS, Configuration
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options, Progress, silent
from tessera.emit import make_patch
from tessera.emit.hooks import hooks_for
from tessera.emit.source import open_tree
from tessera.errors import TesseraError
from tessera.guest import cache, optee, releases
from tessera.lang.typed import Spec

TIER = "builds"
APPLIES = "patch"


@dataclass(frozen=True, slots=True)
class Version:
    """A tree to look at. `label` is Debian's version, or OP-TEE's with the folder's name."""

    label: str
    tree: Path | None
    reason: str = ""  # why there is no tree


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier, version by version.

    A patch that was given is for its own tree; only that is looked at. Raises TesseraError where a
    program that is needed (make, git) is missing.
    """
    given = None if ready.name == "emitted" else ready.text
    if not ready.text:
        yield Check(TIER, f"{TIER}/{APPLIES}", "SKIPPED", "the policy changes nothing in this tree")
        return
    offered = releases.at_hand()
    if offered is None and given is None:
        told = "which versions apt offers is not known; only the one tree is looked at"
        yield Check(TIER, f"{TIER}/offered", "SKIPPED", told, remedy=releases.MEND)
    for version in versions(ready.original, offered or (), alone=given is not None):
        yield from survey(spec, version, given, options.progress, CONFIGURATIONS)


def versions(
    tree: Path, offered: Sequence[releases.Release], *, alone: bool = False
) -> tuple[Version, ...]:
    """The given tree first, then what apt offers; `alone` leaves out the others."""
    listed = [Version(one.version, one.tree, one.reason or "not fetched") for one in offered]
    own = tree.resolve()
    for version in listed:
        if version.tree is not None and version.tree.resolve() == own:
            rest = [other for other in listed if other is not version]
            return (version,) if alone else (version, *rest)
    mine = Version(f"{optee.read_tree(tree).version}:{own.name}", tree)
    return (mine,) if alone else (mine, *listed)


def survey(
    spec: Spec,
    version: Version,
    given: str | None = None,
    progress: Progress = silent,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
) -> Iterator[Check]:
    """All checks of one version, with the patch that the spec becomes there, or the one given."""
    name = f"{TIER}/{version.label}"
    if version.tree is None:
        yield Check(
            TIER, f"{name}/{APPLIES}", "SKIPPED", f"apt did not give it: {version.reason}",
            remedy=f"{releases.MEND} --refresh, or give this version's tree with --tree",
        )  # fmt: skip
        return
    progress(f"builds {version.label}")
    with cache.scratch("builds") as scratch:
        tree = scratch / "optee"
        optee.copy_tree(version.tree, tree)
        first, text = _applies(f"{name}/{APPLIES}", spec, version.tree, tree, given)
        yield first
        if not text:
            return
        yield checkpatch.judged(f"{name}/checkpatch", version.tree, text)
        yield mail_roundtrip.taken(f"{name}/git-am", version.tree, text)
        yield from build_cells.compiled(version.label, tree, text, configurations, progress)


def _applies(
    name: str, spec: Spec, original: Path, copy: Path, given: str | None
) -> tuple[Check, str]:
    """Whether the patch fits the tree, and its text; empty when it does not."""
    began = time.perf_counter()
    try:
        hooks_for(open_tree(original))
    except TesseraError as error:
        if given is None:
            return Check(TIER, name, "SKIPPED", error.message, remedy=error.remedy), ""
    try:
        text = make_patch(spec, original).text if given is None else given
        files = optee.patched_files(copy, text)
    except TesseraError as error:
        return (
            Check(
                TIER, name, "DIFFERS", error.message.splitlines()[0], where=str(error.where or ""),
                trace=tuple(error.message.splitlines()[1:]), remedy=error.remedy,
            ),
            "",
        )  # fmt: skip
    added = sum(line.startswith("+") and not line.startswith("+++") for line in text.splitlines())
    told = f"every hook fits; {added} lines in {len(files)} files"
    seconds = time.perf_counter() - began
    return Check(TIER, name, "AGREES", told, {"added": added, "files": len(files)}, seconds), text
