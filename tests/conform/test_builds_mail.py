"""The mail goes in with git and comes out again; checkpatch judges it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_tree import changes, made_tree

from tessera import resources
from tessera.conform import checkpatch, mail_roundtrip
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import cache
from tessera.guest import checkpatch as tool
from tessera.lang import load

TOY_TREE = Path(__file__).parents[1] / "emit" / "tree"
GUARD = ("core/pool.c", "\tpool->taken += size;\n", "\tif (size)\n\t\tpool->taken += size;\n")
STEPS = "git am; git am --abort; git revert; git format-patch -R and git am"


@pytest.fixture(autouse=True)
def own_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose own settings would change every file that git writes."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))


@pytest.fixture
def toy_mail() -> str:
    return make_patch(load(resources.find_spec("priority")), TOY_TREE).text


def test_the_emitted_mail_goes_in_and_comes_out(toy_mail: str) -> None:
    before = cache.digest_tree(TOY_TREE)
    check = mail_roundtrip.taken("builds/toy/git-am", TOY_TREE, toy_mail)
    assert (check.verdict, check.detail, check.trace) == ("AGREES", STEPS, ())
    assert check.counts == {"files": 5}
    assert cache.digest_tree(TOY_TREE) == before


def test_a_mail_of_anybody_does(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    mail = changes(tree, GUARD).replace("Subject: [PATCH]", "Subject: [PATCH v2 1/1]")
    folded = mail.replace("core: pool: count", "core: pool:\n count")
    assert mail_roundtrip.taken("n", tree, mail).verdict == "AGREES"
    assert mail_roundtrip.taken("n", tree, folded).verdict == "AGREES"


def test_two_mails_in_one_do_not_revert(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    other = ("core/object.c", "\tpool->taken -= size;\n", "\tif (size)\n\t\tpool->taken -= size;\n")
    check = mail_roundtrip.taken("n", tree, changes(tree, GUARD) + changes(tree, other))
    assert check.verdict == "DIFFERS"
    assert check.detail == "after git revert the tree is not what it must be"
    assert check.trace[:2] == ("git am", "git am --abort")


def test_a_tree_that_git_rewrites_is_noticed(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    (tree / ".gitattributes").write_text("*.c text eol=crlf\n")
    check = mail_roundtrip.taken("n", tree, changes(tree, GUARD))
    assert check.verdict == "DIFFERS"
    assert check.detail.startswith("after git am the tree is not what it must be")


def test_what_is_no_mail_is_refused_with_gits_words(tmp_path: Path) -> None:
    tree = made_tree(tmp_path)
    mail = changes(tree, GUARD)
    check = mail_roundtrip.taken("n", tree, mail[mail.index("diff --git") :])
    assert check.verdict == "DIFFERS"
    assert check.detail.startswith("git am is refused: ")


def test_a_mail_without_context_is_misplaced_by_git_and_noticed() -> None:
    """`git am` has no --unidiff-zero: it takes lines without context for the file's last ones."""
    made = make_patch(load(resources.find_spec("priority")), TOY_TREE, context=0)
    check = mail_roundtrip.taken("n", TOY_TREE, made.text)
    assert check.verdict == "DIFFERS"
    assert check.detail == "after git am the tree is not what it must be"
    assert check.remedy.startswith("emit the patch with context")


def test_a_commit_by_somebody_else_is_noticed(tmp_path: Path) -> None:
    """git takes the author from a second From line in the text, when there is one."""
    tree = made_tree(tmp_path)
    mail = changes(tree, GUARD).replace(
        "\n\nSomebody", "\n\nFrom: B <b@example.invalid>\n\nSomebody"
    )
    check = mail_roundtrip.taken("n", tree, mail)
    assert check.verdict == "DIFFERS" and "B <b@example.invalid>" in check.detail


FAKE = """\
use strict; use warnings;
my ($bad, $number) = (0, 0);
while (my $line = <STDIN>) {
	$number++;
	die "I fall over\\n" if $line =~ /FALL OVER/;
	if ($line =~ /^\\+.*[ \\t]$/) {
		print "ERROR: trailing whitespace\\n#$number: FILE: core/pool.c:12:\\n";
		$bad = 1;
	}
}
exit $bad;
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in checkpatch's place, and a tree that has a configuration for it."""
    script = tmp_path / "checkpatch.pl"
    script.write_text(FAKE)
    found = tool.Checkpatch(script, None, "nowhere")
    monkeypatch.setattr(tool, "at_hand", lambda: found)
    tree = made_tree(tmp_path)
    (tree / checkpatch.CONFIGURATION).write_text("--no-tree\n")
    return tree


def test_a_clean_mail_agrees(fake: Path) -> None:
    check = checkpatch.judged("n", fake, changes(fake, GUARD))
    assert check.verdict == "AGREES"
    assert check.counts == {"errors": 0, "warnings": 0, "checks": 0}


def test_a_complaint_is_a_difference_with_its_place(fake: Path) -> None:
    mail = changes(fake, GUARD).replace("+\tif (size)\n", "+\tif (size) \n")
    check = checkpatch.judged("n", fake, mail)
    assert (check.verdict, check.counts["errors"]) == ("DIFFERS", 1)
    assert check.where == "core/pool.c:12"
    assert check.trace[0] == "ERROR: trailing whitespace"


def test_a_script_that_fails_is_neither(fake: Path) -> None:
    with pytest.raises(TesseraError, match="I fall over"):
        checkpatch.judged("n", fake, changes(fake, GUARD) + "FALL OVER\n")


def test_without_the_trees_own_rules_nothing_is_judged(fake: Path) -> None:
    (fake / checkpatch.CONFIGURATION).unlink()
    assert checkpatch.judged("n", fake, changes(fake, GUARD)).verdict == "SKIPPED"


def test_without_the_script_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "at_hand", lambda: None)
    check = checkpatch.judged("n", tmp_path, "")
    assert (check.verdict, check.remedy) == ("SKIPPED", "tessera guest setup --builds")


@pytest.fixture
def real(optee_tree: Path) -> Path:
    """The real tree, with the real script."""
    if tool.at_hand() is None:
        pytest.skip(f"there is no {tool.SCRIPT}; to mend: {tool.MEND}")
    return optee_tree


def test_optees_own_rules_have_nothing_to_say(real: Path, priority_patch: str) -> None:
    check = checkpatch.judged("n", real, priority_patch)
    assert (check.verdict, check.trace) == ("AGREES", ())


CARELESS = (
    ("+\tuint64_t lo = 0;\n", "+        uint64_t lo = 0; \n", "ERROR: trailing whitespace"),
    ("+\tuint32_t k = ", "+\tuint32_t k=", "spaces required around that '='"),
    ("Memory that a TA owned", "Memmory taht a TA owned", "may be misspelled"),
    ("Signed-off-by: Tessera", "Agreed-by: Tessera", "Missing Signed-off-by"),
)


def test_a_careless_mail_is_caught(real: Path, priority_patch: str) -> None:
    mail = priority_patch
    for old, new, _ in CARELESS:
        assert mail.count(old) == 1, old
        mail = mail.replace(old, new)
    check = checkpatch.judged("n", real, mail)
    assert (check.verdict, check.where.split(":")[0]) == ("DIFFERS", "core/mm/tee_mm.c")
    for _, _, said in CARELESS:
        assert any(said in line for line in check.trace), check.trace
    assert check.counts["errors"] >= 2 and check.counts["warnings"] >= 2
