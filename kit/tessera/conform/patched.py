"""What a patch changed, read back: the statements that it added, each with what it is for.

Goal: every added line is either part of a statement of a known shape, at the place where its hook
puts it, or it is listed as not read; lines that the patch took out are listed too.
Non-goals: what the statements mean (see `smt_questions`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tessera.conform.prepared import Prepared
from tessera.emit import csyntax as c
from tessera.emit.hooks import Finder, Hook, hooks_for
from tessera.emit.readback import read_c
from tessera.emit.source import open_tree
from tessera.errors import TesseraError

POOL, HEADER, MEMORY = "core/mm/tee_mm.c", "core/include/mm/tee_mm.h", "core/mm/phys_mem.c"
FOBJ, TA_STORE = "core/mm/fobj.c", "core/kernel/ree_fs_ta.c"
FILES = (HEADER, TA_STORE, FOBJ, MEMORY, POOL)


@dataclass(frozen=True, slots=True)
class Source:
    """One file before and after: `added` gives the place in the old file of every new line."""

    text: list[str]
    parsed: c.CFile
    added: dict[int, int]  # line number from 1 -> index of the old line before which it stands
    removed: tuple[int, ...]  # line numbers of the old file


@dataclass(frozen=True, slots=True)
class Part:
    """A statement that the patch added; `hook` is the one that it should come from."""

    hook: str
    file: str
    function: str
    statement: c.Statement

    @property
    def where(self) -> str:
        """Its place in the patched tree."""
        return f"{self.file}:{self.statement.first}"


@dataclass(slots=True)
class Patched:
    """All files that a policy may change, and what was found in them."""

    sources: dict[str, Source]
    search: str  # the name of the function that searches
    parts: dict[str, Part] = field(default_factory=dict)  # by hook
    uuids: dict[str, c.CExpr] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)  # place, reason

    def function(self, file: str, name: str) -> c.Function | None:
        """A function of the patched tree."""
        return self.sources[file].parsed.functions.get(name) if file in self.sources else None

    def fields(self) -> dict[str, dict[str, str]]:
        """The structs of all files, by name."""
        out: dict[str, dict[str, str]] = {}
        for source in self.sources.values():
            for name, fields in source.parsed.structs.items():
                out.setdefault(name, fields)
        return out

    def typedefs(self) -> dict[str, str]:
        """The typedefs of all files."""
        return {n: t for s in self.sources.values() for n, t in s.parsed.typedefs.items()}


def read_patched(prepared: Prepared) -> Patched:
    """Read the patched tree and the statements that were added to it.

    Raises TesseraError as `open_tree` and `hooks_for` do.
    """
    sources = {name: _source(prepared, name) for name in FILES}
    functions = sources[POOL].parsed.functions
    search = "tee_mm_alloc_flags" if "tee_mm_alloc_flags" in functions else "tee_mm_alloc"
    made = Patched(sources, search)
    read: set[tuple[str, int]] = set()
    for name in sources:
        read |= _sort_statements(made, name)
    _not_read(made, read)
    _strange_files(made, prepared)
    _misplaced(made, prepared)
    return made


def _source(prepared: Prepared, name: str) -> Source:
    old, new = (_lines(root / name) for root in (prepared.original, prepared.root))
    added: dict[int, int] = {}
    removed: list[int] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for _, i1, i2, j1, j2 in (o for o in matcher.get_opcodes() if o[0] != "equal"):
        added |= dict.fromkeys(range(j1 + 1, j2 + 1), i1)
        removed += range(i1 + 1, i2 + 1)
    return Source(new, read_c("\n".join(new), name), added, tuple(removed))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n") if path.is_file() else []


def _sort_statements(made: Patched, file: str) -> set[tuple[str, int]]:
    """Give every added statement its part; returns the lines that were read."""
    source = made.sources[file]
    read: set[tuple[str, int]] = set()
    for function in source.parsed.functions.values():
        for statement in _outermost(function.body, source.added):
            hook = _hook_of(made, file, function.name, statement)
            if hook is None or hook in made.parts:
                continue
            made.parts[hook] = Part(hook, file, function.name, statement)
            read |= {(file, line) for line in range(statement.first, statement.last + 1)}
            if isinstance(statement.what, c.Declare) and statement.what.type == "TEE_UUID":
                made.uuids[statement.what.name] = statement.what.init or c.Unread("nothing")
    fields = source.parsed.fields.get("_tee_mm_pool_t", {})
    if file == HEADER and fields.get("pages") in source.added:
        read.add((file, fields["pages"]))
    if file == POOL:
        include = "#include <mm/core_memprot.h>"
        read |= {(file, n) for n in source.added if source.text[n - 1].strip() == include}
    return read


def _outermost(body: tuple[c.Statement, ...], added: dict[int, int]) -> Iterator[c.Statement]:
    """Statements all of whose lines were added, not those within them."""
    for statement in body:
        if all(line in added for line in range(statement.first, statement.last + 1)):
            yield statement
            continue
        match statement.what:
            case c.If(_, then, other):
                yield from _outermost(then, added)
                yield from _outermost(other, added)
            case c.While(_, inner):
                yield from _outermost(inner, added)


def _hook_of(made: Patched, file: str, function: str, statement: c.Statement) -> str | None:
    """The name under which a statement of that shape is known."""
    what = statement.what
    if file == POOL and function == made.search:
        return _hook_of_search(what)
    if file == MEMORY and function == "init_pool" and _sets(_only(what), "pool->pages"):
        return "pool-init"
    cleared = isinstance(_only(what), c.Do)
    return _SCRUBS.get((file, function)) if cleared else None


_SCRUBS = {
    (FOBJ, "sec_mem_free"): "scrub-fobj",
    (TA_STORE, "buf_ta_open"): "scrub-image-error",
    (TA_STORE, "buf_ta_close"): "scrub-image",
    (POOL, "tee_mm_free"): "scrub-always",
}


def _hook_of_search(what: c.Action) -> str | None:
    match what:
        case c.Declare("TEE_UUID", name):
            return f"class {name}"
        case c.Declare(_, "k"):
            return "class"
        case c.Declare(_, "lo"):
            return "window-start"
        case c.Label("again"):
            return "again"
        case c.While(_, (c.Statement(c.Assign() as step),)) if (
            c.show(step.target) == "entry" and c.show(step.value) == "entry->next"
        ):
            return "skip-below"
        case c.If(_, (c.Statement(c.Goto("err")),), ()):
            return "window-hi"
        case c.If(_, (c.Statement(c.Assign() as move), c.Statement(c.Goto("again"))), ()) if (
            c.show(move.target) == "k"
        ):
            return "fall-back"
    if _sets(_only(what), "lo"):
        return "window-lo"
    return "offset" if _sets(what, "nn->offset") else None


def _only(what: c.Action) -> c.Action:
    """The one statement under an if without else, or the statement itself."""
    match what:
        case c.If(_, (c.Statement(inner),), ()):
            return inner
    return what


def _sets(what: c.Action, target: str) -> bool:
    return isinstance(what, c.Assign) and what.op == "=" and c.show(what.target) == target


def _not_read(made: Patched, read: set[tuple[str, int]]) -> None:
    for file, source in made.sources.items():
        for line in source.removed:
            made.unread.append((f"{file}:{line}", "the patch takes out a line of the tree"))
        for line in source.added:
            text = source.text[line - 1].strip()
            if line in source.parsed.broken:
                made.unread.append((f"{file}:{line}", f"`{text}` is not read as C"))
            elif (file, line) not in read and not _says_nothing(text):
                made.unread.append((f"{file}:{line}", f"`{text}` is of no known shape"))


def _says_nothing(text: str) -> bool:
    return not text or bool(re.fullmatch(r"/\*.*\*/|//.*", text))


def _strange_files(made: Patched, prepared: Prepared) -> None:
    for name in re.findall(r"^\+\+\+ b/(\S+)", prepared.text, re.MULTILINE):
        if name not in FILES:
            made.unread.append((name, "the patch changes a file that no hook is for"))


def _misplaced(made: Patched, prepared: Prepared) -> None:
    """Every statement must stand where its hook puts it in the unpatched tree."""
    tree = open_tree(prepared.original)
    finder, hooks = Finder(tree), {hook.name: hook for hook in hooks_for(tree).hooks}
    for part in made.parts.values():
        hook = hooks.get(part.hook.partition(" ")[0])
        if hook is None:
            continue
        at = made.sources[part.file].added[part.statement.first]
        if at != _line_of(finder, hook):
            reason = f"it stands elsewhere than hook '{hook.name}' puts it"
            made.unread.append((part.where, reason))
    again, lo = made.parts.get("again"), made.parts.get("window-lo")
    if again and lo and again.statement.first > lo.statement.first:
        made.unread.append((again.where, "the label stands after the window is set"))


def _line_of(finder: Finder, hook: Hook) -> int:
    try:
        return finder.line_of(hook)
    except TesseraError:
        return -1
