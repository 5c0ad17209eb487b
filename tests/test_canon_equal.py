"""Rows side by side: a column counts as different exactly where its canonical hashes differ."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from migrate import canon
from migrate.arrow import layout
from migrate.model import Kind, Type

CASES: list[tuple[Type, list[Any], list[Any]]] = [
    (Type(Kind.TEXT), ["a", "", None, "é"], ["a", None, None, "e\u0301"]),
    (Type(Kind.INT, bits=64), [1, 2, None, 4], [1, 3, None, None]),
    (Type(Kind.FLOAT, bits=64), [0.0, math.nan, -0.0, 1.5], [-0.0, math.nan, -0.0, 1.5]),
    (Type(Kind.DECIMAL, precision=9, scale=2), [Decimal("1.00"), None], [Decimal("1.00"), Decimal("0.00")]),
    (Type(Kind.JSON), ['{"a": 1, "b": 2}', "1"], ['{"b": 2, "a": 1}', "2"]),
    (Type(Kind.BYTES), [b"\x00", b""], [b"\x00\x00", b""]),
    (Type(Kind.BOOL), [True, False, None], [True, True, None]),
]


@pytest.mark.parametrize(
    ("type_", "left", "right"), CASES, ids=lambda v: v.kind.name if isinstance(v, Type) else ""
)
def test_different_is_what_the_hashes_say(type_: Type, left: list[Any], right: list[Any]) -> None:
    tables = [pa.table({"id": range(len(v)), "v": pa.array(v, layout(type_))}) for v in (left, right)]
    types = {"id": Type(Kind.INT, bits=64), "v": type_}
    one, two = (canon.row_hashes(t, types, ["v"]) for t in tables)
    mask = (one.low != two.low) | (one.high != two.high)
    found = canon.different(tables[0], tables[1], types, ["id", "v"])
    assert "id" not in found
    assert np.array_equal(found.get("v", np.zeros(len(left), bool)), mask)
    assert canon.different(tables[0], tables[0], types, ["id", "v"]) == {}


def test_rows_cut_differently_are_compared_all_the_same() -> None:
    types = {"v": Type(Kind.INT, bits=64)}
    whole = pa.table({"v": pa.array(range(10))})
    cut = pa.concat_tables([whole.slice(0, 3), whole.slice(3)])
    assert canon.different(whole, cut, types, ["v"]) == {}
    assert list(canon.different(whole, cut.slice(0, 9).combine_chunks(), types, []).items()) == []
