"""Real exports through mappings that use joins, shapes, lists and tables as maps: acquisition.yaml and chinook.yaml.

Each goes into PostgreSQL and into SQLite, is run again (nothing may be written) and rolled back; what stands in the
target is compared with what plain Python makes of the source.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate import api

from tests.real.places import ROOT, shared

ENGINES = ("postgresql", "sqlite")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Crm:
    """A target made by one of the DDL files beside the mapping."""

    engine: str
    url: str

    def query(self, sql: str) -> Rows:
        """Lists come as lists, whatever the engine keeps them as."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
                found = connection.execute(sql).fetchall()
        else:
            with psycopg.connect(self.url) as connection:
                found = connection.execute(sql.encode()).fetchall()
        return [tuple(_listed(v) for v in row) for row in found]

    def tables(self) -> dict[str, Rows]:
        catalogue = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'"
            if self.engine == "sqlite"
            else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        return {
            name: sorted(self.query(f"SELECT * FROM {name}"), key=repr) for (name,) in self.query(catalogue)
        }


def _listed(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] != "[":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # there are tracks whose names begin so


@pytest.fixture(params=ENGINES)
def crm_of(
    request: pytest.FixtureRequest, make_pg_database: Callable[[], str], tmp_path: Path
) -> Callable[[str], Crm]:
    def make(name: str) -> Crm:
        ddl = (ROOT / "mappings" / name / f"crm_{request.param}.sql").read_text()
        if request.param == "postgresql":
            url = make_pg_database()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(ddl.encode())
        else:
            url = f"sqlite:///{tmp_path / 'crm.db'}"
            with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
                connection.executescript(ddl)
        (tmp_path / "mappings").mkdir()
        shutil.copy(ROOT / "mappings" / f"{name}.yaml", tmp_path / "mappings")
        return Crm(request.param, url)

    return make


def there_and_back(crm: Crm, mapping: Path, check: Callable[[dict[str, Any]], None]) -> None:
    """Run, check, run again, roll back."""
    before = crm.tables()
    first = api.run(mapping)
    assert first["state"] == "verified"
    check(first)
    loaded = crm.tables()
    again = api.run(mapping)
    assert {n: b["loaded"] for n, b in again["balances"].items()} == dict.fromkeys(again["balances"], 0)
    assert crm.tables() == loaded
    undone = api.rollback(first["run"], home=mapping.parent.parent / ".migrate")
    assert undone["proof"] == {"passed": True, "differences": []}
    assert crm.tables() == before


