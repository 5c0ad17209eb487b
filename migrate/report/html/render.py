"""A document becomes a page: templates in `templates/`, one style sheet, no script, no address of anything outside.

The page's content policy allows its own style sheet, by hash, and nothing else: what slips through all escaping still
cannot act, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from migrate.durable import write_bytes
from migrate.report.clean import clean
from migrate.report.html import view

FILE_NAME = "report.html"
_LONGEST = 600  # characters of one value
_NARROW = 22


def page(document: Mapping[str, Any], *, samples: Mapping[str, Any] | None = None) -> str:
    """The whole page of a run's or a drill's report.json. Pure: the same document gives the same page.

    `samples`: values as they are, by the places of their masked examples; only for who may see them."""
    drill = document.get("kind") == "drill"
    template = _environment().get_template("drill.html.j2" if drill else "run.html.j2")
    style = _style()
    shown = view.drill(document) if drill else view.run(document, samples or {})
    return str(template.render(**shown, style=Markup(style), policy=_policy(style)))


def write_page(folder: Path, document: Mapping[str, Any]) -> Path:
    """`report.html` in `folder`, wholly or not at all (0600); one that says the same already is left as it is.

    Raises Unreachable."""
    path, data = folder / FILE_NAME, page(document).encode("utf-8", "backslashreplace")
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data, point="report.page")
    return path


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("migrate.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number, percent=percent, moment=moment, size=size, seconds=seconds, amount=amount, clip=clip
    )
    return made


@cache
def _style() -> str:
    return resources.files("migrate.report.html").joinpath("templates/style.css").read_text(encoding="utf-8")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _safe(value: object) -> object:
    """Every value that a template shows: controls and direction marks as escapes, at most _LONGEST characters."""
    return value if isinstance(value, Markup) else clean(value, limit=_LONGEST)


def clip(name: object) -> str:
    """A name where there is little room."""
    return clean(name, limit=_NARROW)


def number(value: Any) -> str:
    """With thousands separators; a dash where there is none."""
    return "–" if value is None else f"{value:,}"


def amount(value: Any) -> str:
    """An exact amount, which the document holds as text, with thousands separators."""
    try:
        return "–" if value is None else f"{Decimal(str(value)):,f}"
    except InvalidOperation:
        return str(value)


def percent(value: float | None) -> str:
    """Of a share. Never 100 % for what is not whole, never 0 % for what is not nothing."""
    if value is None:
        return "–"
    shown = f"{100 * value:.1f}".removesuffix(".0")
    shown = "> 99.9" if shown == "100" and value < 1 else "< 0.1" if shown == "0" and value > 0 else shown
    return f"{shown} %"


def moment(value: str | None) -> str:
    if not value:
        return "–"
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return value


def size(value: float | None) -> str:
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if unit != "B" else f"{value:.0f} B"
        value /= 1000
    return f"{value:,.1f} TB"


def seconds(value: float | None) -> str:
    """A span in the two largest units that say something."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
