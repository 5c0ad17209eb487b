"""The messy spellings: one fact, written the ways that people and exports write it."""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta
from random import Random

from migrate.demo.words import FIRST, LAST, MONTH


def person(random: Random) -> tuple[str, str]:
    return random.choice(FIRST), random.choice(LAST)


def cased(random: Random, name: str) -> str:
    """A name as somebody typed it: in capitals, in small letters, with blanks around it."""
    return random.choice((name, name, name, name, name.upper(), name.lower(), f" {name}", f"{name} "))


def slug(text: str) -> str:
    """ASCII letters and digits only, as in an e-mail address or a domain."""
    plain = (
        unicodedata.normalize("NFKD", text.replace("ø", "o").replace("ł", "l"))
        .encode("ascii", "ignore")
        .decode()
    )
    return "".join(c for c in plain.lower() if c.isalnum())


def mail(random: Random, first: str, last: str, domain: str, number: int) -> str:
    """Unique by its number; sometimes in capitals or with a blank behind it."""
    address = f"{slug(first)}.{slug(last)}{number}@{domain}"
    return random.choice((address, address, address, address.upper(), address.title(), f"{address} "))


def telephone(random: Random) -> str:
    """One of Ofcom's numbers for drama, or what people put into that field instead."""
    number = f"{random.randrange(1000):03d}"
    odd = ("tbc", "see notes", "12", "") if random.random() < 0.06 else ()
    return random.choice(
        odd
        or (
            f"020 7946 0{number}",
            f"+44 20 7946 0{number}",
            f"+44 (0)20 7946 0{number}",
            f"0044 20 7946 0{number}",
            f"(0161) 496-0{number}",
            f"07700.900{number}",
            f"07700 900{number} ",
        )
    )


def day(random: Random, first: date, last: date) -> date:
    return first + timedelta(days=random.randrange((last - first).days))


def written_day(random: Random, when: date, *, dots: bool = False) -> str:
    """A date in one of three formats that cannot be mistaken for each other."""
    sign = "." if dots else "/"
    return random.choice(
        (
            f"{when.day}{sign}{when.month}{sign}{when.year}",
            when.isoformat(),
            f"{when.day} {MONTH[when.month - 1]} {when.year}",
        )
    )


def pounds(random: Random, amount: int) -> str:
    """An amount in whole pence as people write it; currency sign, groups and all."""
    value = f"{amount // 100:,}.{amount % 100:02d}"
    return random.choice((f"£{value}", f"GBP {value}", value, value.replace(",", ""), f"{value} GBP"))


def euros(amount: int) -> str:
    """As an Excel in Germany writes it: 1.234,50 €."""
    return f"{amount // 100:,}".replace(",", ".") + f",{amount % 100:02d} €"
