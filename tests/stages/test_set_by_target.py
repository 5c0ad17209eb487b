"""`target_sets: at_least`: what stands in the target against what was written, type by type."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY, layout
from migrate.mapping.model import Entity, Field
from migrate.model import Column, Kind, Table, Type
from migrate.stages.load.existing import raises
from migrate.stages.verify.set_by_target import kept, kept_type, set_by_target

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CASES: list[tuple[Type, Any, Any]] = [  # a type, a value, a greater one
    (Type(Kind.INT, bits=32), 9, 10),
    (Type(Kind.FLOAT, bits=64), -0.5, 0.25),
    (Type(Kind.DECIMAL, precision=12, scale=2), Decimal("9.50"), Decimal("10.00")),
    (Type(Kind.DECIMAL, precision=60, scale=2), Decimal("9.50"), Decimal("10.00")),
    (Type(Kind.DECIMAL), "9.5", "1" + "0" * 90 + ".000000000000000000000000000001"),
    (Type(Kind.DATE), date(2026, 3, 1), date(2026, 10, 1)),
    (Type(Kind.DATE), date(9999, 12, 31), pa.scalar(DATE_INFINITY, pa.int32()).cast(pa.date32())),
    (Type(Kind.TIMESTAMPTZ), NOW, datetime(2026, 3, 1, 1, tzinfo=UTC)),
    (Type(Kind.TIMESTAMPTZ), NOW, pa.scalar(TIMESTAMP_INFINITY, pa.int64()).cast(pa.timestamp("us", "UTC"))),
]


def entity(rule: str, *, field: bool = True) -> Entity:
    fields = {"n": Field(value="x"), **({"seen": Field(value="x")} if field else {})}
    return Entity(
        name="e", table="s", key=("id",), into="t", match={"n": None}, write="update", target_sets={"seen": rule},
        fields=fields,
    )  # fmt: skip


def table_of(type_: Type) -> Table:
    return Table("t", (Column("id", Type(Kind.INT)), Column("seen", type_)), primary_key=("id",))


def wrong(folder: Path, type_: Type, wrote: Any, found: Any) -> list[str]:
    def file(name: str, value: Any) -> Path:
        values = kept(pa.array([value], layout(type_)), type_)
        rows = pa.table({"key": ['["1"]'], "s.seen": values.cast(kept_type(type_))})
        pq.write_table(rows, folder / name)
        return folder / name

    return set_by_target(
        entity("at_least"), table_of(type_), file("e", wrote), file("o", found), folder / "temp"
    )


def more(type_: Type, stands: Any, new: Any) -> bool:
    """Whether a row is an update for its column alone."""
    old, wanted = (pa.array([v], layout(type_)) for v in (stands, new))
    found = raises(entity("at_least"), table_of(type_), {"seen": wanted}, pa.table({"seen": old}))
    return bool(found[0].as_py())


@pytest.mark.parametrize(
    ("type_", "small", "great"), CASES, ids=[f"{t.kind}-{n}" for n, (t, _, _) in enumerate(CASES)]
)
def test_at_least_means_as_much_or_more(tmp_path: Path, type_: Type, small: Any, great: Any) -> None:
    for wrote, found in ((small, small), (small, great), (None, None), (None, small)):
        assert wrong(tmp_path, type_, wrote, found) == []
        assert not more(type_, found, wrote)
    for wrote, found in ((great, small), (small, None)):
        assert wrong(tmp_path, type_, wrote, found) == ["1 rows whose seen is less than what was written"]
        assert more(type_, found, wrote)


def test_what_is_no_number_is_at_least_nothing(tmp_path: Path) -> None:
    assert wrong(tmp_path, Type(Kind.DECIMAL), "1", "NaN")
    assert wrong(tmp_path, Type(Kind.FLOAT, bits=64), float("nan"), 1.0)


@pytest.mark.parametrize("rule", ["at_least", "not_null"])
def test_without_a_field_the_column_must_be_filled(tmp_path: Path, rule: str) -> None:
    pq.write_table(pa.table({"key": ["a", "b"], "n.seen": [True, False]}), tmp_path / "o")
    pq.write_table(pa.table({"key": ["a", "b"]}), tmp_path / "e")
    found = set_by_target(
        entity(rule, field=False),
        table_of(Type(Kind.TEXT)),
        tmp_path / "e",
        tmp_path / "o",
        tmp_path / "temp",
    )
    assert found == ["1 rows without seen, which the target should have set"]
