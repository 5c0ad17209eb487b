"""`similar` inside a whole run: what is alike becomes one row, and a resumed run and the next one decide it the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from migrate import failpoints

from tests import services
from tests.runs import World, balance, bare

services.needed("splink")

MAPPED = """
  contacts:
    from: people
    key: id
    into: contacts
    match: [email]
    fields: {first: given, last: family, born: birth, email: mail}
    duplicates: {similar: {first: name, last: name, born: date, email: email}, survive: {email: first_filled}}
"""
GIVEN = ("Ada", "Bruno", "Clara", "Dmitri", "Edith", "Farid", "Greta", "Hugo", "Irene", "Jonas")
FAMILY = (
    "Lovelace",
    "Marchetti",
    "Novak",
    "Okafor",
    "Petersen",
    "Quintero",
    "Rasmussen",
    "Schneider",
    "Takahashi",
)


def people() -> list[tuple[str, str, str, str, str | None]]:
    """Ninety persons; every ninth of them twice, with a letter missing in the name, and once without an address."""
    rows: list[tuple[str, str, str, str, str | None]] = []
    for n in range(90):
        first, last = GIVEN[n % 10], FAMILY[n % 9]
        born, mail = (
            f"19{40 + n % 50}-{1 + n % 12:02}-{1 + n % 28:02}",
            f"{first}.{last}.{n}@example.com".lower(),
        )
        rows.append((f"{n:03}", first, last, born, mail))
        if n % 9 == 0:
            rows.append((f"{n:03}b", first, last[:3] + last[4:], born, None if n % 2 else mail))
    return rows


def world(folder: Path) -> World:
    made = bare(
        folder,
        ["CREATE TABLE people(id TEXT PRIMARY KEY, given TEXT, family TEXT, birth TEXT, mail TEXT)"],
        ["CREATE TABLE contacts(id TEXT PRIMARY KEY, first TEXT, last TEXT, born DATE, email TEXT)"],
        MAPPED,
    )
    made.source.fill("people", people())
    return made


@pytest.mark.promise(21)
@pytest.mark.promise(26)
def test_a_resumed_run_and_the_next_run_decide_what_is_alike_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = world(tmp_path)
    plain = failpoints.hit

    def stop(name: str) -> None:
        plain(name)
        if name == "transform.before_settle":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hit", stop)
        small.run(code=9)
    (path,) = small.home.glob("runs/*/transform/contacts/weights.json")
    trained = path.read_bytes()
    assert b"Lovelace" not in trained
    document = small.run()
    assert document["resumed"]
    assert path.read_bytes() == trained
    merged = balance(document, "contacts")["merged"]
    assert 7 <= merged <= 10
    rows = small.target.rows("SELECT * FROM contacts ORDER BY id")
    assert len(rows) == 100 - merged

    # The next run has other rows, and judges those that were there by what it was trained to.
    small.source.run("INSERT INTO people VALUES ('200', 'Zoe', 'Yamada', '1999-09-09', 'zoe@example.com')")
    again = small.run()
    assert balance(again, "contacts") == {
        "in": 101, "loaded": 1, "unchanged": 100 - merged, "merged": merged, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    model = json.loads((small.run_folder(again["run"]) / "transform/contacts/weights.json").read_text())[
        "model"
    ]
    assert model == json.loads(trained)["model"]
    assert small.target.rows("SELECT * FROM contacts WHERE last <> 'Yamada' ORDER BY id") == rows


def test_weights_that_run_after_run_uses_again_are_trained_anew_once_the_rows_have_doubled(
    tmp_path: Path,
) -> None:
    small = world(tmp_path)

    def trained_on(more: int) -> int:
        """Sixty rows more, and a run: how many rows its weights were trained on."""
        grown = [
            (f"{more + n}", first, last, f"{1900 + (more + n) % 80}{born[4:]}", None)
            for n, (_, first, last, born, _) in enumerate(people()[:60])
        ]
        small.source.fill("people", grown)
        document = small.run()
        path = small.run_folder(document["run"]) / "transform/contacts/weights.json"
        return int(json.loads(path.read_text())["rows"])

    # 160, 220, 280: never more than twice those of the run before; 340 are more than twice the first 160.
    assert [trained_on(more) for more in (300, 400, 500, 600)] == [160, 160, 160, 340]
