"""What the mapping says about the columns of a source table: the nearest statement counts, column, table, source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migrate.mapping.model import Mapping, Source, SourceColumn, SourceTable
from migrate.model import Column, Kind


@dataclass(frozen=True)
class Said:
    source: Source | None
    table: SourceTable

    @classmethod
    def of(cls, mapping: Mapping, source: str, table: str) -> Said:
        """Of `table` in the source named `source`."""
        described = mapping.sources.get(source)
        return cls(described, (described.tables.get(table) if described else None) or SourceTable())

    def _column(self, name: str | None) -> SourceColumn:
        return (self.table.columns.get(name) if name else None) or SourceColumn()

    def nulls(self, column: str) -> tuple[str, ...]:
        """Words that mean nothing in a column of text."""
        for words in (self._column(column).nulls, self.table.nulls):
            if words is not None:
                return words
        return self.source.nulls if self.source else ()

    def nulls_of(self, columns: Iterable[Column]) -> dict[str, tuple[str, ...]]:
        """NULL words by column, only where there are any: other kinds than text have none."""
        texts = (c.name for c in columns if c.type.kind in (Kind.TEXT, Kind.MIXED))
        return {name: words for name in texts if (words := self.nulls(name))}

    def zone(self, column: str | None) -> str | None:
        """The zone of times that carry none."""
        return (
            self._column(column).timezone
            or self.table.timezone
            or (self.source.timezone if self.source else None)
        )

    def dates(self, column: str | None) -> tuple[str, ...]:
        """Formats of dates."""
        for formats in (self._column(column).dates, self.table.dates):
            if formats is not None:
                return formats
        return self.source.dates if self.source else ()
