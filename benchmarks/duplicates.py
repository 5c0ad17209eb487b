"""Pair F1 of `duplicates find` on labelled sets, and its speed on made-up contacts.

    python benchmarks/duplicates.py            # F1 on FEBRL 1-4, restaurants, fake_1000
    python benchmarks/duplicates.py 200000     # seconds and memory for so many contacts, exact and similar
    python benchmarks/duplicates.py 100000 against   # the same between two tables of half as many each

Reads ../shared/data or $MIGRATE_SHARED/data. The rules state what each column is, nothing that was tuned to a set.
"""

from __future__ import annotations

import csv
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

from migrate import api

DATA = Path(os.environ.get("MIGRATE_SHARED", Path(__file__).parents[2] / "shared")) / "data"
FEBRL = (
    "similar: {given_name: name, surname: name, street_number: exact, address_1: address, address_2: address, "
    "suburb: text, postcode: postcode, state: exact, date_of_birth: date, soc_sec_id: exact}"
)
RESTAURANTS = "similar: {name: name, addr: address, city: text, phone: phone}"
PEOPLE = "similar: {first_name: name, surname: name, dob: date, city: text, email: email}"
Pairs = set[tuple[str, str]]


def of_groups(groups: Iterable[Iterable[str]]) -> Pairs:
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def column(path: Path, name: str) -> list[str]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        place = [n.strip() for n in next(rows)].index(name)
        return [row[place].strip() for row in rows]


def febrl(*files: str) -> Pairs:
    groups: dict[str, list[str]] = {}
    for file in files:
        for name in column(DATA / "febrl" / file, "rec_id"):
            groups.setdefault(name.split("-")[1], []).append(name)
    return of_groups(groups.values())


def restaurants() -> Pairs:
    path = DATA / "linkage/restaurants/matches_fodors_zagats.csv"
    return set(zip(column(path, "fodors_id"), column(path, "zagats_id"), strict=True))


def fake_1000() -> Pairs:
    path = DATA / "linkage/splink/fake_1000.csv"
    groups: dict[str, list[str]] = {}
    for name, group in zip(column(path, "unique_id"), column(path, "cluster"), strict=True):
        groups.setdefault(group, []).append(name)
    return of_groups(groups.values())


SETS: tuple[tuple[str, list[str], str, str, Callable[[], Pairs]], ...] = (
    ("FEBRL1", ["febrl/dataset1.csv"], "rec_id", FEBRL, lambda: febrl("dataset1.csv")),
    ("FEBRL2", ["febrl/dataset2.csv"], "rec_id", FEBRL, lambda: febrl("dataset2.csv")),
    ("FEBRL3", ["febrl/dataset3.csv"], "rec_id", FEBRL, lambda: febrl("dataset3.csv")),
    (
        "FEBRL4",
        ["febrl/dataset4a.csv", "febrl/dataset4b.csv"],
        "rec_id",
        FEBRL,
        lambda: febrl("dataset4a.csv", "dataset4b.csv"),
    ),
    (
        "restaurants",
        ["linkage/restaurants/fodors.csv", "linkage/restaurants/zagats.csv"],
        "id",
        RESTAURANTS,
        restaurants,
    ),
    ("fake_1000", ["linkage/splink/fake_1000.csv"], "unique_id", PEOPLE, fake_1000),
)


def quality(wanted: list[str]) -> None:
    print(
        f"{'set':12} {'precision':>9} {'recall':>7} {'F1':>7} {'F1 as guessed':>14} {'review':>7} {'seconds':>8}"
    )
    for name, files, key, rules, truth in SETS:
        if wanted and name not in wanted:
            continue
        places = [str(DATA / file) for file in files]
        right = truth()
        begin = time.perf_counter()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(rules)
            file.flush()
            stated = api.duplicates_find(*places, rules=file.name, key=[key])
        seconds = time.perf_counter() - begin
        guessed = api.duplicates_find(*places, key=[key])
        precision, recall, f1 = score(found_pairs(stated, len(files) > 1), right)
        other = score(found_pairs(guessed, len(files) > 1), right)[2]
        print(
            f"{name:12} {precision:9.4f} {recall:7.4f} {f1:7.4f} {other:14.4f} {stated['review']:7} {seconds:8.1f}",
            flush=True,
        )


