"""How one file is to be read, as the mapping states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrate.mapping.model import Source

LINE, BAD, RAW = "_line", "_bad", "_raw"
HIDDEN = (LINE, BAD, RAW)


@dataclass(frozen=True)
class FileOptions:
    """None = not stated: the delimiter is then proposed by a look at the file, the encoding is UTF-8
    or what a byte order mark says, the quote is `"`. `quote` may be "none". `nulls` are the words that
    mean NULL, quoted or not; without "" among them an empty field is the empty text."""

    file: str | None = None
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
            encoding=table.encoding if table.encoding is not None else source.encoding,
            delimiter=table.delimiter,
            quote=table.quote,
            nulls=table.nulls if table.nulls is not None else source.nulls,
        )
        for name, table in source.tables.items()
    }
    return named, rest
