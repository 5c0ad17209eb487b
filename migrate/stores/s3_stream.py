"""The bytes of an object as a stream that outlives a broken connection."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from migrate import failpoints
from migrate.errors import Corrupt, Unreachable
from migrate.stores.s3_client import refused, speaking

WAITS = (0.2, 1.0, 4.0)  # seconds before a body that ended early is asked for again


@contextmanager
def stream(
    client: Any, bucket: str, key: str, pin: Mapping[str, str], where: str
) -> Iterator[io.BufferedReader]:
    """Raises Corrupt where the object is missing, or is another one by the time its body broke; Unreachable."""
    body = _Body(client, bucket, key, pin, where)
    try:
        yield io.BufferedReader(body, 1 << 20)
    finally:
        body.close()


class _Body(io.RawIOBase):
    def __init__(self, client: Any, bucket: str, key: str, pin: Mapping[str, str], where: str) -> None:
        super().__init__()
        self._client, self._where = client, where
        self._asked: dict[str, Any] = {"Bucket": bucket, "Key": key, **pin}
        self._at, self._failed = 0, 0
        self._length: int | None = None
        self._tag = ""
        self._body: Any = None
        self._open()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        while True:
            if self._length is not None and self._at >= self._length:
                return 0
            data = self._read(wanted)
            if data:
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            self._again()

    def _read(self, wanted: int) -> bytes:
        """Nothing where the connection broke, or the server said less than it announced."""
        from botocore.exceptions import BotoCoreError, HTTPClientError
        from urllib3.exceptions import HTTPError

        failpoints.hit("store.s3.body")
        try:
            return bytes(self._body.read(wanted))
        except (BotoCoreError, HTTPClientError, HTTPError, OSError):
            return b""

    def _again(self) -> None:
        self._body.close()
        if self._failed >= len(WAITS):
            raise Unreachable(
                f"the object's bytes broke off {self._failed + 1} times",
                where=self._where,
                hint="Check the network and the store, and run the same command again.",
            )
        time.sleep(WAITS[self._failed])
        self._failed += 1
        self._open()

    def _open(self) -> None:
        from botocore.exceptions import ClientError

        asked = dict(self._asked)
        if self._at:
            asked["Range"] = f"bytes={self._at}-"
            asked["IfMatch"] = self._tag  # the rest of another object is no rest
        try:
            with speaking(
                self._where, "s3:GetObject", raw=lambda error: bool(self._at) and refused(error, 412)
            ):
                answer = self._client.get_object(**asked)
        except ClientError:
            raise Corrupt("the object was replaced while it was read.", where=self._where) from None
        self._body, self._tag = answer["Body"], answer["ETag"]
        if self._length is None:
            self._length = int(answer["ContentLength"])

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
