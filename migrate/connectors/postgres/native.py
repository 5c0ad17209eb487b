"""The DDL text of tables by pg_dump."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import make_conninfo

from migrate.connectors.native import first_of, private_file, written_by
from migrate.connectors.postgres.session import parameters, quote_table
from migrate.connectors.protocol import DdlText

# names of one dump, which make each dump another text
_OF_ONE_DUMP = ("\\restrict ", "\\unrestrict ")


def ddl_text(url: str, tables: Sequence[str], folder: Path) -> DdlText:
    """What pg_dump writes of these tables. `folder` is private."""
    program = first_of(["pg_dump"])
    if program is None:
        return DdlText("pg_dump", problem="it is not installed")
    found = parameters(url)
    password = found.pop("password", "")
    if "sslpassword" in found:  # which libpq takes from nowhere but a command line or a service file
        return DdlText("pg_dump", problem="the URL has an sslpassword, which cannot be handed on unseen")
    if "\n" in password:
        return DdlText("pg_dump", problem="the password has a line break, which cannot be handed on unseen")
    command = [program, "--schema-only", "--no-password", "--lock-wait-timeout=15s", "--encoding=UTF8"]
    command += [f"--table={quote_table(name)}" for name in tables]
    if not password:
        return _plain(written_by([*command, f"--dbname={make_conninfo(**found)}"]))
    line = "*:*:*:*:" + password.replace("\\", "\\\\").replace(":", "\\:") + "\n"
    with private_file(folder, "pgpass", line) as path:
        # the variable would go before the file
        env = {k: v for k, v in os.environ.items() if k != "PGPASSWORD"} | {"PGPASSFILE": str(path)}
        found.pop("passfile", None)
        return _plain(
            written_by([*command, f"--dbname={make_conninfo(**found)}"], env=env, secrets=[password])
        )


def _plain(made: DdlText) -> DdlText:
    lines = [line for line in made.text.split("\n") if not line.startswith(_OF_ONE_DUMP)]
    return DdlText(made.tool, "\n".join(lines), made.problem)
