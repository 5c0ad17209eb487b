"""What is told of it in the documentation: `migrate.connectors.about`."""

from __future__ import annotations

from migrate.connectors.about import About, Trap
from migrate.connectors.postgres.session import OLDEST

ABOUT = About(
    title="PostgreSQL",
    urls=("postgresql://", "postgres://"),
    oldest=str(OLDEST),
    tried=("15", "18 (reading, writing and restoring)"),
    moment="one exported snapshot, read by several connections",
    restored_in="a database that is made and dropped on the target's server, or where `scratch` says",
    traps=(
        Trap("TRUNCATE and rewriting ALTERs are seen by older snapshots", "all tables are locked (`ACCESS SHARE`) before the first is read"),
        Trap("a deferred constraint speaks only at COMMIT", "constraints are made immediate inside each part, so that the refused row is known"),
        Trap("triggers and rules change or drop rows silently", "what was written is read back in the same transaction and compared"),
        Trap("`numeric` holds NaN, dates hold infinity", "they are carried; a target that cannot hold them quarantines the row"),
        Trap("sequences do not follow rows that are inserted with their keys", "keys are reserved from the sequence itself; a restored sequence stands where it stood"),
        Trap("`ON DELETE CASCADE` takes others' rows along", "undo finds them first and counts them as conflicts"),
    ),
)  # fmt: skip
