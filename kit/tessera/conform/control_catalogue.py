"""The catalogue of negative controls: mistakes that a hand, or an emitter, could make.

Goal: each is a name, what is wrong, and a function from the text of a patch to the changed text;
one that does not apply to a patch returns it unchanged. Written for the patch of `priority`;
most apply to other policies too.
Non-goals: which tier sees which: that is measured (see `controls`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tessera.conform.hunks import change, moved, without
from tessera.conform.patched import FOBJ, HEADER, MEMORY, POOL, TA_STORE

Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Control:
    """One mistake; `kind` is what it is about."""

    name: str
    kind: str
    doc: str
    change: Change


def token(file: str, old: str, new: str, nth: int = 1) -> Change:
    """The nth place in a file's added lines where `old` stands becomes `new`."""

    def changed(text: str) -> str:
        seen = 0

        def edit(lines: list[str]) -> list[str]:
            nonlocal seen
            out = []
            for line in lines:
                here = line[0] == "+" and old in line
                seen += here
                out.append(line.replace(old, new, 1) if here and seen == nth else line)
            return out

        return change(text, file, edit)

    return changed


def removed(file: str, first: str, last: str = "") -> Change:
    """Without the added lines from the one with `first` to the one with `last`."""
    return lambda text: change(text, file, lambda lines: without(lines, first, last))


def put(file: str, first: str, last: str, anchor: str, *, after: bool) -> Change:
    """Those added lines stand elsewhere in their hunk, beside a line of the tree."""
    return lambda text: change(
        text, file, lambda lines: moved(lines, first, last, anchor, after=after)
    )


def joined(*changes: Change) -> Change:
    """One change after the other."""

    def both(text: str) -> str:
        for one in changes:
            text = one(text)
        return text

    return both


def _again_after(text: str) -> str:
    def edit(lines: list[str]) -> list[str]:
        at = next((i for i, line in enumerate(lines) if line == "+again:"), -1)
        end = next((i for i, line in enumerate(lines) if i > at >= 0 and line[0] == " "), -1)
        if at < 0 or end < 0:
            return lines
        return [*lines[:at], *lines[at + 1 : end], lines[at], *lines[end:]]

    return change(text, POOL, edit)


def _clear_where_asked(text: str) -> str:
    """The clearing in `sec_mem_free()` moved into the next function that has the record."""

    def edit(lines: list[str]) -> list[str]:
        start = next((i for i, line in enumerate(lines) if line.startswith("+\tmemtag")), -1)
        places = [i for i, line in enumerate(lines) if i > start and "*f = to_sec_mem(" in line]
        if start < 0 or not places:
            return lines
        added = [line for line in lines if line[0] == "+"]
        rest = [line for line in lines if line[0] != "+"]
        at = places[0] - len(added) + 1
        return rest[:at] + added + rest[at:]

    return change(text, FOBJ, edit)


_CURRENT = "thread_get_id_may_fail() >= 0 && "

