"""A bucket of S3, or of what speaks like it, as an object store.

`s3://BUCKET/PREFIX?endpoint=https://…&region=…`; credentials come by boto3's own chain, never in the location. What
AWS promises is not believed of others: whether the server honours `If-None-Match` is tried before it is relied upon,
and what was uploaded is read and hashed again by the vault. boto3 repeats what a server refused for the moment (5xx,
SlowDown); a body that ends early is gone on with here, from the byte that is missing, of the same version only.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from migrate import durable, failpoints
from migrate.errors import Corrupt, ObjectLocked, Unreachable, UsageError
from migrate.stores import names
from migrate.stores.s3_client import Location, client_of, missing, not_built, refused, speaking
from migrate.stores.s3_stream import stream

SMALL = 16 << 20  # bytes up to which a file goes in one request
_PROBE = "probe-conditional-writes"
_FOR_THE_MOMENT = (_PROBE, "leases/", "tombstones/")


class S3Store:
    """Implements `Store`. Thread-safe; memory is bounded by the size of a request times the requests at the same time."""

    at_once = 4

    def __init__(
        self, location: str, *, versions: Mapping[str, str] | None = None, client: Any = None
    ) -> None:
        """Connects to nothing yet. Raises UsageError for a location that cannot be one."""
        self._place = Location.parse(location)
        self.location = self._place.shown
        self._given, self._versions = client, dict(versions or {})

    @cached_property
    def _client(self) -> Any:
        return self._given or client_of(self._place)

    # -- writing ------------------------------------------------------------------------------------

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        key = self._key(name)
        with durable.disk_errors("Reading the file", path):
            small = path.stat().st_size <= SMALL
            data = path.read_bytes() if small else b""
        found = hashlib.sha256(data) if small else None
        if (found.hexdigest() if found is not None else durable.sha256_file(path)) != sha256:
            raise Corrupt("the file is no longer what was written: its SHA-256 differs.", where=str(path))
        if found is not None:
            self._put(name, data, found.digest())
            return
        from boto3.s3.transfer import TransferConfig

        failpoints.hit("store.s3.put_file")
        with speaking(self._where(name), "s3:PutObject"):
            self._client.upload_file(
                str(path),
                self._place.bucket,
                key,
                ExtraArgs={"ChecksumAlgorithm": "SHA256", **self._written(name)},
                Config=TransferConfig(
                    multipart_threshold=SMALL,
                    multipart_chunksize=SMALL,
                    max_concurrency=4,
                    max_bandwidth=self._place.bandwidth,
                ),
            )
        failpoints.hit("store.s3.file_put")

    def put_bytes(self, name: str, data: bytes) -> None:
        self._put(name, data)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        if self._place.conditional == "required":
            self._demand_conditions()
        elif self.exists(name):  # allowed in so many words: two writers at the same moment are not kept apart
            return False
        return self._put_new(name, data)

    def _put(self, name: str, data: bytes, digest: bytes = b"") -> None:
        """`digest`: the SHA-256 of `data`, where it is known already."""
        failpoints.hit("store.s3.put")
        checksum = base64.b64encode(digest or hashlib.sha256(data).digest()).decode()
        with speaking(self._where(name), "s3:PutObject"):
            self._client.put_object(
                Bucket=self._place.bucket,
                Key=self._key(name),
                Body=data,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
                **self._written(name),
            )
        failpoints.hit("store.s3.is_put")

    def _put_new(self, name: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        for _ in range(5):
            try:
                checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
                failpoints.hit("store.s3.put_if_absent")
                self._client.put_object(
                    Bucket=self._place.bucket,
                    Key=self._key(name),
                    Body=data,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                    IfNoneMatch="*",
                    **self._written(name),
                )
            except ClientError as error:
                if refused(error, 412):
                    return _sent_again(error) and self._holds(name, data)
                if refused(error, 409):  # somebody else is at it in this moment: whoever is first wins
                    continue
                with speaking(self._where(name), "s3:PutObject"):
                    raise
            else:
                failpoints.hit("store.s3.put_if_absent_done")
                return True
        raise Unreachable(
            "others write to this name without end",
            where=self._where(name),
            hint="Run the same command again.",
        )

    def _holds(self, name: str, data: bytes) -> bool:
        """Whether what is there is what was sent: an answer was lost, and the request that did it was sent again."""
        try:
            return self.read_bytes(name, limit=len(data)) == data
        except Corrupt:  # longer, or not there any more: somebody else's
            return False

    def probe(self) -> None:
        """See `migrate.stores.protocol.Probed`."""
        if self._place.conditional == "required":
            self._demand_conditions()

    def _demand_conditions(self) -> None:
        """Raises UsageError unless the server refuses to write over what is there when it is asked to; asked once."""
        if self._conditions_hold:
            return
        raise UsageError(
            "this store does not honour If-None-Match, so two backups at the same time could write over each other's manifest",
            where=self.location,
            hint="Use a store that does, or add conditional=unchecked to its location if nobody else ever writes there.",
        )

    @cached_property
    def _conditions_hold(self) -> bool:
        name = f"{_PROBE}-{secrets.token_hex(8)}"
        try:
            return self._put_new(name, b"1") and not self._put_new(name, b"2")
        finally:
            self.delete(name)

    def _written(self, name: str) -> dict[str, Any]:
        """What an object is written with: encryption by the server's keys, and a lock against deletion, but for what is
        put for the moment only."""
        found: dict[str, Any] = {}
        if self._place.encryption:
            found["ServerSideEncryption"] = self._place.encryption
        if self._place.kms_key:
            found["SSEKMSKeyId"] = self._place.kms_key
        if self._place.lock_mode and not name.startswith(_FOR_THE_MOMENT):
            found["ObjectLockMode"] = self._place.lock_mode
            found["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=self._place.lock_days)
        return found

    # -- reading ------------------------------------------------------------------------------------

    def at(self, versions: Mapping[str, str]) -> S3Store:
        """The same store, where the objects named in `versions` are read as they were put, whatever was put over them."""
        if not versions:
            return self
        place = self._place
        pinned = S3Store.__new__(S3Store)
        pinned._place, pinned.location = place, self.location
        pinned._given, pinned._versions = self._client, dict(versions)
        return pinned

    def version(self, name: str) -> str:
        """The version under which `name` was put last; empty where the bucket keeps none."""
        found = self._head(name).get("VersionId")
        return "" if found in (None, "null") else str(found)

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        failpoints.hit("store.s3.read")
        with stream(
            self._client, self._place.bucket, self._key(name), self._pin(name), self._where(name)
        ) as body:
            yield cast(BinaryIO, body)

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        with self.open_read(name) as body:
            data = body.read(limit + 1)
        if len(data) > limit:
            raise Corrupt(
                f"the object is longer than the {limit} bytes it may have.", where=self._where(name)
            )
        return data

    def fetch(self, name: str, to: Path) -> None:
        durable.make_private_folder(to.parent)
        with (
            self.open_read(name) as body,
            durable.atomic_file(to, point="store.fetch") as temporary,
            temporary.open("wb") as file,
            durable.disk_errors("Writing the object", to),
        ):
            while block := body.read(1 << 20):
                file.write(block)

    def exists(self, name: str) -> bool:
        try:
            self._head(name)
        except Corrupt:
            return False
        return True

    def size(self, name: str) -> int:
        return int(self._head(name)["ContentLength"])

    def age(self, name: str) -> float:
        found = self._head(name)
        now = _clock(found) or datetime.now(UTC)
        return max(0.0, float((now - found["LastModified"]).total_seconds()))

    def list(self, prefix: str = "") -> list[str]:
        if any(part in (".", "..") for part in prefix.split("/")):
            raise UsageError(f"{prefix[:100]!r} is no prefix of objects' names.")
        found: list[str] = []
        with speaking(self.location, "s3:ListBucket"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._place.bucket, Prefix=self._place.prefix + prefix
            )
            for page in pages:
                found += [str(o["Key"])[len(self._place.prefix) :] for o in page.get("Contents", ())]
        return sorted(found)

    # -- the end of objects ---------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """All versions: what is deleted is gone. A lock that forbids it is ObjectLocked, with its date."""
        key = self._key(name)
        failpoints.hit("store.s3.delete")
        try:
            with speaking(self._where(name), "s3:DeleteObject and s3:DeleteObjectVersion"):
                # never a delete marker over versions that stay: the object would be hidden, and still be there
                for version in self._versions_of(key):
                    self._client.delete_object(Bucket=self._place.bucket, Key=key, VersionId=version)
                if self._there(key):
                    self._client.delete_object(Bucket=self._place.bucket, Key=key)
        except Unreachable:
            until = ""
            with suppress(Corrupt, Unreachable):
                until = self.locked_until(name)
            if not until:
                raise
            raise ObjectLocked(
                f"the object may not be deleted: it is {until}", until=until, where=self._where(name)
            ) from None
        failpoints.hit("store.s3.deleted")

    def _there(self, key: str) -> bool:
        found = self._client.list_objects_v2(Bucket=self._place.bucket, Prefix=key, MaxKeys=1)
        return any(o["Key"] == key for o in found.get("Contents", ()))

    def _versions_of(self, key: str) -> Sequence[str]:
        from botocore.exceptions import ClientError

        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._place.bucket, Prefix=key
        )
        try:
            return [
                str(found["VersionId"])
                for page in pages
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if found["Key"] == key and found["VersionId"] != "null"
            ]
        except ClientError as error:
            if not_built(error):  # a store that keeps none
                return []
            raise

    def locked_until(self, name: str) -> str:
        """See `migrate.stores.protocol.Locking`."""
        found = self._head(name)
        if found.get("ObjectLockLegalHoldStatus") == "ON":
            return "locked by a legal hold"
        until = found.get("ObjectLockRetainUntilDate")
        if until is None or until <= (_clock(found) or datetime.now(UTC)):
            return ""
        return f"locked until {until:%Y-%m-%d}"

    def tidy(self, *, older_than: float) -> int:
        """Uploads in parts that nobody finished; where the store does not tell of them, that is its own affair."""
        from botocore.exceptions import ClientError

        right = "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"
        try:
            with speaking(self.location, right, raw=lambda error: not_built(error) or missing(error)):
                return self._tidied(older_than)
        except ClientError:
            return 0

    def _tidied(self, older_than: float) -> int:
        swept = 0
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._place.bucket, Prefix=self._place.prefix
        )
        for page in pages:
            now = _clock(page) or datetime.now(UTC)
            for upload in page.get("Uploads", ()):
                if (now - upload["Initiated"]).total_seconds() > older_than:
                    self._client.abort_multipart_upload(
                        Bucket=self._place.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    swept += 1
        return swept

    # -- helpers --------------------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return self._place.prefix + "/".join(names.checked(name))

    def _where(self, name: str) -> str:
        return f"s3://{self._place.bucket}/{self._key(name)}"

    def _pin(self, name: str) -> dict[str, str]:
        """The version to ask for. One that this store does not know is of another store, from which the objects were
        copied: then what is there now is read, and its hash decides."""
        version = self._versions.get(name)
        if not version:
            return {}
        from botocore.exceptions import ClientError

        try:
            with speaking(self._where(name), "s3:GetObjectVersion", raw=_no_such_version):
                self._client.head_object(Bucket=self._place.bucket, Key=self._key(name), VersionId=version)
        except ClientError:
            self._versions.pop(name, None)
            return {}
        return {"VersionId": version}

    def _head(self, name: str) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError

        try:
            with speaking(self._where(name), "s3:GetObject", raw=missing):
                found: Mapping[str, Any] = self._client.head_object(
                    Bucket=self._place.bucket, Key=self._key(name), **self._pin(name)
                )
                return found
        except ClientError:
            raise Corrupt("the object is missing.", where=self._where(name)) from None


def _no_such_version(error: Any) -> bool:
    return missing(error) or refused(error, 400)


def _clock(answer: Mapping[str, Any]) -> datetime | None:
    """The store's own time, as it said it with an answer."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else None


def _sent_again(error: Any) -> bool:
    """Whether boto3 tried more than once, as it does after a lost answer."""
    metadata = error.response.get("ResponseMetadata") or {}
    return int(metadata.get("RetryAttempts") or 0) > 0
