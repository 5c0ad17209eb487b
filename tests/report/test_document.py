"""report.json: pure, stable, exact, without values or secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate import failpoints
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.ledger.records import StageRow
from migrate.model import RowBalance, Verdict
from migrate.report.document import (
    FILE_NAME,
    FORMAT,
    MEASURES,
    balanced,
    build_report,
    plain,
    quarantine_counts,
    read_report,
    sentence,
    total,
    write_report,
)

from tests.cli.recorded import RUN

FACTS: dict[str, Any] = RUN | {
    "started": datetime(2026, 11, 22, 10, 15, tzinfo=UTC),
    "ended": "2026-11-22T10:15:06+00:00",
    "plan": {"order": ["accounts"], "digest": "ab", "secret_url": "postgresql://a:hunter2@h/d"},
    "events": {"lossy": 3, "flagged": Decimal("4")},
    "backups": [{"id": "b1", "role": "source", "path": "/home/ada/backups"}],
    "environment": {"python": "3.11.7", "hostname": "adas-laptop", "home": "/home/ada", "cpus": 2},
}
KEYS = [
    "format", "run", "mapping", "state", "exit_code", "stopped_by", "incomplete", "started", "ended", "rebuilt", "sentence", "edited", "gone", "conflicts", "gates", "balances", "replays", "total", "tables", "joins", "kept", "archived", "created", "balanced",
    "columns", "stale", "known_as", "quality", "quarantine", "duplicates", "policy", "review", "verdicts", "checks", "stages", "timings", "peak_mb", "events", "backups", "drills", "digests", "plan", "dictionary", "glossary", "profile", "environment",
]  # fmt: skip


def test_the_document_has_its_keys_in_order_whatever_the_facts_are() -> None:
    assert list(build_report(FACTS)) == KEYS
    assert list(build_report({"run": "r", "mapping": "m", "state": "failed"})) == KEYS
    shuffled = dict(reversed(FACTS.items()))
    assert json.dumps(build_report(shuffled)) == json.dumps(build_report(FACTS))


def test_the_frozen_types_and_their_json_give_the_same_document() -> None:
    balance = RowBalance(10, 5, 1, 1, 2, 1)
    verdict = Verdict("verify accounts", False, "a", "b", "differs", {"row": "Lovelace"})
    stage = StageRow("load", "done", 0.5, 10)
    typed = build_report(
        {
            "run": "r",
            "mapping": "m",
            "state": "failed",
            "balances": {"a": balance},
            "verdicts": [verdict],
            "stages": [stage],
        }
    )
    told = build_report({
        "run": "r", "mapping": "m", "state": "failed", "balances": {"a": balance.as_json()}, "verdicts": [asdict(verdict)],
        "stages": [asdict(stage)],
    })  # fmt: skip
    assert typed == told
    assert typed["balances"]["a"] == {
        "in": 10,
        "loaded": 5,
        "unchanged": 1,
        "merged": 1,
        "quarantined": 2,
        "excluded": 1,
    }
    assert typed["timings"] == {"load": 0.5}


def test_nothing_that_is_not_named_gets_in() -> None:
    text = json.dumps(
        build_report(FACTS | {"verdicts": [{"check": "c", "passed": True, "evidence": {"row": "Lovelace"}}]})
    )
    for leak in ("hunter2", "adas-laptop", "/home/ada", "Lovelace"):
        assert leak not in text
    assert build_report(FACTS)["environment"] == {"python": "3.11.7", "cpus": 2}


@pytest.mark.promise(7)
def test_p7_quarantine_is_counted_by_entity_field_and_code_without_values() -> None:
    counts: list[dict[str, Any]] = [
        {"entity": "a", "field": "x", "code": "type", "count": 2, "value": "Lovelace"},
        {"entity": "a", "field": "x", "code": "type"},
        {"entity": "b", "field": None, "code": "db_unique", "count": 9},
    ]
    assert quarantine_counts(counts) == [
        {"entity": "b", "field": "", "code": "db_unique", "count": 9},
        {"entity": "a", "field": "x", "code": "type", "count": 3},
    ]


@pytest.mark.promise(5)
def test_p5_a_balance_that_does_not_add_up_is_told() -> None:
    good = dict.fromkeys(MEASURES, 0) | {"in": 3, "loaded": 3}
    assert build_report(FACTS | {"balances": {"a": good}})["balanced"] is True
    assert build_report(FACTS | {"balances": {"a": good, "b": good | {"loaded": 2}}})["balanced"] is False


counts = st.integers(0, 10**12)


@given(st.dictionaries(st.text(max_size=5), st.tuples(counts, counts, counts, counts, counts), max_size=4))
def test_totals_are_sums_and_rows_in_make_a_balance(entities: dict[str, tuple[int, ...]]) -> None:
    balances = {
        name: dict(zip(MEASURES, (sum(parts), *parts), strict=True)) for name, parts in entities.items()
    }
    assert all(map(balanced, balances.values()))
    assert total(balances)["in"] == sum(sum(parts) for parts in entities.values())
    assert build_report(FACTS | {"balances": balances})["balanced"] is True


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals()
    | st.dates()
    | st.binary()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=8,
)


@given(anything)
def test_every_fact_becomes_json_and_twice_is_once(value: Any) -> None:
    told = plain(value)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert plain(told) == told


def test_exact_values_stay_exact() -> None:
    assert plain({"d": Decimal("1.10"), "at": date(2024, 2, 29), "n": float("nan"), "s": {2, 1}}) == {
        "d": "1.10", "at": "2024-02-29", "n": None, "s": [1, 2],
    }  # fmt: skip


def test_a_report_needs_a_run() -> None:
    with pytest.raises(UsageError, match="mapping"):
        build_report({"run": "r", "state": "verified"})


def test_a_run_that_stopped_before_the_load_did_no_harm_and_says_so() -> None:
    before = [{"stage": "plan", "state": "done"}, {"stage": "transform", "state": "stopped"}]
    failed = [{"passed": False}]
    assert sentence("failed", RUN["balances"], failed, stages=before).startswith("Stopped before the load")
    loading = [*before, {"stage": "load", "state": "stopped"}]
    assert "Do not use" in sentence("failed", RUN["balances"], failed, stages=loading)
    assert "Do not use" in sentence("failed", RUN["balances"])


@pytest.mark.promise(16)
@pytest.mark.parametrize(
    "state", ["failed", "stopped", "partial", "interrupted", "running", "rolled_back", "odd"]
)
def test_p16_no_other_state_reads_as_verified(state: str) -> None:
    assert not sentence(state, RUN["balances"]).lower().startswith("verified")
    assert sentence("verified", RUN["balances"]).startswith(
        "Verified: 2,325 of 2,400 rows are in the target, 2 merged"
    )


def test_written_reports_are_read_again_and_are_stable(tmp_path: Path) -> None:
    document = build_report(FACTS | {"mapping": "Übernahme \ud800 \x00"})
    path = write_report(tmp_path / "runs" / "r" / "report", document)
    first = path.read_bytes()
    assert path.name == FILE_NAME
    assert path.stat().st_mode & 0o077 == 0
    assert write_report(path.parent, document).read_bytes() == first
    assert read_report(path)["balances"] == document["balances"]
    assert [p.name for p in path.parent.iterdir()] == [FILE_NAME]


def test_a_report_is_whole_or_not_there_when_the_disk_fails(tmp_path: Path) -> None:
    log = tmp_path / "points"
    failpoints.arm(log_path=str(log))
    try:
        write_report(tmp_path / "r", build_report(FACTS))
        points = [point for point in log.read_text().split() if point.startswith("report.")]
        assert points[0] == "report.document.built"
        assert len(points) > 3
        for point in points:
            failpoints.arm(f"{point}:1:enospc")
            with pytest.raises((Unreachable, OSError)):
                write_report(tmp_path / f"at-{point}", build_report(FACTS))
            assert list((tmp_path / f"at-{point}").iterdir()) == [], point
    finally:
        failpoints.arm()


def test_after_a_kill_at_any_point_the_report_is_old_or_new(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from migrate.report.document import build_report, write_report; "
        "write_report(Path(sys.argv[1]), build_report({'run': sys.argv[2], 'mapping': 'm', 'state': 'verified'}))"
    )
    root = str(Path(__file__).parents[2])
    for point in ("report.document.written", "report.document.fsynced", "report.document.renamed"):
        folder = tmp_path / point
        for run, failpoint, code in (("old", "", 0), ("new", f"{point}:1:kill", -9), ("newer", "", 0)):
            done = subprocess.run(
                [sys.executable, "-c", program, str(folder), run],
                env={"PYTHONPATH": root, "MIGRATE_FAILPOINT": failpoint},
                check=False,
            )
            assert done.returncode == code
            expected = {"old": {"old"}, "new": {"old", "new"}, "newer": {"newer"}}[run]
            assert read_report(folder / FILE_NAME)["run"] in expected


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b"{}", b'{"format": "1"}', b"\xff\xfe"])
def test_what_is_no_report_is_corrupt(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        read_report(path)
    with pytest.raises(Corrupt):
        read_report(tmp_path / "missing.json")


def test_a_report_of_a_newer_version_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(UsageError, match="version"):
        read_report(path)
