"""A page with the pictures of one plan and its figures as a table.

Goal: one file, nothing fetched, light and dark.
Non-goals: the report of a whole run (`tessera.report`).
"""

from __future__ import annotations

from html import escape

from tessera.plan.pictures.arena import arena_svg
from tessera.plan.pictures.partition import partition_svg
from tessera.plan.plan import Plan

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 1.5rem; background: #fbfaf7; color: #1d1f21; font: 14px ui-sans-serif, system-ui,
  sans-serif; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #c9c3b6; padding: 0.25rem 0.75rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { background: #15171a; color: #e8e6e1; }
  th, td { border-color: #454c54; } }
"""


def plan_html(plan: Plan) -> str:
    """The page."""
    name = escape(plan.model.name)
    budget = "none" if plan.budget is None else f"{plan.budget} bytes"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Plan of {name}</title>\n<style>{_STYLE}</style></head><body>\n"
        f"<h1>Plan of {name}</h1>\n"
        f"<p>Peak {plan.peak} bytes, budget {budget}, gap of the offsets {plan.offsets.gap:.2%}. "
        f"Per run {plan.costs.loaded} bytes loaded, {plan.costs.moved} moved, "
        f"{plan.costs.multiply_adds} multiply-adds, {plan.costs.switches} changes of world.</p>\n"
        f"<figure>{arena_svg(plan)}</figure>\n<figure>{partition_svg(plan)}</figure>\n"
        f"{_table(plan)}</body></html>\n"
    )


def _table(plan: Plan) -> str:
    rows = [
        f"<tr><td>{number}</td><td>{escape(', '.join(group.layers))}</td>"
        f"<td>{escape(group.way.words)}</td>"
        f'<td class="number">{group.transient}</td><td class="number">{group.resident}</td>'
        f'<td class="number">{group.costs.loaded}</td></tr>'
        for number, group in enumerate(plan.groups)
    ]
    head = "<tr><th>group</th><th>layers</th><th>run</th><th>bytes while it runs</th>"
    head += "<th>bytes that stay</th><th>bytes loaded</th></tr>"
    return f"<table>\n{head}\n" + "\n".join(rows) + "\n</table>\n"
