"""A second backup of the same rows sends nothing again, in a folder and in a bucket."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from migrate import failpoints
from migrate.errors import Corrupt, Unreachable
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store
from migrate.stores.s3 import S3Store
from migrate.vault import layout
from migrate.vault.check import check_backup
from migrate.vault.reader import list_backups

from tests.stores.servers import KEYS, rclone_location, s3_location
from tests.vault.building import make


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture(params=["folder", "bucket", "bucket with versions", "bucket of rclone"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "folder":
        return LocalStore(tmp_path / "backups")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    if "rclone" in request.param:
        return S3Store(rclone_location("&conditional=unchecked"))
    return S3Store(s3_location(versions="versions" in request.param))


@pytest.fixture
def sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Names of the objects put from here on, and their bytes."""
    found: list[tuple[str, int]] = []
    cls: Any = type(store)
    file, data = cls.put_file, cls.put_bytes

    def put_file(self: Any, name: str, path: Path, **more: Any) -> None:
        found.append((name, path.stat().st_size))
        file(self, name, path, **more)

    def put_bytes(self: Any, name: str, content: bytes) -> None:
        if not name.startswith("leases/"):
            found.append((name, len(content)))
        data(self, name, content)

    monkeypatch.setattr(cls, "put_file", put_file)
    monkeypatch.setattr(cls, "put_bytes", put_bytes)
    return found


def objects(sent: list[tuple[str, int]]) -> list[str]:
    return [name for name, _ in sent if name.startswith("objects/")]


@pytest.mark.fineprint(30)
def test_f30_an_unchanged_second_backup_sends_no_part_again(
    store: Store, sent: list[tuple[str, int]], tmp_path: Path
) -> None:
    make(store, tmp_path / "s", id_="one", contacts=5_000)
    first = len(objects(sent))
    assert first > 3
    sent.clear()
    make(store, tmp_path / "s", id_="two", contacts=5_000, at="2026-02-01T00:00:00+00:00")
    assert objects(sent) == []
    for id_ in ("one", "two"):
        assert all(v.passed for v in check_backup(store, id_))


def test_only_what_changed_is_sent(store: Store, sent: list[tuple[str, int]], tmp_path: Path) -> None:
    make(store, tmp_path / "s", id_="one", contacts=1_000)
    sent.clear()
    make(store, tmp_path / "s", id_="two", contacts=1_050, at="2026-02-01T00:00:00+00:00")
    assert len(objects(sent)) == 1
    assert all(v.passed for v in check_backup(store, "two"))


def test_what_was_damaged_meanwhile_is_sent_again(
    store: Store, sent: list[tuple[str, int]], tmp_path: Path
) -> None:
    """A new backup never rests upon an object that is not what it was."""
    one = make(store, tmp_path / "s", id_="one")
    name = one.manifest.parts[1].path
    data = bytearray(store.read_bytes(name, limit=1 << 20))
    data[-9] ^= 1
    if isinstance(store, S3Store):
        place = store._place
        store._client.put_object(Bucket=place.bucket, Key=place.prefix + name, Body=bytes(data))
    else:
        path = Path(store.location) / name
        path.unlink()
        path.write_bytes(data)
    sent.clear()
    make(store, tmp_path / "s2", id_="two", at="2026-02-01T00:00:00+00:00")
    assert objects(sent) == [name]
    assert all(v.passed for v in check_backup(store, "two"))


@pytest.mark.promise(27)
def test_p27_where_a_shared_object_goes_meanwhile_there_is_no_backup(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(store, tmp_path / "s", id_="one")
    cls: Any = type(store)
    put = cls.put_if_absent

    def pruned_meanwhile(self: Any, name: str, data: bytes) -> bool:
        done = bool(put(self, name, data))
        if name == layout.manifest_name("two"):
            self.delete(one.manifest.parts[0].path)
        return done

    monkeypatch.setattr(cls, "put_if_absent", pruned_meanwhile)
    with pytest.raises(Corrupt):
        make(store, tmp_path / "s", id_="two", at="2026-02-01T00:00:00+00:00")
    assert [i.id for i in list_backups(store)] == ["one"]


@pytest.mark.promise(27)
@pytest.mark.parametrize("code", ["ExpiredToken", "SlowDown", "RequestTimeTooSkewed", "AccessDenied"])
def test_p27_a_bucket_that_refuses_in_the_middle_leaves_no_backup_and_the_next_try_ends_it(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the fourth object on; what was sent before is used by the next try."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    location = s3_location()
    store, calls = S3Store(location), itertools.count(1)
    put = store._client.put_object

    def refusing(**asked: Any) -> Any:
        if next(calls) > 4:
            answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "PutObject")
        return put(**asked)

    monkeypatch.setattr(store._client, "put_object", refusing)
    with pytest.raises(Unreachable) as refused:
        make(store, tmp_path / "s", id_="one", contacts=1_000)
    assert refused.value.exit_code == 5
    assert refused.value.hint
    again = S3Store(location)
    assert list_backups(again) == []
    make(again, tmp_path / "s2", id_="one", contacts=1_000)
    assert all(v.passed for v in check_backup(again, "one"))
