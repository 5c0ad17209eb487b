"""A program behind the command line that answers from a record and keeps what it was asked.

It takes the place of `migrate.api` where `main` takes one; nothing of the command line is patched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migrate.errors import Unreachable

RUN: dict[str, Any] = {
    "run": "20261122-101500-demo-7f3a",
    "mapping": "demo",
    "state": "verified",
    "stages": [
        {"stage": "extract", "state": "done", "seconds": 0.5, "rows": 3000},
        {"stage": "load", "state": "done", "seconds": 2.0, "rows": 2900},
        {"stage": "verify", "state": "done", "seconds": 0.25, "rows": 2900},
    ],
    "balances": {
        "accounts": {"in": 400, "loaded": 370, "unchanged": 5, "merged": 0, "quarantined": 9, "excluded": 16},
        "contacts": {
            "in": 2000,
            "loaded": 1950,
            "unchanged": 0,
            "merged": 2,
            "quarantined": 24,
            "excluded": 24,
        },
    },
    "verdicts": [
        {"check": "L3 rows", "passed": True, "expected": "no problem", "found": "no problem", "reason": ""},
        {"check": "L5", "passed": True, "expected": "equal", "found": "equal", "reason": ""},
        {"check": "backup source:crm", "passed": True, "expected": "L5", "found": "L5", "reason": ""},
        {"check": "backup target", "passed": True, "expected": "L5", "found": "L5", "reason": ""},
        {
            "check": "target unchanged since its backup",
            "passed": True,
            "expected": "a",
            "found": "a",
            "reason": "",
        },
        {
            "check": "balance accounts",
            "passed": True,
            "expected": "400 rows",
            "found": "400 rows",
            "reason": "",
        },
        {"check": "verify accounts", "passed": True, "expected": "d", "found": "d", "reason": ""},
    ],
    "quarantine": [
        {"entity": "contacts", "field": "last_name", "code": "required", "count": 14},
        {"entity": "accounts", "field": "country", "code": "unmapped_value", "count": 9},
        {"entity": "contacts", "field": "", "code": "db_unique", "count": 10},
    ],
    "peak_mb": 212.4,
    "report": "/somewhere/.migrate/runs/20261122-101500-demo-7f3a/report/report.json",
    "exit_code": 0,
}
QUARANTINE: list[dict[str, Any]] = [
    {
        "entity": "contacts",
        "key": '["000017"]',
        "stage": "transform",
        "codes": ["required", "pattern"],
        "reasons": ["last_name is empty", "email has not the expected form"],
        "row": {"first_name": "Ada", "mail": "ada@"},
    },
    {
        "entity": "accounts",
        "key": '["9"]',
        "stage": "load",
        "codes": ["db_check"],
        "reasons": ["CHECK"],
        "row": {"id": 9},
    },
]
ROLLBACK: dict[str, Any] = {
    "run": RUN["run"],
    "state": "rolled_back",
    "preview": False,
    "entities": {"accounts": {"delete": 350, "restore": 20, "conflicts": 1}},
    "conflicts": [{"entity": "accounts", "key": '["12"]', "why": "changed after the load"}],
    "proof": {"passed": True, "differences": []},
}
ANSWERS: dict[str, Any] = {
    "run": RUN,
    "demo": RUN | {"folder": "demo"},
    "status": RUN | {"resumable": False},
    "runs": [
        {
            "run": RUN["run"],
            "mapping": "demo",
            "state": "verified",
            "started": "2026-11-22T10:15:00Z",
            "ended": None,
        }
    ],
    "plan": {
        "mapping": "demo",
        "digest": "ab12",
        "order": ["accounts", "contacts"],
        "entities": {"accounts": {"rows": 400, "inserts": 350, "updates": 25, "parts": 1}},
        "problems": [
            {
                "code": "unmapped",
                "where": "demo.yaml:3:1",
                "message": "fax is not used",
                "hint": "left_behind",
            }
        ],
    },
    "verify": {"run": RUN["run"], "state": "verified", "verdicts": RUN["verdicts"]},
    "report": RUN | {"format": 1, "path": RUN["report"], "page": "/somewhere/report.html"},
    "dossier": {
        "dossier": "acme.zip",
        "run": RUN["run"],
        "bytes": 240_000,
        "sha256": "ab" * 32,
        "files": 60,
        "signed": False,
        "omitted": [],
    },
    "dossier_verify": {
        "dossier": "acme.zip",
        "run": RUN["run"],
        "mapping": "demo",
        "state": "verified",
        "program": "migrate 0.1.0",
        "signed_by": "",
        "checked": [{"check": "files", "found": "9 files"}],
        "not_checked": ["who made this file"],
        "omitted": [{"what": "report.html", "why": "the run has no page"}],
        "exit_code": 0,
    },
    "rollback": ROLLBACK,
    "trace": {
        "entity": "contacts",
        "key": '["000017"]',
        "story": [{"stage": "extract", "what": "read", "where": "part 0, row 17"}],
        "source": {"person_no": "000017"},
        "target": {"id": 42},
    },
    "quarantine": QUARANTINE,
    "audit": {
        "format": 1,
        "place": "sqlite:///crm.db",
        "at": "2026-11-28T12:00:00+00:00",
        "tables": {
            "contacts": {
                "rows": 7,
                "scores": {"completeness": 0.9, "validity": 0.5, "uniqueness": None},
                "findings": [{"column": "mail", "code": "email_syntax", "rows": 2}],
                "filled": {"mail": 1.0},
            }
        },
        "since": {
            "at": "2026-11-27T12:00:00+00:00",
            "tables": {"contacts": {"rows": 1, "scores": {"validity": -0.1}}},
            "new": [],
            "gone": ["old"],
        },
        "kept": "/tmp/a.json",
    },
    "quarantine_cells": [
        {"entity": "contacts", "key": '["7"]', "field": "email", "code": "no_consent", "value": "a@x.com"}
    ],
    "quarantine_export": ["to-fix/contacts.csv"],
    "quarantine_replay": {
        "run": "r1",
        "replay": "r1-r1",
        "state": "verified",
        "done_before": False,
        "corrected": {"contacts": 2},
        "columns": {"contacts.mail": 2},
        "loaded": 3,
        "quarantined": 1,
        "balances": {},
        "report": "r1/report.json",
        "exit_code": 0,
    },
    "examples": {
        "mapping": "demo",
        "passed": 1,
        "failed": 0,
        "examples": [
            {
                "entity": "contacts",
                "number": 1,
                "name": "names are trimmed",
                "where": "m.yaml:9:7",
                "passed": True,
                "differences": [],
            }
        ],
        "without": ["accounts"],
        "exit_code": 0,
    },
    "preview": {
        "mapping": "demo",
        "entity": "contacts",
        "key": '["000017"]',
        "table": "crm.people",
        "rows": [
            {
                "key": '["000017"]',
                "source": {"person_no": "000017", "mail": None},
                "fate": "quarantine",
                "reasons": [{"field": "name", "code": "required", "detail": "empty"}],
                "events": [],
                "target": {"loaded_as": None, "match": None, "found": None},
                "lets": [],
                "fields": [
                    {
                        "column": "account_id",
                        "type": "integer",
                        "nullable": False,
                        "steps": [
                            {"step": "from", "value": "12", "broken": False},
                            {"step": "check: required", "value": "12", "broken": False},
                        ],
                        "value": {"ref": ["accounts", "12"]},
                        "found": [],
                    }
                ],
            }
        ],
    },
    "suggest": {
        "text": "migrate: 1\n",
        "out": None,
        "entities": [
            {
                "entity": "accounts",
                "from": "companies",
                "into": "accounts",
                "score": 0.9,
                "fields": [
                    {"column": "name", "from": "company_name", "score": 0.7, "doubts": ["is it this column?"]}
                ],
                "open": ["phone"],
                "unused": [],
                "doubts": [],
            }
        ],
        "left": ["audit_log"],
        "waiting": [],
        "refused": {},
    },
    "dictionary": {
        "mapping": "demo",
        "description": "Acme into ours",
        "digest": "ab12",
        "sources": [{"source": "crm", "system": "acme"}],
        "entities": [
            {
                "entity": "accounts",
                "why": "known | to be poor",
                "from": {"source": "crm", "table": "companies"},
                "into": "accounts",
                "key": ["id"],
                "write": "add",
                "match": {},
                "where": "deleted = 0",
                "set_by_target": {},
                "rules": [],
                "columns": [
                    {
                        "column": "name",
                        "type": None,
                        "nullable": None,
                        "from": ["company_name"],
                        "origin": "company_name",
                        "steps": ["trim"],
                        "default": None,
                        "checks": ["required"],
                        "why": None,
                    }
                ],
            }
        ],
        "maps": [],
        "splits": [],
        "checks": [{"check": "count accounts", "within": "0%"}],
        "lineage": {"crm.companies.company_name": ["accounts.name"]},
        "left_behind": [],
        "reasons": [],
        "functions": {"trim": "Removes white space."},
        "glossary": {"lead": "Nobody has bought."},
    },
    "schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
    "profile": {
        "people": {
            "rows": 3,
            "bad": {"ragged_row": 1},
            "columns": [
                {
                    "name": "mail",
                    "kind": "text",
                    "rows": 2,
                    "nulls": 0,
                    "empty": 1,
                    "distinct": 1,
                    "max_length": 9,
                    "patterns": [{"pattern": "aaa@aaa.aa", "rows": 1}],
                }
            ],
        }
    },
    "duplicates_list": {
        "run": "20261101-120000-abcd",
        "mapping": "acme",
        "waiting": 1,
        "decided": 0,
        "masked": True,
        "pairs": [
            {
                "entity": "contacts",
                "pair": "3f2a90c1d4e5b677",
                "a": '["1"]',
                "b": '["2"]',
                "probability": 0.87,
                "doubt": "",
                "earlier": "reject",
                "said": "",
                "reasons": ["surname nearly equal"],
                "values": [{"field": "surname", "a": "M… (6)", "b": "M… (5)", "equal": False}],
            }
        ],
    },
    "duplicates_accept": {
        "run": "20261101-120000-abcd",
        "decision": "accept",
        "pairs": ["3f2a90c1d4e5b677"],
        "already": 0,
        "left": [],
    },
    "duplicates_reject": {
        "run": "20261101-120000-abcd",
        "decision": "reject",
        "pairs": ["3f2a90c1d4e5b677"],
        "already": 0,
        "left": [],
    },
    "duplicates_find": {
        "tables": ["people"],
        "rows": [3],
        "compared": 3,
        "possible": 3,
        "merge": 1,
        "review": 0,
        "clusters": [["1", "2"]],
        "pairs": [
            {
                "a": "1",
                "b": "2",
                "probability": 0.99,
                "decided": "merge",
                "cluster": 1,
                "reasons": ["surname equal"],
                "doubt": "",
            }
        ],
        "placeholders": [{"columns": ["mail"], "values": ["none@none.com"], "rows": 3}],
    },
    "backups": [{"id": "b1", "role": "source", "level": 5}],
    "backup_show": {
        "id": "b1",
        "role": "source",
        "system": "crm",
        "engine": "sqlite",
        "snapshot_at": "2026-11-01T00:00:00Z",
        "created_at": "2026-11-01T00:00:01Z",
        "code_version": "0.1.0",
        "seal": None,
        "signed_by": "",
        "violations": [],
        "native": {"tool": "SQLite 3", "bytes": 10, "problem": ""},
        "tables": [
            {"table": "people", "rows": 2000, "parts": 1, "columns": 4, "not_carried": ["trigger stamp"]},
            {"table": "firms", "rows": 20, "parts": 1, "columns": 2, "not_carried": []},
        ],
        "not_carried": ["view everybody"],
        "verdicts": [
            {
                "check": "L5 values",
                "table": "people",
                "passed": False,
                "expected": "a",
                "found": "b",
                "reason": "",
                "at": "2026-11-01T00:00:01Z",
            },
            {
                "check": "L5 values",
                "table": "people",
                "passed": True,
                "expected": "a",
                "found": "a",
                "reason": "",
                "at": "2026-11-02T00:00:00Z",
            },
            {
                "check": "L5 values",
                "table": "firms",
                "passed": True,
                "expected": "a",
                "found": "a",
                "reason": "",
                "at": "2026-11-02T00:00:00Z",
            },
            {
                "check": "L2 bytes",
                "table": "",
                "passed": False,
                "expected": "x",
                "found": "y",
                "reason": "torn",
                "at": "2026-11-03T00:00:00Z",
            },
        ],
        "manifest_sha256": "ab" * 32,
    },
    "backup_check": [{"check": "L2", "passed": True, "expected": "x", "found": "x", "reason": ""}],
    "backup_create": {
        "backup": "b2",
        "store": "backups",
        "system": "crm",
        "engine": "sqlite",
        "snapshot_at": "2026-11-01T00:00:00Z",
        "tables": ["people"],
        "rows": 2000,
        "bytes": 4096,
        "not_carried": ["people: trigger t"],
        "proven": True,
        "verdicts": [{"check": "L5", "passed": True, "expected": "x", "found": "x", "reason": ""}],
    },
    "backup_prune": {
        "removed": ["b0"],
        "kept": [{"backup": "b1", "why": "the last proven one"}],
        "objects": 3,
        "bytes": 4096,
        "waiting": 2,
        "grace_seconds": 3600.0,
        "held_up": "",
        "locked": [{"object": "objects/" + "ab" * 32, "why": "locked until 2030-01-01"}],
        "dry_run": True,
    },
    "backup_keygen": {"public": "ed25519:AAAA", "secret_file": "keys/backup-signing.pem"},
    "erase": {
        "store": "backups",
        "erasures": [
            {
                "system": "crm",
                "table": "people",
                "by": ["id"],
                "recorded": 1,
                "known_before": 1,
                "matched": 1,
                "matched_by_key": [1, 0],
                "backup": "b1",
                "left_out": {"people": 2},
                "references_emptied": {},
            }
        ],
    },
    "backup_restore": {
        "backup": "b1",
        "into": "sqlite:///x.db",
        "state": "restored",
        "tables": ["people"],
        "rows": 2000,
        "replaced": "b0",
        "not_restored": ["people: fk (it refers to towns, which is not there)"],
        "not_carried": ["people: trigger t"],
        "passed": True,
        "verdicts": [
            {
                "check": "L5 values",
                "passed": True,
                "expected": "canon-1:" + "ab" * 60,
                "found": "canon-1:" + "ab" * 60,
                "reason": "",
                "evidence": {"table": "people", "rows_expected": 2000, "rows_found": 2000},
            }
        ],
    },
    "drill": {
        "passed": True,
        "drills": [
            {
                "drill": "d1",
                "passed": True,
                "backup": "b1",
                "vault": "backups",
                "mapping": "",
                "role": "source",
                "system": "crm",
                "engine": "sqlite",
                "state": "passed",
                "snapshot_at": "2026-11-01T00:00:00Z",
                "rows": 2000,
                "bytes": 4096,
                "rpo_seconds": 93_600.0,
                "rto_seconds": 4.2,
                "rows_per_second": 476.2,
                "seconds": {
                    "fetch": 0.1,
                    "decrypt": 0.0,
                    "decode": 0.4,
                    "load": 2.0,
                    "index": 0.2,
                    "verify": 1.5,
                },
                "verdicts": [{"check": "L5", "passed": True, "expected": "x", "found": "x", "reason": ""}],
                "queries": [
                    {
                        "check": "query people",
                        "query": "people",
                        "why": "",
                        "passed": True,
                        "expected": "at least 1000",
                        "found": "2000",
                        "reason": "",
                        "seconds": 0.01,
                    }
                ],
            }
        ],
        "verdicts": [
            {"check": "drill", "passed": True, "expected": "x", "found": "x", "reason": "", "backup": "b1"}
        ],
    },
    "schedule": {
        "schedule": "acme",
        "outcomes": [{"schedule": "acme", "job": "nightly", "state": "done", "exit_code": 0, "reason": ""}],
        "exit_code": 0,
    },
    "schedule_units": "[Unit]\n",
    "drills": {
        "drills": [
            {
                "drill": "d1",
                "state": "failed",
                "reason": "query people",
                "role": "source",
                "system": "crm",
                "started": "2026-11-01T00:00:00Z",
                "rpo_seconds": 3.0,
                "rto_seconds": 4.2,
                "rows_per_second": None,
            }
        ],
        "trend": [
            {
                "role": "source",
                "system": "crm",
                "drills": 2,
                "passed": 1,
                "rto_seconds": 4.2,
                "rto_median": 4.0,
                "rto_change": 0.05,
            }
        ],
    },
    "doctor": [{"check": "python", "passed": True, "found": "3.11.7", "hint": ""}],
}


class RecordedApi:
    """`answers` take the place of the record; an exception among them is raised, a function is called."""

    def __init__(self, **answers: Any) -> None:
        self.answers = ANSWERS | answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.answers:
            raise AttributeError(name)

        def ask(*given: Any, **named: Any) -> Any:
            self.asked.append((name, given, named))
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer(*given, **named) if callable(answer) else answer

        return ask

    def last(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return self.asked[-1]


def waits(ready: Path, *, deaf: bool = False) -> Callable[..., Any]:
    """A run that writes `ready` and then works until it is interrupted; `deaf` goes on after that for a minute."""

    def run(*given: Any, **named: Any) -> Any:
        progress = named.get("progress")
        if progress is not None:
            progress.stage("load", 10)
        ready.write_text(str(os.getpid()))
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            if not deaf:
                raise
            ready.with_suffix(".asked").write_text("once")
            time.sleep(60)
        raise Unreachable("nobody interrupted the run")

    return run
