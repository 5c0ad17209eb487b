"""Functions of `do` through a whole run: arguments from columns, what fails is set aside with its words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.runs import bare

PEOPLE = "CREATE TABLE people(id INTEGER PRIMARY KEY, full TEXT, tel TEXT, tel2 TEXT, land TEXT, mail TEXT, st TEXT, note TEXT, extra TEXT)"
CONTACTS = (
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, given TEXT, family TEXT, phone TEXT, country TEXT, state TEXT, email TEXT, "
    "domain TEXT, note TEXT, city TEXT, code TEXT)"
)
MAPPED = """
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      given: {from: full, do: [{name: given}, {title: {names: yes}}]}
      family: {from: full, do: [{name: family}, {title: {names: yes}}]}
      phone: {from: tel, do: [{first_of: {from: tel2}}, {phone: {region: {from: land}}}]}
      country: {from: land, do: country}
      state: {from: st, do: [{state: {country: {from: land}, to: iso}}]}
      email: {from: mail, do: [{email: lower}, plus_tag]}
      domain: {from: mail, do: domain}
      note: {from: note, do: html_to_markdown}
      city: {from: extra, do: [{json: "$.city"}]}
      code: {from: id, do: [{pad: 5}, {join: {with: [{from: st}, {from: land}], on: "-"}}, {mask: {first: 5}}]}
    examples:
      - given: {id: 1, full: "Ada Lovelace", tel: "020 7946 0958", land: UK}
        expect: {phone: "+442079460958", family: Lovelace}
"""


def test_functions_over_a_whole_run(tmp_path: Path) -> None:
    world = bare(tmp_path, [PEOPLE], [CONTACTS], MAPPED)
    world.source.fill(
        "people",
        [
            (1, "O'NEIL, ADA", " ", "020 7946 0958", "UK", "Ada <Ada+crm@X.com>", None, "<b>Hi</b><br>you", '{"city": "Leeds"}'),
            (2, "Ludwig van der Rohe", "(202) 555-0143 x7", None, "USA", None, "Illinois", "plain < text", "{}"),
            (3, "Cy", "0207946", None, "Narnia", "none", None, None, "not JSON"),
            (4, None, None, None, None, None, "US-CA", None, None),
        ],
    )  # fmt: skip
    assert world.command("test", str(world.write())).code == 0
    world.run()
    assert sqlite3.connect(world.target.path).execute(
        "SELECT given, family, phone, country, state, email, domain, note, city, code FROM contacts ORDER BY code"
    ).fetchall() == [
        ("Ada", "O'Neil", "+442079460958", "GB", None, "ada@x.com", "x.com", "**Hi**  \nyou", "Leeds", "00001***"),
        ("Ludwig", "van der Rohe", "+12025550143 ext. 7", "US", "US-IL", None, None, "plain < text", None, "00002*************"),
        (None, None, None, None, "US-CA", None, None, None, None, "00004******"),
    ]  # fmt: skip
    (bad,) = world.command("quarantine", "show", "latest", "3", "--json").document
    assert bad["reasons"] == [
        "city: type (json: not JSON)",
        "country: type (country: no country of ISO 3166 is called so, or several are)",
        "domain: type (domain: no domain is in it)",
        "email: type (email: not an e-mail address)",
        'phone: type (phone: `region` from the column "land" cannot be used in this row)',
    ]


def test_a_column_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    world = bare(
        tmp_path, [PEOPLE], [CONTACTS], MAPPED.replace("region: {from: land}", "region: {from: lond}")
    )
    said = world.says(code=2)
    assert 'has no column "lond"' in said
    assert "did you mean `land`?" in said
    line = next(n for n, text in enumerate(world.mapping.read_text().splitlines(), 1) if "lond" in text)
    assert f"m.yaml:{line}:" in said
