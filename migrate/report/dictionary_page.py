"""The data dictionary as a Markdown page that one hands to the business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from migrate.report.clean import clean
from migrate.report.dictionary import ENTRIES_SHOWN

Document = Mapping[str, Any]
WRITES = {
    "link": "found there, never written",
    "add": "added",
    "add_or_update": "updated where found there, else added",
    "add_or_link": "found there, else added",
    "update": "updated where found there, never added",
}


def markdown(document: Document) -> str:
    """The whole page, ending with a line break; the same document gives the same page."""
    parts = [f"# Data dictionary: {_text(document['mapping'])}", _text(document["description"])]
    for entity in document["entities"]:
        parts += _entity(entity)
    if document["maps"]:
        parts.append("## Maps")
        for value_map in document["maps"]:
            parts += _map(value_map)
    if document["splits"]:
        parts.append("## Tables with several roads")
        for split in document["splits"]:
            parts += _split(split)
    if document["checks"]:
        checks = [(c["check"], c["within"]) for c in document["checks"]]
        parts += ["## The same before and after", _table(("what", "within"), checks)]
    if document["left_behind"]:
        rows = [(i["pattern"], i["why"], i["decided"]) for i in document["left_behind"]]
        parts += ["## Left behind", _table(("what", "why", "decided"), rows)]
    if document["reasons"]:
        parts += [
            "## Reasons",
            _table(("where", "why"), [(r["where"], r["why"]) for r in document["reasons"]]),
        ]
    if document["glossary"]:
        parts += ["## Glossary", _table(("word", "means"), document["glossary"].items())]
    if document["functions"]:
        parts += ["## Functions", _table(("function", "does"), document["functions"].items())]
    if document["lineage"]:
        rows_ = [(column, ", ".join(goes)) for column, goes in document["lineage"].items()]
        parts += ["## Where source columns go", _table(("source column", "target columns"), rows_)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _entity(entity: Document) -> list[str]:
    origin = entity["from"]
    source = f"{origin['source']}.{origin['table']}" if origin["table"] else f"a query of {origin['source']}"
    facts = [
        ("rows of", source),
        ("only those with", entity["where"]),
        ("known by", ", ".join(entity["key"])),
        ("go into", entity["into"]),
        ("how", WRITES.get(entity["write"], entity["write"])),
        ("found there by", ", ".join(f"{t} = {s}" if s else t for t, s in entity["match"].items())),
        ("set by the target", ", ".join(f"{c} ({rule})" for c, rule in entity["set_by_target"].items())),
        *((rule.partition(": ")[0], rule.partition(": ")[2]) for rule in entity["rules"]),
    ]
    typed = any(c["type"] for c in entity["columns"])
    columns = (
        "column",
        *(("type",) if typed else ()),
        "comes from",
        "what happens",
        "if empty",
        "checks",
        "why",
    )
    rows = [
        (
            c["column"],
            *((f"{c['type'] or '?'}{'' if c['nullable'] else ', not null'}",) if typed else ()),
            c["origin"],
            "; ".join(c["steps"]),
            c["default"],
            ", ".join(c["checks"]),
            c["why"],
        )
        for c in entity["columns"]
    ]
    return [
        f"## {_text(entity['entity'])}",
        _text(entity["why"]),
        _table(("", ""), [(name, value) for name, value in facts if value]),
        _table(columns, rows) if rows else "",
    ]


def _split(split: Document) -> list[str]:
    rows = [(b["when"] or "all others", b["goes"]) for b in split["branches"]]
    table = f"{split['source']}.{split['table']}"
    return [
        f"### {_text(table)}",
        _table(("the first that fits", "goes to"), [*rows, ("no other", split["otherwise"])]),
    ]


def _map(value_map: Document) -> list[str]:
    used = ", ".join(value_map["used_by"])
    rows = [(given, "(nothing)" if to is None else to) for given, to in value_map["entries"]]
    more = value_map["size"] - len(rows)
    return [
        f"### {_text(value_map['map'])}",
        _text("; ".join([f"Used by {used}." if used else "Not used.", *value_map["rules"]])),
        _table(("value", "becomes"), rows) if rows else "",
        f"… and {more:,} more; the first {ENTRIES_SHOWN} are shown." if more else "",
    ]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [_row(columns), "|" + "---|" * len(columns), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*|<"})


def _text(value: object) -> str:
    """One line of plain text: nothing in it acts on a page or a terminal."""
    text = " ".join(str(value).split()) if value is not None else ""
    return clean(text, limit=2000).translate(_MARKS)
