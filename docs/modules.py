"""The list of modules in ARCHITECTURE.md, written from the modules' own first lines.

Goal: one line per module that cannot go stale: `--write` renews it, `--check` fails when it is old.
Non-goals: everything around the list, which people write.

Example: `python docs/modules.py --write`
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / "kit" / "tessera"
PAGE = REPO / "ARCHITECTURE.md"
BEGIN, END = "<!-- modules: begin -->", "<!-- modules: end -->"
# The order of the road; what is not named here comes last.
ORDER = (
    "",
    "lang",
    "model",
    "prove",
    "mutate",
    "cases",
    "emit",
    "conform",
    "dnn",
    "guest",
    "guest/scenarios",
    "report",
    "cli",
)


def first_line(file: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0] if text else ""


def listing() -> str:
    """The list as Markdown: a heading per package, a line per module."""
    folders: dict[str, list[Path]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        folders.setdefault(file.parent.relative_to(PACKAGE).as_posix().strip("."), []).append(file)
    known = {name: place for place, name in enumerate(ORDER)}
    parts = []
    for folder in sorted(folders, key=lambda name: (known.get(name, len(ORDER)), name)):
        about = first_line(PACKAGE / folder / "__init__.py")
        parts.append(
            f"### `tessera{'.' + folder.replace('/', '.') if folder else ''}`\n\n{about}\n"
        )
        lines = [
            f"- `{file.name}`: {first_line(file)}"
            for file in folders[folder]
            if file.name != "__init__.py"
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(part for part in parts if part.strip())


def renewed(page: str) -> str:
    """The page with a fresh list between its two markers."""
    head, rest = page.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    return f"{head}{BEGIN}\n\n{listing()}\n{END}{tail}"


def main() -> None:
    """Write or check the list."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = renewed(page)
    if "--write" in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
    elif fresh != page:
        sys.exit("ARCHITECTURE.md is old: run `make docs`")


if __name__ == "__main__":
    main()
