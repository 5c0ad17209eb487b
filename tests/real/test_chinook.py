"""Chinook into a schema of another shape: composite keys, a self-reference that becomes a cycle, a delta, two rollbacks."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate import api

from tests.real.places import shared

DDL = """
CREATE TABLE staff (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(60) NOT NULL UNIQUE, reports_to integer REFERENCES staff (id), born_on date);
CREATE TABLE customers (id uuid PRIMARY KEY, email varchar(60) NOT NULL UNIQUE, rep_id integer NOT NULL REFERENCES staff (id));
CREATE TABLE tracks (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(200) NOT NULL, seconds numeric(9,3) NOT NULL, price numeric(10,2) NOT NULL);
CREATE TABLE playlists (id uuid PRIMARY KEY, name varchar(120) NOT NULL);
CREATE TABLE playlist_tracks (playlist_id uuid NOT NULL REFERENCES playlists (id) ON DELETE CASCADE, track_id integer NOT NULL REFERENCES tracks (id), PRIMARY KEY (playlist_id, track_id));
"""
MAPPING = """
migrate: 1
name: chinook
source: {{system: chinook, url: "{source}"}}
target: {{url: "{target}"}}
policy: {{max_quarantine: 0%, unmapped: ignore}}
entities:
  staff:
    from: Employee
    key: EmployeeId
    into: staff
    write: add_or_update
    match: [name]
    fields:
      name: {{expr: "FirstName || ' ' || LastName", check: required}}
      reports_to: {{from: ReportsTo, ref: staff}}
      born_on: {{from: BirthDate, do: [{{date: "YYYY-MM-DD HH:mm:ss"}}]}}
  customers:
    from: Customer
    key: CustomerId
    into: customers
    where: "Country <> 'Brazil'"
    fields: {{email: {{from: Email, do: [trim, lower], check: unique}}, rep_id: {{from: SupportRepId, ref: staff}}}}
  tracks:
    from: Track
    key: TrackId
    into: tracks
    fields: {{name: Name, seconds: {{expr: "CAST(Milliseconds AS DECIMAL(18,3)) / 1000", lossy: allow}}, price: UnitPrice}}
  playlists: {{from: Playlist, key: PlaylistId, into: playlists, fields: {{name: Name}}}}
  playlist_tracks:
    from: PlaylistTrack
    key: [PlaylistId, TrackId]
    into: playlist_tracks
    fields: {{playlist_id: {{from: PlaylistId, ref: playlists}}, track_id: {{from: TrackId, ref: tracks}}}}
"""
STAFF = "SELECT s.name, b.name, CAST(s.born_on AS text) FROM staff s LEFT JOIN staff b ON b.id = s.reports_to"
LISTS = "SELECT p.name, t.name, t.seconds, t.price FROM playlist_tracks x JOIN playlists p ON p.id = x.playlist_id JOIN tracks t ON t.id = x.track_id"


@pytest.mark.promise(12)
@pytest.mark.fineprint(11)
def test_p12_f11_composite_keys_cycles_deltas_and_rollbacks(pg_database: str, tmp_path: Path) -> None:
    source = tmp_path / "chinook.db"
    shutil.copyfile(shared("data", "chinook", "chinook.sqlite"), source)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(DDL.encode())
    (tmp_path / "mappings").mkdir()
    mapping = tmp_path / "mappings" / "chinook.yaml"
    mapping.write_text(MAPPING.format(source=f"sqlite:///{source}", target=pg_database))

    first = api.run(mapping)
    assert first["state"] == "verified"
    assert _found(pg_database, STAFF) == _staff(source)
    assert _found(pg_database, LISTS) == _lists(source)
    balance = first["balances"]["customers"]
    assert (balance["in"], balance["loaded"], balance["excluded"]) == (59, 54, 5)
    before = _found(pg_database, "SELECT * FROM staff"), _found(pg_database, "SELECT * FROM playlist_tracks")

    with closing(sqlite3.connect(source)) as chinook:
        chinook.executescript(
            "UPDATE Employee SET ReportsTo = 8 WHERE EmployeeId = 1;"  # who reports to 6, who reports to 1
            "UPDATE Employee SET LastName = 'Changed' WHERE EmployeeId = 3;"
            "INSERT INTO Employee (EmployeeId, LastName, FirstName, ReportsTo) VALUES (9, 'New', 'Nina', 3);"
            "INSERT INTO PlaylistTrack VALUES (2, 1);"
        )
    second = api.run(mapping)
    loaded = {name: b["loaded"] for name, b in second["balances"].items()}
    assert loaded == {"staff": 3, "customers": 0, "tracks": 0, "playlists": 0, "playlist_tracks": 1}
    assert _found(pg_database, STAFF) == _staff(source)
    assert _found(pg_database, LISTS) == _lists(source)

    home = tmp_path / ".migrate"
    assert api.rollback(second["run"], home=home)["proof"] == {"passed": True, "differences": []}
    assert before == (
        _found(pg_database, "SELECT * FROM staff"),
        _found(pg_database, "SELECT * FROM playlist_tracks"),
    )
    assert api.rollback(first["run"], home=home)["proof"] == {"passed": True, "differences": []}
    for table in ("staff", "customers", "tracks", "playlists", "playlist_tracks", "migrate_meta.crosswalk"):
        assert _found(pg_database, f"SELECT * FROM {table}") == []


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def _found(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return _sorted(connection.execute(sql.encode()).fetchall())


def _staff(source: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(source)) as chinook:
        return _sorted(
            chinook.execute(
                "SELECT s.FirstName || ' ' || s.LastName, b.FirstName || ' ' || b.LastName, substr(s.BirthDate, 1, 10) "
                "FROM Employee s LEFT JOIN Employee b ON b.EmployeeId = s.ReportsTo"
            ).fetchall()
        )


def _lists(source: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(source)) as chinook:
        rows = chinook.execute(
            "SELECT p.Name, t.Name, t.Milliseconds, t.UnitPrice FROM PlaylistTrack x "
            "JOIN Playlist p USING (PlaylistId) JOIN Track t USING (TrackId)"
        ).fetchall()
    return _sorted(
        [
            (p, t, (Decimal(ms) / 1000).quantize(Decimal("0.001")), Decimal(str(price)))
            for p, t, ms, price in rows
        ]
    )
