"""An S3 server of our own process: real HTTP, objects in memory. `MIGRATE_TEST_S3` names another endpoint."""

from __future__ import annotations

import os
import secrets
from functools import cache
from typing import Any
from urllib.parse import quote

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@cache
def endpoint() -> str:
    given = os.environ.get("MIGRATE_TEST_S3")
    if given:
        return given
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def client() -> Any:
    import boto3

    for name, value in KEYS.items():
        os.environ.setdefault(name, value)
    return boto3.session.Session().client("s3", endpoint_url=endpoint())


def bucket(*, versions: bool = False, lock: bool = False) -> str:
    """A new, empty bucket."""
    name = f"vault-{secrets.token_hex(6)}"
    speaker = client()
    speaker.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if lock else {}))
    if versions and not lock:
        speaker.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def s3_location(*, versions: bool = False, lock: bool = False, more: str = "") -> str:
    name = bucket(versions=versions, lock=lock)
    return f"s3://{name}/backups?endpoint={quote(endpoint(), safe='')}{more}"
