"""The corruption matrix: every kind of damage names the lowest level that must catch it, and the test
shows that this level does and that the levels below did not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from migrate import canon
from migrate.connectors.protocol import DdlText
from migrate.errors import Corrupt, MigrateError, UsageError
from migrate.model import Manifest, NativeText
from migrate.stores.local import LocalStore
from migrate.vault import layout, schema_json, strict_json
from migrate.vault.check import check, check_backup
from migrate.vault.reader import Backup, list_backups, open_backup

from tests.vault.building import CONTACT, FACTS, SCHEMA, make, original

DDL = DdlText("pg_dump 15", "CREATE TABLE account (id bigint);\n")


@dataclass(frozen=True)
class Scene:
    """A backup in a folder that the tests may do anything to."""

    store: LocalStore
    known_sha256: str

    @property
    def folder(self) -> Path:
        return self.store.folder / FACTS.id

    @property
    def manifest(self) -> Manifest:
        return open_backup(self.store, FACTS.id).manifest

    def object(self, n: int) -> Path:
        return self.store.folder / self.manifest.parts[n].path

    def rewrite(self, manifest: Manifest) -> None:
        """As one would who knows the format: with all hashes of the manifest recomputed."""
        (self.folder / "manifest.json").write_bytes(layout.dump_manifest(manifest))
        (self.folder / "manifest-sha256.txt").write_bytes(layout.checksums(manifest))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    store = LocalStore(tmp_path / "backups")
    backup = make(store, tmp_path / "staging", files=(original(tmp_path / "in"),), native=DDL)
    shutil.rmtree(tmp_path / "staging")  # it shares its bytes with the vault
    return Scene(store, backup.manifest_sha256)


def flip(path: Path, at: int = -9) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# ------------------------------------------------------------ kinds of damage


def manifest_flipped(s: Scene) -> None:
    data = (s.folder / "manifest.json").read_bytes()
    flip(s.folder / "manifest.json", data.index(b'"acme"') + 2)


def manifest_truncated(s: Scene) -> None:
    data = (s.folder / "manifest.json").read_bytes()
    (s.folder / "manifest.json").write_bytes(data[:-20])


def manifest_missing(s: Scene) -> None:
    (s.folder / "manifest.json").unlink()


def manifest_edited(s: Scene) -> None:
    edit_json(
        s.folder / "manifest.json", lambda d: d["manifest"].update(snapshot_at="2027-01-01T00:00:00+00:00")
    )


def manifest_of_another_backup(s: Scene) -> None:
    s.rewrite(replace(s.manifest, id="other"))


def manifest_sums_wrong(s: Scene) -> None:
    digests = dict(s.manifest.digests) | {"contact": "canon-1:250:" + "0" * 32}
    s.rewrite(replace(s.manifest, digests=digests))


def manifest_edited_and_rehashed(s: Scene) -> None:
    s.rewrite(replace(s.manifest, snapshot_at="2027-01-01T00:00:00+00:00"))


def stale_manifest(s: Scene) -> None:
    """An older manifest of the same name put back, whole in itself: one part fewer."""
    m = s.manifest
    parts = m.parts[:-1]
    total = canon.Digest.EMPTY
    for part in (p for p in parts if p.table == "contact"):
        total = total + canon.Digest.parse(part.digest)
    s.rewrite(replace(m, parts=parts, digests=dict(m.digests) | {"contact": total.text()}))


def schema_edited(s: Scene) -> None:
    path = s.folder / "schema.json"
    path.write_text(path.read_text().replace('"email"', '"e_mail"'))


def schema_missing(s: Scene) -> None:
    (s.folder / "schema.json").unlink()


def path_climbs(s: Scene) -> None:
    m = s.manifest
    part = replace(m.parts[0], path="../../etc/passwd")
    s.rewrite(replace(m, parts=(part, *m.parts[1:])))


def file_name_climbs(s: Scene) -> None:
    m = s.manifest
    s.rewrite(replace(m, files=(replace(m.files[0], name="../../evil"),)))


def object_missing(s: Scene) -> None:
    s.object(2).unlink()


def object_truncated(s: Scene) -> None:
    path = s.object(2)
    path.write_bytes(path.read_bytes()[:-1])


def object_longer(s: Scene) -> None:
    with s.object(2).open("ab") as file:
        file.write(b"\0")


def object_is_a_symlink(s: Scene) -> None:
    path = s.object(2)
    elsewhere = s.store.folder.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def ddl_missing(s: Scene) -> None:
    (s.folder / "native.sql").unlink()


def ddl_truncated(s: Scene) -> None:
    data = (s.folder / "native.sql").read_bytes()
    (s.folder / "native.sql").write_bytes(data[:-3])


def ddl_flipped(s: Scene) -> None:
    flip(s.folder / "native.sql")


def ddl_of_another_backup(s: Scene) -> None:
    (s.folder / "native.sql").write_text(DDL.text.replace("account", "kontakt"))


def extra_file_in_the_backup(s: Scene) -> None:
    (s.folder / "readme.txt").write_text("hello")


def extra_symlink_in_the_backup(s: Scene) -> None:
    (s.folder / "more").symlink_to("/etc")


def checksum_file_edited(s: Scene) -> None:
    path = s.folder / "manifest-sha256.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def checksum_file_missing(s: Scene) -> None:
    (s.folder / "manifest-sha256.txt").unlink()


def original_file_missing(s: Scene) -> None:
    (s.store.folder / s.manifest.files[0].path).unlink()


def object_flipped(s: Scene) -> None:
    flip(s.object(2))


def original_file_flipped(s: Scene) -> None:
    flip(s.store.folder / s.manifest.files[0].path, 0)


def objects_swapped(s: Scene) -> None:
    """Two parts' bytes change places and, so that sizes do not tell, so do their lengths."""
    a, b = s.object(1), s.object(2)
    first, second = a.read_bytes(), b.read_bytes()
    size = {a: len(first), b: len(second)}
    a.write_bytes(second[: size[a]].ljust(size[a], b"\0"))
    b.write_bytes(first[: size[b]].ljust(size[b], b"\0"))


