"""A large table is captured piece by piece, and a capture that was cut off goes on under a new snapshot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate import canon, failpoints
from migrate.connectors.postgres import pieces
from migrate.connectors.postgres.target import PostgresTarget
from migrate.connectors.protocol import Divided
from migrate.parts import read_part
from migrate.vault.capture import Capture, capture

ROWS = 3_000


@pytest.fixture
def url(pg_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pieces, "PIECE_PAGES", 4)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE people(id bigint, name text, amount numeric)")
        connection.execute(
            "INSERT INTO people SELECT nullif(i %% 7, 3), CASE i %% 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'N' || i END, "
            "CASE WHEN i %% 2 = 0 THEN i * 1.10 ELSE i END FROM generate_series(1, %s) i",
            [ROWS],
        )
    return pg_database


@pytest.fixture
def database(url: str) -> Iterator[PostgresTarget]:
    opened = PostgresTarget(url)
    yield opened
    opened.close()


def taken(database: PostgresTarget, folder: Path, workers: int = 3) -> Capture:
    return capture(database, ["people"], folder, advance=lambda _: None, point="extract", workers=workers)


def rows_of(folder: Path, found: Capture) -> list[tuple[Any, ...]]:
    return [
        tuple(row.values())
        for ref in found.parts["people"]
        for row in read_part(folder / ref.path, ref).to_pylist()
    ]


def run_sql(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def passed(log: Path, name: str) -> int:
    return log.read_text().splitlines().count(name) if log.exists() else 0


@pytest.mark.fineprint(19)
@pytest.mark.promise(32)
def test_every_row_is_in_exactly_one_piece_also_those_without_a_key(
    database: PostgresTarget, tmp_path: Path
) -> None:
    whole = capture(database, ["people"], tmp_path / "whole", advance=lambda _: None, point="extract")
    found = taken(database, tmp_path / "pieces")
    assert len(found.parts["people"]) > 3
    assert [p.index for p in found.parts["people"]] == list(range(len(found.parts["people"])))
    assert {p.snapshot for p in found.parts["people"]} == {found.snapshot}
    assert found.digests == whole.digests
    assert rows_of(tmp_path / "pieces", found) == rows_of(tmp_path / "whole", whole)
    with database.snapshot(["people"]) as snapshot:
        assert isinstance(snapshot, Divided)
        names = snapshot.pieces("people")
        assert names[0].startswith("0-")
        assert names[-1].endswith("-")


def test_pieces_are_read_at_the_same_time_inside_one_snapshot(
    database: PostgresTarget, url: str, tmp_path: Path
) -> None:
    met = threading.Barrier(2)

    def two_readers(snapshot: Divided, piece: str) -> int:
        rows = snapshot.read_piece("people", piece)
        first = next(rows)
        met.wait(timeout=20)  # both are in the middle of their piece
        return first.num_rows + sum(batch.num_rows for batch in rows)

    with database.snapshot(["people"]) as snapshot:
        assert isinstance(snapshot, Divided)
        run_sql(url, "UPDATE people SET name = 'later'; INSERT INTO people VALUES (1, 'later', 1)")
        names, found = snapshot.pieces("people"), {}
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: two_readers(snapshot, n)}))
            for n in names[:2]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(names[:2])
        total = sum(found.values()) + sum(
            batch.num_rows for name in names[2:] for batch in snapshot.read_piece("people", name)
        )
        assert total == ROWS
        assert "later" not in {
            v for n in names for b in snapshot.read_piece("people", n) for v in b["name"].to_pylist()
        }


@pytest.mark.fineprint(20)
@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("", False),
        ("UPDATE people SET name = '' WHERE name IS NULL AND amount = 3", True),
        ("UPDATE people SET amount = 22.0 WHERE amount = 22.00", True),  # the same number, another scale
        ("DELETE FROM people WHERE amount = 5", True),
        ("UPDATE people SET name = name", True),  # rows that moved are read again: their piece is another
    ],
)
def test_a_mark_is_of_all_values(database: PostgresTarget, url: str, change: str, seen: bool) -> None:
    def marks() -> list[str]:
        with database.snapshot(["people"]) as snapshot:
            assert isinstance(snapshot, Divided)
            return [snapshot.mark("people", name) for name in snapshot.pieces("people")]

    before = marks()
    if change:
        run_sql(url, change)
    assert (marks() != before) is seen


@pytest.mark.fineprint(19)
@pytest.mark.fineprint(23)
@pytest.mark.promise(21)
@pytest.mark.parametrize(
    "change",
    [
        "",
        "UPDATE people SET name = 'changed' WHERE amount = 4.40",
        "INSERT INTO people VALUES (NULL, 'new', 9)",
        "TRUNCATE people",
    ],
)
def test_a_capture_that_was_cut_off_keeps_what_is_still_the_same(
    database: PostgresTarget, url: str, tmp_path: Path, change: str
) -> None:
    folder, log = tmp_path / "rows", tmp_path / "log"
    failpoints.arm("extract.piece.renamed:4:raise")
    try:
        with pytest.raises(failpoints.FailpointError):
            taken(database, folder, workers=1)
    finally:
        failpoints.arm()
    assert not (folder / "capture.json").exists()
    if change:
        run_sql(url, change)
    failpoints.arm(log_path=str(log))
    try:
        found = taken(database, folder)
    finally:
        failpoints.arm()
    kept = passed(log, "extract.piece_kept")
    assert {"": kept >= 3, "UPD": 0 < kept < 4, "INS": kept >= 3, "TRU": kept == 0}[change[:3]]
    fresh = capture(database, ["people"], tmp_path / "fresh", advance=lambda _: None, point="extract")
    assert found.digests == fresh.digests
    assert sorted(rows_of(folder, found), key=repr) == sorted(rows_of(tmp_path / "fresh", fresh), key=repr)


@pytest.mark.parametrize("damage", ["bytes", "gone", "layout"])
def test_a_piece_that_is_not_as_it_was_written_is_read_again(
    database: PostgresTarget, url: str, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, log = tmp_path / "rows", tmp_path / "log"
    first = taken(database, folder)
    (folder / "capture.json").unlink()  # as if killed before the end
    part = folder / first.parts["people"][0].path
    if damage == "bytes":
        part.write_bytes(b"x" + part.read_bytes()[1:])
    elif damage == "gone":
        part.unlink()
    else:
        run_sql(url, "ALTER TABLE people ALTER COLUMN id TYPE int")
    failpoints.arm(log_path=str(log))
    try:
        found = taken(database, folder)
    finally:
        failpoints.arm()
    pieces_now = len({p.path.split("/")[1] for p in found.parts["people"]})
    assert passed(log, "extract.piece_kept") == (0 if damage == "layout" else pieces_now - 1)
    assert sum(p.rows for p in found.parts["people"]) == ROWS
    assert canon.Digest.parse(found.digests["people"]).rows == ROWS


def test_a_finished_capture_is_never_taken_for_pieces(database: PostgresTarget, tmp_path: Path) -> None:
    log = tmp_path / "log"
    taken(database, tmp_path / "rows")
    failpoints.arm(log_path=str(log))
    try:
        taken(database, tmp_path / "rows")
    finally:
        failpoints.arm()
    assert passed(log, "extract.piece_kept") == 0
    assert passed(log, "extract.cleared") == 1


def test_small_and_partitioned_tables_are_one_piece(database: PostgresTarget, url: str) -> None:
    run_sql(
        url,
        "CREATE TABLE one(id int); INSERT INTO one VALUES (1); "
        "CREATE TABLE cut(id int, filler text) PARTITION BY RANGE (id); CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM (0) TO (9999); "
        "INSERT INTO cut SELECT i, repeat('x', 500) FROM generate_series(1, 2000) i",
    )
    with database.snapshot(["one", "cut"]) as snapshot:
        assert isinstance(snapshot, Divided)
        assert [snapshot.pieces(t) for t in ("one", "cut")] == [("",), ("",)]
        assert sum(b.num_rows for b in snapshot.read_piece("cut", "")) == 2000
