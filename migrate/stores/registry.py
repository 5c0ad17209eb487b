"""Which store a location means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from migrate.errors import UsageError
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store


def _local(location: str, base: Path) -> Store:
    return LocalStore(base / location.removeprefix("file://"))


def _s3(location: str, base: Path) -> Store:
    del base
    from migrate.stores.s3 import S3Store  # boto3 costs half a second

    return S3Store(location)


SCHEMES: dict[str, Callable[[str, Path], Store]] = {"": _local, "file": _local, "s3": _s3}


def open_store(location: str, *, base: Path) -> Store:
    """The store at a path (relative ones from `base`) or URL. UsageError for a scheme that is not built."""
    scheme = location.split("://", 1)[0] if "://" in location else ""
    if scheme not in SCHEMES:
        raise UsageError(
            f"{scheme}:// is not supported as a place for backups.",
            hint="Give a folder, or s3://BUCKET/PREFIX.",
        )
    return SCHEMES[scheme](location, base)