def replace_part(s: Scene, n: int, rows: pa.Table) -> None:
    """A part with other rows, its object and the manifest rehashed; the digest is not."""
    fresh = s.store.folder / "objects" / "fresh"
    pq.write_table(rows, fresh, compression="zstd", version="2.6", write_statistics=False)
    data = fresh.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    fresh.rename(s.store.folder / "objects" / sha256)
    m = s.manifest
    part = replace(m.parts[n], sha256=sha256, bytes=len(data), path=f"objects/{sha256}")
    s.rewrite(replace(m, parts=(*m.parts[:n], part, *m.parts[n + 1 :])))


def rows_of(s: Scene, n: int) -> pa.Table:
    backup = open_backup(s.store, FACTS.id)
    return backup.part(backup.manifest.parts[n])


def row_edited_and_rehashed(s: Scene) -> None:
    rows = rows_of(s, 1)
    emails = pc.replace_substring(rows.column("email"), "x1@", "y1@")
    replace_part(s, 1, rows.set_column(1, "email", emails))


def row_removed_and_rehashed(s: Scene) -> None:
    replace_part(s, 1, rows_of(s, 1).slice(1))


def null_made_empty_and_rehashed(s: Scene) -> None:
    rows = rows_of(s, 1)
    replace_part(s, 1, rows.set_column(1, "email", pc.fill_null(rows.column("email"), "")))


def column_retyped_and_rehashed(s: Scene) -> None:
    rows = rows_of(s, 1)
    replace_part(s, 1, rows.set_column(0, "id", rows.column("id").cast(pa.int32())))


def not_parquet_and_rehashed(s: Scene) -> None:
    data = b"not parquet at all"
    sha256 = hashlib.sha256(data).hexdigest()
    (s.store.folder / "objects" / sha256).write_bytes(data)
    m = s.manifest
    part = replace(m.parts[1], sha256=sha256, bytes=len(data), path=f"objects/{sha256}")
    s.rewrite(replace(m, parts=(m.parts[0], part, *m.parts[2:])))


