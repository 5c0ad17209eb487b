"""Acme's CRM: a SQLite file that fifteen years of typing have been through, and a CSV export beside it.

What is wrong with which row is placed on purpose and in known numbers (the constants below); everything
else is drawn, always the same for the same seed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

from migrate.demo import values
from migrate.demo.words import COUNTRY, DEAL, FORM, PLACE, REMARK, SIC, STAGE, TRADE

COMPANIES, PEOPLE, DEALS, NOTES, PROSPECTS = 400, 2000, 800, 600, 240
REPS = 14  # of them two have left; ten others and the desk have a user in our CRM

TABLES = """
CREATE TABLE staff (id INTEGER PRIMARY KEY, full_name TEXT, mail TEXT NOT NULL, active INTEGER NOT NULL);
CREATE TABLE companies (
  id INTEGER PRIMARY KEY, company_name TEXT, tel TEXT, fax TEXT, cntry TEXT, sic TEXT, staff_count INTEGER, turnover TEXT,
  web TEXT, rep INTEGER, parent_co INTEGER, main_contact TEXT, created TEXT, deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE people (
  person_no TEXT, first_name TEXT, last_name TEXT, mail TEXT, tel TEXT, co INTEGER, country TEXT, born TEXT,
  newsletter TEXT, vip TEXT, status TEXT NOT NULL, do_not_call TEXT,
  mobile TEXT, pager TEXT
);
CREATE TABLE deals (
  id INTEGER PRIMARY KEY, ref_no TEXT, title TEXT, co INTEGER, person_no TEXT, rep INTEGER, stage TEXT, amount TEXT, prob TEXT,
  closes TEXT, opened TEXT
);
CREATE TABLE notes (id INTEGER PRIMARY KEY, person_no TEXT, body TEXT, written TEXT);
CREATE TABLE audit_log (id INTEGER PRIMARY KEY, what TEXT);
"""


@dataclass
class Acme:
    """What the tables have in common while they are made: rows as lists, by column position of TABLES."""

    staff: list[list[object]] = field(default_factory=list)
    companies: list[list[object]] = field(default_factory=list)
    people: list[list[object]] = field(default_factory=list)
    deals: list[list[object]] = field(default_factory=list)
    notes: list[list[object]] = field(default_factory=list)
    clean_people: list[int] = field(default_factory=list)  # indexes of people whose row has nothing wrong


def acme(random: Random) -> Acme:
    """All rows of Acme's CRM, in memory."""
    made = Acme()
    _staff(random, made)
    _companies(random, made)
    _people(random, made)
    _main_contacts(random, made)
    _deals(random, made)
    _notes(random, made)
    return made


def write_database(path: Path, made: Acme) -> None:
    """`path` becomes the SQLite file; it must not exist."""
    database = sqlite3.connect(path)
    try:
        database.executescript(TABLES)
        for table in ("staff", "companies", "people", "deals", "notes"):
            rows = getattr(made, table)
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        database.executemany("INSERT INTO audit_log VALUES (?, ?)", [(n, "log-in") for n in range(1, 51)])
        database.commit()
    finally:
        database.close()


def _staff(random: Random, made: Acme) -> None:
    for number in range(1, REPS + 1):
        first, last = values.person(random)
        made.staff.append(
            [number, f"{first} {last}", f"rep{number:02d}@crm.example", int(number <= REPS - 2)]
        )


def _companies(random: Random, made: Acme) -> None:
    for number in range(1, COMPANIES + 1):
        name = f"{random.choice(PLACE)} {random.choice(TRADE)} {number} {random.choice(FORM)}".strip()
        if random.random() < 0.1:
            name = f"  {name.replace(' ', '  ', 1)} "
        parent = random.randrange(1, number) if number > 20 and random.random() < 0.25 else None
        made.companies.append([
            number, name, values.telephone(random), "", random.choice(COUNTRY), random.choice(SIC),
            random.choice((None, random.randrange(1, 900), f"{random.randrange(1000, 9000):,}")),
            random.choice(("", values.pounds(random, random.randrange(5_000_000, 900_000_000)))),
            f"HTTPS://www.{values.slug(name)}.example", random.randrange(1, REPS + 1), parent, None,
            values.written_day(random, values.day(random, date(2009, 1, 1), date(2026, 1, 1))) if random.random() < 0.6 else "", 0,
        ])  # fmt: skip
    _spoil_companies(made)


def _spoil_companies(made: Acme) -> None:
    """The last forty: nobody works there except where said, so that what is wrong does not spread over the whole demo."""
    c = made.companies
    for number in (361, 362, 363):
        c[number - 1][1] = "  "  # no name
    c[363][1] = (
        "The Honourable and Worshipful Company of Makers of Very Long Company Names of Penrith, Ripon and Selby"
    )
    c[364][1] = "B" * 90
    c[365][4], c[366][4] = "Ruritania", "??"  # countries that no map knows
    c[367][6], c[368][6] = "about 50", "dozens"  # in a column that is declared INTEGER
    c[369][7] = "ask Margaret"
    c[370][10] = 361  # its parent has no name and waits in quarantine: so does it
    c[371][10] = 9999  # its parent does not exist
    c[372][10], c[373][10] = 374, 373  # each is the parent of the other
    c[374][10] = 375  # its own parent
    c[376][2] = "+44 7911 123456"  # a mobile number
    c[375][1] = "Zoë's Café ☕ & Bäckerei"
    for number in range(385, 401):
        c[number - 1][13] = 1  # deleted


def _people(random: Random, made: Acme) -> None:
    for index in range(PEOPLE):
        first, last = values.person(random)
        company = random.randrange(1, 361)
        domain = f"{values.slug(str(made.companies[company - 1][1]))}.example"
        made.people.append([
            f"{index + 1:06d}", values.cased(random, first), values.cased(random, last),
            values.mail(random, first, last, domain, index + 1) if random.random() < 0.9 else "",
            values.telephone(random), company, random.choice(COUNTRY),
            values.written_day(random, values.day(random, date(1950, 1, 1), date(2004, 1, 1))) if random.random() < 0.7 else "",
            random.choice(("yes", "no", "Y", "n", "ja", "nein", "1", "0", "x", "")), random.choice(("", "", "", "*")), "active",
            {7: "yes", 8: "no", 9: "ask first"}.get(index % 50, ""),
            "07700 900900" if index in (1700, 1701) else "", "",
        ])  # fmt: skip
    spoilt = _spoil_people(made)
    _odd_people(made)
    made.clean_people = [i for i in range(PEOPLE) if i not in spoilt]


def _spoil_people(made: Acme) -> set[int]:
    """Rows 1500 to 1599; returns the indexes of those that something is wrong with."""
    p = made.people
    at = 1500
    for _ in range(10):
        p[at][2] = None if at % 2 else "   "  # no last name
        at += 1
    for text in ("31/02/1980", "1980-13-01", "spring 1971", "00/00/0000", "12/1979", "30 Feb 1990"):
        p[at][7] = text
        at += 1
    for text in ("maybe", "?", "ask", "see mail"):
        p[at][8] = text
        at += 1
    for name in ("Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren", "x" * 60):
        p[at][2] = name
        at += 1
    for _ in range(3):  # the same key twice
        p[at][0] = p[at + 1][0]
        at += 2
    p[at][0], p[at + 1][0] = None, ""  # no key
    at += 2
    for _ in range(6):  # the same e-mail twice; only the target's unique index objects
        p[at][3], p[at + 1][3] = f"Shared.Inbox{at}@acme.example", f"shared.inbox{at}@ACME.example"
        at += 2
    for waiting in (361, 361, 366, 366):  # their company waits in quarantine
        p[at][5] = waiting
        at += 1
    for missing in (7777, 7778, None, 7779):  # their company does not exist
        p[at][5] = missing
        at += 1
    for address in (
        "not known",
        "ada@",
        "@example.org",
        "two@addresses.example, and@more.example",
        "ada.example.org",
    ):
        p[at][3] = address
        at += 1
    p[at][1], p[at][2] = "Chloé 🌻", "d’Arc 🗡️"
    at += 1
    for _ in range(24):
        p[at][10] = "deceased"
        at += 1
    return set(range(1500, at))


def _odd_people(made: Acme) -> None:
    """Rows from 1600 on: what rules warn of or empty, so that the rows still go over."""
    p = made.people
    names = (
        ("Dr. Ada", "Lovelace"), ("Ada", "Lovelace, Ada"), ("Ada", "Pump Works Ltd"), ("Bob2", "Miller"),
        ("kim@acme.example", "Kim"), ("Zoë 🌻", "Young"), ("asdf", "asdf"), ("Mickey", "Mouse"), ("Test", "Test"),
    )  # fmt: skip
    for at, (first, last) in enumerate(names, start=1600):
        p[at][1], p[at][2] = first, last
    addresses = (
        "ada@gmial.com", "bob@outlok.com", "kim@mailinator.com", "info@acme.example", "sales@acme.example",
        "noreply@nowhere.test", "none@none.com", "ada@smallfirm.dev",
    )  # fmt: skip
    for at, address in enumerate(addresses, start=1620):
        p[at][3] = address
    for at, number in enumerate(("1234567890", "0000000000", "+44 7777 777777"), start=1640):
        p[at][4], p[at][11] = number, ""
    for at, day in enumerate(("4/5/2031", "2044-01-01"), start=1650):
        p[at][7] = day


def _main_contacts(random: Random, made: Acme) -> None:
    """A company's main contact works there and is a clean row: accounts and contacts point at each other."""
    by_company: dict[object, list[int]] = {}
    for index in made.clean_people:
        by_company.setdefault(made.people[index][5], []).append(index)
    for company in made.companies:
        staff = by_company.get(company[0])
        if staff and random.random() < 0.8:
            company[11] = made.people[random.choice(staff)][0]


def _deals(random: Random, made: Acme) -> None:
    for number in range(1, DEALS + 1):
        person = made.people[random.choice(made.clean_people)]
        made.deals.append([
            number, f"ac-{number:05d}", f"{random.choice(DEAL)} {random.randrange(2019, 2027)}", person[5],
            person[0] if random.random() < 0.9 else None, random.randrange(1, REPS + 1), random.choice(STAGE),
            values.pounds(random, random.randrange(10_000, 20_000_000)), random.choice(("10%", "25 %", "50%", "75%", "90", "")),
            values.written_day(random, closes := values.day(random, date(2019, 1, 1), date(2027, 6, 1))),
            (closes - timedelta(days=30 + number % 300)).isoformat(),
        ])  # fmt: skip
    d = made.deals
    for index in (721, 722, 723):
        d[index][10] = "2027-12-31"  # closed before it was opened
    d[724][5], d[725][5] = None, None  # nobody's
    for index, company in zip(range(700, 706), (8888, 8889, 361, 385, None, 366), strict=True):
        d[index][3], d[index][4] = company, None  # nobody's deal, or that of a company that stays behind
    d[704][3] = 8890
    for index, stage in zip(range(706, 710), ("on ice", "???", "with legal", "wone"), strict=True):
        d[index][6] = stage
    for index in (710, 711, 712):
        d[index][7] = "(£1,250.00)"  # a minus, which our CRM's own CHECK refuses
    d[713][1], d[714][1] = "ac-00001x", "AC-00001X "  # one code twice, once it is trimmed and in capitals
    d[715][1] = None
    d[716][8], d[717][8] = "140%", "-5%"
    d[718][7] = "a lot"
    d[719][9] = "when ready"
    d[720][4] = made.people[1500][0]  # its contact waits in quarantine


def _notes(random: Random, made: Acme) -> None:
    for number in range(1, NOTES + 1):
        person = made.people[random.choice(made.clean_people)]
        when = values.day(random, date(2020, 1, 1), date(2026, 10, 1))
        at = f"{when.isoformat()} {random.randrange(8, 18):02d}:{random.randrange(60):02d}:{random.randrange(60):02d}"
        made.notes.append([number, person[0], random.choice(REMARK), at])
    n = made.notes
    n[500][1], n[501][1] = "999999", "17"  # no such person: 17 is not 000017
    n[502][1] = made.people[1501][0]  # waits in quarantine
    n[503][2], n[504][2] = " ", None
    n[505][2] = "Long story. " * 60
    n[506][3] = "last Tuesday"
