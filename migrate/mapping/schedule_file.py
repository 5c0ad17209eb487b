"""The schedule file: which backups, drills and prunes are made when. Read like the mapping: strict, with places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping as Environment
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from migrate.mapping.environment import holds_password
from migrate.mapping.language.policy import KEEP
from migrate.mapping.language.words import identifier
from migrate.mapping.model import Keep
from migrate.mapping.schema import DRAFT
from migrate.mapping.shapes import BAD, ByKind, Choice, Key, Many, MapOf, Reading, Record, Words, build
from migrate.mapping.strict import Strict
from migrate.mapping.tree import Node, Pairs, Path_, Problems, Text, read_tree
from migrate.timetable import cron_problem

WHAT = "schedule"
Kind = Literal["backup", "drill", "prune"]
KINDS: tuple[Kind, ...] = ("backup", "drill", "prune")


class Job(Strict):
    name: str
    kind: Kind
    cron: str
    what: str = ""  # a URL or path to back up; a backup or mapping to drill; a mapping to prune by
    keep: Keep | None = None  # prune
    file: str | None = None  # drill
    scratch: str | None = None
    tables: tuple[str, ...] = ()  # backup
    system: str | None = None  # backup
    store: str | None = None
    why: str = ""


class Schedule(Strict):
    path: str
    base: str  # the folder that relative paths count from
    name: str
    timezone: str = "UTC"
    missed: Literal["run", "skip"] = "run"
    jobs: dict[str, Job]


class _Place(Words):
    """A text that may come from the environment, and that holds no password by itself."""

    def __init__(self, words: str) -> None:
        super().__init__(words, env=True)

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text) and holds_password(node.value):
            return reading.wrong(
                "secret",
                node.at,
                "this url holds a password",
                "write ${NAME} and set NAME in the environment",
            )
        return super().read(node, reading, path)


def _zone_problem(text: str) -> str | None:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return f'"{text[:40]}" is no time zone; names are like Europe/London, America/New_York, UTC'
    return None


_ONLY = {"file": ("drill",), "scratch": ("backup", "drill"), "tables": ("backup",), "system": ("backup",)}


def _job(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = [kind for kind in KINDS if node.get(kind) is not None]
    if len(given) != 1:
        if not given and any(JOB.typo_of(name.value, reading) in KINDS for name, _ in node.pairs):
            return BAD  # told already
        what = "a job says what it does" if not given else f"`{given[0]}` and `{given[1]}` exclude each other"
        return reading.wrong(
            "missing_key" if not given else "conflict", node.at, what, f"one of {', '.join(KINDS)}"
        )
    (kind,) = given
    wrong = [name for name, kinds in _ONLY.items() if name in values and kind not in kinds]
    for name in wrong:
        reading.wrong("conflict", reading.key_at(*path, name), f"`{name}` does not belong to a {kind}")
    if kind not in values or wrong:
        return BAD
    done = values.pop(kind)
    values["keep" if isinstance(done, Keep) else "what"] = done
    return build(Job, {**values, "kind": kind, "name": str(path[-1])}, node, reading)


JOB = Record(
    "a job",
    {
        "cron": Key(Words("a cron expression", cron_problem), "When: minute hour day-of-month month day-of-week.", required=True),
        "backup": Key(_Place("a database's URL, a SQLite file or a folder"), "What to back up, and to prove by a restore."),
        "drill": Key(_Place("a backup or a mapping"), "What to drill: a backup's id, latest, or a mapping file."),
        "prune": Key(
            ByKind(_Place("a mapping file"), pairs=KEEP, words="a mapping file, or {last: …, daily: …}"),
            "By what old backups go: a mapping's policy.backup.keep, or how many stay.",
        ),
        "file": Key(_Place("a drill file"), "The drill file of a drill."),
        "scratch": Key(_Place("a server's URL"), "A server where a copy may be made and dropped."),
        "tables": Key(Many(Words("a table"), "a list of tables", single=True), "Only these tables are backed up."),
        "system": Key(Words("a name", identifier("a system")), "What the backup is called after."),
        "store": Key(_Place("a folder or a bucket"), "The vault; default: that of the schedule, else backups/."),
        "why": Key(Words("the reason", raw=True), "Why; for people."),
    },
    finish=_job,
    rules={"oneOf": [{"required": [kind]} for kind in KINDS]},
)  # fmt: skip
FILE = Record(
    "a schedule file",
    {
        "migrate": Key(Choice(("1",)), "The version of the language: 1.", required=True),
        "name": Key(Words("a name", identifier("a schedule")), "What the schedule is called.", required=True),
        "timezone": Key(Words("a time zone", _zone_problem), "The zone of the cron expressions (default UTC)."),
        "missed": Key(
            Choice.of(Schedule, "missed"),
            "What becomes of times that passed while nobody ran the schedule: run once, late (default), or skip.",
        ),
        "store": Key(_Place("a folder or a bucket"), "The vault of all jobs that name none."),
        "jobs": Key(MapOf(JOB, "a map of jobs", identifier("a job")), "The jobs by name.", required=True),
    },
    finish=lambda values, node, reading, path: values,
)  # fmt: skip


class AsWritten(Environment[str, str]):
    """An environment in which every name stands for itself: for showing a file without what it names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> str:
        if name not in self.asked:
            self.asked.append(name)
        return f"${{{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(self.asked)

    def __len__(self) -> int:
        return len(self.asked)


def load_schedule(path: Path | str, environment: Environment[str, str] = os.environ) -> Schedule:
    """Raises MappingError with every problem found. Connects to nothing. Paths count from the parent of a `mappings`
    folder that the file lies in, else from its own folder, as those of mappings do."""
    shown, file = str(path), Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave the folder of a linked file
    tree = read_tree(file, shown, WHAT)
    base = file.parent.parent if file.parent.name == "mappings" else file.parent
    reading = Reading(Problems(shown, WHAT), environment, base)
    values = FILE.read(tree, reading, ())
    reading.problems.raise_any()
    del values["migrate"]
    store = values.pop("store", None)
    jobs = {
        n: j if j.store or store is None else j.model_copy(update={"store": store})
        for n, j in values.pop("jobs").items()
    }
    return Schedule(path=str(file), base=str(base), jobs=jobs, **values)


def json_schema() -> dict[str, Any]:
    """Of a schedule file, for editors."""
    definitions: dict[str, Any] = {}
    root = FILE.schema(definitions)
    return {
        "$schema": DRAFT,
        "title": "migrate schedule file",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
