"""What is told of it in the documentation: `migrate.connectors.about`."""

from __future__ import annotations

from migrate.connectors.about import About, Trap
from migrate.connectors.mysql.session import OLDEST

ABOUT = About(
    title="MySQL and MariaDB",
    urls=("mysql://", "mariadb://"),
    oldest=", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in OLDEST.items()),
    tried=("MariaDB 10.11",),
    moment="transactions that begin together under `FLUSH TABLES WITH READ LOCK`, which is waited for at most two seconds; without it, one connection",
    restored_in="a database that is made and dropped on the target's server, or where `scratch` says",
    traps=(
        Trap("MySQL's catalogue differs from MariaDB's (defaults, checks, functional indexes)", "every expression is read as the server's own SQL has it; the connector's tests, a few whole runs among them, have also been run against MySQL 9.7 by hand, and not against 8.0 or 8.4: try it first"),
        Trap("a statement that fails does not end the transaction, and DDL commits it", "every error rolls the whole part back, and COMMIT is sent only where the transaction is the one that began"),
        Trap("without strict mode values are cut or become zero", "strict mode is set, and what it lets pass (other spellings of enum labels, blanks beyond a length, two-digit years) is refused before it is sent"),
        Trap("zero dates, February 30, times below zero", "they travel as text: backups hold them exactly, `nulls` or a function of the mapping says what becomes of them"),
        Trap("`utf8` holds no emoji", "text that a column's character set cannot hold is quarantined"),
        Trap("tables that are not InnoDB have no snapshot and no undo", "they are named and refused"),
        Trap("`foreign_key_checks = 0` leaves no trace", "every reference is looked at, in the source and in the restored copy"),
    ),
)  # fmt: skip
