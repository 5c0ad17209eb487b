"""The DDL text of tables as the file itself keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from migrate.connectors.native import without_secrets
from migrate.connectors.protocol import DdlText
from migrate.connectors.sqlite.connect import connect
from migrate.connectors.sqlite.errors import translated


def ddl_text(path: Path, tables: Sequence[str]) -> DdlText:
    """Tables, their indexes and triggers, in the order of the file."""
    with closing(connect(path, write=False)) as reader, translated(str(path)):
        rows = reader.execute(
            "SELECT tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type <> 'table', rowid"
        ).fetchall()
    wanted = set(tables)
    text = "".join(f"{sql};\n" for table, sql in rows if table in wanted)
    return (
        DdlText("sqlite_master", without_secrets(text))
        if text
        else DdlText("sqlite_master", problem="it is empty")
    )
