"""The corruption matrix, its upper half: damages that every byte and every hash agrees with, so that only a restore
finds them. L4: it does not go in. L5: it goes in, and is something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from migrate.connectors.sqlite.scratch import open_scratch
from migrate.model import Index, Sequence, Verdict
from migrate.stores.local import LocalStore
from migrate.vault.check import check_backup
from migrate.vault.reader import open_backup
from migrate.vault.restore import restore_test

from tests.vault.restored_world import Careless, Forger, backed_up, edited


@dataclass(frozen=True)
class Scene:
    forger: Forger
    scratch: Careless

    def levels(self) -> list[Verdict]:
        """Every level's verdicts, from the bottom; the sum of a restore test is left out."""
        found = check_backup(self.forger.store, self.forger.id)
        if all(v.passed for v in found):
            backup = open_backup(self.forger.store, self.forger.id)
            restored = restore_test(backup, self.scratch, trusted=True)
            found += [v for v in restored if not v.check.startswith(("L0", "L1")) and v.check != "L5"]
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = LocalStore(tmp_path / "backups")
    backup = backed_up(tmp_path, store)
    scratch = open_scratch(None, folder=tmp_path / "scratch", name="scratch_1", run="r1")
    scratch.__class__ = Careless
    assert isinstance(scratch, Careless)
    yield Scene(Forger(store, backup.manifest.id), scratch)
    scratch.drop()


# --------------------------------------------------- the backup is forged, with every hash and sum in it


def duplicated_row(s: Scene) -> None:
    s.forger.rows("account", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))


def duplicated_part(s: Scene) -> None:
    """One part named twice: all bytes are what they should be."""
    backup = s.forger.backup
    (part,) = backup.parts_by_table["contact"]
    s.forger.parts(*backup.manifest.parts, replace(part, index=1))


def unique_value_repeated(s: Scene) -> None:
    s.forger.rows("contact", lambda rows: edited(rows, 1, email="a@example.org"))


def required_value_lost(s: Scene) -> None:
    s.forger.rows("account", lambda rows: edited(rows, 0, name=None))


def unique_index_that_never_was(s: Scene) -> None:
    index = Index("one", "CREATE UNIQUE INDEX one ON contact (active)", True, ("active",))
    s.forger.table("contact", lambda t: replace(t, indexes=(*t.indexes, index)))


def table_text_is_another_statement(s: Scene) -> None:
    s.forger.table("account", lambda t: replace(t, sql="CREATE TABLE other (id INTEGER)"))


def table_text_without_a_column(s: Scene) -> None:
    s.forger.table(
        "contact", lambda t: replace(t, sql="CREATE TABLE contact (id INTEGER PRIMARY KEY, email TEXT)")
    )


def table_text_is_garbage(s: Scene) -> None:
    s.forger.table("account", lambda t: replace(t, sql="CREATE TABLE account (("))


def parents_lost(s: Scene) -> None:
    s.forger.rows("account", lambda rows: rows.slice(1))


def foreign_key_broken(s: Scene) -> None:
    s.forger.rows("contact", lambda rows: edited(rows, 0, account_id=99))


def check_broken(s: Scene) -> None:
    s.forger.rows("contact", lambda rows: edited(rows, 0, active=7))


def text_where_numbers_are(s: Scene) -> None:
    """A value that the column's affinity turns into another when it is restored."""
    s.forger.table(
        "contact", lambda t: replace(t, sql=t.sql.replace("account_id INTEGER", "account_id TEXT"))
    )


def foreign_key_dropped(s: Scene) -> None:
    s.forger.table("contact", lambda t: replace(t, sql=t.sql.replace("REFERENCES account (id)", "")))


def foreign_key_dropped_from_the_typed_schema(s: Scene) -> None:
    s.forger.table("contact", lambda t: replace(t, foreign_keys=()))


def check_dropped(s: Scene) -> None:
    s.forger.table("contact", lambda t: replace(t, sql=t.sql.replace("CHECK (active IN (0, 1))", "")))


def unique_dropped(s: Scene) -> None:
    s.forger.table("contact", lambda t: replace(t, sql=t.sql.replace("email TEXT UNIQUE", "email TEXT")))


def default_changed(s: Scene) -> None:
    s.forger.table("contact", lambda t: replace(t, sql=t.sql.replace("DEFAULT 1", "DEFAULT 0")))


def required_no_longer(s: Scene) -> None:
    s.forger.table("account", lambda t: replace(t, sql=t.sql.replace("TEXT NOT NULL", "TEXT")))


def index_of_another_column(s: Scene) -> None:
    def changed(index: Index) -> Index:
        return replace(index, sql=index.sql.replace("(account_id)", "(born)"))

    s.forger.table("contact", lambda t: replace(t, indexes=tuple(changed(i) for i in t.indexes)))


