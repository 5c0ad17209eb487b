"""A vault in a bucket: a whole migration with it, a restore out of it, and what happened to its objects meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate.stores.s3 import S3Store
from migrate.stores.s3_client import Location

from tests.runs import Db, World, balance, small
from tests.stores.servers import KEYS, client, s3_location


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
