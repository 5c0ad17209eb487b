"""What docs/mapping.md says of moments and of times without a zone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs import Db, World, balance, bare

SOURCE = [
    "CREATE TABLE calls(id INTEGER PRIMARY KEY, at TIMESTAMPTZ, local TIMESTAMP)",
    # An hour that the summer skips, one that the winter has twice, and two plain ones.
    "INSERT INTO calls VALUES (1, '2021-03-28 00:30:00Z', '2021-03-28 01:30:00'), (2, '2021-07-01 12:00:00Z', '2021-07-01 13:00:00'),"
    " (3, '2021-10-31 00:30:00Z', '2021-10-31 01:30:00'), (4, '2021-10-31 01:30:00Z', '2021-01-05 09:00:00')",
]
SHOWN = ["2021-03-28 00:30", "2021-07-01 13:00", "2021-10-31 01:30", "2021-10-31 01:30"]  # in London


def world(folder: Path, fields: str, column: str, target_url: str = "") -> World:
    target = [f"CREATE TABLE calls(id TEXT PRIMARY KEY, told {column}, legacy_id TEXT)"]
    entities = (
        f"\n  calls: {{from: calls, key: id, into: calls, fields: {{told: {fields}, legacy_id: id}}}}\n"
    )
    return bare(folder, SOURCE, target, entities, policy="max_quarantine: 100%", target_url=target_url)


def in_london(made: World) -> None:
    made.source_more = ", timezone: Europe/London"


def told(made: World) -> dict[str, str]:
    return {str(key): str(value)[:16] for key, value in made.target.rows("SELECT legacy_id, told FROM calls")}


@pytest.mark.promise(8)
def test_p8_a_moment_is_told_in_the_stated_zone_where_the_target_has_none(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    made = world(tmp_path, "at", "TIMESTAMP", make_pg_database())
    made.source_url = make_pg_database()
    made.source = Db(made.source_url)
    made.source.run(*SOURCE)
    assert "nothing says which zone they are told in (state `timezone:`" in made.says(code=2)
    in_london(made)
    assert "its zone is lost" in made.says(code=3)
    made.entities = made.entities.replace("told: at", "told: {from: at, lossy: allow, why: one office}")
    assert balance(made.run(), "calls")["loaded"] == 4
    assert list(dict(sorted(told(made).items())).values()) == SHOWN


@pytest.mark.promise(8)
def test_p8_a_time_without_a_zone_is_of_the_stated_one_and_what_that_has_not_or_twice_is_set_aside(
    tmp_path: Path,
) -> None:
    made = world(tmp_path, "local", "TIMESTAMPTZ")
    assert "holds times without a zone, the target holds moments (state `timezone:`" in made.says(code=2)
    in_london(made)
    assert balance(made.run(), "calls")["loaded"] == 2
    assert made.codes("calls") == {'["1"]': ["type"], '["3"]': ["type"]}
    assert told(made) == {"2": "2021-07-01 12:00", "4": "2021-01-05 09:00"}


def test_p8_a_text_that_names_a_zone_is_a_moment_only_where_a_function_says_so(tmp_path: Path) -> None:
    """SQLite keeps its moments as such texts."""
    made = world(tmp_path, "{from: at, lossy: allow}", "TIMESTAMP")
    in_london(made)
    assert balance(made.run(), "calls")["quarantined"] == 4
    made.entities = made.entities.replace(
        "from: at,", "from: at, do: [{timestamp: {timezone: Europe/London}}],"
    )
    assert balance(made.run("--fresh"), "calls")["loaded"] == 4
    assert list(dict(sorted(told(made).items())).values()) == SHOWN