def sequence_of_nothing(s: Scene) -> None:
    s.forger.schema(lambda schema: replace(schema, sequences=(*schema.sequences, Sequence("contact", 7))))


def counting_no_longer(s: Scene) -> None:
    s.forger.table("account", lambda t: replace(t, sql=t.sql.replace("AUTOINCREMENT", "")))


# --------------------------------------------------- the restore itself goes wrong, and nobody reports it


def in_the_scratch(name: str, *, after_rows: str = "", at_the_end: str = "") -> Callable[[Scene], None]:
    def damage(s: Scene) -> None:
        s.scratch.after_rows, s.scratch.after_constraints = after_rows, at_the_end

    damage.__name__ = name
    return damage


Damage = Callable[[Scene], None]
MATRIX: list[tuple[Damage, int, str]] = [
    (duplicated_row, 4, ""),
    (duplicated_part, 4, ""),
    (unique_value_repeated, 4, ""),
    (required_value_lost, 4, ""),
    (unique_index_that_never_was, 4, "index one"),
    (table_text_is_another_statement, 4, "does not create this table"),
    (table_text_is_garbage, 4, ""),
    (table_text_without_a_column, 4, ""),
    (counting_no_longer, 4, "sqlite_sequence"),
    (in_the_scratch("row_lost", after_rows="DELETE FROM contact WHERE id = 3"), 4, "contact: 2 of 3"),
    (
        in_the_scratch("row_added", after_rows="INSERT INTO account (name) VALUES ('x')"),
        4,
        "account: 3 of 2",
    ),
    (parents_lost, 5, "L5 violations"),
    (foreign_key_broken, 5, "L5 violations"),
    (check_broken, 5, "L5 violations"),
    (text_where_numbers_are, 5, "L5 values"),
    (foreign_key_dropped, 5, "L5 schema"),
    (foreign_key_dropped_from_the_typed_schema, 5, "L5 schema"),
    (check_dropped, 5, "L5 schema"),
    (unique_dropped, 5, "L5 schema"),
    (default_changed, 5, "L5 schema"),
    (required_no_longer, 5, "L5 schema"),
    (index_of_another_column, 5, "L5 schema"),
    (sequence_of_nothing, 5, "L5 schema"),
    (
        in_the_scratch("value_changed", after_rows="UPDATE contact SET born = 'y' WHERE id = 3"),
        5,
        "L5 values",
    ),
    (
        in_the_scratch("empty_made_null", after_rows="UPDATE contact SET born = NULL WHERE id = 1"),
        5,
        "L5 values",
    ),
    (
        in_the_scratch("null_made_empty", after_rows="UPDATE contact SET born = '' WHERE id = 2"),
        5,
        "L5 values",
    ),
    (
        in_the_scratch(
            "one_row_twice_another_lost",
            after_rows="DELETE FROM contact WHERE id = 3; INSERT INTO contact VALUES (3, NULL, 1, '', 1)",
        ),
        5,
        "L5 values",
    ),
    (in_the_scratch("index_dropped", at_the_end="DROP INDEX contact_account"), 5, "L5 schema"),
    (
        in_the_scratch("column_added", at_the_end="ALTER TABLE account ADD COLUMN more TEXT"),
        5,
        "L5 schema",
    ),
    (
        in_the_scratch("sequence_behind", at_the_end="UPDATE sqlite_sequence SET seq = 2"),
        5,
        "L5 schema",
    ),
]


@pytest.mark.promise(30)
@pytest.mark.parametrize(("damage", "level", "word"), MATRIX, ids=lambda v: getattr(v, "__name__", ""))
def test_the_lowest_level_that_must_catch_it_does_and_those_below_do_not(
    scene: Scene, damage: Damage, level: int, word: str
) -> None:
    damage(scene)
    found = scene.levels()
    failed = [v for v in found if not v.passed]
    assert failed, [v.check for v in found]
    assert failed[0].check.startswith(f"L{level}"), failed[0]
    assert word in f"{failed[0].check}: {failed[0].reason}"
    for below in range(level):
        verdicts = [v for v in found if v.check.startswith(f"L{below}")]
        assert verdicts, f"L{below} was not asked"
        assert all(v.passed for v in verdicts)


@pytest.mark.promise(30)
def test_an_undamaged_backup_passes_every_level(scene: Scene) -> None:
    found = scene.levels()
    assert [v.check for v in found if not v.passed] == []
    assert {v.check[:2] for v in found} == {"L0", "L1", "L2", "L3", "L4", "L5"}


@pytest.mark.fineprint(25)
def test_f25_the_manifest_remembers_what_the_source_broke_itself(scene: Scene) -> None:
    """And "nothing" is on record, too: then the copy may break nothing."""
    assert scene.forger.backup.manifest.violations == ()
