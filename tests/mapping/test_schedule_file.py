"""The schedule file: what it may say, and where its mistakes are."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from migrate.errors import MappingError
from migrate.mapping.schedule_file import AsWritten, Schedule, json_schema, load_schedule

WHOLE = """\
migrate: 1
name: acme
timezone: Europe/Berlin
missed: skip
store: vault/
jobs:
  nightly: {cron: "0 2 * * *", backup: "${CRM_URL}", scratch: "${CRM_URL}", tables: [people], system: crm, why: every night}
  drill: {cron: "0 4 * * 0", drill: latest, file: drill.yaml, store: "s3://bucket/x"}
  tidy: {cron: "0 5 1 * *", prune: {last: 3, daily: 7}}
  tidy-acme: {cron: "0 5 1 * *", prune: mappings/acme.yaml}
"""


def load(folder: Path, text: str) -> Schedule:
    (folder / "schedule.yaml").write_text(text)
    return load_schedule(folder / "schedule.yaml", {"CRM_URL": "postgresql://me:pw@host/db"})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load(folder, text)
    assert "the schedule file has" in caught.value.message
    return [str(p).removeprefix(f"{folder}/") for p in caught.value.problems]


def test_everything_that_it_may_say(tmp_path: Path) -> None:
    found = load(tmp_path, WHOLE)
    assert (found.name, found.timezone, found.missed, found.base) == (
        "acme",
        "Europe/Berlin",
        "skip",
        str(tmp_path),
    )
    nightly, drill, tidy, other = found.jobs.values()
    assert (nightly.kind, nightly.what, nightly.tables, nightly.store) == (
        "backup", "postgresql://me:pw@host/db", ("people",), "vault/",
    )  # fmt: skip
    assert (drill.kind, drill.what, drill.file, drill.store) == (
        "drill",
        "latest",
        "drill.yaml",
        "s3://bucket/x",
    )
    assert tidy.keep is not None
    assert (tidy.kind, tidy.keep.daily, tidy.what) == ("prune", 7, "")
    assert (other.kind, other.what, other.keep) == ("prune", "mappings/acme.yaml", None)
    jsonschema.validate(yaml.safe_load(WHOLE), json_schema())


def test_paths_count_from_beside_the_mappings(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    assert load(tmp_path / "mappings", WHOLE).base == str(tmp_path)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ('cron: "0 2 * *", drill: latest', "4 fields"),
        ('cron: "99 2 * * *", drill: latest', "bad minute"),
        ("drill: latest", "a job needs `cron`"),
        ('cron: "0 2 * * *"', "a job says what it does (one of backup, drill, prune)"),
        ('cron: "0 2 * * *", drill: latest, backup: x', "`backup` and `drill` exclude each other"),
        ('cron: "0 2 * * *", dril: latest', "did you mean `drill`?"),
        ('cron: "0 2 * * *", prune: {lst: 3}', "did you mean `last`?"),
        ('cron: "0 2 * * *", backup: x, file: y', "`file` does not belong to a backup"),
        ('cron: "0 2 * * *", backup: "postgresql://me:pw@host/db"', "holds a password"),
        ('cron: "0 2 * * *", backup: "${NOT_SET}"', "NOT_SET is not set"),
    ],
)
def test_a_wrong_job_is_told_with_its_place(job: str, said: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, f"migrate: 1\nname: s\njobs:\n  a: {{{job}}}\n")
    assert found.startswith("schedule.yaml:4:")
    assert said in found


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = "migrate: 1\nname: s\ntimezone: Mars\nmissed: maybe\njobs:\n  a: {cron: x, drill: latest}\n"
    assert [p.split(":")[1] for p in problems(tmp_path, text)] == ["3", "4", "6"]
    assert problems(tmp_path, "migrate: 1\nname: s\njobs: {}\n")


def test_it_can_be_shown_without_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "schedule.yaml").write_text(WHOLE)
    names = AsWritten()
    found = load_schedule(tmp_path / "schedule.yaml", names)
    assert found.jobs["nightly"].what == "${CRM_URL}"
    assert names.asked == ["CRM_URL"]
