"""Limits on the shape of a parse tree, checked before anything recurses over it.

Goal: no input can exhaust Python's stack or its integer parser; numbers are well written.
Non-goals: meaning.
"""

from __future__ import annotations

from lark import Token, Tree

from tessera.errors import Span
from tessera.lang.diagnostics import Diagnostic, SpecError
from tessera.lang.source import Source

# Every later pass (checker, model, proof, emitter) recurses over expressions, several Python frames
# per level; specs written by people stay below 20.
DEEPEST = 60
MOST_DIGITS = 40
MOST_STEPS = 1000


def check_shape(tree: Tree[Token], source: Source) -> None:
    """Raise `SpecError` for expressions nested too deeply and numbers that cannot be read."""
    found: list[Diagnostic] = []
    todo: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        if depth > DEEPEST:
            meta = node.meta
            span = Span(source.name, meta.line, meta.column, meta.line, meta.column + 1)
            message = f"this is nested more than {DEEPEST} levels deep"
            remedy = "name a part of it: function NAME(...): TYPE = ..."
            found = [Diagnostic(span, message, remedy)]
            break
        for child in node.children:
            if isinstance(child, Tree):
                todo.append((child, depth + 1))
            elif isinstance(child, Token) and child.type == "INT":
                found += _number(child, node, source)
    if found:
        raise SpecError(tuple(sorted(found))[:MOST_STEPS], {source.name: source.lines})


def _number(token: Token, node: Tree[Token], source: Source) -> list[Diagnostic]:
    text = str(token)
    line, column = token.line or 1, token.column or 1
    span = Span(source.name, line, column, line, column + len(text))
    if len(text) > MOST_DIGITS:
        return [
            Diagnostic(
                span,
                f"this number has {len(text)} digits; the widest type holds 20",
                "check it: the largest u64 is 0xffff_ffff_ffff_ffff",
            )
        ]
    digits = text.replace("_", "")
    if digits.isdigit() and digits != "0" and digits.startswith("0"):
        return [
            Diagnostic(
                span,
                "a number does not start with 0",
                f"write {digits.lstrip('0') or 0}, or 0x{digits.lstrip('0') or 0} in hexadecimal",
            )
        ]
    if node.data == "within" and int(digits, 0) > MOST_STEPS:
        return [Diagnostic(span, f"'within' is at most {MOST_STEPS} steps", "lower it")]
    return []
