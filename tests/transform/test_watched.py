"""Every step of every field is seen where somebody watches, and the rows come out the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from migrate.mapping.model import Check, Step
from migrate.model import Kind, Type
from migrate.transform.apply import apply
from migrate.transform.watched import Watched

from tests.transform.crm import TEXT, compiled, field, mapping, source_table, target_table

INT = Type(Kind.INT, bits=64)
ROWS: dict[str, Any] = {
    "id": pa.array([1, 2, 3]),
    "name": pa.array([" Ada ", None, "x" * 9]),
    "land": pa.array(["uk", "Mars", None]),
    "n": pa.array([5, 6, 7]),
}


def test_steps_are_told_in_their_order() -> None:
    entity = compiled(
        mapping(
            {
                "name": field(
                    "name",
                    do=["trim", Step(name="slice", arguments="4")],
                    check=["required"],
                    default="nobody",
                ),
                "land": field("land", do=["upper"], map={"UK": "GB"}),
                "n": field("n", check=[Check(name="range", argument={"max": "5"}, on_fail="empty_and_flag")]),
                "same": field("n"),
            }
        ),
        source_table(id=INT, name=TEXT, land=TEXT, n=INT),
        target_table(name=TEXT, land=TEXT, n=INT, same=INT),
    )
    watched = Watched()
    batch, rids = pa.table(ROWS), np.arange(3, dtype=np.int64)
    made = apply(entity, batch, rids, watch=watched)
    assert made.rows.equals(apply(entity, batch, rids).rows)
    assert made.reasons.equals(apply(entity, batch, rids).reasons)

    def told(name: str, row: int) -> list[tuple[str, str | None]]:
        return [(s.step, s.value) for s in watched.steps(name, row)]

    assert watched.fields == ["name", "land", "n", "same"]
    assert told("name", 0) == [
        ("from", " Ada "),
        ("trim", "Ada"),
        ("slice: 4", "Ada"),
        ("default", "Ada"),
        ("check: required", "Ada"),
    ]
    assert told("name", 1)[-2:] == [("default", "nobody"), ("check: required", "nobody")]
    assert told("land", 1) == [("from", "Mars"), ("upper", "MARS"), ("map", None)]
    assert [(s.value, s.broken) for s in watched.steps("n", 1)] == [("6", False), (None, True)]
    assert told("same", 2) == [("from", "7")]
