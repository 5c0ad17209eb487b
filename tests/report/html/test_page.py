"""report.html says what report.json says, in one file that can do nothing but be read."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.report.document import MEASURES, build_report
from migrate.report.html.render import FILE_NAME, page, percent, seconds, size, write_page
from migrate.report.html.sankey import flow
from selectolax.lexbor import LexborHTMLParser, LexborNode

from tests.real.places import shared
from tests.report.html import documents


def read(document: dict[str, Any]) -> LexborHTMLParser:
    return LexborHTMLParser(page(document))


def first(tree: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    found = tree.css_first(selector)
    assert found is not None, selector
    return found


def rows(tree: LexborHTMLParser, name: str) -> list[list[str]]:
    """Cells of the table in the region called `name`, body and foot."""
    region = next(r for r in tree.css("[role=region]") if r.attributes["aria-label"] == name)
    return [[c.text().strip() for c in row.css("th,td")] for row in region.css("tbody tr, tfoot tr")]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_numbers_of_the_page_are_those_of_the_document() -> None:
    document, tree = documents.full(), read(documents.full())
    told = {name: [*map(number, rest)] for name, *rest in rows(tree, "Rows by entity")}
    sums = {**document["balances"], "total": document["total"]}
    assert told == {name: [balance[m] for m in MEASURES] for name, balance in sums.items()}
    assert [r[1:4] for r in rows(tree, "sum deals.amount")] == [
        ["1,000.5", "1,000.5", "0"], ["79,532,751.05", "77,885,864.25", "-1,646,886.8"],
    ]  # fmt: skip
    found = [(number(r[0]), r[1], r[2]) for r in rows(tree, "Quarantine by rule")]
    assert found == [(k["count"], f"{k['entity']}.{k['field']}", k["code"]) for k in document["quarantine"]]
    stages = {r[0]: (r[2], r[3]) for r in rows(tree, "Stages")}
    assert stages == {s["stage"]: (f"{s['seconds']:.2f}", f"{s['rows']:,}") for s in document["stages"]}
    changed = {f"{r[1]}: {r[2]}": number(r[0]) for r in rows(tree, "Values changed by rule")}
    assert changed == document["events"]
    backups = {r[0]: number(r[3]) for r in rows(tree, "Backups")}
    assert backups == {b["id"]: b["rows"] for b in document["backups"]}
    assert len(rows(tree, "Drills")) == len(document["drills"])
    text = " ".join(tree.body.text().split()) if tree.body else ""
    for digest in (
        *document["digests"]["schemas"].values(),
        document["digests"]["mapping"],
        document["digests"]["audit"]["head"],
    ):
        assert digest in text
    assert document["sentence"] in text
    assert "478 stale deals in the forecast" in text
    assert "7 pairs of contacts may be the same" in text


def test_a_flow_is_as_wide_as_its_rows_and_tells_their_numbers() -> None:
    document, tree = documents.full(), read(documents.full())
    balances = {"all rows": document["total"], **document["balances"]}
    assert [r.attributes["aria-label"] for r in tree.css("svg.river")] == [
        f"{name}: {b['in']:,} rows in" + "".join(f", {b[m]:,} {m}" for m in MEASURES[1:] if b[m])
        for name, b in balances.items()
    ]
    shown = [item.text().strip() for item in tree.css(".parts li")]
    assert shown == [f"{b[m]:,} {m}" for b in balances.values() for m in MEASURES[1:] if b[m]]
    for river in tree.css("svg.river"):
        widths = [float(r.attributes["width"] or 0) for r in river.css("rect")]
        assert sum(widths) == pytest.approx(1000, abs=1)
        assert min(widths) >= 5  # a single row among millions is seen


def test_the_flow_picture_has_a_band_for_every_entity_and_fate() -> None:
    document, tree = documents.full(), read(documents.full())
    bands = {(e, f): n for e, b in document["balances"].items() for f in MEASURES[1:] if (n := b[f])}
    drawn = tree.css("svg.sankey .band")
    assert [(b.attributes["class"] or "").split()[1] for b in drawn] == [fate for _, fate in bands]
    widths = [float(b.attributes["stroke-width"] or 0) for b in drawn]
    large = max(bands.values())
    for count, width in zip(bands.values(), widths, strict=True):
        true = max(widths) * count / large
        assert width == pytest.approx(max(true, 1.2), abs=0.02)  # none is too thin to be seen
    words = [" ".join(t.text().split()) for t in tree.css("svg.sankey text")]
    sums = {fate: document["total"][fate] for fate in MEASURES[1:] if document["total"][fate]}
    assert words == [f"{e} {b['in']:,}" for e, b in document["balances"].items() if b["in"]] + [
        f"{n:,} {fate}" for fate, n in sums.items()
    ]
    said = first(tree, "svg.sankey").attributes["aria-label"] or ""
    assert all(f"{n:,} {fate}" in said for (_, fate), n in bands.items())


def test_many_entities_are_drawn_as_the_largest_and_the_rest_together() -> None:
    balances = {f"e{n:02d}": dict.fromkeys(MEASURES, 0) | {"in": n, "loaded": n} for n in range(30)}
    drawn = flow(balances, MEASURES[1:])
    assert drawn is not None
    left = [(n["name"], n["rows"]) for n in drawn["nodes"] if not n["fate"]]
    assert left == [*((f"e{n}", n) for n in range(19, 30)), ("18 smaller ones", sum(range(19)))]
    assert sum(b["rows"] for b in drawn["bands"]) == sum(range(30))
    assert flow({"e": dict.fromkeys(MEASURES, 0)}, MEASURES[1:]) is None


def test_lamps_tell_by_words_what_they_tell_by_colour() -> None:
    document = documents.full()
    assert [first(lamp, ".how").text()[:8] for lamp in read(document).css(".lamp")] == ["✓ proven"] * 4
    unproven = build_report({"run": "r", "mapping": "m", "state": "failed", "verdicts": [
        {"check": "L5", "passed": False}, {"check": "backup target", "passed": True}]})  # fmt: skip
    assert [first(lamp, ".how").text().strip() for lamp in read(unproven).css(".lamp")] == [
        "– not checked", "✓ proven · 1 check", "✕ failed · 1 of 1 checks", "– not checked",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "stopped"])
def test_a_run_that_died_says_so_and_shows_what_is_known(state: str) -> None:
    error = {"message": "the disk is full", "where": "/x", "kept": "All is kept.", "hint": "Free some."}
    document = build_report({
        "run": "r", "mapping": "m", "state": state, "stopped_by": error, "stages": [{"stage": "extract", "state": "running", "seconds": None, "rows": None}],
    })  # fmt: skip
    tree = read(document)
    verdict = first(tree, ".verdict").text()
    assert "This run did not finish." in verdict
    assert "the disk is full" in verdict
    assert rows(tree, "Stages") == [["extract", "! running", "–", "–", "–"]]
    assert "Nothing was written to the target" in page(document)


def test_a_whole_run_that_no_longer_holds_did_finish() -> None:
    """Its target was found changed by a later `migrate verify`."""
    ended = [{"stage": "load", "state": "done"}, {"stage": "report", "state": "done"}]
    changed = documents.facts() | {
        "state": "failed",
        "stages": ended,
        "verdicts": [{"check": "verify a", "passed": False}],
    }
    text = page(build_report(changed))
    assert "Not verified: 1 check failed." in text
    assert "did not finish" not in text


def test_next_to_nothing_known_is_a_page_too_and_so_is_an_older_document() -> None:
    assert "not checked" in page(build_report({"run": "r", "mapping": "m", "state": "running"}))
    old = {
        k: v
        for k, v in documents.full().items()
        if k not in ("digests", "drills", "policy", "duplicates", "stopped_by", "incomplete")
    }
    assert "Needs a person" in page(old)
    assert page({"run": "r", "mapping": "m", "state": "odd", "sentence": "s"})


def test_a_rolled_back_run_says_what_was_kept() -> None:
    rolled_back = documents.facts() | {"state": "rolled_back", "kept": 3}
    assert "Rolled back, but for 3 rows that were kept." in page(build_report(rolled_back))


def test_nothing_is_fetched_and_only_the_own_style_may_act() -> None:
    for document in (documents.full(), documents.drill()):
        text = page(document)
        assert not re.search(
            r"<(script|link|iframe|img|object|embed|base|form)\b|\son\w+=|style=|url\(|@import|javascript:",
            text,
        )
        outside = re.findall(r"https?://[^\s\"'<]+", text)
        assert set(outside) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        tree = LexborHTMLParser(text)
        policy = first(tree, "meta[http-equiv=Content-Security-Policy]").attributes["content"] or ""
        [style] = tree.css("style")
        digest = base64.b64encode(hashlib.sha256(style.text().encode()).digest()).decode()
        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_every_picture_has_words() -> None:
    tree = read(documents.full())
    pictures = [s for s in tree.css("svg") if s.attributes.get("aria-hidden") != "true"]
    assert len(pictures) >= 6
    assert all(p.attributes["role"] == "img" and len(p.attributes["aria-label"] or "") > 20 for p in pictures)


def test_harm_in_any_text_stays_text() -> None:
    _stays_text(documents.HARM)


def test_naughty_strings_stay_text() -> None:
    strings = json.loads(shared("data", "contact", "naughty_strings.json").read_text(encoding="utf-8"))
    assert len(strings) > 500
    _stays_text([s for s in strings if s])


def _stays_text(strings: Sequence[str]) -> None:
    harm = itertools.cycle(strings)
    rounds = -(-len(strings) // 150)  # as many as it takes until each was somewhere
    plain = _shape(page(documents.full()))
    for _ in range(rounds):
        spoiled = page(documents.spoiled(documents.full(), lambda: next(harm)))
        assert _shape(spoiled) == plain
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b-\u200f]", spoiled)


def _shape(text: str) -> dict[str, int]:
    """Elements and attributes that matter, counted: harm that becomes markup changes it."""
    tree = LexborHTMLParser(text)
    names = (
        "script",
        "img",
        "iframe",
        "svg",
        "a",
        "style",
        "table",
        "tr",
        "section",
        "details",
        "meta",
        "input",
        "form",
    )
    return {name: len(tree.css(name)) for name in names}


@settings(max_examples=25)  # each makes whole pages
@given(st.text(max_size=60))
def test_any_text_is_shown_as_text(text: str) -> None:
    document = build_report({"run": text or "r", "mapping": "m", "state": "failed", "verdicts": [
        {"check": text, "passed": False, "expected": text, "found": text, "reason": text}]})  # fmt: skip
    assert _shape(page(document))["script"] == 0
    assert len(LexborHTMLParser(page(document)).css("tbody tr")) == 1


def test_a_run_of_a_hundred_entities_fits_into_a_mail() -> None:
    text = page(documents.large())
    assert len(text.encode()) < 2_000_000
    assert "more columns, in report.json" in text
    assert "more kinds, in report.json" in text


def test_a_rebuilt_report_shows_what_is_on_record_and_what_is_not() -> None:
    document = documents.rebuilt()
    tree = read(document)
    told = document["rebuilt"]["receipts"]["accounts"]
    assert rows(tree, "Receipts by entity")[0][:4] == [
        "accounts",
        *(str(told[k]) for k in ("parts", "rows", "refused")),
    ]
    text = " ".join(tree.body.text().split()) if tree.body else ""
    for said in ("748 rows of 2 entities", "370 inserted, 4 updated, and 2 source rows merged", "4 rows were refused: db_unique", "5 rows were flagged or deleted",
                 "whether it was verified", "Not all of the vault could be read: backup b3: damaged", "with 4 rows as they were"):  # fmt: skip
        assert said in text
    assert not tree.css("svg.sankey")
    harm = itertools.cycle(documents.HARM)
    assert _shape(page(documents.spoiled(document, lambda: next(harm)))) == _shape(page(document))


def test_a_huge_cell_is_cut() -> None:
    document = documents.facts() | {"glossary": {"lead": "x" * 10_000}}
    assert "x" * 1_000 not in page(build_report(document))


def test_samples_are_shown_only_where_asked_for_and_the_page_says_so() -> None:
    kind = ("contacts", "last_name", "required")
    samples = {
        "quarantine": {kind: ["Ada <b>Lovelace</b>"]},
        "profile": {"crm.companies": {"created": [{"value": "1999-12-31", "rows": 7}]}},
    }
    text = page(documents.full(), samples=samples)
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in text
    assert "1999-12-31" in text
    assert "Holds personal data." in text
    assert "Holds personal data." not in page(documents.full())


def test_a_drill_shows_how_long_it_took_and_what_it_was_asked() -> None:
    document = documents.drill()
    tree = read(document)
    text = " ".join(tree.body.text().split()) if tree.body else ""
    assert "The backup of the source acme is not proven: 1 check failed." in text
    assert rows(tree, "Queries") == [["open deals", "✕ differs", "12", "11", "sales asks this"]]
    assert [r[0] for r in rows(tree, "Time by phase")] == [*document["seconds"]]
    assert len(rows(tree, "Past drills")) == len(document["history"])


def test_the_same_document_gives_the_same_bytes_private_and_whole(tmp_path: Path) -> None:
    path = write_page(tmp_path, documents.full())
    assert path.name == FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8") == page(documents.full())


def test_figures_are_said_as_they_are() -> None:
    assert [percent(v) for v in (None, 0.0, 0.00001, 0.5, 0.9996, 1.0)] == [
        "–",
        "0 %",
        "< 0.1 %",
        "50 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [seconds(v) for v in (None, 0.123, 59.4, 61, 7_260, 200_000)] == [
        "–",
        "0.12 s",
        "59 s",
        "1 min 1 s",
        "2 h 1 min",
        "2 d 7 h",
    ]
    assert [size(v) for v in (None, 12, 19_480, 3_000_000_000)] == ["–", "12 B", "19.5 kB", "3 GB"]
