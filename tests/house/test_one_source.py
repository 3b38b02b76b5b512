"""One source: a change in the spec, and nowhere else, changes proof, patch and validation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tessera import prove, resources
from tessera.emit import make_patch
from tessera.guest import toolchain, validation
from tessera.lang import Spec, load
from tessera.results import Obligation, Scenario

DIGITS = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"
OTHER = "0badcafe-1111-2222-3333-444455556666"
MIB = 1 << 20


def variant(folder: Path, *changes: tuple[str, str]) -> Spec:
    """The shipped policy with patterns in its text replaced, each of which must be there."""
    for name in ("inference_demands.tess", "private_inference.tess", "priority.tess"):
        text = resources.path(f"specs/policies/{name}").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    for old, new in changes:
        made = 0
        for file in sorted(folder.glob("*.tess")):
            text, times = re.subn(old, new, file.read_text(encoding="utf-8"))
            file.write_text(text, encoding="utf-8")
            made += times
        assert made, f"the shipped specs no longer say: {old}"
    return load(folder / "priority.tess")


SMALLER = ("= 8 MiB", "= 4 MiB")
MORE_CLASSES = ("class ordinary ", "class background\nclass ordinary > background ")
RENAMED = (r"\binference\b", "private")
ONE_MORE_TA = (f'ta "{DIGITS}"', f'ta "{OTHER}" "another"\n  ta "{DIGITS}"')
ANOTHER_TA = (f'ta "{DIGITS}"', f'ta "{OTHER}"')


@pytest.fixture
def changed(tmp_path: Path) -> Spec:
    """Half the reserve, three classes of which one has a new name, two inference TAs."""
    return variant(tmp_path, SMALLER, MORE_CLASSES, ONE_MORE_TA, RENAMED)


def unmet(obligations: tuple[Obligation, ...]) -> list[str]:
    return [obligation.id for obligation in obligations if not obligation.met]


def test_the_proofs_follow(changed: Spec) -> None:
    assert [c.name for c in changed.classes] == ["background", "ordinary", "private"]
    assert changed.params["reserve"].value == 4 * MIB >> 12
    assert unmet(prove.check(changed)) == []


def test_the_proofs_see_a_change_that_breaks_the_policy(tmp_path: Path) -> None:
    into_the_reserve = variant(tmp_path, (r"else \[0, reserve_start\(\)\)", "else [0, pool_pages)"))
    broken = unmet(prove.check(into_the_reserve))
    assert any(name.endswith("reserve_kept") for name in broken)
    assert not any(name.endswith("disjoint") for name in broken)


def test_the_patch_follows(changed: Spec, optee_tree: Path) -> None:
    before = make_patch(load(resources.find_spec("priority")), optee_tree).text
    after = make_patch(changed, optee_tree).text
    assert "2048U" in before and "2048U" not in after
    assert "1024U" in after
    assert "0x0badcafe" in after and "0x2c3d9a52" in after
    assert "0x0badcafe" not in before
    assert "k == 2" in after, "private is the third class"


def test_what_validation_expects_follows(tmp_path: Path) -> None:
    unserved = variant(tmp_path, ANOTHER_TA)
    assert validation.expectations(unserved) == {"starve": False, "residue": True, "crash": True}


def starved(spec: Spec, folder: Path) -> Scenario:
    """The scenario `starve` on a real OP-TEE, with the spec's own patch."""
    (shown,) = validation.validate(spec, names=("starve",), log_folder=folder).scenarios
    return shown


@pytest.mark.guest
def test_the_guest_follows_the_reserve(
    changed: Spec, guest_tools: toolchain.Toolchain, tmp_path: Path
) -> None:
    shown = starved(changed, tmp_path)
    assert shown.met
    assert shown.unpatched is not None and shown.patched is not None
    kept = shown.unpatched.figures["hog_bytes"] - shown.patched.figures["hog_bytes"]
    assert 3 * MIB < kept < 5 * MIB, "ordinary TAs get all but the 4 MiB that the spec reserves"


@pytest.mark.guest
def test_the_guest_follows_the_list_of_inference_tas(
    guest_tools: toolchain.Toolchain, tmp_path: Path
) -> None:
    shown = starved(variant(tmp_path, ANOTHER_TA), tmp_path)
    assert shown.patched is not None
    assert not shown.patched.passed, "a TA that is not on the list is not served"
    assert shown.met
