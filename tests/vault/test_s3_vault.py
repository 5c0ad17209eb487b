"""A vault in a bucket: a whole migration with it, a restore out of it, and what happened to its objects meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate.stores.s3 import S3Store
from migrate.stores.s3_client import Location
from migrate.vault.check import check_backup
from migrate.vault.prune import prune
from migrate.vault.retention import Retention

from tests.runs import Db, World, balance, command, small
from tests.stores.servers import KEYS, client, s3_location
from tests.vault.building import make


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch) -> str:
    found = s3_location(versions=True)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def world(tmp_path: Path, location: str) -> World:
    made = small(tmp_path)
    made.policy = f"max_quarantine: 100%, backup: {{to: '{location}'}}"
    return made


def test_a_migration_proves_its_backups_in_the_bucket(world: World, location: str) -> None:
    document = world.run()
    assert document["state"] == "verified"
    assert balance(document, "contacts")["loaded"] == 3
    assert not world.vault.exists()
    listed = world.command("backup", "list", "--store", location, "--json").document
    assert {b["role"] for b in listed} == {"source", "target"}
    assert all(b["proven"] for b in listed), listed[0].keys()
    assert "test-secret" not in world.printed()


def test_a_backup_restores_although_its_objects_were_put_over(
    world: World, location: str, tmp_path: Path
) -> None:
    world.run()
    listed = world.command("backup", "list", "--store", location, "--json").document
    source = next(b["id"] for b in listed if b["role"] == "source")
    place = Location.parse(location)
    for name in S3Store(location).list("objects/"):
        client().put_object(Bucket=place.bucket, Key=place.prefix + name, Body=b"encrypted by somebody else")
    done = world.command("backup", "check", source, "--store", location, "--level", "3", "--json")
    assert done.code == 0, done.out
    into = Db(f"sqlite:///{tmp_path}/restored.db")
    done = world.command("backup", "restore", source, "--into", into.url, "--store", location, "--json")
    assert done.code == 0, done.out
    assert into.rows("SELECT * FROM people ORDER BY id") == world.source.rows(
        "SELECT * FROM people ORDER BY id"
    )


def test_a_damaged_object_closes_the_gate(world: World, location: str) -> None:
    world.run("--to", "backup")
    place = Location.parse(location)
    speaker = client()
    victim = S3Store(location).list("objects/")[0]
    for version in speaker.list_object_versions(Bucket=place.bucket, Prefix=place.prefix + victim)[
        "Versions"
    ]:
        speaker.delete_object(Bucket=place.bucket, Key=version["Key"], VersionId=version["VersionId"])
    error = world.run(code=6)
    assert "missing" in error["message"]
    assert world.target.one("SELECT count(*) FROM contacts") == 0


@pytest.mark.promise(29)
def test_p29_pruning_in_a_bucket_leaves_no_version_behind(tmp_path: Path, location: str) -> None:
    store = S3Store(location)
    for number in (1, 2):
        make(
            store, tmp_path / "s", id_=f"b{number}", at=f"2026-0{number}-01T00:00:00+00:00", word=f"w{number}"
        )
    shown = prune(store, keep=Retention(last=1))
    assert (shown.backups, len(shown.objects), shown.waiting) == (("b1",), 0, 4)
    done = prune(store, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert (done.backups, len(done.objects)) == (("b1",), 4)
    assert all(v.passed for v in check_backup(store, "b2"))
    place = Location.parse(location)
    left = client().list_object_versions(Bucket=place.bucket, Prefix=place.prefix)
    assert not left.get("DeleteMarkers")
    names = {v["Key"].removeprefix(place.prefix).partition("/")[0] for v in left["Versions"]}
    assert names == {"b2", "objects"}


@pytest.mark.fineprint(30)
def test_f30_what_the_bucket_locked_stays_and_says_until_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    location = s3_location(lock=True, more="&lock=governance:30d")
    for number in (1, 2):
        store = S3Store(location)
        make(
            store, tmp_path / "s", id_=f"b{number}", at=f"2026-0{number}-01T00:00:00+00:00", word=f"w{number}"
        )
    where = ["--store", location, "--home", str(tmp_path / ".migrate"), "--json"]
    for more in ([], ["--yes"]):
        document = command("backup", "prune", "--keep", "1", *more, *where).document
        assert document["removed"] == []
        whys = {k["backup"]: k["why"] for k in document["kept"]}
        assert whys["b1"].startswith("locked until 20")
    assert all(v.passed for v in check_backup(S3Store(location), "b1"))


def test_a_drill_out_of_a_bucket(world: World, location: str, tmp_path: Path) -> None:
    world.run("--to", "backup")
    world.write()
    file = tmp_path / "drill.yaml"
    file.write_text("migrate: 1\nqueries: [{of: source, sql: SELECT count(*) FROM people, equals: 3}]\n")
    done = world.command("drill", str(world.mapping), "-f", str(file), "--json")
    assert done.code == 0, done.out
    assert [d["vault"].startswith("s3://") for d in done.document["drills"]] == [True, True]
    assert S3Store(location).list("leases/") == []
