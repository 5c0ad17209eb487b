"""Read tables inside one consistent snapshot into parts on disk: what a backup is made of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from migrate import failpoints
from migrate.connectors.ahead import rows_of
from migrate.connectors.protocol import Database, Divided, Snapshot
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import Corrupt, GateClosed, UsageError
from migrate.model import FileRef, PartRef, Schema, Table
from migrate.parts import PartsWritten, read_part, write_parts
from migrate.vault.pieces import capture_pieces, known_pieces
from migrate.vault.schema_json import schema_from_json, schema_to_json

CAPTURED = "capture.json"  # written last: without it the capture did not finish

Written = Callable[[PartRef, Path], None]  # a part that is whole on disk, and where
TakenBeside = Callable[[Table, Iterator[pa.RecordBatch]], None]  # a table as it is stored, and all its rows


@dataclass(frozen=True)
class Capture:
    """All rows of some tables as of one snapshot. `PartRef.path` is relative to the folder of the capture;
    `schema` has the types in which the rows travel (SQLite: as stored)."""

    schema: Schema
    snapshot: str
    taken_at: str
    parts: Mapping[str, tuple[PartRef, ...]]
    digests: Mapping[str, str]
    files: tuple[FileRef, ...]
    violations: tuple[str, ...] | None = None  # of the source's own constraints (F25); None: not on record

    @property
    def rows(self) -> int:
        return sum(p.rows for parts in self.parts.values() for p in parts)

    @property
    def outputs(self) -> list[PartRef]:
        return [p for parts in self.parts.values() for p in parts]


@dataclass(frozen=True)
class Rows:
    """Rows that a later stage reads: of a proven backup, or (dry runs) of a capture. `read` verifies the bytes."""

    schema: Schema
    parts: Mapping[str, tuple[PartRef, ...]]
    read: Callable[[PartRef], pa.Table]


def captured_rows(folder: Path) -> Rows:
    """Rows of a capture that has not gone to a vault."""
    taken = read_capture(folder)
    return Rows(taken.schema, taken.parts, lambda ref: read_part(folder / ref.path, ref))


def table_folder(table: str) -> str:
    """A folder name for any table name, reversible and harmless."""
    return quote(table, safe="").replace(".", "%2E")


def capture(
    database: Database,
    tables: Sequence[str],
    folder: Path,
    *,
    advance: Callable[[int], None],
    point: str,
    workers: int = 1,
    beside: Mapping[str, TakenBeside] | None = None,
    note: Callable[[str], None] = lambda _: None,
    written: Written = lambda _, __: None,
) -> Capture:
    """Everything in `tables`, inside one snapshot, into `folder`.

    What is there of a finished capture goes first; pieces of one that did not finish stay where the database says that
    the new snapshot has the same rows in them. `workers`: pieces read at the same time, where tables have pieces.
    `note` takes a sentence for the person who waits.
    `written` is told of every part, by whichever thread wrote or kept it; what it raises ends the capture.
    `beside`: tables that are read in the same snapshot and become no part of the capture, with what takes their rows.
    Raises UsageError for a table that is not there, GateClosed where the rows read are not
    count(*) of the snapshot (F19), Drift where the schema changed while reading.
    """
    if (folder / CAPTURED).exists():
        shutil.rmtree(folder)
        failpoints.hit(f"{point}.cleared")
    make_private_folder(folder)
    aside = beside or {}
    with database.snapshot([*tables, *aside], readers=workers) as snapshot:
        failpoints.hit(f"{point}.snapshot_open")
        missing = [name for name in (*tables, *aside) if name not in snapshot.schema.table_names]
        if missing:
            raise UsageError(
                f"{', '.join(missing)}: no such table", where=database.url, hint="Run `migrate plan` again."
            )
        if isinstance(snapshot, Divided) and snapshot.alone:
            note(f"{database.url}: large tables are read over one connection: {snapshot.alone}")
        with _reading_beside(snapshot, aside):
            taken = {
                name: _table(snapshot, snapshot.schema.table(name), folder, advance, point, workers, written)
                for name in tables
            }
        snapshot.verify_unchanged()
        broken = snapshot.violations()
        result = Capture(
            schema=snapshot.schema,
            snapshot=snapshot.id,
            taken_at=snapshot.taken_at,
            parts={name: rows.parts for name, rows in taken.items()},
            digests={name: rows.digest.text() for name, rows in taken.items()},
            files=tuple(snapshot.originals()),
            violations=None if broken is None else tuple(broken),
        )
    write_bytes(folder / CAPTURED, json.dumps(_as_json(result), indent=1).encode(), point=f"{point}.capture")
    return result


@contextmanager
def _reading_beside(snapshot: Snapshot, aside: Mapping[str, TakenBeside]) -> Iterator[None]:
    """The tables of `aside` are read while the others are, where the snapshot has room for several readers."""
    if not isinstance(snapshot, Divided):
        yield
        for name, take in aside.items():
            _take(snapshot.schema.table(name), snapshot.read(name), snapshot.count(name), take)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        running = [
            pool.submit(
                _take, snapshot.schema.table(name), _all_pieces(snapshot, name), snapshot.count(name), take
            )
            for name, take in aside.items()
        ]
        yield
        for done in running:
            done.result()


def _all_pieces(snapshot: Divided, table: str) -> Iterator[pa.RecordBatch]:
    for piece in snapshot.pieces(table):
        yield from snapshot.read_piece(table, piece)


def _take(table: Table, batches: Iterator[pa.RecordBatch], counted: int, take: TakenBeside) -> None:
    rows = 0

    def all_rows() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch

    take(table, all_rows())
    _refuse_other_count(table.name, rows, counted)


def _table(
    snapshot: Snapshot,
    table: Table,
    folder: Path,
    advance: Callable[[int], None],
    point: str,
    workers: int,
    told: Written,
) -> PartsWritten:
    def on_part(ref: PartRef, path: Path) -> None:
        advance(ref.rows)
        told(ref, path)

    name = table_folder(table.name)
    pieces: Sequence[str] = ()
    if isinstance(snapshot, Divided):
        pieces = snapshot.pieces(table.name, known_pieces(folder / name, table))
    if len(pieces) > 1:
        assert isinstance(snapshot, Divided)
        written = capture_pieces(
            snapshot, snapshot.id, table, pieces, folder / name, on_part=on_part, point=point, workers=workers
        )
    else:
        shutil.rmtree(folder / name, ignore_errors=True)
        with rows_of(snapshot, table.name) as batches:
            written = write_parts(
                batches,
                table=table.name,
                columns=table.columns,
                folder=folder / name,
                key=table.primary_key,
                snapshot=snapshot.id,
                point=point,
                on_part=lambda ref: on_part(ref, folder / name / ref.path),
            )
    _refuse_other_count(table.name, written.rows, snapshot.count(table.name))
    return PartsWritten(tuple(replace(p, path=f"{name}/{p.path}") for p in written.parts), written.digest)


def _refuse_other_count(table: str, rows: int, counted: int) -> None:
    if rows != counted:
        raise GateClosed(
            f"{rows} rows were read, the snapshot counts {counted}",
            where=table,
            kept="Nothing was loaded.",
            hint="Rows may be hidden from this user (row security); run again as one who sees all rows.",
        )


def read_capture(folder: Path) -> Capture:
    """What `capture` left in `folder`."""
    path = folder / CAPTURED
    if not path.is_file():
        raise Corrupt(
            "what was read is no longer described here",
            where=str(path),
            kept="The target and the backups are as they were.",
            hint="Run with --fresh to read it again; if rows were loaded already, roll the run back first.",
        )
    data = json.loads(path.read_text())
    return Capture(
        schema=schema_from_json(data["schema"]),
        snapshot=data["snapshot"],
        taken_at=data["taken_at"],
        parts={name: tuple(PartRef(**p) for p in parts) for name, parts in data["parts"].items()},
        digests=data["digests"],
        files=tuple(FileRef(**f) for f in data["files"]),
        violations=None if data["violations"] is None else tuple(data["violations"]),
    )


def _as_json(value: Capture) -> dict[str, object]:
    return {
        "schema": schema_to_json(value.schema),
        "snapshot": value.snapshot,
        "taken_at": value.taken_at,
        "parts": {name: [asdict(p) for p in parts] for name, parts in value.parts.items()},
        "digests": dict(value.digests),
        "files": [asdict(f) for f in value.files],
        "violations": None if value.violations is None else list(value.violations),
    }
