"""The drill file: what it may say, and where its mistakes are."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from migrate.errors import MappingError
from migrate.mapping.drill_file import DrillFile, json_schema, load_drill_file

WHOLE = """\
migrate: 1
name: crm
description: What a restored CRM must show.
scratch: "${SCRATCH_URL}"
limits: {rpo: 26h, rto: 90m}
queries:
  - name: people
    sql: "SELECT count(*) FROM people WHERE price <> '${x}'"
    of: target
    at_least: 1000
    seconds: 5
    why: fewer means that the extract was cut
  - {sql: SELECT max(at) FROM notes, between: [2026-01-01, "2026-02-01T10:00:00Z"]}
  - {sql: SELECT name FROM people LIMIT 1, equals: null}
"""


def load(folder: Path, text: str) -> DrillFile:
    (folder / "drill.yaml").write_text(text)
    return load_drill_file(folder / "drill.yaml", {"SCRATCH_URL": "postgresql://me@host/db"})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load(folder, text)
    assert "drill file has" in caught.value.message
    return [str(p).removeprefix(f"{folder}/") for p in caught.value.problems]


def test_everything_that_it_may_say(tmp_path: Path) -> None:
    found = load(tmp_path, WHOLE)
    assert (found.name, found.limits.rpo, found.limits.rto) == ("crm", 26 * 3600.0, 5400.0)
    assert found.scratch.source == found.scratch.target == "postgresql://me@host/db"
    first, second, third = found.queries
    assert (first.name, first.bound, first.values, first.seconds) == ("people", "at_least", ("1000",), 5)
    assert first.of == "target"
    assert first.why.startswith("fewer")
    assert first.where == f"{tmp_path}/drill.yaml:7:5"
    assert (second.name, second.bound, second.values) == (
        "2",
        "between",
        ("2026-01-01", "2026-02-01T10:00:00Z"),
    )
    assert (third.bound, third.values) == ("equals", (None,))
    jsonschema.validate(yaml.safe_load(WHOLE.replace("2026-01-01", "'2026-01-01'")), json_schema())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{sql: S, at_leest: 1}", "`at_leest` is not a key of a query (did you mean `at_least`?)"),
        ("{sql: S}", "a query says what it must give (one of equals, at_least, at_most, between)"),
        ("{equals: 1}", "a query needs `sql`"),
        ("{sql: S, equals: 1, at_most: 2}", "`equals` and `at_most` exclude each other"),
        ("{sql: S, between: [1]}", "`between` takes two values"),
        ("{sql: S, at_least: many}", '"many" is no number and no date'),
        ("{sql: S, at_least: NaN}", '"NaN" is no number and no date'),
        ("{sql: S, equals: 1, seconds: 0}", "expected a whole number of at least 1"),
    ],
)
def test_a_wrong_query_is_told_with_its_place(query: str, expected: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, f"migrate: 1\nqueries:\n  - {query}\n")
    assert found.startswith("drill.yaml:3:"), found
    assert expected in found
    document = yaml.safe_load(f"migrate: 1\nqueries:\n  - {query}\n")
    if "seconds" not in query and "NaN" not in query and "many" not in query and "[1]" not in query:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, json_schema())


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = "migrate: 2\nlimits: {rto: 5}\nscratch: nowhere\nqueries:\n  - {sql: A, equals: 1, name: x}\n  - {sql: B, equals: 1, name: x}\n"
    found = problems(tmp_path, text)
    assert [p.split(":")[1] for p in found] == ["1", "2", "3", "6"]


@pytest.mark.parametrize("text", ["", "[1]", "migrate: 1\nmigrate: 1\n", "\0", "a: &b 1"])
def test_garbage_is_told_as_that(text: str, tmp_path: Path) -> None:
    assert problems(tmp_path, text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="drill file"):
        load_drill_file(tmp_path / "none.yaml", {})
