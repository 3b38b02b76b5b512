"""C read back: the trees that come out, and that nothing unknown is taken for understood."""

from __future__ import annotations

import pytest

from tessera.emit import csyntax as c
from tessera.emit.readback import read_c, read_expression

FILE = """
struct pool {
	struct entry *entry;
	uint8_t shift; /* log2 */
#ifdef WITH_STATS
	size_t most;
#endif
};
typedef struct pool pool_t;

static const pool_t *find(const pool_t *p, uint32_t n)
{
	uint32_t k = n ? 1 : 0, *q = NULL;

#ifdef DEBUG
	if (k == 1) {
		k = 0;
		goto again;
	} else
		k += 2;
#endif
again:
	while (p->shift < n)
		n = n - 1;
	for (;;)
		;
	clear(p, sizeof(n));
	return p;
}
"""


@pytest.mark.parametrize(
    "text",
    [
        "a + b * c",
        "(a + b) * c",
        "a - b - c",
        "a - (b - c)",
        "k == 1 ? pool->pages : 0U",
        "!memcmp(&x()->uuid, &ta, sizeof(ta))",
        "(uint16_t)a << 3",
        "a && (b || c)",
        "~a & 0xffULL",
        "MAX(lo, e->offset + e->size) + psize > (k == 1 ? hi : lo)",
        "sizeof(uint32_t)",
        "{ 0x1, { 2, 3 } }",
    ],
)
def test_shown_text_reads_the_same(text: str) -> None:
    tree = read_expression(text) if not text.startswith("{") else _initial(text)
    again = c.show(tree)
    assert not isinstance(tree, c.Unread)
    assert (read_expression(again) if not text.startswith("{") else _initial(again)) == tree


def _initial(text: str) -> c.CExpr:
    body = read_c(f"void f(void) {{ T x = {text}; }}", "f.c").functions["f"].body
    assert isinstance(body[0].what, c.Declare) and body[0].what.init is not None
    return body[0].what.init


def test_precedence_is_c_s() -> None:
    assert read_expression("a + b << 2 < c == d & e") == read_expression(
        "((((a + b) << 2) < c) == d) & e"
    )


@pytest.mark.parametrize(
    ("text", "value", "base", "suffix"),
    [("2048U", 2048, 10, "u"), ("0x10ull", 16, 16, "ull"), ("010", 8, 8, ""), ("0", 0, 8, "")],
)
def test_numbers(text: str, value: int, base: int, suffix: str) -> None:
    assert read_expression(text) == c.Number(value, base, suffix)


@pytest.mark.parametrize("text", ["x++", "a[1]", "'c'", '"s"', "(a, b)", "f.g(1)", "1.5", "a ?: b"])
def test_what_is_not_modelled_is_said_to_be_unread(text: str) -> None:
    assert isinstance(read_expression(text), c.Unread)


def test_text_that_is_not_c_is_unread() -> None:
    assert isinstance(read_expression("a +"), c.Unread)


def test_a_file() -> None:
    read = read_c(FILE, "file.c")
    assert read.structs["pool"] == {"entry": "struct entry *", "shift": "uint8_t", "most": "size_t"}
    assert read.fields["pool"]["shift"] == 4
    assert read.typedefs == {"pool_t": "struct pool"}
    find = read.functions["find"]
    assert find.params == (("pool_t *", "p"), ("uint32_t", "n"))
    kinds = [type(s.what).__name__ for s in c.walk(find.body)]
    assert kinds == [
        *("Declare", "Declare", "If", "Assign", "Goto", "Assign", "Label", "While", "Assign"),
        *("Unread", "Do", "Return"),
    ]
    assert [s.what.type for s in find.body[:2] if isinstance(s.what, c.Declare)] == [
        "uint32_t",
        "uint32_t *",
    ]
    assert read.broken == ()


def test_lines_of_statements() -> None:
    find = read_c(FILE, "file.c").functions["find"]
    loop = next(s for s in find.body if isinstance(s.what, c.While))
    assert (loop.first, loop.last) == (23, 24)
    assert FILE.split("\n")[loop.first - 1].strip().startswith("while")


def test_broken_lines_are_listed() -> None:
    read = read_c("int f(void)\n{\n\treturn 1 +;\n}\n", "file.c")
    assert 3 in read.broken


def test_substitution_reaches_every_part() -> None:
    tree = read_expression("f(a) ? b->a + (uint8_t)a : sizeof(a) - !a")
    wanted = read_expression("f(z->y) ? b->a + (uint8_t)z->y : sizeof(z->y) - !z->y")
    assert c.substitute(tree, {"a": read_expression("z->y")}) == wanted


def test_mentions() -> None:
    tree = read_expression("a->b + f(c)")
    assert c.mentions(tree, "a") and c.mentions(tree, "c")
    assert not c.mentions(tree, "b") and not c.mentions(tree, "f")
