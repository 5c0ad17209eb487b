"""What is told of it in the documentation: `migrate.connectors.about`."""

from __future__ import annotations

from migrate.connectors.about import About, Trap
from migrate.connectors.files.tables import ENDINGS

ABOUT = About(
    title="Files in a folder",
    urls=("files:",),
    oldest="",
    tried=(" ".join(f"`{ending}`" for ending in ENDINGS),),
    moment="the files' bytes, whose SHA-256 is taken before and after",
    restored_in="a local SQLite file, and as the files that they were",
    traps=(
        Trap("no file says its encoding, and a wrong one gives wrong names", "UTF-8 or what a byte order mark says; anything else is refused, with a proposal"),
        Trap("leading zeros, long numbers and dates are guessed away by readers", "values of text files and spreadsheets are text, until the mapping says otherwise"),
        Trap("a delimiter or line break inside a value shifts the columns of a row", "a row with more or fewer values than the header is quarantined whole, with its line"),
        Trap("a spreadsheet holds about 15 digits, and formulas without a result", "further digits were lost when it was saved; a formula without its result is an error"),
        Trap("a small zip unpacks to a full disk", "more than 1 GiB and 200 times its size is refused"),
        Trap("rows have no key of their own", "a column, the line, or the row's whole content is the key, as the mapping says"),
    ),
)  # fmt: skip