def refs_swapped_and_rehashed(s: Scene) -> None:
    """Each part's digest now stands beside the other's bytes."""
    m = s.manifest
    a, b = m.parts[1], m.parts[2]
    x = replace(a, sha256=b.sha256, bytes=b.bytes, path=b.path)
    y = replace(b, sha256=a.sha256, bytes=a.bytes, path=a.path)
    s.rewrite(replace(m, parts=(m.parts[0], x, y, *m.parts[3:])))


def schema_edited_and_rehashed(s: Scene) -> None:
    """Another type for a column, schema and manifest rehashed."""
    columns = tuple(
        replace(c, type=SCHEMA.tables[0].columns[1].type) if c.name == "account_id" else c
        for c in CONTACT.columns
    )
    schema = replace(SCHEMA, tables=(SCHEMA.tables[0], replace(CONTACT, columns=columns), SCHEMA.tables[2]))
    manifest = s.manifest
    (s.folder / "schema.json").write_bytes(schema_json.dump(schema))
    s.rewrite(replace(manifest, schema_digest=schema_json.digest(schema)))


def another_backup(s: Scene) -> Backup:
    """In the same vault, with other rows in parts of the same size."""
    return make(s.store, s.store.folder.parent / "staging", id_="other", word="y")


def manifest_empty(s: Scene) -> None:
    (s.folder / "manifest.json").write_bytes(b"")


def manifest_is_a_symlink(s: Scene) -> None:
    path = s.folder / "manifest.json"
    path.rename(s.store.folder.parent / "elsewhere")
    path.symlink_to(s.store.folder.parent / "elsewhere")


def manifest_nested_without_end(s: Scene) -> None:
    (s.folder / "manifest.json").write_bytes(b"[" * 100_000)


def manifest_says_a_thing_twice(s: Scene) -> None:
    path = s.folder / "manifest.json"
    path.write_text(path.read_text().replace('"role"', '"role": "source",\n"role"', 1))


def number_beyond_all_numbers(s: Scene) -> None:
    path = s.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["manifest"]["parts"][0]["bytes"] = 10**400
    content = strict_json.canonical(document["manifest"])
    document["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(document))


def manifests_of_two_backups_swapped(s: Scene) -> None:
    other = s.store.folder / another_backup(s).manifest.id / "manifest.json"
    mine = s.folder / "manifest.json"
    first, second = mine.read_bytes(), other.read_bytes()
    mine.write_bytes(second)
    other.write_bytes(first)


def schema_flipped(s: Scene) -> None:
    flip(s.folder / "schema.json")


def schema_truncated(s: Scene) -> None:
    path = s.folder / "schema.json"
    path.write_bytes(path.read_bytes()[:-40])


def schema_of_another_backup(s: Scene) -> None:
    """Whole in itself, and without a table that this one has."""
    (s.folder / "schema.json").write_bytes(
        schema_json.dump(replace(SCHEMA, tables=(SCHEMA.tables[0], SCHEMA.tables[2])))
    )


def schema_without_a_constraint(s: Scene) -> None:
    plain = replace(CONTACT, foreign_keys=())
    (s.folder / "schema.json").write_bytes(
        schema_json.dump(replace(SCHEMA, tables=(SCHEMA.tables[0], plain, SCHEMA.tables[2])))
    )


def schema_without_a_table_and_rehashed(s: Scene) -> None:
    manifest = s.manifest
    schema = replace(SCHEMA, tables=(SCHEMA.tables[0], SCHEMA.tables[2]))
    (s.folder / "schema.json").write_bytes(schema_json.dump(schema))
    s.rewrite(replace(manifest, schema_digest=schema_json.digest(schema)))


def object_empty(s: Scene) -> None:
    s.object(2).write_bytes(b"")


def object_is_a_folder(s: Scene) -> None:
    path = s.object(2)
    path.unlink()
    path.mkdir()


def checksum_file_flipped(s: Scene) -> None:
    flip(s.folder / "manifest-sha256.txt", 3)


def checksum_file_empty(s: Scene) -> None:
    (s.folder / "manifest-sha256.txt").write_bytes(b"")


def object_of_another_backup(s: Scene) -> None:
    """The same part of another backup lies under this one's name."""
    mine, other = s.object(2), another_backup(s).manifest.parts[2]
    data = (s.store.folder / other.path).read_bytes()
    mine.write_bytes(data[: mine.stat().st_size].ljust(mine.stat().st_size, b"\0"))


def part_of_another_backup_and_rehashed(s: Scene) -> None:
    m, other = s.manifest, another_backup(s).manifest.parts[2]
    part = replace(m.parts[2], sha256=other.sha256, bytes=other.bytes, path=other.path)
    s.rewrite(replace(m, parts=(*m.parts[:2], part, *m.parts[3:])))


def row_duplicated_and_rehashed(s: Scene) -> None:
    rows = rows_of(s, 1)
    replace_part(s, 1, pa.concat_tables([rows.slice(0, 1), rows.slice(0, rows.num_rows - 1)]))


def rows_without_end_and_rehashed(s: Scene) -> None:
    """A thousand bytes on disk, a hundred gigabytes in memory."""
    text = pa.array(["x" * (1 << 20)]).dictionary_encode()
    rows = rows_of(s, 1)
    bomb = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), text.dictionary)
    columns = [pa.array([0] * 100_000), bomb, pa.array([0] * 100_000)]
    replace_part(s, 1, pa.table(columns, names=rows.column_names))


