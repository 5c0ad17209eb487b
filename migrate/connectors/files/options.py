"""How one file is to be read, as the mapping states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrate.mapping.model import Source
from migrate.model import ADDED_COLUMNS

LINE, BAD, RAW, FILE = ADDED_COLUMNS


@dataclass(frozen=True)
class FileOptions:
    """None = not stated: the delimiter is then proposed by a look at the file, the encoding is UTF-8
    or what a byte order mark says, the quote is `"`. `quote` may be "none". `nulls` are the words that
    mean NULL, quoted or not; without "" among them an empty field is the empty text.

    `file` may be a folder or a pattern, whose files are the parts of one table; `sheet` of an Excel
    file, `member` of a zip. `skip_first`: lines before the header; `skip_last`: records at the end."""

    file: str | None = None
    sheet: str | None = None
    member: str | None = None
    skip_first: int = 0
    skip_last: int = 0
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    nulls: tuple[str, ...] = ()


def from_source(source: Source) -> tuple[Mapping[str, FileOptions], FileOptions]:
    """Options per table that the mapping names, and those of every other file of the folder."""
    rest = FileOptions(encoding=source.encoding, nulls=source.nulls)
    named = {
        name: FileOptions(
            file=table.file,
            sheet=table.sheet,
            member=table.member,
            skip_first=table.skip_first,
            skip_last=table.skip_last,
            encoding=table.encoding if table.encoding is not None else source.encoding,
            delimiter=table.delimiter,
            quote=table.quote,
            nulls=table.nulls if table.nulls is not None else source.nulls,
        )
        for name, table in source.tables.items()
    }
    return named, rest
