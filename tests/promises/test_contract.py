"""P23: the mask that decides about rows and the published pandera schema say the same; nothing drops rows silently."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import api
from migrate.api.contracts import contract_of
from migrate.errors import UsageError
from migrate.mapping.model import Check, Entity, Field
from migrate.transform.checks import failing
from migrate.transform.quality import About
from migrate.transform.values import TEXT, Values
from pandera.errors import SchemaErrors

from tests.runs import bare

TODAY = date(2026, 11, 28)
RULES = [
    Check(name="in", argument=("open", "won")),
    Check(name="pattern", argument="[A-Za-z@. ]*"),
    Check(name="range", argument={"min": "0", "max": "10"}),
    Check(name="min_length", argument="2"),
    Check(name="max_length", argument="6"),
    Check(name="email", argument={"unknown": "quarantine", "risky": "warn"}),
    Check(name="phone", argument="GB"),
    Check(name="person"),
    Check(name="not_test_data"),
    Check(name="not_after", argument="today"),
    Check(name="not_before", argument="2001-01-01"),
    Check(name="fresh", argument="12 months"),
]
VALUES = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "open", "asdf", "ADA", "Acme Ltd", "ada@gmail.com", "ada@gmial.com", "info@x.de", "none@none.com", "020 7946 0018",
         "12", "7", "99", "2026-11-29", "1999-01-01", "2026-01-01", "Lovelace, Ada", "1234567890"]
    ),
    st.text("abZ@. 1", max_size=8),
)  # fmt: skip


def entity(rules: list[Check]) -> Entity:
    fields = {f"c{n}": Field(from_="a", check=(rule,)) for n, rule in enumerate(rules)}
    return Entity(name="e", table="t", key=("id",), into="t", fields=fields)


def broken(frame: pl.DataFrame, schema: object) -> set[tuple[str, int]]:
    """(rule's column, row) of every failure case."""
    try:
        schema.validate(frame, lazy=True)  # type: ignore[attr-defined]
    except SchemaErrors as error:
        cases = error.failure_cases
        return set(zip(cases["column"].to_list(), cases["index"].to_list(), strict=True))
    return set()


@pytest.mark.promise(23)
@settings(max_examples=25, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=25))
def test_p23_the_contract_and_the_masks_agree_row_for_row(texts: list[str | None]) -> None:
    series = pl.Series("", texts, dtype=pl.String)
    masks = {
        (f"c{n}", row)
        for n, rule in enumerate(RULES)
        for one in failing(rule, Values(series, TEXT), About(today=TODAY))
        if (one.outcome or rule.on_fail) != "warn"
        for row in range(len(texts))
        if one.mask[row]
    }
    frame = pl.DataFrame({f"c{n}": series for n in range(len(RULES))})
    assert broken(frame, contract_of(entity(RULES), None, TODAY)) == masks


def test_checks_are_named_by_their_rules_and_rows_are_never_dropped() -> None:
    schema = contract_of(
        entity([*RULES, Check(name="expr", argument="a = 1"), Check(name="phone", on_fail="warn")]),
        None,
        TODAY,
    )
    names = {check.error for column in schema.columns.values() for check in column.checks}
    assert names == {rule.name for rule in RULES}
    assert schema.metadata["not_promised"] == ["c12: expr", "c13: phone"]
    assert schema.drop_invalid_rows is False


@pytest.mark.promise(23)
def test_p23_loaded_rows_keep_the_contract_and_quarantined_ones_break_it(tmp_path: Path) -> None:
    source = (
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, mail TEXT)",
        """INSERT INTO people VALUES (1, 'Ada', 'ada@gmail.com'), (2, NULL, 'bob@gmail.com'), (3, 'asdf', 'nobody'),
            (4, 'Di', 'di@'), (5, 'Ed', 'ed@gmail.com'), (6, 'Flo', 'ed@gmail.com')""",
    )
    target = ("CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT, email TEXT)",)
    entities = """
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      name: {from: name, check: [required, not_test_data]}
      email: {from: mail, check: [email, unique]}
"""
    made = bare(tmp_path, source, target, entities)
    made.run()
    quarantined = {int(key.strip('[]"')) for key in made.codes("contacts")}
    schema = api.contract(made.mapping, "contacts")
    columns = ["name", "email"]
    loaded = pl.DataFrame(made.target.rows("SELECT name, email FROM contacts"), schema=columns, orient="row")
    assert schema.validate(loaded, lazy=True).height == loaded.height == 6 - len(quarantined)
    came = pl.DataFrame(
        made.source.rows("SELECT name, mail FROM people ORDER BY id"), schema=columns, orient="row"
    )
    assert {row + 1 for _, row in broken(came, schema)} == quarantined == {2, 3, 4, 5, 6}
    with pytest.raises(UsageError, match="no entity"):
        api.contract(made.mapping, "nobody")
