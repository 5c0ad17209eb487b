"""A target's rows in a form in which two databases can be compared: serial keys replaced by source keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from migrate import canon
from migrate.connectors.protocol import Target
from migrate.connectors.registry import open_target
from migrate.ledger.receipts import meta_table
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import Kind, Table, Type

_KEY = Type(Kind.TEXT)
Keys = dict[str, dict[str, str]]  # target table → text of a target key → source key


def portable_digests(mapping_path: Path, work: Path) -> dict[str, str]:
    """Per target table of the mapping: the canonical digest of all its rows, also of those that no run wrote.

    Keys of one column, and references to them, are replaced by the source key that the crosswalk has for
    them; columns that the target sets itself are left out."""
    mapping = load_mapping(mapping_path)
    target = open_target(mapping.target.url, base=Path(mapping.base), work=work)
    try:
        tables = list(dict.fromkeys(e.into for e in mapping.entities.values()))
        declared = target.schema(tables)
        keys = _source_keys(target, mapping)
        return {name: _digest(target, mapping, declared.table(name), keys) for name in tables}
    finally:
        target.close()


def _rows(target: Target, table: Table) -> pa.Table:
    with target.snapshot([table.name]) as snapshot:
        stored = snapshot.schema.table(table.name)
        found = [
            target.as_declared(pa.Table.from_batches([b]), stored, table) for b in snapshot.read(table.name)
        ]
    return pa.concat_tables(found)


def _source_keys(target: Target, mapping: Mapping) -> Keys:
    found: Keys = {}
    for row in _rows(target, meta_table("crosswalk", target.meta)).to_pylist():
        entity = mapping.entities[row["entity"]]
        values = json.loads(row["target_key"])
        if len(values) == 1:
            found.setdefault(entity.into, {})[values[0]] = f"{row['entity']} {row['source_key']}"
    return found


def _digest(target: Target, mapping: Mapping, table: Table, keys: Keys) -> str:
    free = {c for e in mapping.entities.values() if e.into == table.name for c in e.target_sets}
    refers = {fk.columns[0]: fk.ref_table for fk in table.foreign_keys if len(fk.columns) == 1}
    if len(table.primary_key) == 1:
        refers[table.primary_key[0]] = table.name
    rows = _rows(target, table)
    columns, types = dict[str, Any](), dict[str, Type]()
    for column in table.columns:
        if column.name in free:
            continue
        if column.name in refers:
            known = keys.get(refers[column.name], {})
            texts = canon.canonical_text(rows[column.name], column.type).to_pylist()
            values = [t if t is None else known.get(t, f"here {t}") for t in texts]
            columns[column.name], types[column.name] = pa.array(values, pa.string()), _KEY
        else:
            columns[column.name], types[column.name] = rows[column.name], column.type
    return canon.digest([pa.table(columns)], types).text()
