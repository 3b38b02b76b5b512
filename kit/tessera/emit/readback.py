"""Emitted C read back: from text to the trees of `csyntax`.

Goal: functions, structs and typedefs of a C file, with the types that declarations give; every
construct that is not modelled becomes `Unread`, so that nobody takes it for understood.
Non-goals: the preprocessor (both sides of a condition are read) and what the C means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from tessera.emit import csyntax as c

_C = Language(tree_sitter_c.language())
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)")
_UNWRAPPED = ("preproc_ifdef", "preproc_if", "preproc_else", "preproc_elif", "compound_statement")
_NAMED_VALUES = ("identifier", "true", "false", "null")


def read_c(text: str, name: str) -> c.CFile:
    """What a C file declares; `name` is for messages."""
    root = Parser(_C).parse(text.encode()).root_node
    functions: dict[str, c.Function] = {}
    structs: dict[str, dict[str, str]] = {}
    lines: dict[str, dict[str, int]] = {}
    typedefs: dict[str, str] = {}
    broken: set[int] = set()
    for node in _all(root):
        if node.type == "ERROR" or node.is_missing:
            broken |= set(range(node.start_point.row + 1, node.end_point.row + 2))
        elif node.type == "function_definition":
            function = _function(node)
            functions.setdefault(function.name, function)
        elif node.type == "struct_specifier":
            _struct(node, structs, lines)
        elif node.type == "type_definition":
            type_, target = _field(node, "type"), _field(node, "declarator")
            typedefs.setdefault(_declared(target), _type_text(type_))
    return c.CFile(name, functions, structs, lines, typedefs, tuple(sorted(broken)))


def read_expression(text: str) -> c.CExpr:
    """One C expression."""
    root = Parser(_C).parse(f"void f(void) {{ x = {text}; }}".encode()).root_node
    assigned = next(n for n in _all(root) if n.type == "assignment_expression")
    return _expression(_field(assigned, "right")) if not root.has_error else c.Unread(text)


def _function(node: Node) -> c.Function:
    declarator = _field(node, "declarator")
    stars = ""
    while declarator.type == "pointer_declarator":
        stars += "*"
        declarator = _field(declarator, "declarator")
    params = []
    listed = declarator.child_by_field_name("parameters")
    for param in listed.named_children if listed is not None else ():
        target = param.child_by_field_name("declarator")
        if param.type == "parameter_declaration" and target is not None:
            type_ = _type_text(_field(param, "type")) + _stars(target)
            params.append((type_, _declared(target)))
    type_ = _type_text(_field(node, "type")) + (f" {stars}" if stars else "")
    body = tuple(_statements(_field(node, "body")))
    return c.Function(_declared(declarator), type_, tuple(params), body, *_span(node))


def _struct(
    node: Node, structs: dict[str, dict[str, str]], lines: dict[str, dict[str, int]]
) -> None:
    body, name = node.child_by_field_name("body"), node.child_by_field_name("name")
    if body is None or name is None or _text(name) in structs:
        return
    found, at = structs.setdefault(_text(name), {}), lines.setdefault(_text(name), {})
    for field in _all(body):
        if field.type == "field_declaration" and field.child_by_field_name("type") is not None:
            for target in field.children_by_field_name("declarator"):
                type_ = _type_text(_field(field, "type"))
                found[_declared(target)] = type_ + _stars(target)
                at[_declared(target)] = field.start_point.row + 1


def _statements(node: Node) -> Iterator[c.Statement]:
    """The statements of a block, blocks and preprocessor conditions within it opened."""
    kind = node.type
    if kind in _UNWRAPPED:
        skipped = (node.child_by_field_name("name"), node.child_by_field_name("condition"))
        for child in node.named_children:
            if child not in skipped:
                yield from _statements(child)
    elif kind == "labeled_statement":
        label = _field(node, "label")
        yield c.Statement(c.Label(_text(label)), *_span(label))
        for child in node.named_children:
            if child != label:
                yield from _statements(child)
    elif kind == "declaration":
        for target in node.children_by_field_name("declarator"):
            yield c.Statement(_declaration(node, target), *_span(node))
    elif kind != "comment":
        yield c.Statement(_action(node), *_span(node))


def _declaration(node: Node, target: Node) -> c.Action:
    init = None
    if target.type == "init_declarator":
        init = _expression(_field(target, "value"))
        target = _field(target, "declarator")
    if target.type not in ("identifier", "pointer_declarator"):
        return c.Unread(_text(node))
    return c.Declare(_type_text(_field(node, "type")) + _stars(target), _declared(target), init)


def _action(node: Node) -> c.Action:
    match node.type:
        case "expression_statement" if node.named_children:
            return _effect(node.named_children[0])
        case "if_statement":
            then = tuple(_statements(_field(node, "consequence")))
            other = node.child_by_field_name("alternative")
            inner = other.named_children if other is not None else ()
            rest = tuple(s for child in inner for s in _statements(child))
            return c.If(_expression(_field(node, "condition")), then, rest)
        case "while_statement":
            body = tuple(_statements(_field(node, "body")))
            return c.While(_expression(_field(node, "condition")), body)
        case "goto_statement":
            return c.Goto(_text(_field(node, "label")))
        case "return_statement":
            values = [n for n in node.named_children if n.type != "comment"]
            return c.Return(_expression(values[0]) if values else None)
        case _:
            return c.Unread(_text(node))


def _effect(node: Node) -> c.Action:
    if node.type == "assignment_expression":
        op = _text(_field(node, "operator"))
        return c.Assign(_expression(_field(node, "left")), op, _expression(_field(node, "right")))
    return c.Do(_expression(node))


def _expression(node: Node) -> c.CExpr:
    kind = node.type
    if kind in _NAMED_VALUES:
        return c.Name(_text(node))
    match kind:
        case "parenthesized_expression" if len(_inside(node)) == 1:
            return _expression(_inside(node)[0])
        case "number_literal":
            return _number(_text(node))
        case "field_expression":
            arrow = _text(_field(node, "operator")) == "->"
            field = _text(_field(node, "field"))
            return c.Member(_expression(_field(node, "argument")), field, arrow)
        case "call_expression" if _field(node, "function").type == "identifier":
            args = tuple(_expression(a) for a in _inside(_field(node, "arguments")))
            return c.Call(_text(_field(node, "function")), args)
        case "unary_expression" | "pointer_expression":
            op = _text(_field(node, "operator"))
            return c.Unary(op, _expression(_field(node, "argument")))
        case "binary_expression":
            left, right = _expression(_field(node, "left")), _expression(_field(node, "right"))
            return c.Binary(_text(_field(node, "operator")), left, right)
        case "conditional_expression" if node.child_by_field_name("consequence") is not None:
            fields = ("condition", "consequence", "alternative")
            return c.Conditional(*(_expression(_field(node, f)) for f in fields))
        case "cast_expression":
            return c.Cast(_descriptor(_field(node, "type")), _expression(_field(node, "value")))
        case "sizeof_expression":
            type_, value = node.child_by_field_name("type"), node.child_by_field_name("value")
            if type_ is not None:
                return c.SizeOf(_descriptor(type_), None)
            return c.SizeOf("", _expression(value)) if value is not None else _unread(node)
        case "initializer_list":
            return c.Braces(tuple(_expression(i) for i in _inside(node)))
        case _:
            return _unread(node)


def _number(text: str) -> c.CExpr:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return c.Unread(text)
    digits, suffix = match.group(1), match.group(2).lower()
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    return c.Number(int(digits, base), base, suffix)


def _unread(node: Node) -> c.Unread:
    return c.Unread(_text(node))


def _descriptor(node: Node) -> str:
    """The type of a cast or of sizeof."""
    stars = node.child_by_field_name("declarator")
    count = _text(stars).count("*") if stars is not None else 0
    return _type_text(_field(node, "type")) + (f" {'*' * count}" if count else "")


def _type_text(node: Node) -> str:
    """A type's name: `struct x` for structs, one blank between words."""
    if node.type == "struct_specifier":
        name = node.child_by_field_name("name")
        return f"struct {_text(name)}" if name is not None else "struct"
    return _text(node)


def _declared(node: Node) -> str:
    """The name inside a declarator."""
    found: Node | None = node
    while found is not None and found.type not in (
        "identifier",
        "field_identifier",
        "type_identifier",
    ):
        found = found.child_by_field_name("declarator")
    return _text(found) if found is not None else ""


def _stars(node: Node) -> str:
    count, found = 0, node
    while found.type in ("pointer_declarator", "array_declarator"):
        count += 1
        found = _field(found, "declarator")
    return f" {'*' * count}" if count else ""


def _inside(node: Node) -> list[Node]:
    return [n for n in node.named_children if n.type != "comment"]


def _field(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    # A part that is missing only where the text is not C; then the file is `broken` anyway.
    return found if found is not None else node.children[0]


def _span(node: Node) -> tuple[int, int]:
    return node.start_point.row + 1, node.end_point.row + 1


def _text(node: Node) -> str:
    return " ".join((node.text or b"").decode().split())


def _all(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))