CONTROLS = (
    # --- windows and bounds -----------------------------------------------------------------------
    Control("lo-of-the-other-class", "window", "The window of the other class starts at the "
            "reserve.", token(POOL, "lo = k == 1 ?", "lo = k == 0 ?")),
    Control("reserve-one-larger", "window", "The reserve starts one granule too low.",
            token(POOL, "MIN(2048U", "MIN(2049U", 1)),
    Control("reserve-one-smaller", "window", "The ordinary window ends one granule too high.",
            token(POOL, "MIN(2048U", "MIN(2047U", 2)),
    Control("max-for-min", "window", "The reserve is bounded from the wrong side.",
            token(POOL, "MIN(2048U", "MAX(2048U", 1)),
    Control("third-for-quarter", "window", "A third of a small pool is kept free of the reserve.",
            token(POOL, "/ 4U", "/ 3U", 1)),
    Control("eighth-for-quarter", "window", "An ordinary window that ends too low in small pools.",
            token(POOL, "/ 4U", "/ 8U", 2)),
    Control("lo-is-one", "window", "The ordinary window starts at granule 1.",
            token(POOL, "0U;", "1U;")),
    Control("inclusive-end", "window", "A block may not end where the window ends.",
            token(POOL, "+ psize >", "+ psize >=")),
    Control("hi-of-the-other-class", "window", "The classes have each other's end.",
            token(POOL, "(k == 1 ? pool->pages", "(k != 1 ? pool->pages")),
    Control("end-without-lo", "bounds", "The end is tested where the gap starts, not where the "
            "block goes.", token(POOL, "MAX(lo, entry->offset + entry->size)",
                                 "(entry->offset + entry->size)")),
    Control("end-from-the-smaller", "bounds", "The end is tested from the smaller of the two "
            "starts.", token(POOL, "MAX(lo, entry", "MIN(lo, entry")),
    Control("end-without-size", "bounds", "The end is tested without the size of the request.",
            token(POOL, "+ psize >", "+ 0 >")),
    Control("no-end-test", "bounds", "Nothing tests where the window ends.",
            removed(POOL, "if (pool->pages && MAX(", "goto err;")),
    Control("end-of-every-pool", "bounds", "Pools that are not placed by class have an end too.",
            token(POOL, "if (pool->pages && MAX(", "if (MAX(")),
    # --- the search -------------------------------------------------------------------------------
    Control("skip-one-more", "search", "A gap that ends just at the request's end is passed over.",
            token(POOL, "next->offset < lo + psize", "next->offset <= lo + psize")),
    Control("skip-without-size", "search", "Gaps too small above the window's start are taken.",
            token(POOL, "next->offset < lo + psize", "next->offset < lo")),
    Control("skip-from-below", "search", "The size is subtracted where it is to be added.",
            token(POOL, "next->offset < lo + psize", "next->offset < lo - psize")),
    Control("skip-the-last", "search", "The last entry is read beyond.",
            token(POOL, "while (lo && entry->next && ", "while (lo && ")),
    Control("no-skip", "search", "Gaps below the window are taken for gaps in it.",
            removed(POOL, "while (lo && entry->next", "entry = entry->next;")),
    Control("offset-below", "search", "The block is put at the start of the gap, below the window.",
            token(POOL, "MAX(nn->offset, lo)", "MIN(nn->offset, lo)")),
    Control("no-offset", "search", "The start of the gap is kept as the block's place.",
            removed(POOL, "nn->offset = MAX(")),
    # --- the class of a request -------------------------------------------------------------------
    Control("uuid-digit", "class", "One digit of the TA's UUID is wrong.",
            token(POOL, "0x2c3d9a52", "0x2c3d9a53")),
    Control("uuid-last-byte", "class", "The last byte of the TA's UUID is wrong.",
            token(POOL, "0xf6", "0xf7")),
    Control("uuid-halves", "class", "Two parts of the UUID are swapped.",
            token(POOL, "0x6f0e, 0x4b8a", "0x4b8a, 0x6f0e")),
    Control("uuid-part", "class", "The size of a pointer is compared, half of a UUID.",
            token(POOL, "sizeof(ta)", "sizeof(&ta)")),
    Control("class-inverted", "class", "Every other TA has the class of inference.",
            token(POOL, "!memcmp(", "memcmp(")),
    Control("class-without-thread", "class", "The core's requests while it boots read the data of "
            "no thread.", token(POOL, _CURRENT, "")),
    Control("class-not-on-first-thread", "class", "The first thread's TAs are not looked at.",
            token(POOL, "may_fail() >= 0", "may_fail() > 0")),
    Control("class-without-context", "class", "The UUID is read where no TA is active.",
            token(POOL, "thread_get_tsd()->ctx &&", "1 &&")),
    # --- falling back -----------------------------------------------------------------------------
    Control("spill-of-the-other-class", "spill", "Ordinary requests fall back, those of inference "
            "do not.", token(POOL, "if (pool->pages && k == 1) {", "if (pool->pages && k == 0) {")),
    Control("spill-into-the-reserve", "spill", "Inference falls back into its own window, for "
            "ever.", token(POOL, "k = 0;", "k = 1;")),
    Control("spill-the-wrong-way", "spill", "Ordinary requests fall back into the reserve.",
            joined(token(POOL, "if (pool->pages && k == 1) {", "if (pool->pages && k == 0) {"),
                   token(POOL, "k = 0;", "k = 1;"))),
    Control("no-spill", "spill", "A full reserve refuses.",
            removed(POOL, "if (pool->pages && k == 1) {", "}")),
    # --- widths -----------------------------------------------------------------------------------
    Control("lo-in-16-bits", "width", "The window's start is kept in 16 bits.",
            token(POOL, "uint64_t lo", "uint16_t lo")),
    Control("lo-in-32-bits", "width", "The window's start is kept in 32 bits; the sums with it "
            "wrap only in pools near 16 TiB on a 32-bit core.",
            token(POOL, "uint64_t lo", "uint32_t lo")),
    Control("pages-in-16-bits", "width", "The size of the pool is kept in 16 bits: 256 MiB is "
            "none.", token(HEADER, "uint32_t pages;", "uint16_t pages;")),
    # --- which pools ------------------------------------------------------------------------------
    Control("pages-in-bytes", "pools", "The size of the pool is in bytes.",
            token(MEMORY, "sz >> CORE_MMU_USER_CODE_SHIFT", "sz")),
    Control("pages-of-the-nexus", "pools", "With virtualization the nexus' pools are placed by "
            "class, the guests' are not.", token(MEMORY, "|| !flags", "|| flags")),
    Control("pages-only-virtual", "pools", "No pool is placed by class without virtualization.",
            token(MEMORY, "!IS_ENABLED", "IS_ENABLED")),
    Control("no-pages", "pools", "No pool is placed by class.",
            removed(MEMORY, "IS_ENABLED(", "pool->pages = ")),
    # --- scrubbing --------------------------------------------------------------------------------
    Control("scrub-granules", "scrub", "As many bytes are cleared as the block has granules.",
            token(FOBJ, "tee_mm_get_bytes(", "tee_mm_get_size(")),
    Control("scrub-one-byte-less", "scrub", "The last byte is left.",
            token(FOBJ, "tee_mm_get_bytes(f->mm)", "tee_mm_get_bytes(f->mm) - 1")),
    Control("scrub-what-was-asked", "scrub", "What was asked for is cleared, not the rounded size.",
            joined(token(TA_STORE, "tee_mm_get_bytes(handle->mm)", "handle->ta_size", 2))),
    Control("scrub-from-the-second", "scrub", "The first byte is left, one beyond is cleared.",
            token(TA_STORE, "memset(handle->buf,", "memset(handle->buf + 1,", 2)),
    Control("scrub-with-ones", "scrub", "The memory is filled, not cleared.",
            token(TA_STORE, "handle->buf, 0,", "handle->buf, 1,", 2)),
    Control("scrub-unless-there", "scrub", "Cleared only where there is nothing to clear.",
            token(TA_STORE, "if (handle->buf)", "if (!handle->buf)")),
    Control("no-scrub-of-memory", "scrub", "What a TA had is not cleared.",
            removed(FOBJ, "memtag_clear_mem(", ");")),
    Control("no-scrub-of-image", "scrub", "The TA's image is not cleared when it closes.",
            lambda text: change(text, TA_STORE, _without_last_clearing)),
    Control("no-scrub-of-failed-image", "scrub", "The image of a TA that failed to open is left.",
            removed(TA_STORE, "if (handle->buf)", "memset(")),
    # --- order and place --------------------------------------------------------------------------
    Control("scrub-after-free", "order", "Memory is cleared after it can be taken again.",
            put(FOBJ, "memtag_clear_mem(", ");", "tee_mm_free(f->mm);", after=True)),
    Control("scrub-image-after-free", "order", "The image is cleared after it can be taken again.",
            put(TA_STORE, "if (handle->buf)", "memset(", "tee_mm_free(handle->mm);", after=True)),
    Control("skip-before-size", "order", "Entries are skipped before the size is computed.",
            put(POOL, "while (lo && entry->next", "entry = entry->next;", "entry = pool->entry;",
                after=True)),
    Control("end-after-add", "order", "The entry is in the list when the end refuses it.",
            put(POOL, "if (pool->pages && MAX(", "goto err;", "tee_mm_add(entry, nn);",
                after=True)),
    Control("offset-too-early", "order", "The offset is corrected before OP-TEE sets it.",
            put(POOL, "nn->offset = MAX(", "", "tee_mm_add(entry, nn);", after=True)),
    Control("spill-without-lock", "order", "The second search runs after the lock was given up.",
            put(POOL, "if (pool->pages && k == 1) {", "}", "cpu_spin_unlock_xrestore(",
                after=True)),
    Control("again-too-late", "order", "The second search keeps the first one's window.",
            _again_after),
    Control("pages-before-init", "order", "The pool's size is set, and then the pool is cleared.",
            put(MEMORY, "IS_ENABLED(", "pool->pages = ", "if (!tee_mm_init(", after=False)),
    # --- the hooks: fixed text, and where it is put -----------------------------------------------
    Control("scrub-where-it-opens", "hook", "The clearing for images that fail to open stands "
            "before the label, where one has opened.",
            put(TA_STORE, "if (handle->buf)", "memset(", "err:", after=False)),
    Control("scrub-of-no-image", "hook", "The image is cleared before it is known that there is "
            "one.", put(TA_STORE, "\tmemset(handle->buf", "", "if (!handle)", after=False)),
    Control("scrub-after-its-record", "hook", "Memory is cleared when the record that names it is "
            "gone.", put(FOBJ, "memtag_clear_mem(", ");", "free(f);", after=True)),
    Control("scrub-of-what-is-handed-out", "hook", "Memory is cleared where its address is asked "
            "for, not where it comes back.", _clear_where_asked),
    Control("again-before-lock", "hook", "The second search takes the lock that is held.",
            put(POOL, "again:", "", "exceptions = cpu_spin_lock", after=False)),
    Control("offset-after-unlock", "hook", "The offset is corrected when the lock is given up.",
            put(POOL, "nn->offset = MAX(", "", "cpu_spin_unlock_xrestore(", after=True)),
    Control("refused-with-lock", "hook", "A request that ends beyond its window leaves with the "
            "lock held, and its entry on the heap.", token(POOL, "goto err;", "return NULL;")),
    Control("spill-before-label", "hook", "The second search stands where no failed one comes by.",
            put(POOL, "if (pool->pages && k == 1) {", "}", "err:", after=False)),
)  # fmt: skip
"""In the order in which they are shown."""


def _without_last_clearing(lines: list[str]) -> list[str]:
    """Without the clearing that has no condition."""
    for index in reversed(range(len(lines))):
        if lines[index].startswith("+\tmemset(handle->buf"):
            return lines[:index] + lines[index + 1 :]
    return lines