@pytest.mark.promise(5)
def test_p5_two_companies_at_once(
    crm_of: Callable[[str], Crm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic, hubspot = shared("data", "crm_export", "atomic"), shared("data", "crm_export", "hubspot")
    crm = crm_of("acquisition")
    for name, value in (("ATOMIC_FILES", atomic), ("HUBSPOT_FILES", hubspot), ("CRM_URL", crm.url)):
        monkeypatch.setenv(name, str(value))
    with (atomic / "contacts.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    with (hubspot / "contact_data.csv").open(newline="") as file:
        theirs = list(csv.DictReader(file))
    wanted_tags = {t.strip() for p in people for t in p["tags"].split(",") if t.strip()}

    def check(result: dict[str, Any]) -> None:
        balances = result["balances"]
        assert balances["contacts"]["loaded"] == len(people) == 500
        assert balances["companies"]["loaded"] == len({p["company_id"] for p in people})
        assert balances["hubspot_contacts"]["loaded"] == len(theirs)
        tags = balances["tags"]
        assert (tags["loaded"], tags["unchanged"]) == (len(wanted_tags - {"vip"}), 1)  # vip was there
        assert all(b["quarantined"] == 0 for b in balances.values())

        names: dict[Any, Any] = dict(crm.query("SELECT id, name FROM tags"))
        found = {
            legacy: (first, emails, phones, sorted(names[t] for t in tags), company, rep)
            for legacy, first, emails, phones, tags, company, rep in crm.query(
                "SELECT c.legacy_id, c.first_name, c.emails, c.phones, c.tags, k.name, u.email FROM contacts c "
                "JOIN users u ON u.id = c.sales_id LEFT JOIN companies k ON k.id = c.company_id"
            )
        }
        for person in people:
            assert found[f"atomic:{person['id']}"] == (
                person["first_name"],
                [{"email": person["email_other"].lower(), "type": "Other"}],
                [
                    {"number": person[f"phone_{kind.lower()}"], "type": kind}
                    for kind in ("Work", "Home", "Other")
                    if person[f"phone_{kind.lower()}"]
                ],
                sorted({t.strip() for t in person["tags"].split(",") if t.strip()}),
                person["company_name"],
                "jane@crm.example",
            )
        merged: dict[Any, Any] = dict(
            crm.query("SELECT legacy_id, merged_ids FROM contacts WHERE legacy_id LIKE 'hubspot:%'")
        )
        assert merged == {
            f"hubspot:{t['id']}": [i for i in t["property_hs_merged_object_ids"].split(";") if i]
            for t in theirs
        }
        assert crm.query("SELECT count(*) FROM contact_notes")[0][0] == 500
        late = crm.query(
            "SELECT count(*) FROM contacts c JOIN contact_notes n ON n.contact_id = c.id AND c.last_seen < n.date"
        )
        assert late[0][0] == 0  # the trigger's work
        assert {s for (s,) in crm.query("SELECT DISTINCT stage FROM deals")} == {"lead"}
        assert crm.query(
            "SELECT DISTINCT country FROM companies WHERE legacy_id LIKE 'hubspot:%' ORDER BY 1"
        ) == [("GB",), ("US",)]

    there_and_back(crm, tmp_path / "mappings" / "acquisition.yaml", check)


@pytest.mark.promise(12)
def test_p12_a_record_shop_with_joins_lists_and_a_self_reference(
    crm_of: Callable[[str], Crm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "chinook.sqlite"
    shutil.copyfile(shared("data", "chinook", "chinook.sqlite"), source)
    crm = crm_of("chinook")
    monkeypatch.setenv("CHINOOK_URL", f"sqlite:///{source}")
    monkeypatch.setenv("CRM_URL", crm.url)

    def shop(sql: str) -> Rows:
        with closing(sqlite3.connect(source)) as connection:
            return connection.execute(sql).fetchall()

    def check(result: dict[str, Any]) -> None:
        assert all(b["quarantined"] == 0 and b["in"] == b["loaded"] for b in result["balances"].values())
        tracks = crm.query(
            "SELECT name, album, artist, composers, genre, medium, seconds, length FROM tracks"
        )
        assert sorted(((*t[:3], tuple(t[3]), *t[4:6], Decimal(str(t[6])), t[7]) for t in tracks), key=repr) == sorted(
            (
                (
                    name, album, artist, tuple(c.strip() for c in (composer or "").split(",") if c.strip()), genre, medium,
                    Decimal(ms) / 1000, "short" if ms <= 180_000 else "normal" if ms <= 420_000 else "long",
                )
                for name, album, artist, composer, genre, medium, ms in shop(
                    "SELECT t.Name, a.Title, r.Name, t.Composer, g.Name, m.Name, t.Milliseconds FROM Track t "
                    "LEFT JOIN Album a USING (AlbumId) LEFT JOIN Artist r USING (ArtistId) JOIN Genre g USING (GenreId) "
                    "JOIN MediaType m ON m.MediaTypeId = t.MediaTypeId"
                )
            ),
            key=repr,
        )  # fmt: skip
        sizes = sorted(len(ids) for (ids,) in crm.query("SELECT track_ids FROM playlists"))
        assert sizes == sorted(
            n
            for (n,) in shop(
                "SELECT count(TrackId) FROM Playlist LEFT JOIN PlaylistTrack USING (PlaylistId) GROUP BY PlaylistId"
            )
        )
        names: dict[Any, Any] = dict(crm.query("SELECT id, name FROM tracks"))
        by_link = crm.query("SELECT playlist_id, track_id FROM playlist_tracks")
        by_list = [(p, t) for p, ids in crm.query("SELECT id, track_ids FROM playlists") for t in ids]
        assert sorted(by_link) == sorted(by_list)
        assert all(t in names for _, t in by_list)
        chiefs = crm.query("SELECT s.name, b.name FROM staff s LEFT JOIN staff b ON b.id = s.reports_to")
        assert sorted(chiefs, key=repr) == sorted(
            shop(
                "SELECT e.FirstName || ' ' || e.LastName, b.FirstName || ' ' || b.LastName FROM Employee e "
                "LEFT JOIN Employee b ON b.EmployeeId = e.ReportsTo"
            ),
            key=repr,
        )
        assert [v for v in result["verdicts"] if v["check"].startswith(("sum", "check"))], (
            "the table check is asked"
        )

    there_and_back(crm, tmp_path / "mappings" / "chinook.yaml", check)
