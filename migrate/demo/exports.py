"""Acme's list of prospects, as an Excel in Germany saved it: cp1252, semicolons, decimal commas."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from random import Random

from migrate.demo import values
from migrate.demo.source import PROSPECTS, Acme
from migrate.demo.words import COUNTRY, PLACE, TRADE

HEADER = "Id;Firm;Contact;E-Mail;Country;Interest;Value;Received"
KNOWN_ALREADY = ("lead1@known.example", "lead2@known.example")  # leads that our CRM has, in other capitals
CUSTOMERS = ("Customer7@Own.example", "customer23@own.example")  # prospects who are contacts of our CRM

_COMPANY, _WEB = 30, 8  # the row of one company, and the place of its web site


def write_prospects(path: Path, random: Random, made: Acme) -> None:
    """The CSV file, with a header and one record per line; the records that cannot be read are among them, and people
    who are customers already: ours, Acme's own (`made`), and somebody who works for one."""
    records = [_record(random, number) for number in range(1, PROSPECTS + 1)]
    lines = [_line(record) for record in _spoilt(_known(records, made))]
    lines[99] = lines[99].replace(b";", b";Ripon;", 1)  # a semicolon too many
    lines[100] = lines[100].rsplit(b";", 2)[0]  # two too few
    lines[101] = lines[101].replace(b";", b";\x81\x8d ", 1)  # bytes that cp1252 does not have
    path.write_bytes(b"\r\n".join([HEADER.encode("cp1252"), *lines, b""]))


def _record(random: Random, number: int) -> list[str]:
    first, last = values.person(random)
    firm = f"{random.choice(PLACE)} {random.choice(TRADE)}"
    return [
        f"P-{number:04d}",
        firm,
        values.cased(random, f"{first} {last}"),
        values.mail(random, first, last, "prospect.example", number),
        random.choice([c for c in COUNTRY if c]),
        random.choice(("Pumps & valves", 'the "big" one', "training; spare parts", "")),
        values.euros(random.randrange(50_000, 5_000_000)) if random.random() < 0.8 else "-",
        values.written_day(random, values.day(random, date(2025, 1, 1), date(2026, 11, 1)), dots=True),
    ]


def _known(records: list[list[str]], made: Acme) -> list[list[str]]:
    theirs = [str(made.people[i][3]).strip() for i in made.clean_people if made.people[i][3]][-2:]
    works_for = f"buyer@{str(made.companies[_COMPANY][_WEB]).lower().removeprefix('https://www.')}"
    for place, address in enumerate((*CUSTOMERS, *theirs, works_for), start=120):
        records[place][3] = address
    return records


def _spoilt(records: list[list[str]]) -> list[list[str]]:
    records[110][0] = records[111][0]  # the same key twice
    records[112][0] = ""
    records[113][3], records[114][3] = (address.title() for address in KNOWN_ALREADY)
    records[115][3] = ""
    records[116][7], records[117][7] = "31.2.2026", "soon"
    records[118][4] = "Atlantis"
    for first, second in zip(records[130:136], records[140:146], strict=True):
        second[1:4] = [first[1].upper(), first[2], first[3].title()]  # the same prospect, typed in twice
    records[148][3] = records[149][3] = (
        "Reception@shared.example"  # two firms, one address: a person has to decide
    )
    records[146][3], records[147][3] = "ada@", "none@none.com"  # nobody is there
    return records


def _line(record: list[str]) -> bytes:
    quoted = ['"' + cell.replace('"', '""') + '"' if set(cell) & set(';"\n') else cell for cell in record]
    return ";".join(quoted).encode("cp1252", "replace")
