"""What a bucket does beyond the contract: versions, locks, conditions, broken bodies, refusals."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from migrate.errors import Corrupt, MigrateError, ObjectLocked, Unreachable, UsageError
from migrate.stores import s3, s3_stream
from migrate.stores.protocol import Locking
from migrate.stores.s3 import S3Store
from migrate.stores.s3_client import Location

from tests.stores.servers import KEYS, client, endpoint, rclone_location, s3_location


class Around:
    """The client, with some of its calls made worse."""

    def __init__(self, **worse: Callable[..., Any]) -> None:
        self._inner, self._worse, self.calls = client(), worse, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        if name in self._worse:
            return lambda **asked: self._worse[name](real, **asked)
        return real


def around(**worse: Callable[..., Any]) -> S3Store:
    return S3Store(s3_location(), client=Around(**worse))


@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3:///x", "bucket"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/../b", "prefix"),
        ("s3://bucket/a?colour=red", "colour"),
        ("s3://bucket/a?lock=forever", "lock"),
        ("s3://bucket/a?bandwidth=fast", "bandwidth"),
        ("s3://bucket/a?encryption=rot13", "encryption"),
        ("s3://bucket/a?conditional=maybe", "conditional"),
    ],
)
def test_a_location_that_cannot_be_is_said_so(location: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        S3Store(location)
    assert "secret" not in str(caught.value)


def test_a_location_is_read() -> None:
    place = Location.parse(
        "s3://b-1/x/y?endpoint=http%3A%2F%2Fh%3A1&region=eu&path_style=true&encryption=aws:kms&kms_key=k&lock=compliance:30d&bandwidth=5m"
    )
    assert place == Location(
        "b-1", "x/y/", "http://h:1", "eu", True, "aws:kms", "k", "COMPLIANCE", 30, 5 << 20, "required"
    )
    assert place.shown == "s3://b-1/x/y"


def test_a_large_file_goes_in_parts_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "SMALL", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (13 << 12))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    store = S3Store(s3_location())
    store.put_file("objects/large", path, sha256=sha256)
    assert store.size("objects/large") == path.stat().st_size
    store.fetch("objects/large", tmp_path / "back")
    assert hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest() == sha256
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600


def test_an_upload_that_nobody_finished_is_tidied(tmp_path: Path) -> None:
    location = s3_location()
    store, bucket = S3Store(location), Location.parse(location).bucket
    client().create_multipart_upload(Bucket=bucket, Key="backups/objects/half")
    client().create_multipart_upload(Bucket=bucket, Key="elsewhere/half")
    assert store.tidy(older_than=1e10) == 0  # the server says that uploads began in 2010
    assert store.tidy(older_than=-1) == 1
    assert store.tidy(older_than=-1) == 0


# -- versions and locks -------------------------------------------------------------------------------


def test_what_was_put_over_an_object_does_not_hide_it() -> None:
    store = S3Store(s3_location(versions=True))
    store.put_bytes("objects/a", b"good")
    versions = {"objects/a": store.version("objects/a")}
    store.put_bytes("objects/a", b"evil")
    assert store.read_bytes("objects/a", limit=9) == b"evil"
    assert store.at(versions).read_bytes("objects/a", limit=9) == b"good"
    client().delete_object(Bucket=Location.parse(s3_location()).bucket, Key="backups/objects/a")
    assert store.at(versions).read_bytes("objects/a", limit=9) == b"good"


def test_versions_of_another_store_are_no_hindrance() -> None:
    store = S3Store(s3_location(versions=True))
    store.put_bytes("objects/a", b"copied")
    for strange in ("not-a-version", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"):
        assert store.at({"objects/a": strange}).read_bytes("objects/a", limit=9) == b"copied"


def test_a_bucket_without_versions_names_none() -> None:
    store = S3Store(s3_location())
    store.put_bytes("a", b"1")
    assert store.version("a") == ""
    with pytest.raises(Corrupt):
        store.version("b")


def test_deleting_leaves_no_version_behind() -> None:
    location = s3_location(versions=True)
    store = S3Store(location)
    for content in (b"1", b"2"):
        store.put_bytes("a", content)
    store.delete("a")
    left = client().list_object_versions(Bucket=Location.parse(location).bucket)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_a_locked_object_says_until_when() -> None:
    store = S3Store(s3_location(lock=True, more="&lock=compliance:30d"))
    store.put_bytes("a", b"1")
    with pytest.raises(Unreachable, match=r"locked until 20\d\d-\d\d-\d\d"):
        store.delete("a")
    assert store.read_bytes("a", limit=1) == b"1"


def test_what_is_put_for_the_moment_is_not_locked() -> None:
    store = S3Store(s3_location(lock=True, more="&lock=compliance:30d"))
    assert isinstance(store, Locking)
    for name in ("leases/backup-1.json", "tombstones/1.json"):
        store.put_bytes(name, b"1")
        assert store.locked_until(name) == ""
        store.delete(name)
        assert not store.exists(name)
    store.put_bytes("a", b"1")
    assert re.fullmatch(r"locked until 20\d\d-\d\d-\d\d", store.locked_until("a"))
    with pytest.raises(ObjectLocked) as caught:
        store.delete("a")
    assert caught.value.until == store.locked_until("a")


def test_a_lock_that_the_bucket_sets_is_said_too() -> None:
    location = s3_location(lock=True)
    client().put_object_lock_configuration(
        Bucket=Location.parse(location).bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3}},
        },
    )
    store = S3Store(location)
    store.put_bytes("a", b"1")
    if not store.locked_until("a"):
        pytest.skip("this server does not apply the bucket's default")
    with pytest.raises(ObjectLocked, match="locked until"):
        store.delete("a")


def test_the_servers_encryption_is_asked_for() -> None:
    location = s3_location(more="&encryption=AES256")
    store = S3Store(location)
    store.put_bytes("a", b"1")
    found = client().head_object(Bucket=Location.parse(location).bucket, Key="backups/a")
    assert found["ServerSideEncryption"] == "AES256"


# -- conditions ---------------------------------------------------------------------------------------


def ignoring(real: Callable[..., Any], **asked: Any) -> Any:
    asked.pop("IfNoneMatch", None)
    return real(**asked)


def test_a_store_that_ignores_conditions_is_refused_and_left_clean() -> None:
    store = around(put_object=ignoring)
    with pytest.raises(UsageError, match="If-None-Match") as caught:
        store.put_if_absent("a/manifest.json", b"1")
    assert "conditional=unchecked" in caught.value.hint
    assert store.list() == []


@pytest.mark.parametrize(
    ("stands", "expected"), [(b"mine", True), (b"mine, and more", False), (b"othr", False)]
)
def test_a_request_that_was_sent_again_after_a_lost_answer_is_told_from_somebody_elses(
    stands: bytes, expected: bool
) -> None:
    """The server has it from the first try, and refuses the second: boto3 sees only the refusal."""
    from botocore.exceptions import ClientError

    def lost(real: Callable[..., Any], **given: Any) -> Any:
        if not given["Key"].endswith("manifest.json"):
            return real(**given)
        real(**{n: v for n, v in given.items() if not n.startswith("Checksum")} | {"Body": stands})
        told = {"HTTPStatusCode": 412, "RetryAttempts": 1}
        raise ClientError({"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": told}, "PutObject")

    store = around(put_object=lost)
    assert store.put_if_absent("a/manifest.json", b"mine") is expected


def test_what_is_there_with_the_same_bytes_is_not_ours() -> None:
    store = S3Store(s3_location())
    assert store.put_if_absent("a", b"1")
    assert not store.put_if_absent("a", b"1")


def test_a_server_that_ignores_conditions_is_refused_and_left_clean() -> None:
    store = S3Store(rclone_location())
    with pytest.raises(UsageError, match="If-None-Match"):
        store.put_if_absent("a/manifest.json", b"1")
    assert store.list() == []


def test_a_server_that_does_not_know_the_key_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    location = rclone_location()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-canary")
    with pytest.raises(Unreachable) as refused:
        S3Store(location).put_bytes("a", b"1")
    assert "canary" not in str(refused.value)
    assert refused.value.hint


def test_a_store_that_ignores_conditions_may_be_allowed() -> None:
    store = S3Store(s3_location(more="&conditional=unchecked"), client=Around(put_object=ignoring))
    assert store.put_if_absent("a", b"1")
    assert not store.put_if_absent("a", b"2")
    assert store.read_bytes("a", limit=1) == b"1"


# -- bodies that break off ----------------------------------------------------------------------------


class Broken(io.BytesIO):
    """Gives some bytes and then nothing, or an error."""

    def __init__(self, body: Any, after: int, error: bool) -> None:
        super().__init__(body.read()[:after])
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data and self._error:
            raise ConnectionResetError
        return data


@pytest.mark.parametrize("error", [False, True])
def test_a_body_that_breaks_off_is_gone_on_with(error: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_stream, "WAITS", (0.0, 0.0, 0.0))
    asked: list[str] = []

    def cut(real: Callable[..., Any], **given: Any) -> Any:
        asked.append(given.get("Range", ""))
        answer = real(**given)
        return answer if len(asked) > 2 else {**answer, "Body": Broken(answer["Body"], 3, error)}

    store = around(get_object=cut)
    store.put_bytes("a", b"0123456789")
    assert store.read_bytes("a", limit=10) == b"0123456789"
    assert asked == ["", "bytes=3-", "bytes=6-"]


def test_a_body_that_never_ends_well_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_stream, "WAITS", (0.0, 0.0, 0.0))

    def cut(real: Callable[..., Any], **given: Any) -> Any:
        answer = real(**given)
        return {**answer, "Body": Broken(answer["Body"], 0, False)}

    store = around(get_object=cut)
    store.put_bytes("a", b"0123456789")
    with pytest.raises(Unreachable, match="broke off 4 times"):
        store.read_bytes("a", limit=10)


def test_the_rest_of_another_object_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_stream, "WAITS", (0.0, 0.0, 0.0))
    first = [True]

    def cut(real: Callable[..., Any], **given: Any) -> Any:
        answer = real(**given)
        if first.pop() if first else False:
            store.put_bytes("a", b"9876543210")
            return {**answer, "Body": Broken(answer["Body"], 3, False)}
        return answer

    store = around(get_object=cut)
    store.put_bytes("a", b"0123456789")
    with pytest.raises(Corrupt, match="replaced"):
        store.read_bytes("a", limit=10)


# -- refusals -----------------------------------------------------------------------------------------


def raising(code: str, status: int) -> Callable[..., Any]:
    from botocore.exceptions import ClientError

    def call(real: Callable[..., Any], **given: Any) -> Any:
        raise ClientError(
            {"Error": {"Code": code, "Message": "canary"}, "ResponseMetadata": {"HTTPStatusCode": status}},
            "PutObject",
        )

    return call


@pytest.mark.parametrize(
    ("code", "status", "hint"),
    [
        ("AccessDenied", 403, "s3:PutObject"),
        ("ExpiredToken", 400, "resumes"),
        ("SignatureDoesNotMatch", 403, "secret key"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("NoSuchBucket", 404, "bucket"),
    ],
)
def test_a_refusal_says_what_to_do(code: str, status: int, hint: str) -> None:
    store = around(put_object=raising(code, status))
    with pytest.raises(Unreachable, match=code) as caught:
        store.put_bytes("a", b"1")
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)


def test_a_bucket_that_is_not_there_and_a_server_that_is_not_there() -> None:
    from urllib.parse import quote

    with pytest.raises(Unreachable, match="NoSuchBucket"):
        S3Store(f"s3://nobody-made-it/x?endpoint={quote(endpoint(), safe='')}").list()
    silent = S3Store(f"s3://bucket/x?endpoint={quote('http://127.0.0.1:9', safe='')}")
    with pytest.raises(MigrateError, match="does not answer"):
        silent.list()


def test_no_credentials_are_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    location = s3_location()
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unreachable, match="credentials") as caught:
        S3Store(location).list()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
