"""Rows that stayed behind, with every reason and the original row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from migrate.api.places import ledger_of, run_id
from migrate.errors import UsageError
from migrate.parts import RID_SHIFT
from migrate.state.quarantine import SPLIT
from migrate.state.replays import open_run


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
