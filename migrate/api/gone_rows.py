"""Rows that earlier runs loaded and whose source row is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from migrate.api.places import ledger_of, run_id
from migrate.errors import UsageError
from migrate.state.gone import ends_of, how_it_ended


def gone(run: str, *, entity: str | None = None, home: Path | None = None) -> list[dict[str, Any]]:
    """Entity, source key, target key, what the run decided, and how that ended: the verdicts of `migrate.state.gone`.

    `ended` is None until the run has been verified, and `undone` of what a rollback has taken back."""
    with ledger_of(home) as ledger:
        name_of_run = run_id(ledger, run)
        root, state = ledger.root / name_of_run, ledger.run(name_of_run).state
    folder = root / "transform"
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
            ends = ends_of(root, name)
            found += [
                {
                    "entity": name,
                    "key": r["key"],
                    "target_key": r["tkey"],
                    "decided": r["verdict"],
                    "ended": how_it_ended(state, r["verdict"], ends.get(r["key"])),
                }
                for r in rows
            ]
    return found