MATRIX: list[tuple[Callable[[Scene], None], int]] = [
    (manifest_flipped, 0),
    (manifest_truncated, 0),
    (manifest_missing, 0),
    (manifest_edited, 0),
    (manifest_of_another_backup, 0),
    (manifest_sums_wrong, 0),
    (schema_edited, 0),
    (schema_missing, 0),
    (path_climbs, 0),
    (file_name_climbs, 0),
    (manifest_empty, 0),
    (manifest_is_a_symlink, 0),
    (manifest_nested_without_end, 0),
    (manifest_says_a_thing_twice, 0),
    (number_beyond_all_numbers, 0),
    (manifests_of_two_backups_swapped, 0),
    (schema_flipped, 0),
    (schema_truncated, 0),
    (schema_of_another_backup, 0),
    (schema_without_a_constraint, 0),
    (schema_without_a_table_and_rehashed, 0),
    (object_missing, 1),
    (object_empty, 1),
    (object_is_a_folder, 1),
    (checksum_file_flipped, 1),
    (checksum_file_empty, 1),
    (object_truncated, 1),
    (object_longer, 1),
    (object_is_a_symlink, 1),
    (ddl_missing, 1),
    (ddl_truncated, 1),
    (ddl_flipped, 2),
    (ddl_of_another_backup, 2),
    (extra_file_in_the_backup, 1),
    (extra_symlink_in_the_backup, 1),
    (checksum_file_edited, 1),
    (checksum_file_missing, 1),
    (original_file_missing, 1),
    (object_flipped, 2),
    (original_file_flipped, 2),
    (objects_swapped, 2),
    (object_of_another_backup, 2),
    (part_of_another_backup_and_rehashed, 3),
    (row_duplicated_and_rehashed, 3),
    (rows_without_end_and_rehashed, 3),
    (row_edited_and_rehashed, 3),
    (row_removed_and_rehashed, 3),
    (null_made_empty_and_rehashed, 3),
    (column_retyped_and_rehashed, 3),
    (not_parquet_and_rehashed, 3),
    (refs_swapped_and_rehashed, 3),
    (schema_edited_and_rehashed, 3),
]


@pytest.mark.parametrize(("damage", "level"), MATRIX, ids=lambda v: getattr(v, "__name__", v))
def test_the_lowest_level_that_must_catch_it_does_and_those_below_do_not(
    scene: Scene, damage: Callable[[Scene], None], level: int
) -> None:
    assert [v.passed for v in check_backup(scene.store, FACTS.id)] == [True] * 4
    damage(scene)
    if level:
        below = check_backup(scene.store, FACTS.id, level - 1)
        assert [v.passed for v in below] == [True] * level
    found = check_backup(scene.store, FACTS.id, level)
    assert len(found) == level + 1
    assert not found[-1].passed
    assert found[-1].check.startswith(f"L{level}")
    assert found[-1].reason
    assert check_backup(scene.store, FACTS.id)[-1] == found[-1]  # the whole check ends there


