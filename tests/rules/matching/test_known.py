"""Values by which somebody is known in another table, over files as a run leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.duck import workspace
from migrate.rules.matching.known import LARGEST, Like, Rule, There, find_known, like_of


def met(
    folder: Path, here: Sequence[str | None], there: Sequence[str | None], like: Like
) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """Pairs of places here and keys there, and the values that stand for nobody."""
    mine, theirs = folder / "rows.parquet", folder / "target.parquet"
    pq.write_table(pa.table({"__rid": range(len(here)), "v": pa.array(here, pa.string())}), mine)
    keys = [f"t{n}" for n in range(len(there))]
    pq.write_table(pa.table({"tkey": keys, "c.v": pa.array(there, pa.string())}), theirs)
    rule = Rule("v", "contacts", like, "contacts by v", (There((theirs,), "c.v"),))
    with workspace(folder / "temp") as db:
        nobody = find_known(db, [mine], [rule], free_mail=["gmail.com"])
        pairs = db.execute("SELECT rid, tkey FROM pairs ORDER BY ALL").fetchall()
    return pairs, nobody


@pytest.mark.parametrize(
    ("like", "one", "other", "same"),
    [
        ("email", "ADA@Acme.example ", "ada@acme.EXAMPLE", True),
        ("email", "none@none.com", "none@none.com", False),
        ("phone", "+44 113 496 0999", "0113 4960999", True),
        ("phone", "0000000", "0000000", False),
        ("domain", "ada@acme.example", "https://www.acme.example/about?x=1", True),
        ("domain", "ada@acme.example", "acme.example:8080", True),
        ("domain", "ada@acme.example", "info@acme.example", True),
        ("domain", "ada@gmail.com", "gmail.com", False),
        ("domain", "none@none.com", "none.com", False),
        ("domain", "localhost", "localhost", False),
        ("domain", "ada@notacme.example", "acme.example", False),
        ("exact", "GB 123-45", "gb12345", True),
    ],
)
def test_what_is_equal(tmp_path: Path, like: Like, one: str, other: str, same: bool) -> None:
    assert met(tmp_path, [None, one, ""], [None, "", other], like)[0] == ([(1, "t2")] if same else [])


def test_a_hundred_thousand_rows_with_one_address_are_nobody(tmp_path: Path) -> None:
    many = ["nobody.knows@acme.example"] * 100_000
    assert met(tmp_path, [*many, "ada@acme.example"], [many[0], "ada@acme.example"], "email") == (
        [(100_000, "t1")],
        {"contacts by v": 1},
    )
    assert met(tmp_path, many[:1], many, "email") == ([], {"contacts by v": 1})


def test_a_value_that_too_many_share_there_is_nobody_and_a_company_has_many_leads(tmp_path: Path) -> None:
    shared = ["desk@acme.example"] * (LARGEST + 1)
    assert met(tmp_path, shared[:1], shared, "email") == ([], {"contacts by v": 1})
    assert len(met(tmp_path, shared, ["acme.example"], "domain")[0]) == LARGEST + 1
    assert met(tmp_path, shared[:1], ["acme.example"] * (LARGEST + 1), "domain") == ([], {"contacts by v": 1})


def test_names_tell_how_values_are_compared() -> None:
    assert like_of("mail", "x", domain=False) == like_of("x", "email", domain=False) == "email"
    assert like_of("mobile", "mobile", domain=False) == "phone"
    assert like_of("vat", "vat_id", domain=False) == "exact"
    assert like_of("email", "website", domain=True) == "domain"
