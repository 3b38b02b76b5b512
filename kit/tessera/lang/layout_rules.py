"""Where a line of a spec stands: what it starts, and how deep it is inside.

Goal: for every position in a file, whether an item or a statement starts there, and which
quantifiers enclose it; read off the parse tree.
Non-goals: spaces within a line (see `tessera.lang.format`).
"""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token, Tree

Place = tuple[int, int]
"""Line and column, both from 1."""

# What may start a line of its own inside an item.
_STATEMENTS = frozenset(
    {
        *("granule_item", "width_item", "region", "ta_member"),
        *("constraint", "config", "expect"),
        *("function_decl", "const_decl"),
        *("require", "let", "some", "least", "fresh", "update", "bulk"),
        *("view_length", "view_run", "view_mark", "view_zone"),
    }
)


@dataclass(frozen=True, slots=True)
class Structure:
    """`starts`: where items and statements start. `quantifiers`: first and last place of each."""

    starts: frozenset[Place]
    quantifiers: tuple[tuple[Place, Place], ...]

    def depth(self, place: Place) -> int:
        """How many quantifiers that start on an earlier line enclose a place."""
        return sum(
            first[0] < place[0] and first < place <= last for first, last in self.quantifiers
        )


def structure(tree: Tree[Token]) -> Structure:
    """Read the structure off a parse tree with positions."""
    starts: set[Place] = set()
    quantifiers: list[tuple[Place, Place]] = []
    for child in tree.children:
        if isinstance(child, Tree):
            starts.add((child.meta.line, child.meta.column))
    for node in tree.iter_subtrees():
        if node.meta.empty:
            continue
        first = (node.meta.line, node.meta.column)
        if str(node.data) in _STATEMENTS:
            starts.add(first)
        if node.data == "quantifier":
            quantifiers.append((first, (node.meta.end_line, node.meta.end_column)))
        if node.data == "simulate":
            starts |= {(c.meta.line, c.meta.column) for c in node.children if isinstance(c, Tree)}
    return Structure(frozenset(starts), tuple(quantifiers))
