"""Charts as inline SVG, drawn by pygal; their colours and fonts are the page's, so dark mode and paper reach them.

Each is a picture for who sees it and a sentence for who does not; the same numbers stand in a table of the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from migrate.report.clean import clean

Series = Mapping[str, Sequence[float | None]]
_WIDTH = 560  # of the drawing; it is scaled to the room there is, and its letters with it
_NOT_OURS = ("style", "script", "defs")


def bars(
    said: str, labels: Sequence[str], series: Series, *, top: float | None = None, unit: str = ""
) -> Markup:
    """Lying bars, one group for each label, from the top down. `said`: what the picture shows, in words."""
    import pygal

    height = 70 + 26 * len(labels) * max(1, len(series))
    chart = pygal.HorizontalBar(**_config(series, unit), height=height, range=_range(series, top))
    return _drawn(chart, said, [*reversed(labels)], {k: [*reversed(v)] for k, v in series.items()})


def columns(said: str, labels: Sequence[str], series: Series, *, unit: str = "") -> Markup:
    """Standing bars from left to right."""
    import pygal

    chart = pygal.Bar(**_config(series, unit), height=220, range=_range(series, None), show_minor_x_labels=False,
                      x_labels_major_count=min(12, len(labels)))  # fmt: skip
    return _drawn(chart, said, labels, series)


def lines(said: str, labels: Sequence[str], series: Series, *, unit: str = "") -> Markup:
    """Values over time, the oldest on the left."""
    import pygal

    chart = pygal.Line(**_config(series, unit), height=220, range=_range(series, None), dots_size=3, show_minor_x_labels=False,
                       x_labels_major_count=min(6, len(labels)))  # fmt: skip
    return _drawn(chart, said, labels, series)


def _config(series: Series, unit: str) -> dict[str, Any]:
    return {
        "width": _WIDTH,
        "js": (),
        "disable_xml_declaration": True,
        "show_legend": len(series) > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": len(series),
        "print_values": False,  # the table beside it has them, at a size that one can read
        "truncate_label": 22,
        "truncate_legend": 24,
        "show_y_guides": True,
        "margin": 8,
        "margin_right": 40,
        "max_scale": 6,
        "include_x_axis": True,
        "value_formatter": lambda value: "" if value is None else f"{_short(value)}{unit}",
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}".rstrip("0")


def _range(series: Series, top: float | None) -> tuple[float, float]:
    """From nothing to the largest value; never an empty range, which the library cannot draw."""
    largest = max((v for values in series.values() for v in values if v is not None), default=0)
    return (0, top if top is not None else largest if largest > 0 and math.isfinite(largest) else 1)


def _drawn(chart: Any, said: str, labels: Sequence[str], series: Series) -> Markup:
    chart.x_labels = [clean(label, limit=60) for label in labels]
    for name, values in series.items():
        chart.add(clean(name, limit=40), list(values))
    kind = "chart pair" if len(series) > 1 else "chart"
    chart.add_xml_filter(lambda root: _ours(root, kind, clean(said, limit=400)))
    return Markup(chart.render(is_unicode=True))


def _ours(root: Any, kind: str, said: str) -> Any:
    """Without what a strict page must not have (scripts, styles, ids, hints for scripts), with a text in its place."""
    for parent in list(root.iter()):
        for child in list(parent):
            if (
                not isinstance(child.tag, str)
                or child.tag.rpartition("}")[2]
                in (
                    *_NOT_OURS,
                    "desc",
                    "title",
                )
                or ("tooltip" in str(child.get("class") or "") and child.tag.rpartition("}")[2] == "g")
            ):
                parent.remove(child)
    for element in root.iter():
        element.attrib.pop("id", None)
        element.attrib.pop("style", None)
    root.set("role", "img")
    root.set("aria-label", said)
    root.set("class", kind)
    return root
