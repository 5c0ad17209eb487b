"""Names of the columns that rows carry besides those of their table."""

from __future__ import annotations

# What the rows of a shaped road carry besides: the row of the source table that each was made of (part << 32 |
# ordinal), the reason for which it is left out, and the codes for which it is quarantined, "code" or "code where".
BASE, LEFT_OUT, CODES = "__base", "__left_out", "__codes"
ROAD_COLUMNS = (BASE, LEFT_OUT, CODES)
WITH = "__with."  # + join: the digest of its rows that belong to a row
ROW = "__row"  # in joined rows: the ordinal of the row that they belong to
MISSING = "join_missing"
