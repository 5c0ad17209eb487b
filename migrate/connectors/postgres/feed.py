"""Batches on their way into a table of a scratch database."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from migrate import failpoints
from migrate.connectors.declared import checked
from migrate.connectors.postgres.write import direct
from migrate.model import Table


class Feed:
    """Batches on their way into a table: those that COPY takes as they are, and now and then one that needs staging."""

    def __init__(self, table: Table, computed: set[str], batches: Iterator[pa.RecordBatch]) -> None:
        self._table, self._computed, self._batches = table, computed, iter(batches)
        self._ready: pa.Table | None = None
        self.waiting: pa.Table | None = None
        self.failed: BaseException | None = None
        self.rows = 0

    def _advance(self) -> None:
        """Put the next batch that has rows in one of the two places; neither: the end."""
        for batch in self._batches:
            if batch.num_rows:
                rows = pa.Table.from_batches([batch])
                rows = rows.drop_columns([c for c in rows.column_names if c in self._computed])
                self._ready = direct(checked(self._table, rows), rows)
                self.waiting = rows if self._ready is None else None
                self.rows += batch.num_rows
                return

    def next_schema(self) -> pa.Schema | None:
        """The layout in which the next batches go straight; None at the end."""
        self._advance()
        if self._ready is not None:
            return self._ready.schema
        # nothing goes straight before the one that waits: an empty COPY of no columns is not sent
        return None if self.waiting is None else pa.schema([])

    def straight(self) -> Iterator[pa.RecordBatch]:
        try:
            while self._ready is not None:
                ready, self._ready = self._ready, None
                yield from ready.to_batches()
                failpoints.hit("postgres.scratch.batch")
                self._advance()
        except BaseException as error:
            self.failed = error
            raise
