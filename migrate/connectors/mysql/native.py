"""The DDL text of tables by mariadb-dump or mysqldump."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from migrate.connectors.mysql.url import parameters
from migrate.connectors.native import first_of, private_file, version_of, written_by
from migrate.connectors.protocol import DdlText

_OPTIONS = (
    "--no-data",
    "--single-transaction",
    "--skip-lock-tables",
    "--no-tablespaces",
    "--skip-dump-date",
    "--skip-add-drop-table",
    "--default-character-set=utf8mb4",
)


def ddl_text(url: str, tables: Sequence[str], folder: Path) -> DdlText:
    """What the dump program writes of these tables, their triggers included. `folder` is private."""
    program = first_of(["mariadb-dump", "mysqldump"])
    if program is None:
        return DdlText("mysqldump", problem="neither mariadb-dump nor mysqldump is installed")
    found = parameters(url)
    query = {k.replace("-", "_"): v for k, v in parse_qsl(urlsplit(url).query)}
    if "ssl_key_password" in query:
        return DdlText(Path(program).name, problem="it takes no password for the TLS key of the URL")
    options = _connection(found, query, mariadb="mariadb" in version_of(program).lower())
    if any("\n" in value for value in options.values()):
        return DdlText(
            Path(program).name, problem="the URL has a line break, which cannot be handed on unseen"
        )
    lines = [f"{name}={_quoted(value)}" if value else name for name, value in options.items()]
    with private_file(folder, "dump.cnf", "\n".join(["[client]", *lines, ""])) as path:
        command = [program, f"--defaults-file={path}", *_OPTIONS, "--", str(found["database"]), *tables]
        return written_by(command, secrets=[str(found["password"])])


def _connection(found: dict[str, Any], query: dict[str, str], *, mariadb: bool) -> dict[str, str]:
    """The options of a [client] section; never less careful of TLS than the URL."""
    options = {name: str(found[name]) for name in ("user", "password") if found[name]}
    if "unix_socket" in found:
        options["socket"] = str(found["unix_socket"])
    else:
        options |= {"host": str(found["host"]), "port": str(found["port"]), "protocol": "tcp"}
    options |= {
        name.replace("_", "-"): query[name] for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in query
    }
    mode = query.get(
        "ssl_mode", "verify_ca" if "ssl_ca" in query else "required" if "ssl_cert" in query else ""
    )
    mode = mode.lower()
    if not mariadb:
        return options | ({"ssl-mode": mode.upper()} if mode else {})
    if mode == "disabled":
        return options | {"skip-ssl": ""}
    if mode.startswith("verify"):
        return options | {"ssl": "", "ssl-verify-server-cert": ""}
    return options | ({"ssl": ""} if mode == "required" else {})


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
