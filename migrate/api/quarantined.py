"""Rows that stayed behind, with every reason and the original row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from migrate.api.places import ledger_of, run_id
from migrate.durable import atomic_file, make_private_folder
from migrate.errors import UsageError
from migrate.parts import RID_SHIFT
from migrate.state.quarantine import SPLIT

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def quarantine(run: str, *, entity: str | None = None, home: Path | None = None) -> list[dict[str, Any]]:
    """Entity, key, stage, codes, reasons and the row. Holds personal data."""
    with ledger_of(home) as ledger:
        folder = ledger.root / run_id(ledger, run) / "quarantine"
    found = [row for row in _rows(folder) if entity is None or row["entity"] == entity]
    if entity is not None and not found and not list(folder.glob(f"{entity}*.parquet")):
        raise UsageError(f"the run has no quarantine of an entity {entity!r}")
    return found


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.parquet")):
        name = path.name.removesuffix(".parquet")
        stage = "load" if name.endswith(".rejects") else "transform"
        if name.endswith(SPLIT):
            name = unquote(name.removesuffix(SPLIT))
        for row in pq.read_table(path).to_pylist():
            yield {
                "entity": name.removesuffix(".rejects"),
                "key": row["key"],
                "stage": stage,
                "codes": row["codes"],
                "reasons": reasons_of(row),
                "line": row["line"],
                **({"file": row["file"]} if row.get("file") else {}),
                "place": f"part {row['rid'] >> RID_SHIFT}, row {row['rid'] & 0xFFFFFFFF}",
                "raw": None if row["raw"] is None else row["raw"].decode("utf-8", "backslashreplace"),
                "row": json.loads(row["row"]) if row["row"] else None,
            }


def reasons_of(row: Mapping[str, Any]) -> list[str]:
    """Each reason once, as `field: code (detail)`; of a row of a quarantine file."""
    found = []
    for field, code, detail in zip(row["fields"], row["codes"], row["details"], strict=True):
        more = (detail or "").strip()
        found.append(f"{f'{field}: ' if field else ''}{code}{f' ({more})' if more and more != code else ''}")
    return found


def quarantine_export(run: str, folder: Path, *, home: Path | None = None) -> list[str]:
    """One CSV per entity, 0600: what is wrong, a broken record as it stood in its file (`_raw`; bytes that are no
    text escaped as \\xNN), then the row's columns. A value that a spreadsheet would run as a formula gets a
    leading apostrophe."""
    by_entity: dict[str, list[dict[str, Any]]] = {}
    for row in quarantine(run, home=home):
        by_entity.setdefault(row["entity"], []).append(row)
    make_private_folder(folder)
    written = []
    for name, rows in by_entity.items():
        columns = list(dict.fromkeys(c for r in rows for c in (r["row"] or {})))
        of_files = ["_file"] if any("file" in row for row in rows) else []
        path = folder / f"{''.join(c if c.isalnum() or c in '_-' else '_' for c in name)}.csv"
        with (
            atomic_file(path, point="quarantine.export") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["_key", "_stage", *of_files, "_line", "_codes", "_reasons", "_raw", *columns])
            for row in rows:
                content = row["row"] or {}
                facts = [
                    row["key"],
                    row["stage"],
                    *(row.get("file") for _ in of_files),
                    row["line"],
                    " ".join(row["codes"]),
                    "; ".join(row["reasons"]),
                    row["raw"],
                ]
                writer.writerow([_safe(v) for v in [*facts, *(content.get(c) for c in columns)]])
        written.append(str(path))
    return written


def _safe(value: object) -> object:
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
