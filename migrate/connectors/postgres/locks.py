"""Who holds a lock that was waited for in vain, as far as the server says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from migrate.connectors.locked import Locked
from migrate.connectors.postgres.session import connect, quote_table
from migrate.errors import MigrateError

# Readers hold AccessShareLock, which stands in the way of nothing that this program does. Our own sessions wait, or
# write other parts of the same load: the fence keeps other runs out.
_HOLDERS = """
SELECT a.pid, coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), 'no name'), coalesce(a.state, 'state not shown'),
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int8, 0)
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.application_name <> 'migrate' AND EXISTS (
    SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation = to_regclass(%s))
ORDER BY a.xact_start LIMIT 5"""


def name_holders(error: Locked, url: str, table: str) -> None:
    """Puts those who hold locks on the table into the hint; nothing where the server cannot be asked."""
    try:
        with connect(url) as connection:
            found = connection.execute(_HOLDERS, [quote_table(table)]).fetchall()
    except (psycopg.Error, MigrateError):
        return
    if found:
        named = "; ".join(f"process {p} (user {u}, {a}, {s} for {t} s)" for p, u, a, s, t in found)
        error.hint = f"{table} is held by {named}. Let that end, then run the same command again."


@contextmanager
def holders_named(url: str, table: str) -> Iterator[None]:
    """A lock on `table` that is not to be had inside names its holders."""
    try:
        yield
    except Locked as error:
        name_holders(error, url, table)
        raise
