"""How rows of the ledger's tables are named, dated and made plain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def where(statement: Any, table: sa.Table, **keys: str) -> Any:
    """The statement, for the rows in which these columns have these values."""
    return statement.where(*(table.c[name] == value for name, value in keys.items()))


def plain(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """As JSON gives it back; TypeError for what JSON cannot hold exactly."""
    found: dict[str, Any] = json.loads(json.dumps(dict(facts or {}), allow_nan=False))
    return found
