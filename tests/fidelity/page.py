"""docs/fidelity.md: made of what really became of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.fidelity import files, mysql, postgres
from tests.fidelity.case import Case
from tests.fidelity.trial import Became

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
COMMAND = "python -m tests.fidelity"
NAMES = {
    "postgresql": "PostgreSQL",
    "sqlite": "SQLite",
    "mysql": "MariaDB",
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
}
_HEAD = f"""# What becomes of every type

This page is made by a test: `{COMMAND}` carries every value below through a whole migration (read, vault, restore test, transform,
load, verify), lets the two databases themselves say what they hold, and writes down what became of it. A test fails where this
page says something else.

Four things can become of a value, and a fifth never does:

- **exact**: the target holds the same value. Where source and target are of one engine and type, it holds the same bytes.
- **by rule**: another value is made of it on purpose, by the rule that stands there.
- **set aside**: the row is quarantined, by that code, and `migrate quarantine list` shows it. `type`: it is no value of the target's
  type; `lossy` and `too_long`: it would be rounded or cut (here `policy.lossy` is `quarantine`; the default stops, `allow` lets it pass and
  counts it); `bad_encoding`: bytes that are no text; `nul_byte`: text with a NUL; `db_value`: the target's database would change or refuse it.
- **refused**: `migrate plan` ends with exit code 2 and names table, column and type. Nothing was loaded.
- Changed silently: never.

A backup goes from the source into the vault and from there into an empty database of the same engine (files: into SQLite, and as the files
that they were), and both are compared by the engine's own word. **Every type below comes out of its backup exactly**, also where it
cannot be mapped, unless it is refused.

Rules that hold for several types:

- Text of a number is its shortest decimal text; text of dates and times is ISO 8601 (0000 is the year 1 BC).
- SQLite has no dates: they are ISO text, years 0001 to 9999. It keeps numbers of `NUMERIC` and `DECIMAL` columns exactly to 15 digits, so larger
  declared ones are refused; `DECIMAL_TEXT(p, s)` keeps them all. It has neither NaN nor, in a column of numbers, a negative zero.
- A value of a declared type is written to SQLite in the one spelling of its type (`respelled`): a uuid in lower case, a moment in UTC.
- MariaDB is tried under `mysql://`. Zero dates, days that no month has, and times below zero or beyond a day travel as text: a backup has them
  exactly, a target's date or time only what is one (`nulls` or a function of the mapping says what becomes of the rest). It has no NaN, no infinity
  and no negative zero, and no `timestamp` before 1970 or after 2038.
- A timestamp without a zone becomes a moment only by a stated `timezone`.
"""
_TABLE = "| type | values | into | becomes |\n|---|---|---|---|"


def title(source: str, target: str) -> str:
    return f"## {NAMES[source]} into {NAMES[target]}"


def section(source: str, target: str, found: Sequence[Became]) -> str:
    return "\n".join([title(source, target), "", _TABLE, *(row(b) for b in found)])


def whole(sections: Mapping[tuple[str, str], str]) -> str:
    return "\n\n".join([_HEAD.strip(), *sections.values(), _refused()]) + "\n"


def _refused() -> str:
    return (
        "## Refused wherever they are\n\n"
        "A table with a column of such a type cannot be read; convert the column, or leave the table out.\n\n"
        f"- PostgreSQL: {', '.join(f'`{t}`' for t in postgres.REFUSED)} and every type that is not on this page "
        "(`pair` is a composite type).\n"
        f"- MySQL and MariaDB: {', '.join(f'`{t}`' for t in mysql.REFUSED)} and all other geometry, vectors, and tables of other engines than "
        "InnoDB. Texts of a character set from which UTF-8 leads back to other bytes are refused when they are read.\n"
        f"- Parquet: {', '.join(f'`{t}`' for t in files.REFUSED)}. A timestamp finer than a microsecond is refused when it is read."
    )


def row(became: Became) -> str:
    case = became.lane.case
    kind = f"`{case.type}`" if case.type else "(none)"
    label = f" ({case.label})" if case.label else ""
    values = ", ".join(code(v) for v in case.values)
    return f"| {kind}{label} | {values} | {code(became.lane.into) if became.lane.into else '(none)'} | {_outcome(became)} |"


def _outcome(became: Became) -> str:
    if became.refused:
        return f"refused: {_reason(became.refused)}"
    case, said = became.lane.case, list(dict.fromkeys(became.values))
    parts = []
    for outcome in said:
        mine = [v for v, o in zip(case.values, became.values, strict=True) if o == outcome]
        words = f"{outcome}: {case.rule}" if outcome == "by rule" else outcome
        parts.append(words if len(said) == 1 else f"{', '.join(code(v) for v in mine)} {words}")
    if "exact" in said and len(said) > 1:
        parts = [*(p for p, o in zip(parts, said, strict=True) if o != "exact"), "the rest exact"]
    return "; ".join(parts)


def _reason(message: str) -> str:
    """Without the names of this test's columns."""
    plain = re.sub(r'^"c\d+" is .*?, (?="c\d|bytes|a list)', "", message)
    return re.sub(r'"c\d+" holds [^:]*: ', "", re.sub(r"^things\.c\d+", "it", plain))


def code(value: str) -> str:
    """A value as Markdown's code, short, on one line; characters that a page cannot show are escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    shown = f"{shown[:40]}… ({len(value):,} characters)" if len(shown) > 120 else shown
    shown = shown.replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown or shown != shown.strip() or not shown else f"`{shown}`"


def committed(source: str, target: str, without: frozenset[str], cases: Sequence[Case]) -> Iterator[str]:
    """The lines of a section as the page has them, but for types that this machine's server has not got."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index(title(source, target) + "\n")
    end = text.find("\n## ", start + 1)
    gone = tuple(f"| `{c.type}`" for c in cases if c.needs in without and c.needs)
    return (line for line in text[start:end].rstrip().splitlines() if not gone or not line.startswith(gone))
