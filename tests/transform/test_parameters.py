"""Arguments that come from columns: per distinct value, refused where it cannot be, the default where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.model import FromColumn, Step
from migrate.mapping.usage import used_columns
from migrate.model import Kind, Type
from migrate.transform.apply import Transformed, apply

from tests.transform.crm import (
    ID,
    TEXT,
    codes,
    compiled,
    field,
    found,
    mapping,
    problems,
    source_table,
    target_table,
)


def column(name: str) -> FromColumn:
    return FromColumn(from_=name)


def run(
    step: Step, a: list[Any], others: dict[str, list[Any]], *, target: Type = TEXT, **keys: Any
) -> Transformed:
    """Column `a` through one step into `b`; the other columns are texts."""
    made = mapping({"b": field("a", do=(step,))}, **keys)
    types = {"id": ID.type, "a": TEXT, **dict.fromkeys(others, TEXT)}
    entity = compiled(made, source_table(**types), target_table(b=target))
    columns = {n: pa.array(v, pa.string()) for n, v in {"a": a, **others}.items()}
    batch = pa.table({"id": pa.array(range(len(a)), pa.int64()), **columns})
    return apply(entity, batch, np.arange(len(a), dtype=np.int64))


def details(result: Transformed) -> dict[int, str]:
    return {r["rid"]: r["detail"] for r in result.reasons.to_pylist()}


def test_every_row_has_its_own_argument() -> None:
    step = Step(name="pad", arguments={"width": column("w"), "with": column("sign"), "side": "right"})
    result = run(
        step,
        ["1", "2", "3", "4", "5", None],
        {"w": [" 3", "2", "3", "x", None, "x"], "sign": [".", ".", None, ".", ".", "."]},
    )
    assert found(result) == ["1..", "2.", "300", None, None, None]
    assert codes(result) == [(3, "b", "type"), (4, "b", "type")]
    assert details(result) == dict.fromkeys(
        (3, 4), 'pad: `width` from the column "w" cannot be used in this row'
    )


def test_a_function_refuses_in_its_own_words_beside_unusable_arguments() -> None:
    step = Step(name="decimal", arguments=column("sign"))
    result = run(step, ["1,5", "1.5", "1,5", "1.5", ""], {"sign": [",", "", ".", ";", "?"]})
    assert found(result) == ["1.5", "1.5", None, None, None]
    assert details(result) == {
        2: "decimal: not a number as it is described",
        3: 'decimal: `point` from the column "sign" cannot be used in this row',
    }


def test_rules_over_arguments_hold_for_every_row() -> None:
    step = Step(name="pattern", arguments={"find": column("p"), "group": column("g")})
    result = run(step, ["a1", "b2", "c3"], {"p": ["([a-z])([0-9])", "([a-z])", "(["], "g": ["2", "2", "0"]})
    assert found(result) == ["1", None, None]
    assert details(result) == {
        1: 'pattern: `group` from the column "g" cannot be used in this row',
        2: 'pattern: `find` from the column "p" cannot be used in this row',
    }


def test_moments_in_the_zone_of_their_row() -> None:
    step = Step(name="timestamp", arguments={"timezone": column("zone")})
    result = run(
        step,
        ["2024-07-03 10:30"] * 4,
        {"zone": ["Europe/London", "UTC", None, "Mars/Base"]},
        target=Type(Kind.TIMESTAMPTZ),
        source={"timezone": "Asia/Tokyo"},
    )
    assert found(result) == [
        datetime(2024, 7, 3, 9, 30, tzinfo=UTC),
        datetime(2024, 7, 3, 10, 30, tzinfo=UTC),
        datetime(2024, 7, 3, 1, 30, tzinfo=UTC),
        None,
    ]
    assert codes(result) == [(3, "b", "type")]


def test_nothing_usable_at_all_gives_nulls_of_the_right_kind() -> None:
    for name, target in (("date", Kind.DATE), ("timestamp", Kind.TIMESTAMP), ("integer", Kind.INT)):
        step = Step(name=name, arguments={("point" if name == "integer" else "formats"): column("p")})
        result = run(
            step,
            ["1", None],
            {"p": ["no", "no"]},
            target=Type(target, bits=64 if target is Kind.INT else None),
        )
        assert found(result) == [None, None]
        assert codes(result) == [(0, "b", "type")]


def test_formats_of_which_one_names_a_zone_are_not_mixed() -> None:
    step = Step(name="timestamp", arguments=column("f"))
    result = run(
        step,
        ["2024-07-03 10:30", "2024-07-03 10:30Z"],
        {"f": ["YYYY-MM-DD HH:mm", "YYYY-MM-DD HH:mmZ"]},
        target=Type(Kind.TIMESTAMP),
    )
    assert found(result) == [datetime(2024, 7, 3, 10, 30), None]
    assert codes(result) == [(1, "b", "type")]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.text("ab1", max_size=3), st.none() | st.sampled_from(["1", "2", "-1", "0", "x"])
        )
    )
)
def test_the_same_as_one_row_at_a_time(rows: list[tuple[str | None, str | None]]) -> None:
    step = Step(name="slice", arguments={"from": column("n"), "length": "2"})
    whole = run(step, [a for a, _ in rows], {"n": [n for _, n in rows]})
    for place, (a, n) in enumerate(rows):
        alone = run(step, [a], {"n": [n]})
        assert found(whole)[place] == found(alone)[0]
        assert (place in details(whole)) == bool(details(alone))


def test_columns_are_checked_and_count_as_used() -> None:
    steps = (
        Step(name="pad", arguments={"width": column("widht")}),
        Step(name="pad", arguments=column("raw")),
    )
    made = mapping({"b": field("a", do=steps)})
    source = source_table(id=ID.type, a=TEXT, width=TEXT, raw=Type(Kind.BYTES))
    wrong = problems(made, source, target_table(b=TEXT))
    assert [(p.code, p.hint) for p in wrong] == [("unknown_column", "did you mean `width`?"), ("type", "")]
    assert used_columns(made, "source", "people") == {"id", "a", "widht", "raw"}


def test_another_argument_in_every_row() -> None:
    texts = [f"v{n}" for n in range(2000)]
    result = run(Step(name="replace", arguments={"from": column("c"), "to": ""}), texts, {"c": texts})
    assert set(found(result)) == {""}


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows(rows: int) -> None:
    result = run(Step(name="pad", arguments=column("w")), ["x"] * rows, {"w": ["2"] * rows})
    assert found(result) == ["0x"] * rows
