"""Rows per second of the rules over e-mail addresses and telephone numbers, on one core: `python benchmarks/quality.py`.

30 % of the values are distinct. The target is 150,000 rows/s for both rules together, syntax level (no name servers asked).
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import random
import time

import polars as pl
from migrate.mapping.model import Check
from migrate.transform.quality import About, broken_rows
from migrate.transform.values import TEXT, Values

ROWS, DISTINCT, TARGET = 300_000, 0.3, 150_000


def values(number: int, seed: int) -> tuple[list[str], list[str]]:
    """Addresses and numbers as a CRM has them: most are right, some are not, numbers in several spellings."""
    draw = random.Random(seed)
    mails, phones = [], []
    for n in range(number):
        domain = draw.choice(("gmail.com", "gmial.com", "outlook.com", f"firm{draw.randrange(20_000)}.co.uk"))
        mails.append(draw.choice((f"ada.l{n}@{domain}",) * 19 + (f"ada{n}@", f"ådå{n}@{domain}")))
        digits = f"{draw.randrange(1_000_000):06d}"
        london = f"20 7{digits[:3]} {digits[2:]}"
        phones.append(
            draw.choice(
                (
                    f"+44 {london}",
                    f"0{london}",
                    f"+4479{draw.randrange(10**8):08d}",
                    f"+1 212 5{digits}",
                    f"(0161) 4{digits}",
                )
            )
        )
    return mails, phones


def main() -> None:
    mails, phones = values(int(ROWS * DISTINCT), 1)
    draw = random.Random(2)
    rows = [Values(pl.Series(draw.choices(given, k=ROWS)), TEXT) for given in (mails, phones)]
    rules = [Check(name="email"), Check(name="phone", argument="GB")]
    for check, of in zip(rules, rows, strict=True):  # tables of the libraries are made at first use
        broken_rows(check, Values(of.series.head(100), TEXT), About())
    total = 0.0
    for check, of in zip(rules, rows, strict=True):
        best = min(_seconds(check, of) for _ in range(3))
        total += best
        print(f"{check.name:6} {ROWS / best:12,.0f} rows/s")
    print(f"both   {ROWS / total:12,.0f} rows/s (target {TARGET:,})")


def _seconds(check: Check, of: Values) -> float:
    begin = time.process_time()
    broken_rows(check, of, About())
    return time.process_time() - begin


if __name__ == "__main__":
    main()
