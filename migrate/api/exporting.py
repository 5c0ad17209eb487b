"""Rows that stayed behind are written to files, for people to correct.

Every file that was written, and every file that a replay was given, is known by its digest: such a file makes room for a new
one. What a person changed and gave to no replay yet, and what is no export of ours, does not: the export is refused before
anything is written, for a replay of the folder would refuse it afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from migrate.api.fix_files import ENTITY, FORMATS, KEY, ROW, RUN, cell_text, content_of, files_in, is_export
from migrate.api.places import ledger_of, run_id
from migrate.api.quarantined import quarantine
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import UsageError
from migrate.ledger.ledger import Ledger
from migrate.replaying import FILES
from migrate.state.replays import ENDED, replay_of
from migrate.vault.capture import table_folder

_EXPORTED = "exported.json"  # in the run's folder: the digests of all files that were written of it
_NAMED = 5  # files named in one message


def quarantine_export(run: str, folder: Path, *, format: str = "csv", home: Path | None = None) -> list[str]:
    """One file per entity, 0600: what is wrong, a broken record as it stood in its file (`_raw`; bytes that are no
    text escaped as \\xNN), then the row's columns, all as text. `format`: csv (a value that a spreadsheet would run as a
    formula gets a leading apostrophe) or parquet. Corrected files go to `quarantine_replay`.

    Files of earlier exports that are as they were written, or were replayed, are replaced or go. Raises UsageError where the
    folder holds other files that a replay of it would read, before anything is written."""
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        name = replay_of(name) or name
        old = _refuse_others(ledger, folder)
        by_entity: dict[str, list[dict[str, Any]]] = {}
        for row in quarantine(name, home=home):
            by_entity.setdefault(row["entity"], []).append(row)
        made = {
            folder / f"{table_folder(entity)}.{format}": _content(name, entity, rows, format)
            for entity, rows in by_entity.items()
        }
        _remember(ledger, name, [sha256(content).hexdigest() for content in made.values()])
    make_private_folder(folder)
    for path, content in made.items():
        write_bytes(path, content, point="quarantine.export")
    for path in old:
        if path not in made:
            path.unlink()
    return [str(path) for path in made]


def _content(run: str, entity: str, rows: Sequence[Mapping[str, Any]], format_: str) -> bytes:
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
            RUN: run,
            ENTITY: entity,
            ROW: row["id"],
        }
        for row in rows
    ]
    return content_of([*told, *columns, RUN, ENTITY, ROW], content, format_)


def _refuse_others(ledger: Ledger, folder: Path) -> list[Path]:
    """The files in the folder that may go. Raises UsageError where others lie beside them."""
    there = files_in(folder)
    known = _known(ledger) if there else set()
    kept = [path for path in there if sha256(path.read_bytes()).hexdigest() not in known]
    ours = [path for path in kept if is_export(path)]
    if ours:
        raise _in_the_way(
            "files of an earlier export are not as they were written, and not replayed yet",
            ours,
            "Replay them first (migrate quarantine replay RUN --from FILE), move them away, or export into an empty folder.",
        )
    if kept:
        raise _in_the_way(
            "files here are no exports of quarantined rows, and a replay of the folder would read them",
            kept,
            "Export into an empty folder.",
        )
    return there


def _in_the_way(message: str, paths: Sequence[Path], hint: str) -> UsageError:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return UsageError(
        message,
        where=f"{', '.join(map(str, paths[:_NAMED]))}{more}",
        kept="Nothing was written.",
        hint=hint,
    )


def _known(ledger: Ledger) -> set[str]:
    found: set[str] = set()
    for info in ledger.runs():
        path = ledger.root / info.run / _EXPORTED
        found |= set(json.loads(path.read_text())) if path.exists() else set()
        # What a replay that has not ended was given is nowhere else yet: it is a person's work, and stays.
        replayed: Any = (ledger.run_facts(info.run).get(FILES) or []) if info.state in ENDED else []
        found |= set(replayed)
    return found


def _remember(ledger: Ledger, run: str, digests: Sequence[str]) -> None:
    """Before the files are written: a kill leaves none that nobody knows."""
    path = ledger.root / run / _EXPORTED
    before = json.loads(path.read_text()) if path.exists() else []
    make_private_folder(path.parent)
    write_bytes(path, json.dumps(sorted({*before, *digests})).encode(), point="quarantine.exported")
