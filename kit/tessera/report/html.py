"""The report as one self-contained HTML page.

Goal: `render_html` fills the templates; everything is inline, nothing is fetched, every text that
comes from a spec or a log is escaped.
Non-goals: arranging the results (see `view`) and writing files (see `files`).
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from tessera.report import view
from tessera.results import Results


def render_html(results: Results) -> str:
    """The page for a results document; equal documents give equal bytes."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(page=view.page_of(results), marks=view.MARKS)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tessera.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = view.seconds
    environment.filters["resource"] = view.resource
    return environment
