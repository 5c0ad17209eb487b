"""A first mapping: which names mean the same, which values go with which options, and a text that is YAML again."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from migrate.model import Column, ForeignKey, Kind, Table, Type
from migrate.rules.profiling import ColumnProfile
from migrate.rules.suggestion import Facts, Seen, suggest
from migrate.rules.suggestion.names import alike, words
from migrate.rules.suggestion.text import scalar, value

TEXT, INT, DATE = Type(Kind.TEXT), Type(Kind.INT), Type(Kind.DATE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cntry", "country"),
        ("tel", "phone_number"),
        ("npe01__Payment_Amount__c", "payment_amount"),
        ("staff_count", "employees"),
        ("FirstName", "first_name"),
        ("mail", "E-Mail"),
        ("rep", "owner_id"),
        ("date_of_birth", "BirthDate"),
        ("prob", "probability"),
        ("Oppertunity", "deal"),
    ],
)
def test_names_that_mean_the_same(one: str, other: str) -> None:
    assert alike(one, other) >= 0.7
    assert alike(other, one) >= 0.7


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("first_name", "last_name"),
        ("rep", "employees"),
        ("id", "country"),
        ("mobile", "phone"),
        ("created", "updated"),
    ],
)
def test_names_that_do_not(one: str, other: str) -> None:
    assert alike(one, other) < 0.5


def test_the_table_says_nothing_new_in_a_column_of_it() -> None:
    assert alike("company_name", "name", around=("companies", "accounts")) == 1.0
    assert alike("company_name", "name") < 1.0
    assert words("") == ()


@given(st.text(max_size=40))
def test_whatever_a_column_is_called_it_can_be_written_and_read_again(name: str) -> None:
    assert yaml.safe_load(f"- {scalar(name)}") == [name]
    assert yaml.safe_load(f"x: {value({'from': [name], name or 'a': 'b'})}")["x"]["from"] == [name]
    assert alike(name, name) in (0.0, 1.0)


def seen(
    name: str,
    type_: Type,
    *values: str,
    rows: int = 0,
    nullable: bool = True,
    looks: dict[str, int] | None = None,
) -> Seen:
    filled = list(values)
    profile = ColumnProfile(
        name, type_.kind, rows or len(filled), (rows or len(filled)) - len(filled), len(set(filled)), True,
        top=tuple((v, filled.count(v)) for v in dict.fromkeys(filled)), looks_like=looks or {},
        max_length=max(map(len, filled), default=None),
    )  # fmt: skip
    return Seen(Column(name, type_, nullable=nullable), profile if filled or rows else None)


def side(**tables: tuple[Table, list[tuple[Seen, tuple[str, ...]]]]) -> Facts:
    held = {(t, s.name): v for t, (_, columns) in tables.items() for s, v in columns}

    def values(table: str, column: str) -> list[tuple[str, int]]:
        found = held[(table, column)]
        return [(v, found.count(v)) for v in dict.fromkeys(found)]

    return Facts(
        {name: table for name, (table, _) in tables.items()},
        {name: {s.name: s for s, _ in columns} for name, (_, columns) in tables.items()},
        {name: max((len(v) for _, v in columns), default=0) for name, (_, columns) in tables.items()},
        values,
    )


def table(
    name: str,
    columns: list[tuple[Seen, tuple[str, ...]]],
    key: tuple[str, ...] = (),
    fks: tuple[ForeignKey, ...] = (),
) -> tuple[Table, list[tuple[Seen, tuple[str, ...]]]]:
    return Table(name, tuple(s.column for s, _ in columns), primary_key=key, foreign_keys=fks), columns


def column(
    name: str, type_: Type, *values: str, nullable: bool = True, looks: dict[str, int] | None = None
) -> tuple[Seen, tuple[str, ...]]:
    return seen(name, type_, *values, nullable=nullable, looks=looks), values


IDS = tuple(str(n) for n in range(1, 13))


def worlds() -> tuple[Facts, Facts]:
    source = side(
        companies=table("companies", [column("no", TEXT, *IDS), column("company_name", TEXT, *(f"Firm {n}" for n in IDS)),
                                      column("status", TEXT, *(["NEW", "won "] * 6))]),
        people=table("people", [column("nr", TEXT, *IDS), column("co", TEXT, *IDS), column("surname", TEXT, *(f"P{n}" for n in IDS)),
                                column("mail", TEXT, *(f"p{n}@x.org" for n in IDS), looks={"email": 12})]),
    )  # fmt: skip
    target = side(
        accounts=table("accounts", [column("id", INT), column("name", TEXT, nullable=False),
                                    column("stage", Type(Kind.TEXT, labels=("new", "won", "lost"))), column("legacy_id", TEXT)], ("id",)),
        contacts=table("contacts", [column("id", INT), column("account_id", INT), column("last_name", TEXT), column("email", TEXT),
                                    column("shoe_size", INT, nullable=False)],
                       ("id",), (ForeignKey("fk", ("account_id",), "accounts", ("id",)),)),
    )  # fmt: skip
    return source, target


def test_tables_keys_references_options_and_what_must_have_a_value() -> None:
    found = {e.name: e for e in suggest(*worlds()).entities}
    assert {(e.source, e.into) for e in found.values()} == {("companies", "accounts"), ("people", "contacts")}
    accounts = {c.column: c for c in found["accounts"].fields}
    assert (found["accounts"].key, found["accounts"].match) == (("no",), ("legacy_id",))
    assert accounts["name"].says == {"from": "company_name", "check": "required"}
    assert accounts["legacy_id"].says == {"from": "no"}
    assert accounts["stage"].says["map"] == {"NEW": "new", "won ": "won"}
    assert "id" not in accounts
    contacts = {c.column: c for c in found["contacts"].fields}
    assert contacts["account_id"].says == {"from": "co", "ref": "accounts"}
    assert contacts["last_name"].says == {"from": "surname"}
    assert contacts["shoe_size"].says == {"expr": "CAST(NULL AS BIGINT)", "check": "required"}
    assert "must have a value" in contacts["shoe_size"].doubts[0]


def test_the_same_facts_give_the_same_suggestion() -> None:
    assert suggest(*worlds()) == suggest(*worlds())


def test_nothing_is_suggested_where_nothing_is_alike() -> None:
    one = side(x=table("x", [column("a", INT, "1")]))
    other = side(contacts=table("contacts", [column("email", TEXT)], ("email",)))
    found = suggest(one, other)
    assert (found.entities, found.left, found.waiting) == ((), ("x",), ("contacts",))


@pytest.mark.parametrize(
    ("mine", "theirs", "says"),
    [
        (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, "which zone are these times of?"),
        (Kind.TIMESTAMPTZ, Kind.TIMESTAMP, "in which zone is the target to show these moments?"),
        (Kind.TEXT, Kind.TIMESTAMPTZ, "do all texts name their zone?"),
        (Kind.TEXT, Kind.TIMESTAMP, None),
        (Kind.TIMESTAMP, Kind.TIMESTAMP, None),
        (Kind.TIMESTAMPTZ, Kind.TIMESTAMPTZ, None),
    ],
)
def test_a_suggestion_asks_for_the_zone_where_one_is_to_be_stated(
    mine: Kind, theirs: Kind, says: str | None
) -> None:
    source = side(calls=table("calls", [column("id", INT, *IDS), column("started_at", Type(mine))]))
    target = side(calls=table("calls", [column("id", INT), column("started_at", Type(theirs))], ("id",)))
    (entity,) = suggest(source, target).entities
    (choice,) = (c for c in entity.fields if c.column == "started_at")
    asked = [doubt for doubt in choice.doubts if "zone" in doubt]
    assert [doubt.startswith(says or "") for doubt in asked] == ([True] if says else [])
    assert all("`timezone`" in doubt for doubt in asked)
