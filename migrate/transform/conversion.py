"""What a conversion gives: values, reasons, and rows whose value is not whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from migrate.transform.values import Mask, Values, mask_of


def nulls(size: int, arrow: pa.DataType) -> pa.Array[Any]:
    """An array of NULLs of any Arrow type."""
    make: Any = pa.nulls
    made: pa.Array[Any] = make(size, arrow)
    return made


@dataclass(frozen=True)
class Failure:
    """Rows that fail, their stable code, and the rule in words (never the value)."""

    mask: Mask
    code: str
    detail: str


@dataclass(frozen=True)
class Conversion:
    """`series` in the working layout of the target kind, or an Arrow array already in its layout."""

    series: pl.Series | pa.Array[Any]
    failures: tuple[Failure, ...] = ()
    lossy: Mask | None = None
    lossy_code: str = "lossy"
    lossy_detail: str = ""

    @classmethod
    def refused(cls, values: Values, arrow: pa.DataType, detail: str) -> Conversion:
        """Every value that is not NULL fails."""
        mask = mask_of(values.series.is_not_null())
        return cls(nulls(len(mask), arrow), (Failure(mask, "type", detail),))


def failures(*pairs: tuple[Mask, str, str]) -> tuple[Failure, ...]:
    """Only those that concern any row."""
    return tuple(Failure(mask, code, detail) for mask, code, detail in pairs if mask.any())
