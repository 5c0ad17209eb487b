"""What everybody sees first, on a terminal and on a page: what needs a person, and what was caught on the way.

Pure: made of a report's document and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from migrate.report.document import total
from migrate.report.meanings import KNOWN

Document = Mapping[str, Any]
_DEAD = ("email_syntax", "email_placeholder", "email_reserved", "email_bounced", "email_no_mx")
UNFINISHED = {
    "running": "Its process ended before its work did, or is still at it.",
    "interrupted": "It was interrupted.",
    "failed": "An error stopped it.",
    "stopped": "It was asked to stop before its end.",
}


@dataclass(frozen=True)
class Item:
    """One thing to look at: how many of what. `command`: what to type, "" for nothing."""

    what: str
    count: int
    command: str = ""
    grave: bool = False


def unfinished(document: Document) -> str:
    """Why this is no report of a whole run, in a sentence; "" for a run that came to its end, be it one whose target was
    found changed later."""
    ended = any(s.get("stage") == "report" and s.get("state") == "done" for s in document.get("stages") or ())
    return "" if ended else UNFINISHED.get(str(document.get("state")), "")


def needs_a_human(document: Document) -> list[Item]:
    """Gravest first."""
    run = str(document.get("run") or "")
    verdicts = document.get("verdicts") or ()
    failed = [v for v in verdicts if not v.get("passed")]
    items = []
    if failed:
        items.append(Item("checks failed", len(failed), f"migrate report {run} --json", grave=True))
    if document.get("kept"):
        items.append(
            Item(
                "rows were kept by the rollback: changed since the load, or needed by rows that were",
                int(document["kept"]),
                f"migrate rollback {run} --preview",
                grave=True,
            )
        )
    if waiting := _waiting(document):
        items.append(Item("rows wait in quarantine", waiting, f"migrate quarantine list {run}"))
    for name, counts in (document.get("duplicates") or {}).items():
        if counts.get("review"):
            items.append(
                Item(
                    f"{'pair' if counts['review'] == 1 else 'pairs'} of {name} may be the same: a person decides",
                    int(counts["review"]),
                    f"migrate duplicates list {run}",
                )
            )
    if edited := sum((document.get("edited") or {}).values()):
        items.append(Item("loaded rows were edited in the target since", edited, f"migrate verify {run}"))
    for name, counts in (document.get("conflicts") or {}).items():
        if both := sum(int(n) for n in counts.values()):
            items.append(Item(f"rows of {name} changed at the source and in the target", both))
    for name, counts in (document.get("gone") or {}).items():
        if counts.get("gone"):
            items.append(
                Item(
                    f"loaded rows of {name} are gone at the source",
                    int(counts["gone"]),
                    f"migrate gone {run}",
                )
            )
    for name, deals in (document.get("stale") or {}).items():
        items.append(Item(f"stale open deals ({name}) went in, marked{_worth(deals)}", int(deals["rows"])))
    if unmapped := len((document.get("columns") or {}).get("unmapped") or ()):
        items.append(Item("source columns hold values and nothing uses them", unmapped))
    if problems := len((document.get("plan") or {}).get("problems") or ()):
        items.append(Item("remarks of the plan", problems))
    return items


def caught(document: Document) -> list[Item]:
    """What would have gone wrong unseen: only what this run really met."""
    return [
        item for find in (_forecast, _customers, _proofs, _twins, _kept_too_long) for item in find(document)
    ]


def _forecast(document: Document) -> Iterable[Item]:
    for name, deals in (document.get("stale") or {}).items():
        yield Item(
            f"stale deals in the forecast: open, and past their date or untouched ({name}){_worth(deals)}",
            int(deals["rows"]),
        )


def _customers(document: Document) -> Iterable[Item]:
    for name, known in (document.get("known_as") or {}).items():
        if rows := int(known.get("rows") or 0):
            yield Item(f"rows of {name} that are somebody who is known already ({_rules(known)})", rows)


def _rules(known: Document) -> str:
    """By which rule, and what became of how many."""
    rules = (known.get("rules") or {}).items()
    return "; ".join(
        f"{words}: " + ", ".join(f"{int(n):,} {KNOWN.get(what, what)}" for what, n in outcomes.items())
        for words, outcomes in rules
    )


def _proofs(document: Document) -> Iterable[Item]:
    proven = [b for b in document.get("backups") or () if b.get("level") == "L5"]
    if proven:
        rows = sum(int(b.get("rows") or 0) for b in proven)
        yield Item(
            f"backups, unproven until now: restored, and all {rows:,} rows compared value by value before the first write",
            len(proven),
        )


def _twins(document: Document) -> Iterable[Item]:
    if merged := total(document.get("balances") or {})["merged"]:
        yield Item("duplicates: rows that became one with another row", merged)
    emptied = [
        (code.removesuffix("_emptied"), count)
        for name, count in (document.get("events") or {}).items()
        if (code := name.rpartition(": ")[2]).endswith("_emptied")
    ]
    set_aside = [(k.get("code"), k.get("count")) for k in document.get("quarantine") or ()]
    dead = sum(int(count or 0) for code, count in (*emptied, *set_aside) if code in _DEAD)
    if dead:
        yield Item("dead e-mail addresses that did not move", dead)


def _kept_too_long(document: Document) -> Iterable[Item]:
    for table, account in (document.get("tables") or {}).items():
        for reasons in (account.get("excluded") or {}).values():
            for reason, rows in reasons.items():
                if str(reason).startswith("retention"):
                    yield Item(f"rows of {table} kept longer than the rule allows ({reason})", int(rows))


def _waiting(document: Document) -> int:
    """Rows of a split table that fit no road are in no entity's balance."""
    roads = (document.get("tables") or {}).values()
    return total(document.get("balances") or {})["quarantined"] + sum(
        int(account.get("quarantined") or 0) for account in roads
    )


def _worth(deals: Document) -> str:
    if not deals.get("sum"):
        return ""
    try:
        return f", {deals['amount']} {Decimal(str(deals['sum'])):,} in all"
    except InvalidOperation:
        return f", {deals['amount']} {deals['sum']} in all"