@pytest.mark.parametrize(
    "damage",
    [manifest_edited_and_rehashed, stale_manifest, row_edited_and_rehashed, schema_edited_and_rehashed],
)
def test_a_forger_who_rehashes_is_found_by_what_the_ledger_remembers(
    scene: Scene, damage: Callable[[Scene], None]
) -> None:
    damage(scene)
    found = check_backup(scene.store, FACTS.id, known_sha256=scene.known_sha256)
    assert [v.passed for v in found] == [False]
    assert "on record" in found[0].reason


def test_without_a_record_a_perfect_forgery_passes_which_is_why_there_is_one(scene: Scene) -> None:
    """A digest is accident-proof, not adversary-proof."""
    manifest_edited_and_rehashed(scene)
    assert all(v.passed for v in check_backup(scene.store, FACTS.id))


def test_a_manifest_edited_after_opening_is_found(scene: Scene) -> None:
    backup = open_backup(scene.store, FACTS.id)
    manifest_edited_and_rehashed(scene)
    assert [v.passed for v in check(backup)] == [False]


def test_reading_damaged_rows_is_corrupt_never_partial(scene: Scene) -> None:
    backup = open_backup(scene.store, FACTS.id)
    object_flipped(scene)
    with pytest.raises(Corrupt):
        list(backup.batches("contact"))


def test_levels_are_asked_for_by_number(scene: Scene) -> None:
    with pytest.raises(UsageError):
        check_backup(scene.store, FACTS.id, 4)
    assert len(check_backup(scene.store, FACTS.id, 0)) == 1


# ---------------------------------------------------------- hostile manifests


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "a\\b", "", ".", "a//b", "a/", "x\0y", "x\ny", "a/./b", "n" * 1001],
)
def test_a_hostile_file_name_never_leaves_the_folder(scene: Scene, name: str) -> None:
    m = scene.manifest
    scene.rewrite(replace(m, files=(replace(m.files[0], name=name),)))
    with pytest.raises(Corrupt):
        open_backup(scene.store, FACTS.id)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, parts=(replace(m.parts[0], bytes=-1), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], bytes=2**62), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], sha256="A" * 64), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], digest="x"), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], table="nowhere"), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], index=10**9), *m.parts[1:])),
        lambda m: replace(m, parts=(replace(m.parts[0], rows=10**15), *m.parts[1:])),
        lambda m: replace(m, schema_digest="../../x"),
        lambda m: replace(m, role="root"),
        lambda m: replace(m, format=2),
        lambda m: replace(m, native=NativeText("x", -1, "0" * 64)),
        lambda m: replace(m, native=NativeText("x", 2**40, "0" * 64)),
        lambda m: replace(m, native=NativeText("x", 9, "../../x")),
        lambda m: replace(m, native=NativeText("x\x1b[2J", problem="it is not installed")),
        lambda m: replace(m, native=NativeText("x", 9, "0" * 64, "it is not kept")),
    ],
)
def test_a_hostile_manifest_is_refused_when_opened(
    scene: Scene, change: Callable[[Manifest], Manifest]
) -> None:
    hostile = layout.dump_manifest(change(scene.manifest))
    (scene.folder / "manifest.json").write_bytes(hostile)
    with pytest.raises(MigrateError):
        open_backup(scene.store, FACTS.id)


def test_sizes_are_capped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MANIFEST_LIMIT", 100)
    with pytest.raises(Corrupt, match="longer"):
        open_backup(scene.store, FACTS.id)


def test_listing_survives_what_lies_around(scene: Scene) -> None:
    (scene.store.folder / "junk").mkdir()
    (scene.store.folder / "junk" / "manifest.json").write_text("{}")
    (scene.store.folder / "odd name").mkdir()
    (scene.store.folder / "odd name" / "manifest.json").write_text("{}")
    (scene.store.folder / "link").symlink_to(scene.folder)
    found = {i.id: bool(i.problem) for i in list_backups(scene.store)}
    assert found == {FACTS.id: False, "junk": True}
