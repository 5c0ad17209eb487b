"""Rows that stayed behind, with every reason and the original row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from migrate.api.fix_files import ENTITY, FORMATS, KEY, ROW, RUN, cell_text, write_file
from migrate.api.places import ledger_of, run_id
from migrate.durable import make_private_folder
from migrate.errors import UsageError
from migrate.parts import RID_SHIFT
from migrate.state.quarantine import SPLIT
from migrate.state.replays import open_run, replay_of


def quarantine(run: str, *, entity: str | None = None, home: Path | None = None) -> list[dict[str, Any]]:
    """Entity, key, stage, codes, reasons, the row and its `id`; of a run with replays what is left. Holds personal data."""
    with ledger_of(home) as ledger:
        folder = ledger.root / open_run(ledger, run_id(ledger, run)) / "quarantine"
    found = [row for row in quarantined_rows(folder) if entity is None or row["entity"] == entity]
    if entity is not None and not found and not list(folder.glob(f"{entity}*.parquet")):
        raise UsageError(f"the run has no quarantine of an entity {entity!r}")
    return found


def quarantined_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Of all files in the `quarantine` folder of a run. `id`: the row's place, and its content as it stood; "" in files of
    an earlier version. `split`: rows of a table that fit no road."""
    for path in sorted(folder.glob("*.parquet")):
        name = path.name.removesuffix(".parquet")
        stage = "load" if name.endswith(".rejects") else "transform"
        split = name.endswith(SPLIT)
        if split:
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
                "id": f"{row['rid']}-{row['hash'].hex()}" if row.get("hash") else "",
                **({"split": True} if split else {}),
            }


def reasons_of(row: Mapping[str, Any]) -> list[str]:
    """Each reason once, as `field: code (detail)`; of a row of a quarantine file."""
    found = []
    for field, code, detail in zip(row["fields"], row["codes"], row["details"], strict=True):
        more = (detail or "").strip()
        found.append(f"{f'{field}: ' if field else ''}{code}{f' ({more})' if more and more != code else ''}")
    return found


def quarantine_export(run: str, folder: Path, *, format: str = "csv", home: Path | None = None) -> list[str]:
    """One file per entity, 0600: what is wrong, a broken record as it stood in its file (`_raw`; bytes that are no
    text escaped as \\xNN), then the row's columns, all as text. `format`: csv (a value that a spreadsheet would run as a
    formula gets a leading apostrophe) or parquet. Corrected files go to `quarantine_replay`."""
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        name = replay_of(name) or name
    by_entity: dict[str, list[dict[str, Any]]] = {}
    for row in quarantine(name, home=home):
        by_entity.setdefault(row["entity"], []).append(row)
    make_private_folder(folder)
    written = []
    for entity, rows in by_entity.items():
        columns = list(dict.fromkeys(c for r in rows for c in (r["row"] or {})))
        of_files = ["_file"] if any("file" in row for row in rows) else []
        told = [KEY, "_stage", *of_files, "_line", "_codes", "_reasons", "_raw"]
        content = [
            {
                KEY: row["key"],
                "_stage": row["stage"],
                "_file": row.get("file"),
                "_line": cell_text(row["line"]),
                "_codes": " ".join(row["codes"]),
                "_reasons": "; ".join(row["reasons"]),
                "_raw": row["raw"],
                **{c: cell_text(v) for c, v in (row["row"] or {}).items()},
                RUN: name,
                ENTITY: entity,
                ROW: row["id"],
            }
            for row in rows
        ]
        stem = "".join(c if c.isalnum() or c in "_-" else "_" for c in entity)
        path = folder / f"{stem}.{format}"
        write_file(path, [*told, *columns, RUN, ENTITY, ROW], content, format)
        written.append(str(path))
    return written
