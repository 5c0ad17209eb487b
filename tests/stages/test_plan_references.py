"""References held against both catalogues: every mistake has its place, and none waits until the load."""

from __future__ import annotations

from pathlib import Path

from migrate.mapping.load import load_mapping
from migrate.model import Column, Kind, Schema, Table, Type
from migrate.stages.plan import held_against

TEXT, INT, UUID = Type(Kind.TEXT), Type(Kind.INT, bits=64, native="bigint"), Type(Kind.UUID, native="uuid")
SHORT = Type(Kind.TEXT, length=18, native="varchar(18)")
MOMENT = Type(Kind.TIMESTAMPTZ, native="timestamptz")
HEAD = """migrate: 1
name: demo
source: {system: acme, url: "sqlite:///source.db"}
target: {url: "postgresql://me@host/crm"}
entities:
  accounts: {from: companies, key: id, into: accounts, fields: {name: name}}
  numbered: {from: companies, key: id, into: numbered, fields: {name: name}}
  pairs: {from: companies, key: id, into: pairs, fields: {a: id, b: id}}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
"""


def table(called: str, /, key: tuple[str, ...] = ("id",), **types: Type) -> Table:
    return Table(
        called, tuple(Column(n, t, nullable=n not in key) for n, t in types.items()), primary_key=key
    )


SOURCE = Schema(
    "sqlite",
    "3",
    (
        table("companies", id=INT, name=TEXT, logo=Type(Kind.BYTES)),
        table("people", id=INT, co=TEXT, land=TEXT, nr=INT, photo=Type(Kind.BYTES)),
    ),
)
TARGET = Schema(
    "postgresql",
    "15",
    (
        table("accounts", id=UUID, name=TEXT, code=INT),
        table("numbered", id=INT, name=TEXT),
        table("pairs", key=("a", "b"), a=INT, b=INT),
        table("contacts", id=UUID, text=TEXT, number=INT, account=UUID, short=SHORT, moment=MOMENT),
    ),
)


def problems(folder: Path, *fields: str) -> list[str]:
    """line:column [code] message (hint) of everything wrong with these fields of `contacts`, which begin in line 14."""
    file = folder / "m.yaml"
    file.write_text(HEAD + "".join(f"      {field}\n" for field in fields), encoding="utf-8")
    mapping = load_mapping(file, {})
    held = held_against(mapping, {"source": SOURCE}, TARGET, engine="postgresql", now="2026-11-20T10:00:00Z")
    return [
        f"{p.where.removeprefix(f'{file}:')} [{p.code}] {p.message}" + (f" ({p.hint})" if p.hint else "")
        for p in held.problems
    ]


def test_what_is_right_is_right(tmp_path: Path) -> None:
    assert not problems(
        tmp_path,
        "account: {from: co, ref: {to: accounts, by: name}}",
        "text: {from: co, ref: {to: [accounts, numbered], by: name}}",
        "number: {from: [co, nr], ref: {to: numbered, by: [name, id]}}",
        "short: {from: nr, ref: numbered}",
    )


def test_columns_by_which_rows_are_named(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "account: {from: co, ref: {to: accounts, by: nmae}}",
        "text: {from: co, ref: {to: [accounts, numbered], by: logo}}",
        "number: {from: [co, photo], ref: {to: numbered, by: [name, id]}}",
        "short: {from: [co, nummer], ref: {to: numbered, by: [name, id]}}",
    ) == [
        '14:47 [unknown_column] `accounts` is read from companies, which has no column "nmae" (did you mean `name`?)',
        '15:56 [key_type] rows of `accounts` cannot be named by "logo": it holds bytes values',
        '15:56 [key_type] rows of `numbered` cannot be named by "logo": it holds bytes values',
        '16:16 [type] "photo" holds bytes values, which name no row',
        '17:15 [unknown_column] the source table people has no column "nummer"',
    ]


def test_keys_that_do_not_fit_the_column(tmp_path: Path) -> None:
    """Each of several entities is asked; a UUID that new rows get, too."""
    assert problems(
        tmp_path,
        "number: {from: co, ref: {to: [numbered, accounts]}}",
        "account: {from: nr, ref: numbered}",
        "short: {from: co, ref: accounts}",
        "moment: {from: co, ref: accounts}",
        "text: {from: co, ref: pairs}",
    ) == [
        '14:7 [type] "number" holds bigint: the keys of accounts are accounts.id (uuid) (is this the right column?)',
        '15:7 [type] "account" holds uuid: the keys of numbered are numbered.id (bigint) (is this the right column?)',
        '16:7 [type] "short" holds varchar(18), which is too short: the keys of accounts are accounts.id (uuid) (is this the right column?)',
        '17:7 [type] "moment" holds timestamptz, which is no kind of key: the keys of accounts are accounts.id (uuid) '
        "(is this the right column?)",
        "18:7 [composite_key] pairs has a key of several columns, so one column cannot refer to it",
    ]


def test_lookups(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "account: {from: co, find: {in: acounts, by: name}}",
        "text: {from: co, find: {in: accounts, by: nam, give: kode, missing: {find: {in: pairs, a: '1'}}}}",
        "number: {from: co, ref: {to: numbered, missing: {find: {in: nowhere, by: name}}}}",
    ) == [
        "14:7 [unknown_table] the target has no table 'acounts' (check the name, and that this user may see it)",
        "15:7 [unknown_column] accounts has no column 'nam' (did you mean `name`?)",
        "15:7 [unknown_column] accounts has no column 'kode' (did you mean `code`?)",
        "15:7 [composite_key] pairs has no primary key of one column, so a lookup has no single result (say which column it gives: give: …)",
        "16:7 [unknown_table] the target has no table 'nowhere' (check the name, and that this user may see it)",
    ]
    assert problems(
        tmp_path,
        "account: {from: co, find: {in: accounts, by: name, give: code}}",
        "text: {from: co, find: {in: pairs, a: '1', give: b}}",
        "number: {from: co, find: {in: accounts, by: name}}",
    ) == [
        '14:7 [type] "account" holds uuid: accounts.code holds bigint (is this the right column?)',
        '16:7 [type] "number" holds bigint: accounts.id holds uuid (is this the right column?)',
    ]


def test_matches_on_references(tmp_path: Path) -> None:
    """What a row is found by must be known when it is looked for."""
    tail = """
  calls:
    from: people
    key: id
    into: contacts
    match: [account, text]
    fields: {account: {from: nr, ref: {to: accounts, by: id%s}}, text: {from: nr, ref: calls}}
  tasks: {from: people, key: id, into: contacts, match: [number], fields: {number: {from: co, find: {in: accounts, by: name, give: code}}}}
"""
    assert problems(tmp_path, "text: co", tail % ", missing: {default: x}") == [
        "20:5 [match_on_reference] rows are found by `account` before it is known what stands in for a row that is missing "
        "(let `missing` and `ambiguous` be quarantine, empty_and_flag or stop, or match by other columns)",
        "20:5 [match_on_reference] `text` is filled in a second pass, so no row can be found by it (match by other columns)",
        "22:50 [match_on_reference] `number` is a lookup; matching on lookups is not built yet in this version (match by other columns)",
    ]
    assert len(problems(tmp_path, "text: co", tail % ", missing: {default: null}, ambiguous: stop")) == 2
