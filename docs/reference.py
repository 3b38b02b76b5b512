"""The reference, docs/reference.md, written from the grammar, the docstrings and the commands.

Goal: a reference that cannot go stale: `--write` renews it, `--check` fails when it is old.
Non-goals: teaching (docs/language.md does).

Example: `python docs/reference.py --write`
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer.main
from typer.core import TyperCommand, TyperGroup, TyperOption

from tessera import errors
from tessera.cli import app
from tessera.lang import scope, syntax, typed

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "reference.md"
GRAMMAR = REPO / "kit" / "tessera" / "lang" / "grammar.lark"
SYNTAX = REPO / "kit" / "tessera" / "lang" / "syntax.py"
HEAD = """# Reference

Written by `make docs` from the grammar, the docstrings and the commands; to learn the language read
[language.md](language.md).
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, _commands(), _exit_codes(), _words(), _operators(), _grammar(), _nodes()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


# --- commands -------------------------------------------------------------------------------------


def _commands() -> str:
    root = typer.main.get_command(app)
    out = ["## Commands\n"]
    for name, command in _leaves(root, "tessera"):
        out.append(f"### `{name}`\n")
        out.append((command.help or "").strip() + "\n")
        rows = list(_parameters(command))
        if rows:
            out += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(out)


def _leaves(command: TyperGroup | TyperCommand, path: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from _leaves(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def _parameters(command: TyperCommand) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, TyperOption):
            name = ", ".join((*parameter.opts, *parameter.secondary_opts))
        else:
            name = parameter.metavar or str(parameter.name).upper()
        if name != "--help":
            text = getattr(parameter, "help", "") or ""
            yield f"| `{_in_cell(name)}` | {_in_cell(text)} |"


def _in_cell(text: str) -> str:
    return text.replace("|", r"\|")


def _exit_codes() -> str:
    rows = [
        (errors.EXIT_OK, "everything is as expected"),
        (errors.EXIT_UNMET, "something is not as expected"),
        (errors.EXIT_BAD_INPUT, "bad input; nothing was written"),
        (errors.EXIT_UNKNOWN, "only UNKNOWN stands in the way"),
    ]
    return "\n".join(["## Exit codes\n", *(f"- {code}: {text}" for code, text in rows), ""])


# --- the language ---------------------------------------------------------------------------------


def _words() -> str:
    words = " ".join(f"`{word}`" for word in sorted(scope.RESERVED))
    return f"## Words that are taken\n\n{words}\n"


def _operators() -> str:
    """The meaning of the operators, as the typed language promises it to every backend."""
    text = (typed.__doc__ or "").split("exactly:\n", 1)[1].strip()
    return f"## Meaning of the operators\n\n{text}\n"


def _grammar() -> str:
    text = GRAMMAR.read_text(encoding="utf-8")
    rules = re.sub(r"\s*-> \w+", "", text)
    rules = re.sub(r"^//.*\n", "", rules, flags=re.MULTILINE)
    rules = re.sub(r"^\?", "", rules, flags=re.MULTILINE).strip()
    return (
        "## Grammar\n\n`[x]` may be left out, `x*` may repeat, `|` separates alternatives; a "
        f"word in capitals is a pattern, given at the end.\n\n```text\n{rules}\n```\n"
    )


def _nodes() -> str:
    """What each construct is, from the docstrings of the syntax tree."""
    tree = ast.parse(SYNTAX.read_text(encoding="utf-8"))
    lines = ["## What a file consists of\n", (syntax.__doc__ or "").splitlines()[0] + "\n"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            text = (ast.get_docstring(node) or "").replace("\n", " ")
            lines.append(f"- **{node.name}**: {text}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write or check the page."""
    fresh = page()
    if "--write" in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != fresh:
        sys.exit("docs/reference.md is old: run `make docs`")


if __name__ == "__main__":
    main()
