"""What is told of it in the documentation: `migrate.connectors.about`."""

from __future__ import annotations

from migrate.connectors.about import About, Trap
from migrate.connectors.sqlite.catalog import OLDEST

ABOUT = About(
    title="SQLite",
    urls=("sqlite:///",),
    oldest=".".join(map(str, OLDEST)),
    tried=("3.40",),
    moment="a copy made by its backup interface, which is read instead of the file",
    restored_in="a local file",
    traps=(
        Trap("any column holds values of any kind", "a column of several kinds is read as such (`mixed`), and each value is held against what the mapping expects of it"),
        Trap("it has no dates", "they are ISO text; what a declared date is not is refused or quarantined"),
        Trap("numbers beyond 15 digits become floats", "such columns are refused, unless they are declared as text for decimals"),
        Trap("foreign keys are off unless somebody turns them on", "they are on while writing, and references are looked at in the source and in the restored copy"),
        Trap("a full disk rolls the transaction back silently, and the next statement commits alone", "after any error the connection is asked whether the transaction is still the one that began"),
    ),
)  # fmt: skip
