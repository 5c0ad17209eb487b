"""What a mysql:// or mariadb:// URL says, in pymysql's words."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from migrate.errors import UsageError

_LOOKS = "It looks like mysql://user:password@host:3306/database; special characters in the password are written %40 and so on."
_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_KNOWN = ("unix_socket", "connect_timeout", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password")


def parameters(url: str) -> dict[str, Any]:
    """pymysql's arguments. Raises UsageError, with the password masked, where the URL cannot be used.

    `ssl_mode`: disabled | preferred (the default) | required | verify_ca (the default where there is an `ssl_ca`)
    | verify_identity, as MySQL's own programs have it."""
    try:
        parts = urlsplit(url)
        port = parts.port
        query = {k.replace("-", "_"): v for k, v in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        raise UsageError("the MySQL URL cannot be read", where=mask(url), hint=_LOOKS) from None
    database = unquote(parts.path.removeprefix("/"))
    if not database:
        raise UsageError("the MySQL URL names no database", where=mask(url), hint=_LOOKS)
    unknown = sorted(set(query) - set(_KNOWN))
    if unknown:
        raise UsageError(
            f"the MySQL URL has a parameter that is not known: {', '.join(unknown)}",
            where=mask(url),
            hint=f"Known: {', '.join(_KNOWN)}.",
        )
    timeout = query.get("connect_timeout", "10")
    if not timeout.isdigit() or not 0 < int(timeout) < 3600:
        raise UsageError("connect_timeout is a number of seconds", where=mask(url))
    found: dict[str, Any] = {
        "host": unquote(parts.hostname or "localhost"),
        "port": port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": database,
        "connect_timeout": int(timeout),
    }
    if "unix_socket" in query:
        found["unix_socket"] = query["unix_socket"]
    return found | _tls(query, mask(url))


def _tls(query: Mapping[str, str], where: str) -> dict[str, Any]:
    mode = query.get("ssl_mode", "verify_ca" if "ssl_ca" in query else "").lower()
    if not mode and "ssl_cert" in query:
        mode = "required"
    if mode and mode not in _MODES:
        raise UsageError("the MySQL URL's ssl_mode is none", where=where, hint=f"Known: {', '.join(_MODES)}.")
    if mode == "disabled":
        return {"ssl_disabled": True}
    if mode in ("", "preferred"):
        return {}
    for name in ("ssl_ca", "ssl_cert", "ssl_key"):
        if name in query and not Path(query[name]).is_file():
            raise UsageError(f"the file of {name} is not there", where=query[name])
    names = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password")
    try:
        return {"ssl": _context(mode, *(query.get(n) for n in names))}
    except (ssl.SSLError, OSError):
        raise UsageError("the certificates that the MySQL URL names cannot be used", where=where) from None


@cache
def _context(
    mode: str, ca: str | None, cert: str | None, key: str | None, password: str | None
) -> ssl.SSLContext:
    """Made once: it reads many files."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = mode == "verify_identity"
    context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("verify") else ssl.CERT_NONE
    # The certificates that servers make for themselves lack what RFC 5280 asks of them, and Python 3.13 looks at that.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cert is not None:
        context.load_cert_chain(cert, key, password)
    return context


def mask(url: str) -> str:
    """`url` with its passwords replaced; safe to show."""
    masked = re.sub(r"^([a-z+0-9]+://[^/?#@:]*):(?:[^/?#]*)@", r"\1:***@", url, flags=re.IGNORECASE)
    masked = re.sub(r"^([a-z+0-9]+://[^@:/]*):.*@", r"\1:***@", masked, flags=re.IGNORECASE)
    return re.sub(r"((?:^|[?&\s])\w*password\s*=\s*)[^&\s]*", r"\1***", masked, flags=re.IGNORECASE)


def with_database(url: str, name: str) -> str:
    """The same server and user, another database; `name` needs no escape."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
