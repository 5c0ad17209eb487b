"""Where a bucket is, the client that speaks with it, and its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from migrate.errors import Corrupt, Unreachable, UsageError

_KNOWN = ("endpoint", "region", "path_style", "encryption", "kms_key", "lock", "bandwidth", "conditional")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_LOCK = re.compile(r"(governance|compliance):([1-9]\d{0,4})d", re.IGNORECASE)
_RATE = re.compile(r"([1-9]\d*)(k|m|g)?", re.IGNORECASE)


@dataclass(frozen=True)
class Location:
    """`s3://bucket/prefix?endpoint=URL&region=R&path_style=true&encryption=aws:kms&kms_key=ID&lock=compliance:30d
    &bandwidth=50m&conditional=required|unchecked`; bandwidth in bytes a second."""

    bucket: str
    prefix: str  # empty, or ending in /
    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    encryption: str = ""
    kms_key: str = ""
    lock_mode: str = ""
    lock_days: int = 0
    bandwidth: int | None = None
    conditional: str = "required"

    @property
    def shown(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def parse(cls, text: str) -> Location:
        """Raises UsageError, naming what is wrong; a location with a user or password in it is refused unsaid."""
        url = urlsplit(text)
        if "@" in url.netloc:
            raise UsageError(
                "credentials do not belong into the location of a store",
                hint="Give them as boto3 takes them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role.",
            )
        where = f"s3://{url.netloc}{url.path}"
        if not _BUCKET.fullmatch(url.netloc):
            raise UsageError("that is no name of a bucket", where=where, hint="s3://BUCKET/PREFIX")
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        unknown = sorted(options.keys() - set(_KNOWN))
        if unknown:
            raise UsageError(
                f"unknown option {unknown[0]!r}", where=where, hint=f"Known: {', '.join(_KNOWN)}."
            )
        prefix = url.path.strip("/")
        if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
            raise UsageError("the prefix has an empty part or dots in it", where=where)
        mode, days = _lock(options.get("lock", ""), where)
        return cls(
            bucket=url.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=options.get("endpoint") or None,
            region=options.get("region") or None,
            path_style=_one_of(options, "path_style", ("false", "true"), where) == "true",
            encryption=_one_of(options, "encryption", ("", "AES256", "aws:kms", "aws:kms:dsse"), where),
            kms_key=options.get("kms_key", ""),
            lock_mode=mode,
            lock_days=days,
            bandwidth=_rate(options.get("bandwidth", ""), where),
            conditional=_one_of(options, "conditional", ("required", "unchecked"), where),
        )


def _one_of(options: dict[str, str], name: str, words: tuple[str, ...], where: str) -> str:
    value = options.get(name, words[0])
    if value not in words:
        raise UsageError(
            f"{name}={value[:40]} is not known",
            where=where,
            hint=f"One of: {', '.join(w for w in words if w)}.",
        )
    return value


def _lock(text: str, where: str) -> tuple[str, int]:
    if not text:
        return "", 0
    found = _LOCK.fullmatch(text)
    if found is None:
        raise UsageError(
            f"lock={text[:40]} cannot be read", where=where, hint="lock=compliance:30d or lock=governance:30d"
        )
    return found[1].upper(), int(found[2])


def _rate(text: str, where: str) -> int | None:
    if not text:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"bandwidth={text[:40]} cannot be read", where=where, hint="Bytes a second: bandwidth=50m"
        )
    return int(found[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[(found[2] or "").lower()]


def client_of(place: Location) -> Any:
    """Credentials by boto3's chain. Checksums of its own choice are left out: older servers refuse them, and ours are said."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        retries={"mode": "standard", "max_attempts": 8},
        connect_timeout=10,
        read_timeout=60,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if place.path_style or place.endpoint else "auto"},
        max_pool_connections=16,
    )
    try:
        return boto3.session.Session().client(
            "s3", endpoint_url=place.endpoint, region_name=place.region, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"the store cannot be opened: {type(error).__name__}", where=place.shown) from None


def refused(error: Any, status: int) -> bool:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) == status


def missing(error: Any) -> bool:
    """The object (not the bucket) is not there."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code in ("NoSuchKey", "NoSuchVersion", "404", "NotFound") or (
        refused(error, 404) and code != "NoSuchBucket"
    )


def not_built(error: Any) -> bool:
    """The store does not speak this part of S3."""
    return str(error.response.get("Error", {}).get("Code", "")) == "NotImplemented" or refused(error, 501)


_HINTS = {
    "NoSuchBucket": "Make the bucket, or correct its name.",
    "InvalidAccessKeyId": "Check the credentials that boto3 finds (environment, profile, role).",
    "SignatureDoesNotMatch": "Check the secret key that boto3 finds (environment, profile, role), and the clock.",
    "ExpiredToken": "Get new credentials and run the same command again: it resumes.",
    "ExpiredTokenException": "Get new credentials and run the same command again: it resumes.",
    "SlowDown": "The store has too much to do: run the same command again later, it resumes.",
    "ServiceUnavailable": "The store has too much to do: run the same command again later, it resumes.",
    "InternalError": "Run the same command again later, it resumes.",
    "InsufficientStorage": "The store is full: make room, then run the same command again.",
    "XMinioStorageFull": "The store is full: make room, then run the same command again.",
    "RequestTimeTooSkewed": "Set this machine's clock and run the same command again.",
    "QuotaExceeded": "Make room in the store and run the same command again.",
}


@contextmanager
def speaking(where: str, right: str, *, raw: Callable[[Any], bool] | None = None) -> Iterator[None]:
    """boto3's errors inside become ours; those that `raw` knows pass. `right`: what an AccessDenied may lack."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        if raw is not None and raw(error):
            raise
        code = str(error.response.get("Error", {}).get("Code", ""))[:60]
        if missing(error):
            raise Corrupt("the object is missing.", where=where) from None
        hint = (
            _HINTS.get(code) or f"The credentials need the right {right}."
            if code in (*_HINTS, "AccessDenied", "403")
            else ""
        )
        raise Unreachable(f"the store refused ({code})", where=where, hint=hint) from None
    except NoCredentialsError:
        raise Unreachable(
            "there are no credentials for the store",
            where=where,
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile or a role.",
        ) from None
    except (BotoCoreError, Boto3Error) as error:
        raise Unreachable(
            f"the store does not answer ({type(error).__name__})",
            where=where,
            hint="Check the endpoint and the network.",
        ) from None
