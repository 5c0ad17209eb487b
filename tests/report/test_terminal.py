"""The terminal summary: 80 columns, no colour, no Unicode, no trust in text from outside."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.report.clean import clean
from migrate.report.gates import LAMPS, lamps
from migrate.report.meanings import MEANINGS
from migrate.report.terminal import console_on, run_summary
from rich.console import Console

from tests.cli.recorded import RUN

HOSTILE = "\x1b]0;owned\x07[bold red]x[/] :bomb: \u202egnp.exe\u200b\x9b2J\r\nrm -rf"


def shown(
    run: dict[str, Any], *, encoding: str = "utf-8", width: int = 80, facts: dict[str, Any] | None = None
) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace")
    run_summary(console_on(stream, width=width), run, facts)
    stream.flush()
    return buffer.getvalue().decode(encoding)


def test_the_first_screen_tells_everything() -> None:
    text = shown(RUN)
    lines = text.splitlines()
    assert lines[0].startswith("Verified: 2,325 of 2,400 rows")
    assert len(lines) <= 45
    for part in (
        "mapping demo", "peak memory 212 MB", "✓ backup source", "✓ backup target", "✓ restore test", "✓ verification",
        "accounts", "contacts", "total", "Needs a human: 33 rows", "contacts.last_name", "is empty and must not be",
        "migrate quarantine list 20261122-101500-demo-7f3a", "6,000", "1,450", "Report: /somewhere/",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_and_needs_neither_colour_nor_unicode(encoding: str, width: int) -> None:
    text = shown(RUN, encoding=encoding, width=width)
    assert "\x1b" not in text
    assert all(len(line) <= width or line.startswith(("Report: ", "Look: ")) for line in text.splitlines())
    assert text.isascii() == (not encoding.startswith("utf"))
    assert "quarantined" in text


def test_wide_names_and_big_numbers_fit_too() -> None:
    balances = {
        "n" * 60: dict.fromkeys(RUN["balances"]["accounts"], 12_345_678),
        "名前" * 20: RUN["balances"]["accounts"],
    }
    text = shown(RUN | {"balances": balances})
    assert text.count("12,345,678") >= 6
    assert all(len(line) <= 80 or line.startswith(("Report: ", "Look: ")) for line in text.splitlines())


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    run = RUN | {
        "run": HOSTILE,
        "mapping": HOSTILE,
        "state": HOSTILE,
        "balances": {HOSTILE: RUN["balances"]["accounts"]},
        "stages": [{"stage": HOSTILE, "state": HOSTILE, "seconds": 1, "rows": 5}],
        "verdicts": [
            {"check": HOSTILE, "passed": False, "expected": HOSTILE, "found": HOSTILE, "reason": HOSTILE}
        ],
        "quarantine": [{"entity": HOSTILE, "field": HOSTILE, "code": HOSTILE, "count": 2}],
        "report": HOSTILE,
    }
    buffer = io.StringIO()
    run_summary(
        Console(
            file=buffer,
            width=200,
            force_terminal=True,
            color_system=None,
            markup=False,
            emoji=False,
            highlight=False,
        ),
        run,
    )
    text = buffer.getvalue()
    for harm in ("\x07", "\x9b", "\u202e", "\u200b", "\r", "\x1b]"):
        assert harm not in text
    assert "[bold red]x[/] :bomb:" in text


@pytest.mark.parametrize("state", ["failed", "stopped", "partial", "interrupted", "running", "rolled_back"])
def test_a_run_with_next_to_nothing_known_is_shown(state: str) -> None:
    text = shown({"run": "r", "mapping": "m", "state": state})
    assert "· backup source" in text
    assert "Verified" not in text


def test_failed_checks_are_named_before_the_table() -> None:
    failed = [
        {"check": f"verify t{n}", "passed": False, "expected": "1", "found": "2", "reason": "differs"}
        for n in range(12)
    ]
    text = shown(RUN | {"state": "failed", "verdicts": failed})
    assert text.startswith("Not verified: 12 checks failed.")
    assert "verify t0: expected 1, found 2. differs" in text
    assert "and 4 more" in text
    assert "✗ verification" in text


@pytest.mark.promise(30)
def test_p30_a_lamp_is_dark_until_its_check_was_made_and_one_failure_turns_it_red() -> None:
    assert lamps([]) == dict.fromkeys(LAMPS)
    made = [{"check": "backup source:crm", "passed": True}, {"check": "backup source:files", "passed": False}]
    assert lamps(made)["backup source"] is False
    assert lamps(reversed(made))["backup source"] is False
    assert lamps(made)["restore test"] is None
    assert lamps(made)["backup target"] is None
    assert lamps([{"check": "L5", "passed": True}])["restore test"] is True
    assert (
        lamps([{"check": "L2 bytes", "passed": False}, {"check": "L5", "passed": True}])["restore test"]
        is False
    )
    assert lamps([{"check": "target unchanged since its backup", "passed": False}])["backup target"] is False
    for check in ("balance accounts", "verify accounts", "orphans deals.account_id"):
        assert lamps([{"check": check}])["verification"] is False
    assert lamps([{"check": "something else", "passed": True}]) == dict.fromkeys(LAMPS)


def test_the_facts_of_the_report_fill_in_and_never_overrule_the_run() -> None:
    text = shown(
        {k: v for k, v in RUN.items() if k != "peak_mb"},
        facts={"peak_mb": 77, "state": "failed", "run": "other"},
    )
    assert "peak memory 77 MB" in text
    assert text.startswith("Verified")


def test_every_code_has_a_meaning() -> None:
    codes = (
        "required unique in pattern range min_length max_length type too_long lossy unmapped_value no_case ref_missing ref_ambiguous "
        "parent_quarantined parent_excluded find_missing find_ambiguous key_missing key_not_unique match_ambiguous match_conflict link_missing "
        "update_missing key_changed "
        "changed_since_load edited_in_target target_gone bad_row ragged_row bad_encoding nul_byte target_changed parent_rejected "
        "join_missing pivot_ambiguous no_road db_unique db_foreign_key db_check db_not_null db_value db_other dropped_by_trigger "
        "email_syntax email_placeholder email_reserved email_bounced email_no_mx email_typo email_disposable email_role email_unknown "
        "phone_invalid phone_implausible phone_type test_data name_caps name_emoji name_title name_comma name_company name_digits name_email "
        "not_before not_after fresh stale expr no_consent consent_unknown duplicate_in_target known_already known_ambiguous known_quarantined merge_circle merged_quarantined merged_rejected"
    )
    assert set(codes.split()) == set(MEANINGS)


@given(st.text())
def test_clean_text_has_no_controls_and_says_where_it_is_cut(text: str) -> None:
    told = clean(text, limit=40)
    assert len(told) <= 40
    assert told.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in told)
    assert not set(told) & set("\x1b\x9b\u202e\u2066\u200b\ufeff\n\r")
    assert clean(told, limit=40) == told
    told.encode("utf-8")


def test_what_rules_changed_is_shown_the_most_frequent_first() -> None:
    events = {f"contacts.f{n}: emptied": n for n in range(1, 11)} | {
        "deals.owner_id: parent_excluded_defaulted": 126,
        "deals.x: some_new_code": 99,
    }
    text = shown(RUN, facts={"events": events}, width=120)
    lines = [line.split() for line in text.splitlines()]
    assert "Changed on the way by rule: 280 values" in text
    assert ["126", "deals.owner_id", "points", "at", "a", "row", "that", "is", "left", "out", "by", "rule:", "the", "default", "instead"] in lines  # fmt: skip
    assert ["99", "deals.x", "some_new_code"] in lines
    assert "contacts.f4 " not in text
    assert "... and 4 more kinds, see the report." in text
    assert "Changed on the way" not in shown(RUN)


def test_rows_that_a_rollback_kept_are_said() -> None:
    text = shown(RUN | {"state": "rolled_back", "kept": 3})
    assert "3 rows were kept" in text
    assert "kept" not in shown(RUN | {"state": "rolled_back", "kept": 0})


def test_rows_that_fit_no_road_wait_for_a_human_too() -> None:
    run = RUN | {"tables": {"actions": {"rows": 6, "quarantined": 2}, "audit": {"rows": None}}}
    assert "Needs a human: 35 rows" in shown(run)
