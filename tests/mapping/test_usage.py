"""Which columns of which source tables a mapping uses, through joins, shapes, splits and queries."""

from __future__ import annotations

from pathlib import Path

from migrate.mapping.left_behind import left_behind
from migrate.mapping.load import load_mapping
from migrate.mapping.usage import ALL, origins_of, read_tables, used_columns

MAPPING = """
migrate: 1
name: usage
sources:
  crm: {system: crm, url: "sqlite:///crm.db"}
  old: {system: old, url: "sqlite:///old.db"}
target: {url: "sqlite:///t.db"}
left_behind: {"Pardot *": no, "audit_[1]": no, "people.fax?": no}
split: {actions: {leave_out: {old: "done = 1"}, calls: "Type = 'call'"}}
entities:
  contacts:
    from: {source: crm, table: people}
    with:
      home: {source: old, table: addresses, on: {no: person}, where: "kind = 'home'", rows: one_or_none}
      land: {table: lands, on: {home.land: code}, rows: one}
      tag: {table: tags, on: no, rows: any, order: -prio}
      more: {table: cells, on: {no: whose}, rows: one_or_none, pivot: {name: f, value: v, columns: [born]}}
    explode: {number: [tel, mobile], kind: [work, {value: mobile}]}
    one_per: mail
    where: "home.city <> '' AND deleted = 0"
    key: [no, kind]
    into: contacts
    fields: {a: number, b: land.name, c: more.born, d: tag.name, e: kind}
  calls: {from: {source: crm, table: actions}, key: id, into: calls, fields: {a: body}}
  sums: {query: {source: old, sql: "SELECT o.who, sum(o.amount) AS s FROM orders o JOIN items USING (no) GROUP BY o.who"}, key: who, into: x, fields: {a: s}}
  every: {query: {source: old, sql: "SELECT * FROM things"}, key: id, into: x, fields: {a: b}}
"""


def test_columns_are_used_by_whatever_names_them(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(MAPPING)
    mapping = load_mapping(file, {})
    assert read_tables(mapping) == {
        "crm": ("people", "lands", "tags", "cells", "actions"),
        "old": ("addresses", "orders", "items", "things"),
    }
    used = {
        f"{s}.{t}": used_columns(mapping, s, t) for s, tables in read_tables(mapping).items() for t in tables
    }
    assert used == {
        "crm.people": {"no", "tel", "mobile", "work", "mail", "deleted"},
        "old.addresses": {"person", "kind", "land", "city"},
        "crm.lands": {"code", "name"},
        "crm.tags": {"no", "prio", "name"},
        "crm.cells": {"whose", "f", "v"},
        "crm.actions": {"id", "body", "done", "Type"},
        "old.orders": {"who", "amount", "no"},
        "old.items": {"who", "amount", "no"},
        "old.things": {ALL},
    }
    contacts = mapping.entities["contacts"]
    assert origins_of(contacts, "number") == [("crm", "people", "tel"), ("crm", "people", "mobile")]
    assert origins_of(contacts, "home.city") == [("old", "addresses", "city")]
    assert origins_of(contacts, "more.born") == [("crm", "cells", "v")]
    assert left_behind(mapping, "pardot LEADS") is mapping.left_behind[0]
    assert left_behind(mapping, "AUDIT_[1]") is mapping.left_behind[1]
    assert left_behind(mapping, "audit_1") is None
    assert left_behind(mapping, "fax2", "people.fax2", "people") is mapping.left_behind[2]
