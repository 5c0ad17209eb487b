"""Rows that earlier runs loaded and whose source row is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from migrate.api.places import ledger_of, run_id
from migrate.errors import UsageError


def gone(run: str, *, entity: str | None = None, home: Path | None = None) -> list[dict[str, Any]]:
    """Entity, source key, target key and what the run decided: the verdicts of `migrate.state.gone`."""
    with ledger_of(home) as ledger:
        folder = ledger.root / run_id(ledger, run) / "transform"
    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if entity is not None and entity not in names:
        raise UsageError(
            f"the run has no entity {entity!r}", hint=f"Entities: {', '.join(names)}." if names else ""
        )
    found = []
    for name in names:
        path = folder / name / "gone.parquet"
        if path.exists() and entity in (None, name):
            rows = pq.read_table(path, columns=["key", "tkey", "verdict"]).to_pylist()
            found += [
                {"entity": name, "key": r["key"], "target_key": r["tkey"], "decided": r["verdict"]}
                for r in rows
            ]
    return found
