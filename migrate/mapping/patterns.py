"""Regular expressions of the mapping language: what RE2 and Rust's regex both take.

So they run in linear time over whole columns: no look-around, no back-references. `\\d` and `\\w` differ
between the two for letters and digits beyond ASCII; write `[0-9]` or `\\p{L}` where that matters.
"""

from __future__ import annotations


def pattern_problem(pattern: str) -> str | None:
    """Why the pattern cannot be used, in plain words, or None."""
    # Imported late: most mappings hold no pattern, and both libraries are heavy.
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pattern:
        return "the pattern is empty, so it would match everywhere"
    for construct, name in (
        ("(?=", "look-ahead"),
        ("(?!", "look-ahead"),
        ("(?<=", "look-behind"),
        ("(?<!", "look-behind"),
    ):
        if construct in pattern.replace("\\(", ""):
            return f'"{pattern}" uses {name} {construct}…), which patterns here do not have'
    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except pa.ArrowInvalid as error:
        return f'"{pattern}" is not a regular expression: {_reason(str(error))}'
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        return f'"{pattern}" is not a regular expression: {_reason(str(error))}'
    return None


def groups_of(pattern: str) -> int:
    """How many capturing brackets a valid pattern has."""
    import polars as pl

    if "(" not in pattern:
        return 0
    dtype = pl.Series([""]).str.extract_groups(pattern).dtype
    return len(dtype.fields) if isinstance(dtype, pl.Struct) else 0


def _reason(text: str) -> str:
    """The last part of the engine's message, which names what is wrong."""
    text = text.split("Invalid regular expression:")[-1].split("error:")[-1]
    return " ".join(text.split()).rstrip(".")
