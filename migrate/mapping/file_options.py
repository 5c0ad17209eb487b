"""Options of files, held against what the source is and what the file's ending says."""

from __future__ import annotations

from pathlib import PurePosixPath

from migrate.mapping.model import Source, SourceTable
from migrate.mapping.shapes import Reading
from migrate.mapping.tree import Path_

_OF_FILES = ("file", "sheet", "member", "skip_first", "skip_last", "encoding", "delimiter", "quote")
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
_OF_TEXT = {"encoding": "text files", "delimiter": "delimited files", "quote": "delimited files"}


def check_files(source: Source | None, path: Path_, reading: Reading) -> None:
    """Reports options of files for a database, and options that a file of its ending has no use for."""
    if source is None:
        return
    if source.url.startswith("files:"):
        for table, options in source.tables.items():
            _fitting(options, (*path, "tables", table), reading)
        return
    places = [(*path, "encoding")] if source.encoding is not None else []
    for table, options in source.tables.items():
        places += [(*path, "tables", table, name) for name in _OF_FILES if getattr(options, name)]
    for place in places:
        reading.wrong(
            "conflict",
            reading.key_at(*place),
            f"`{place[-1]}` is for folders of files; this source is a database",
            "remove it",
        )


def _fitting(options: SourceTable, path: Path_, reading: Reading) -> None:
    """A pattern is judged by its ending too; of a folder, and of what a zip holds, nothing is known here."""
    ending = PurePosixPath(options.file or "").suffix.lower()
    if ending in ("", ".zip"):
        return
    wrong: dict[str, str] = {}
    if options.sheet is not None and ending not in _SPREADSHEETS:
        wrong["sheet"] = "spreadsheets"
    if options.member is not None:
        wrong["member"] = "zip files"
    if ending in (*_SPREADSHEETS, ".parquet"):
        wrong |= {name: files for name, files in _OF_TEXT.items() if getattr(options, name) is not None}
    for name, files in wrong.items():
        at = reading.key_at(*path, name)
        reading.wrong("conflict", at, f"`{name}` is for {files}, and `{options.file}` is none", "remove it")
