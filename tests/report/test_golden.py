"""report.json of a fixed run, word by word; and its page, number by number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from migrate.report.document import MEASURES
from migrate.report.html.render import page
from selectolax.lexbor import LexborHTMLParser

from tests.report import golden


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return golden.ran(tmp_path_factory.mktemp("golden"))


def test_report_json_is_what_scripts_know(document: dict[str, Any]) -> None:
    kept = golden.GOLDEN.read_text(encoding="utf-8")
    assert golden.written(document) == kept, "meant so? python -m tests.report.golden writes it anew"


def numbers(value: Any) -> Iterator[float]:
    """Every number of a document, also those in its texts (exact amounts are texts)."""
    match value:
        case bool() | None:
            return
        case dict():
            for key, inner in value.items():
                yield from (*numbers(key), *numbers(inner))
        case list():
            for inner in value:
                yield from numbers(inner)
        case str():
            yield from (float(n) for n in re.findall(r"\d+(?:\.\d+)?", value))
        case _:
            yield abs(float(value))


def test_every_number_of_the_page_is_one_of_the_document(document: dict[str, Any]) -> None:
    """Counts as they are; shares as percent; seconds, rates and sizes rounded, which the figures' own tests hold."""
    known = set(numbers(document))
    shares = {round(100 * n, 1) for n in known if n <= 1} | {
        round(100 * column["filled"], 1) for column in _filled(document)
    }
    tree = LexborHTMLParser(page(document))
    seen = 0
    for cell in tree.css(
        "td.n, .many, .parts li, .flow .in, svg.sankey text tspan:last-child, svg.sankey .to"
    ):
        if (cell.attributes.get("data-of") or "") in ("seconds", "rows/s", "size"):
            continue
        for told in re.findall(r"\d[\d,]*(?:\.\d+)?(?: %)?", cell.text()):
            bare = float(told.removesuffix(" %").replace(",", ""))
            assert bare in (shares if told.endswith("%") else known), (
                cell.text(),
                cell.parent and cell.parent.text(),
            )
            seen += 1
    assert seen > 60
    rows = {r.css("th")[0].text(): [c.text() for c in r.css("td")] for r in tree.css("[aria-label='Rows by entity'] tr") if r.css("td")}  # fmt: skip
    for name, balance in {**document["balances"], "total": document["total"]}.items():
        assert rows[name] == [f"{balance[m]:,}" for m in MEASURES]


def _filled(document: dict[str, Any]) -> Iterator[dict[str, float]]:
    for table in document["profile"].values():
        for c in table.get("columns") or ():
            yield {"filled": (c["rows"] - c["nulls"] - c["empty"]) / c["rows"] if c["rows"] else 0.0}


def test_the_dates_of_the_source_are_shown_over_time(document: dict[str, Any]) -> None:
    [since] = [c for c in document["profile"]["source.firms"]["columns"] if c["name"] == "since"]
    assert since["years"] == [{"year": y, "rows": n} for y, n in ((2018, 6), (2019, 6), (2020, 8))]
    said = [s.attributes.get("aria-label") for s in LexborHTMLParser(page(document)).css("svg.chart")]
    assert "Rows of since by year: 2018: 6, 2019: 6, 2020: 8." in said