def found_pairs(document: dict[str, object], linked: bool) -> Pairs:
    """Within one table every pair of a group; between two, the pairs themselves (their keys may be alike)."""
    if not linked:
        return of_groups(document["clusters"])  # type: ignore[arg-type]
    pairs: list[dict[str, str]] = document["pairs"]  # type: ignore[assignment]
    found = {(p["a"], p["b"]) for p in pairs if p["decided"] == "merge"}
    return {(min(p), max(p)) if p[0].startswith("rec-") else p for p in found}


def score(found: Pairs, right: Pairs) -> tuple[float, float, float]:
    hits = len(found & right)
    precision, recall = hits / max(1, len(found)), hits / max(1, len(right))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def contacts(path: Path, rows: int) -> int:
    """Made-up people, one in five of them twice with mistakes; the number of true pairs."""
    rng = random.Random(7)
    syllables = [a + b for a in "bdfgklmnrstv" for b in "aeio"]

    def word(low: int, high: int) -> str:
        return "".join(rng.choice(syllables) for _ in range(rng.randint(low, high)))

    given, family = [word(2, 3) for _ in range(2_000)], [word(2, 4) for _ in range(40_000)]
    towns, streets = [word(2, 4) for _ in range(3_000)], [word(2, 4) for _ in range(20_000)]
    pairs = 0
    last: list[str] = []
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["id", "first_name", "last_name", "email", "phone", "street", "town", "postcode", "born"]
        )
        for number in range(rows):
            if last and rng.random() < 1 / 6:
                row = list(last)
                for place in rng.sample(range(len(row)), 2):
                    text = row[place]
                    at = rng.randrange(max(1, len(text)))
                    row[place] = rng.choice(
                        [text[:at] + text[at + 1 :], text[:at] + "x" + text[at + 1 :], ""]
                    )
                pairs, last = pairs + 1, []
            else:
                first, name = rng.choice(given), rng.choice(family)
                born = f"{rng.randint(1930, 2008)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
                row = [
                    first, name, f"{first}.{name}{rng.randint(1, 999)}@{rng.choice(towns)}.example",
                    f"0{rng.randint(10**9, 10**10 - 1)}", f"{rng.choice(streets)} street {rng.randint(1, 200)}",
                    rng.choice(towns), f"{rng.randint(10000, 99999)}", born,
                ]  # fmt: skip
                last = row
            writer.writerow([number, *row])
    return pairs


def halves(path: Path) -> list[str]:
    """The table in two files, a line here and a line there."""
    places = [path.with_name(f"half{n}.csv") for n in (0, 1)]
    with path.open() as file, places[0].open("w") as one, places[1].open("w") as two:
        head = file.readline()
        for half in (one, two):
            half.write(head)
        for n, line in enumerate(file):
            (one, two)[n % 2].write(line)
    return [str(p) for p in places]


def speed(rows: int, *, against: bool = False) -> None:
    rules = (
        "same: [[email], [first_name, last_name, born]]\n"
        "similar: {first_name: name, last_name: name, email: email, phone: phone, street: address, town: text, postcode: postcode, born: date}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        table, file = Path(name) / "contacts.csv", Path(name) / "rules.yaml"
        pairs = contacts(table, rows)
        file.write_text(rules)
        places = halves(table) if against else [str(table)]
        begin = time.perf_counter()
        document = api.duplicates_find(*places, rules=file, key=["id"])
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows:,} contacts: {seconds:.0f} s, {peak:,.0f} MB at most, {document['compared']:,} pairs compared, "
        f"{document['merge']:,} merged of {pairs:,} made, {document['review']:,} for review"
    )


if __name__ == "__main__":
    numbers = [a for a in sys.argv[1:] if a.isdigit()]
    if numbers:
        speed(int(numbers[0]), against="against" in sys.argv)
    else:
        quality(sys.argv[1:])
