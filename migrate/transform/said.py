"""What the mapping says about the columns of a source table: the nearest statement counts, column, table, source.

Columns that joins and shapes add to a road are told by the columns that their values come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from migrate.mapping.model import Entity, Mapping, Source, SourceColumn, SourceTable
from migrate.model import Column, Kind


@dataclass(frozen=True)
class Said:
    """`homes`: column of the road → whose its values are, and the column's name there. `joins`: the same for all
    columns of a join; the name there is that after the dot, or the one given."""

    source: Source | None
    table: SourceTable
    homes: Dict[str, tuple[Said, str]] = field(default_factory=dict)
    joins: Dict[str, tuple[Said, str | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: Mapping, source: str, table: str) -> Said:
        """Of `table` in the source named `source`."""
        described = mapping.sources.get(source)
        return cls(described, (described.tables.get(table) if described else None) or SourceTable())

    @classmethod
    def of_road(cls, mapping: Mapping, entity: Entity) -> Said:
        """Of the columns of the entity's road."""
        base = cls.of(mapping, entity.source, entity.table)
        homes: dict[str, tuple[Said, str]] = {}
        joins: dict[str, tuple[Said, str | None]] = {}
        if entity.pivot is not None:
            homes |= dict.fromkeys(entity.pivot.columns, (base, entity.pivot.value))
        for name, join in entity.with_.items():
            whose = cls.of(mapping, join.source, join.table)
            joins[name] = (whose, join.pivot.value if join.pivot is not None else None)
        road = cls(base.source, base.table, homes, joins)
        for made, slots in (entity.explode.lists if entity.explode is not None else {}).items():
            first = next((s.text for s in slots if not s.literal), None)
            # Texts of the mapping itself are what they are: no word of the source empties them.
            homes[made] = road.home(first) if first is not None else (cls(None, SourceTable()), made)
        return cls(base.source, base.table, homes, joins)

    def home(self, name: str) -> tuple[Said, str]:
        """Whose the values of a column are, and its name there."""
        if name in self.homes:
            return self.homes[name]
        join, dot, column = name.partition(".")
        if dot and join in self.joins:
            whose, given = self.joins[join]
            return whose, given or column
        return self, name

    def _column(self, name: str | None) -> tuple[Said, SourceColumn]:
        if name is None:
            return self, SourceColumn()
        whose, name = self.home(name)
        return whose, whose.table.columns.get(name) or SourceColumn()

    def nulls(self, column: str) -> tuple[str, ...]:
        """Words that mean nothing in a column of text."""
        whose, own = self._column(column)
        for words in (own.nulls, whose.table.nulls):
            if words is not None:
                return words
        return whose.source.nulls if whose.source else ()

    def nulls_of(self, columns: Iterable[Column]) -> dict[str, tuple[str, ...]]:
        """NULL words by column, only where there are any: other kinds than text have none."""
        texts = (c.name for c in columns if c.type.kind in (Kind.TEXT, Kind.MIXED))
        return {name: words for name in texts if (words := self.nulls(name))}

    def zone(self, column: str | None) -> str | None:
        """The zone of times that carry none."""
        whose, own = self._column(column)
        return own.timezone or whose.table.timezone or (whose.source.timezone if whose.source else None)

    def dates(self, column: str | None) -> tuple[str, ...]:
        """Formats of dates."""
        whose, own = self._column(column)
        for formats in (own.dates, whose.table.dates):
            if formats is not None:
                return formats
        return whose.source.dates if whose.source else ()
