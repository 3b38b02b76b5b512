"""The tier `builds` as a table: a row for each configuration, a column for each version of OP-TEE.

Goal: many checks that agree in a table that fits a screen.
Non-goals: the reasons of those that do not agree (they stand in the list of all checks).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from tessera.conform.result import Check

_TIER = "builds"
_STYLES = {"AGREES": "green", "DIFFERS": "bold red", "UNKNOWN": "yellow", "SKIPPED": "dim"}


def only_in_matrix(check: Check) -> bool:
    """Whether the matrix says all that there is to say: it compiled, and nothing is new."""
    return check.verdict == "AGREES" and "warnings_after" in check.counts


def matrix(checks: Sequence[Check]) -> Table:
    """Verdicts by configuration and version, in the order in which they come."""
    cells = cells_of(checks)
    labels = list(dict.fromkeys(label for label, _ in cells))
    table = Table(box=None, pad_edge=False)
    table.add_column("builds", overflow="fold")
    for label in labels:
        table.add_column(escape(label))
    for row in dict.fromkeys(row for _, row in cells):
        verdicts = [cells.get((label, row), "") for label in labels]
        table.add_row(
            escape(row), *(f"[{_STYLES.get(v, '')}]{v}[/]" if v else "" for v in verdicts)
        )
    return table


def cells_of(checks: Sequence[Check]) -> dict[tuple[str, str], str]:
    """The verdict of each (version, row) of the tier."""
    found = {}
    for check in checks:
        parts = check.name.split("/", 2)
        if check.tier == _TIER and len(parts) == 3:
            found[parts[1], parts[2]] = check.verdict
    return found
