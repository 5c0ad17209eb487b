"""Documents to make pages of: one with everything, one full of harm, one as large as they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from migrate.report.document import build_report
from migrate.report.drill_document import build_drill_report

from tests.cli.recorded import RUN

DRILLS: list[dict[str, Any]] = [
    {
        "id": f"20261{n:03d}-000000-abcdef", "backup": "b1", "vault": "backups", "mapping": "demo", "role": "source", "system": "acme",
        "engine": "sqlite", "state": "failed" if n == 2 else "passed", "started": f"2026-11-{20 - n:02d}T02:00:00+00:00", "rows": 4000,
        "bytes": 12345, "rpo_seconds": 3600.0 * n, "rto_seconds": 10.5 + n, "seconds": {"fetch": 1.0, "decode": 2.5, "load": 3.0, "index": 1.0, "verify": 3.0},
    }
    for n in range(5)
]  # fmt: skip


HARM = (
    "<script>document.title='broken in'</script>", "\"><img src=x onerror=alert(1)>", "'><svg/onload=alert(1)>", "</style><style>*{display:none}",
    "{{ 7 * 7 }} {% raw %}", "\u202egnp.exe", "\u2066\u200f\u200b", "مرحبا بالعالم שלום", "Z̸̢͇͑a̶͉͝l̷̺̈́g̵͈̐o", "\x1b[31m\x07\x00", "]]>--><!--", "🏳️‍🌈👩‍👩‍👧‍👦",
    "javascript:alert(1)", "x" * 10_000, "\ud800", "&lt;b&gt; &amp;nbsp;",
)  # fmt: skip


def facts() -> dict[str, Any]:
    """Of a run that has met everything."""
    return RUN | {
        "started": "2026-11-22T10:15:00+00:00",
        "ended": "2026-11-22T10:15:06+00:00",
        "edited": {"accounts": 3},
        "gone": {"contacts": {"known": 90, "gone": 4, "left_out": 1}},
        "conflicts": {"accounts": {"kept": 2}},
        "tables": {
            "crm.companies": {"rows": 400, "roads": {"accounts": 400}, "excluded": {"accounts": {"where": 16}}},
            "crm.people": {"rows": 2000, "excluded": {"contacts": {"retention: deleted": 24}}, "quarantined": 2},
            "crm.log": {"rows": 50, "left_behind": "their own log"},
        },
        "archived": {"notes": {"rows": 165, "backup": "b-archive"}},
        "created": ["column accounts.legacy_id"],
        "columns": {"unmapped": [{"table": "companies", "column": "fax"}], "empty": [{"table": "companies", "column": "vat"}], "rare": []},
        "stale": {"deals.closes_on": {"rows": 478, "amount": "amount", "sum": "46822134.3"}},
        "quality": {
            name: {"rows": {"before": 100, "after": 90}, "scores": {"validity": {"before": 0.69, "after": 0.9999}, "uniqueness": {"before": None, "after": None}}}
            for name in ("accounts", "contacts")
        },
        "quarantine": [
            {"entity": "contacts", "field": "last_name", "code": "required", "count": 14, "examples": ["(empty)"]},
            {"entity": "accounts", "field": "country", "code": "unmapped_value", "count": 9, "examples": ["Aaaaaaaaa", "??"]},
        ],
        "duplicates": {"contacts": {"merged": 2, "clusters": 1, "largest": 3, "review": 7, "placeholders": 1}},
        "policy": {"max_quarantine": 0.08, "own": {"accounts": 0.02}, "max_gone": 0.05, "lossy": "quarantine"},
        "verdicts": [*RUN["verdicts"], {"check": "sum deals.amount", "passed": True, "expected": "", "found": "", "reason": ""}],
        "checks": [
            {
                "check": "sum deals.amount", "within": 0.08, "passed": True, "edited": 0, "unread": 1, "more": 2,
                "whole": {"of": {}, "before": "79532751.05", "after": "77885864.25", "difference": "-1646886.8", "quarantined": "1646886.8", "passed": True},
                "groups": [{"of": {"stage": "won"}, "before": "1000.5", "after": "1000.5", "difference": "0", "quarantined": "0", "passed": True}],
            }
        ],
        "events": {"contacts.email: email_syntax_emptied": 5, "accounts.revenue: lossy_allowed": 12},
        "backups": [
            {"id": "b1", "role": "source", "system": "acme", "engine": "sqlite", "snapshot_at": "2026-11-22T10:15:01+00:00", "rows": 4054, "bytes": 130000, "level": "L5", "manifest_sha256": "ab" * 32, "signed": True},
            {"id": "b2", "role": "target", "system": "target", "engine": "sqlite", "snapshot_at": "2026-11-22T10:15:02+00:00", "rows": 265, "bytes": 19480, "level": "none", "manifest_sha256": "cd" * 32, "signed": False},
        ],
        "plan": {"digest": "ef" * 32, "order": ["accounts"], "problems": [{"code": "x", "message": "y"}], "left_behind": [{"pattern": "companies.fax", "why": "nobody has a fax", "decided": None}]},
        "drills": DRILLS,
        "digests": {"mapping": "12" * 32, "plan": "ef" * 32, "schemas": {"crm": "34" * 32, "target": "56" * 32}, "code": "0.1.0", "audit": {"head": "78" * 32, "broken": 0}},
        "dictionary": {
            "entities": {"accounts": {"from": "crm.companies", "into": "accounts", "why": "they pay", "columns": [{"column": "name", "from": ["company_name"], "says": "company_name; trim", "why": "as printed"}]}},
            "reasons": [{"where": "checks.0", "why": "sales knows this number"}],
        },
        "glossary": {"lead": "A person who showed interest."},
        "profile": {
            "crm.companies": {
                "table": "companies", "rows": 400, "bad": {"bad_row": 2}, "key": ["id"], "keys": {"rows": 400, "not_unique": 3, "repeated": 1, "missing": 0},
                "columns": [
                    {"name": "created", "kind": "text", "rows": 400, "nulls": 10, "empty": 30, "distinct": 300, "distinct_exact": False, "top": [], "patterns": [{"pattern": "9999-99-99", "rows": 300}], "trailing_space": 5, "looks_like": {"date": 0.9}, "years": [{"year": 2019, "rows": 100}, {"year": 2020, "rows": 260}]},
                ],
            }
        },
        "environment": {"migrate": "0.1.0", "python": "3.11.7", "system": "Linux", "machine": "x86_64", "engines": {"target": "sqlite", "crm": "sqlite"}},
    }  # fmt: skip


def full() -> dict[str, Any]:
    return build_report(facts())


def drill() -> dict[str, Any]:
    query = {"query": "open deals", "why": "sales asks this", "passed": False, "expected": "12", "found": "11", "reason": "differs", "seconds": 0.1}  # fmt: skip
    told = {
        **DRILLS[0], "drill": DRILLS[0]["id"], "passed": False, "reason": "open deals", "manifest_sha256": "ab" * 32, "snapshot_at": "2026-11-20T01:00:00Z",
        "rows_per_second": 380.9, "verdicts": [{"check": "L5", "passed": True, "expected": "", "found": "", "reason": ""}, {"check": "query open deals", "passed": False, "expected": "12", "found": "11", "reason": "differs"}],
        "queries": [query],
    }  # fmt: skip
    return build_drill_report(told, DRILLS, {"code": "0.1.0", "audit": {"head": "78" * 32}})


def rebuilt() -> dict[str, Any]:
    """Of a run whose ledger is lost."""
    one = facts()
    told = {
        "parts": 3,
        "rows": 374,
        "refused": 2,
        "first": "2026-11-22T10:15:03.123+00:00",
        "last": "2026-11-22T10:15:04.123+00:00",
    }
    return build_report({
        "run": one["run"], "mapping": "demo", "state": "rebuilt", "started": one["started"], "incomplete": "backup b3: damaged", "backups": one["backups"],
        "rebuilt": {"target": "sqlite:///crm.db", "receipts": {"accounts": told, "contacts": told}, "crosswalk": {"accounts": {"insert": 370, "update": 4}},
                    "merged": {"accounts": 2}, "refused": {"db_unique": 4}, "gone": 5, "journal": 4, "rolled_back": False, "unknown": ["whether it was verified"]},
    })  # fmt: skip


def spoiled(document: Any, harm: Callable[[], str]) -> Any:
    """The same document with every text in it, keys too where they are names from outside, followed by harm."""
    if isinstance(document, dict):
        return {
            (f"{key} {harm()}" if _from_outside(key) else key): spoiled(value, harm)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [spoiled(value, harm) for value in document]
    return f"{document}{harm()}" if isinstance(document, str) and document not in _FIXED else document


_FIXED = {"verified", "source", "target", "drill", "L5", "passed"}
_NAMES = {"accounts", "contacts", "crm.companies", "crm.people", "crm.log", "notes", "lead", "crm", "deals.closes_on"}  # fmt: skip


def _from_outside(key: str) -> bool:
    return key in _NAMES or ":" in key


def large(entities: int = 100, columns: int = 30) -> dict[str, Any]:
    """A run of many entities and ten million rows."""
    one = facts()
    names = [f"entity_with_a_longish_name_{n:03d}" for n in range(entities)]
    [check] = one["checks"]
    profile = one["profile"]["crm.companies"]["columns"][0]
    patterns = [{"pattern": "Aaaaaaa Aaaaaaaaaaaaa 9999", "rows": 1000} for _ in range(10)]
    return build_report(one | {
        "balances": {n: {"in": 100_000, "loaded": 90_000, "unchanged": 5_000, "merged": 1_000, "quarantined": 3_000, "excluded": 1_000} for n in names},
        "quality": dict.fromkeys(names, one["quality"]["accounts"]),
        "tables": {f"crm.{n}": {"rows": 100_000, "excluded": {n: {"where": 1_000}}} for n in names},
        "quarantine": [{"entity": n, "field": f"field_{f}", "code": "required", "count": 30, "examples": ["A" * 80] * 3} for n in names for f in range(20)],
        "events": {f"{n}.field_{f}: email_syntax_emptied": 7 for n in names for f in range(20)},
        "verdicts": [{"check": f"verify {n}", "passed": p % 3 > 0, "expected": "e" * 64, "found": "f" * 64, "reason": "differs"} for n in names for p in range(12)],
        "checks": [check | {"groups": check["groups"] * 300} for _ in range(40)],
        "drills": DRILLS * 6,
        "plan": one["plan"] | {"left_behind": one["plan"]["left_behind"] * 1_000},
        "dictionary": {"entities": {n: {"from": f"crm.{n}", "into": n, "why": "why " * 50, "columns": [{"column": f"c{c}", "from": ["a", "b"], "says": "trim; " * 60, "why": "because " * 30} for c in range(columns)]} for n in names}, "reasons": [{"where": n, "why": "because " * 30} for n in names * 20]},
        "profile": {f"crm.{n}": one["profile"]["crm.companies"] | {"columns": [profile | {"name": f"c{c}", "patterns": patterns, "years": [{"year": y, "rows": y} for y in range(1990, 2026)]} for c in range(columns)]} for n in names},
    })  # fmt: skip
