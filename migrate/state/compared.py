"""The values by which transformed rows are compared: as they would be written, and also where consent keeps them back.

Who somebody is does not change with what they consent to: a row that says no has to be found as the duplicate that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.canon import canonical_text
from migrate.model import Table
from migrate.transform.consent import WITHHELD_TEXT


def read_compared(path: Path, columns: Sequence[str]) -> pa.Table:
    """`__rid`, `__key`, the columns, and what did not move of them, of one file of rows."""
    there = pq.read_schema(path).names
    withheld = [f"{WITHHELD_TEXT}{c}" for c in columns if f"{WITHHELD_TEXT}{c}" in there]
    return pq.read_table(path, columns=["__rid", "__key", *columns, *withheld])


def compared_texts(rows: pa.Table, columns: Sequence[str], table: Table) -> pa.Table:
    """Canonical texts of the columns. `rows`: as `read_compared` gives them."""
    texts = {}
    for column in columns:
        text = canonical_text(rows[column], table.column(column).type)
        withheld = f"{WITHHELD_TEXT}{column}"
        texts[column] = pc.coalesce(text, rows[withheld]) if withheld in rows.column_names else text
    return pa.table(texts)
