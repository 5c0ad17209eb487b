"""COPY into PostgreSQL with rows encoded by pgpq: a third of the processor time that ADBC's writer takes.

It serves where nothing is to be read again in the same transaction, for that needs ADBC (a restore into scratch).
What it is given is in the layout of the table, as for `Session.ingest`: bytes go as they are, whatever the column's type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa

from migrate.connectors.postgres.errors import from_psycopg
from migrate.connectors.postgres.session import connect, quote

_TAKEN: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_signed_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date32,
    pa.types.is_time64,
    pa.types.is_timestamp,
    pa.types.is_decimal128,
)


def takes(layout: pa.Schema) -> bool:
    """Whether a table of this layout goes this way: types that were tried against what the server then holds
    (tests/connectors/test_postgres_copying.py). Lists and 256-bit decimals go by ADBC."""
    return len(layout) > 0 and all(any(known(kind) for known in _TAKEN) for kind in layout.types)


class CopySession:
    """One psycopg connection that takes rows as `Session` does. Raises SqlError, which carries no values."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)

    def execute(self, sql: str) -> int:
        with _as_ours():
            return self._connection.execute(sql.encode()).rowcount

    def ingest(self, schema: str | None, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """COPY `rows` into an existing table, columns by name; `schema` None: a temporary table. An error of `rows` is
        raised as it is, and nothing of this COPY stays."""
        from pgpq import ArrowToPostgresBinaryEncoder

        encoder = ArrowToPostgresBinaryEncoder(rows.schema)
        place = f"{'pg_temp' if schema is None else quote(schema)}.{quote(table)}"
        names = ", ".join(quote(name) for name in rows.schema.names)
        batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
        sql = f"COPY {place} ({names}) FROM STDIN (FORMAT binary)".encode()
        with _as_ours(), self._connection.cursor() as cursor, cursor.copy(sql) as copy:
            copy.write(encoder.write_header())
            for batch in batches:
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise from_psycopg(error) from None
