"""Rows, values and checks, as the templates are given them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from migrate.report.document import total
from migrate.report.html.bounds import LINES, Document, cut
from migrate.report.meanings import MEANINGS, change

_REASONS = {"where": "the mapping's `where` leaves them out"}


_WHOLE: dict[str, Any] = dict.fromkeys(("before", "after", "difference", "quarantined"))


_CHECK: dict[str, Any] = dict.fromkeys(
    ("check", "within", "passed", "edited", "unread", "whole", "groups", "more")
)


def left_out(document: Document) -> list[dict[str, Any]]:
    """Why rows of source tables went nowhere: {table, entity, reason, rows}."""
    found = []
    for table, account in (document.get("tables") or {}).items():
        for entity, reasons in (account.get("excluded") or {}).items():
            found += [
                {"table": table, "entity": entity, "reason": _REASONS.get(r, r), "rows": n}
                for r, n in reasons.items()
            ]
        found += [
            {"table": table, "entity": "", "reason": r, "rows": n}
            for r, n in (account.get("left_out") or {}).items()
        ]
        if account.get("left_behind"):
            found.append(
                {
                    "table": table,
                    "entity": "",
                    "reason": f"left behind: {account['left_behind']}",
                    "rows": account.get("rows"),
                }
            )
    return found  # fmt: skip


def check_of(check: Document) -> dict[str, Any]:
    groups = [{**_WHOLE, "of": {}, "passed": True, **g} for g in check.get("groups") or ()]
    whole = check.get("whole")
    return {**_CHECK, **check, "whole": {**_WHOLE, **whole} if whole else None, "groups": groups}


def passed(verdicts: Iterable[Document]) -> list[dict[str, Any]]:
    """Checks that passed, those of one kind together: {kind, count, examples}."""
    kinds: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.get("passed"):
            name = str(verdict.get("check", ""))
            head, _, rest = name.partition(" ")
            kind = f"{head} {rest}" if head[:1] == "L" and head[1:].isdigit() else head
            kinds.setdefault(kind.strip(), []).append(rest)
    return [
        {"kind": kind, "count": len(of), "of": [*dict.fromkeys(o for o in of if o and o not in kind)][:12]}
        for kind, of in kinds.items()
    ]


def kind_of(kind: Document, samples: Document) -> dict[str, Any]:
    place = ".".join(filter(None, (str(kind.get("entity") or ""), str(kind.get("field") or ""))))
    code = str(kind.get("code") or "")
    examples = samples.get("quarantine", {}).get((kind.get("entity"), kind.get("field") or "", code))
    return {
        "place": place,
        "code": code,
        "count": kind.get("count"),
        "means": MEANINGS.get(code, ""),
        "examples": (examples if examples is not None else kind.get("examples") or [])[:3],
    }


def changed(events: Mapping[str, int]) -> list[dict[str, Any]]:
    found = []
    for name, count in sorted(events.items(), key=lambda item: (-int(item[1]), item[0])):
        place, _, code = name.rpartition(": ")
        found.append({"place": place, "code": code, "count": count, "means": change(code)})
    return found


def budgets(document: Document) -> list[dict[str, Any]]:
    """How much of what the mapping allows to stay behind did: {what, count, of, share, most}."""
    policy, balances = document.get("policy") or {}, document.get("balances") or {}
    if policy.get("max_quarantine") is None or not balances:
        return []
    own = policy.get("own") or {}
    whole = total(balances)
    asked = [("all rows", whole, float(policy["max_quarantine"]))]
    asked += [(name, balances[name], float(most)) for name, most in own.items() if name in balances]
    return [
        {
            "what": what,
            "count": b["quarantined"],
            "of": b["in"],
            "share": b["quarantined"] / b["in"] if b["in"] else 0.0,
            "most": most,
        }
        for what, b, most in asked
    ]


def columns_of(document: Document) -> dict[str, Any]:
    use = document.get("columns") or {}
    return {
        "decided": cut(list((document.get("plan") or {}).get("left_behind") or ()), LINES),
        **{kind: cut(list(use.get(kind) or ()), LINES) for kind in ("unmapped", "empty", "rare")},
    }
