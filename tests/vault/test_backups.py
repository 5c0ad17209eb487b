"""Backups are written whole or not at all, come back as they went, and standard tools can check them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import canon, failpoints
from migrate.errors import Corrupt, MigrateError, Unreachable, UsageError
from migrate.model import (
    Check,
    Column,
    ForeignKey,
    Index,
    Kind,
    Schema,
    Sequence,
    Table,
    Type,
    Unique,
    Verdict,
)
from migrate.stores.local import LocalStore
from migrate.vault import schema_json
from migrate.vault.check import check, check_backup
from migrate.vault.reader import list_backups, open_backup
from migrate.vault.verdicts import put_verdict, verdicts
from migrate.vault.writer import write_backup

from tests.stores.faulty import FaultyStore
from tests.vault.building import CONTACT, FACTS, SCHEMA, make, original, rows_of, stage, staged


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "backups")


def test_what_was_backed_up_comes_back(store: LocalStore, tmp_path: Path) -> None:
    backup = make(store, tmp_path, files=(original(tmp_path / "in"),))
    assert backup.schema == SCHEMA
    assert [i.id for i in list_backups(store)] == [FACTS.id]
    assert {t: backup.rows(t) for t in backup.schema.table_names} == {
        "account": 50,
        "contact": 250,
        "note": 0,
    }
    assert backup.manifest.digests["note"] == canon.Digest.EMPTY.text()
    found = canon.digest(backup.batches("contact"), CONTACT.types, CONTACT.primary_key)
    assert found == canon.digest([rows_of(CONTACT, 250)], CONTACT.types, CONTACT.primary_key)
    assert found.text() == backup.manifest.digests["contact"]
    (restored,) = backup.restore_files(tmp_path / "out")
    assert restored.read_bytes() == (tmp_path / "in" / "contacts.csv").read_bytes()
    assert [v.passed for v in check(backup)] == [True] * 4


def test_layout_is_private_shared_and_readable_by_duckdb(store: LocalStore, tmp_path: Path) -> None:
    make(store, tmp_path)
    make(store, tmp_path, id_="second", word="x")
    names = store.list()
    assert {n.split("/")[0] for n in names} == {"objects", FACTS.id, "second"}
    assert len([n for n in names if n.startswith("objects/")]) == 4  # 1 + 3 parts, shared by both backups
    assert {stat.S_IMODE(p.stat().st_mode) for p in store.folder.rglob("*") if p.is_file()} == {0o600}
    ref = open_backup(store, "second").parts_by_table["contact"][0]
    assert duckdb.execute(f"SELECT count(*) FROM read_parquet('{store.folder / ref.path}')").fetchall() == [
        (100,)
    ]


def test_sha256sum_checks_a_backup_without_this_program(store: LocalStore, tmp_path: Path) -> None:
    backup = make(store, tmp_path, files=(original(tmp_path / "in"),))
    command = ["sha256sum", "--check", "--strict", "manifest-sha256.txt"]
    good = subprocess.run(command, cwd=store.folder / FACTS.id, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert good.stdout.count(": OK") == 6  # schema, 4 parts, 1 file
    path = store.folder / backup.manifest.parts[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    bad = subprocess.run(command, cwd=store.folder / FACTS.id, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.count("FAILED") == 1


def test_the_users_own_files_are_copied_not_linked(store: LocalStore, tmp_path: Path) -> None:
    ref = original(tmp_path / "in")
    backup = make(store, tmp_path, files=(ref,))
    Path(ref.path).write_bytes(b"edited in place")
    assert [v.passed for v in check(backup)] == [True] * 4


def test_part_file_is_verified_and_cached(store: LocalStore, tmp_path: Path) -> None:
    backup = make(store, tmp_path)
    ref = backup.manifest.parts[0]
    path = backup.part_file(ref, tmp_path / "cache")
    path.write_bytes(b"x" * ref.bytes)  # somebody wrote into the cache
    assert backup.part_file(ref, tmp_path / "cache").read_bytes() == store.read_bytes(
        ref.path, limit=ref.bytes
    )
    (store.folder / ref.path).write_bytes(b"y" * ref.bytes)
    path.unlink()
    with pytest.raises(Corrupt):
        backup.part_file(ref, tmp_path / "cache")
    assert not path.exists()


# ----------------------------------------------- P28: nothing half ever counts


@pytest.mark.promise(28)
@pytest.mark.parametrize("damage", ["missing", "edited", "ref lies"])
def test_p28_a_part_that_fails_blocks_the_manifest(store: LocalStore, tmp_path: Path, damage: str) -> None:
    parts = staged(tmp_path / "staging")
    ref, path = parts[-1]
    if damage == "missing":
        path.unlink()
    elif damage == "edited":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    else:
        parts[-1] = (replace(ref, bytes=ref.bytes + 1), path)
    with pytest.raises(MigrateError):
        write_backup(store, manifest=FACTS, schema=SCHEMA, parts=parts)
    assert list_backups(store) == []
    assert not store.exists(f"{FACTS.id}/manifest.json")


@pytest.mark.promise(28)
@pytest.mark.parametrize("after", [False, True])
def test_p28_whichever_store_call_fails_there_is_no_manifest_and_a_second_try_succeeds(
    tmp_path: Path, after: bool
) -> None:
    n = 0
    while True:
        n += 1
        inner = LocalStore(tmp_path / f"vault{n}")
        faulty = FaultyStore(inner, fail_at=n, after=after)
        parts = staged(tmp_path / f"staging{n}")
        try:
            write_backup(faulty, manifest=FACTS, schema=SCHEMA, parts=parts)
        except Unreachable:
            written = list_backups(inner)
            last = faulty.log[n - 1].startswith("put_if_absent") and after
            assert [i.id for i in written] == ([FACTS.id] if last else [])
            again = write_backup(inner, manifest=FACTS, schema=SCHEMA, parts=parts)
            assert again.parts
            assert [v.passed for v in check_backup(inner, FACTS.id)] == [True] * 4
        else:
            if n > faulty.calls:
                break
    assert n > 15


@pytest.mark.promise(28)
def test_p28_a_store_that_loses_bytes_is_found_before_the_manifest(tmp_path: Path) -> None:
    class Lossy(LocalStore):
        def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
            super().put_file(name, path, sha256=sha256)
            stored = self.folder / name
            stored.write_bytes(stored.read_bytes()[:-1] + b"!")

    store = Lossy(tmp_path / "vault")
    with pytest.raises(Corrupt, match="not what was stored"):
        write_backup(store, manifest=FACTS, schema=SCHEMA, parts=staged(tmp_path / "staging"))
    assert list_backups(store) == []


KILL_POINTS = (
    "store.put_file.written:1",
    "store.put_file.fsynced:2",
    "store.put_file.renamed:3",
    "vault.object.stored:2",
    "vault.object.verified:4",
    "vault.schema.stored:1",
    "vault.checksums.stored:1",
    "vault.manifest.before:1",
    "store.put_if_absent.written:1",
    "store.put_if_absent.fsynced:1",
    "store.put_if_absent.linked:1",
    "store.put_if_absent.folder_fsynced:1",
    "vault.manifest.stored:1",
)


@pytest.mark.promise(21)
@pytest.mark.parametrize("point", KILL_POINTS)
def test_p21_killed_anywhere_there_is_no_manifest_or_a_whole_backup(tmp_path: Path, point: str) -> None:
    code = (
        "import sys; from pathlib import Path; from migrate.stores.local import LocalStore;"
        "from tests.vault.building import make; make(LocalStore(Path(sys.argv[1]) / 'v'), Path(sys.argv[1]) / 's')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"MIGRATE_FAILPOINT": f"{point}:kill"},
        check=False,
    )
    assert done.returncode == -9
    store = LocalStore(tmp_path / "v")
    for info in list_backups(store):  # with the link made, the backup is whole
        assert point.startswith(
            ("store.put_if_absent.linked", "store.put_if_absent.folder", "vault.manifest.stored")
        )
        assert [v.passed for v in check_backup(store, info.id)] == [True] * 4
    backup = make(store, tmp_path / "s2")
    assert [v.passed for v in check(backup)] == [True] * 4


@pytest.mark.parametrize(
    ("point", "action"),
    [
        (point, action)
        for point in KILL_POINTS[:11]
        for action in ("enospc", "eio", "interrupt")
        if action == "interrupt" or point.startswith("store.")  # no disk is touched at the others
    ],
)
def test_a_full_or_failing_disk_leaves_no_manifest(
    store: LocalStore, tmp_path: Path, point: str, action: str
) -> None:
    failpoints.arm(f"{point}:{action}")
    with pytest.raises(BaseException) as caught:
        make(store, tmp_path)
    failpoints.arm()
    assert isinstance(caught.value, KeyboardInterrupt if action == "interrupt" else Unreachable)
    assert list_backups(store) == []


def test_the_same_backup_again_is_left_as_it_is_another_is_refused(store: LocalStore, tmp_path: Path) -> None:
    first = make(store, tmp_path)
    second = make(store, tmp_path)
    assert first.manifest_sha256 == second.manifest_sha256
    with pytest.raises(UsageError, match="other content"):
        make(store, tmp_path / "other", contacts=7)
    assert open_backup(store, FACTS.id).manifest_sha256 == first.manifest_sha256


@pytest.mark.parametrize("name", ["another", "the same"])
def test_two_backups_at_once_end_in_whole_ones_or_a_refusal(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The second is made while the first one's manifest is all that is missing; they share objects."""
    hit, others = failpoints.hit, iter([FACTS.id if name == "the same" else "another"])

    def meanwhile(point: str) -> None:
        if point == "vault.manifest.before" and (id_ := next(others, "")):
            make(store, tmp_path / "second", id_=id_, at="2026-02-01T00:00:00+00:00")
        hit(point)

    monkeypatch.setattr(failpoints, "hit", meanwhile)
    if name == "the same":
        with pytest.raises(UsageError, match="at the same time"):
            make(store, tmp_path / "first")
        assert open_backup(store, FACTS.id).manifest.created_at.startswith("2026-02-01")
    else:
        make(store, tmp_path / "first")
    found = [info.id for info in list_backups(store)]
    assert sorted(found) == sorted({FACTS.id, "another"} if name == "another" else {FACTS.id})
    for id_ in found:
        assert [v.passed for v in check_backup(store, id_)] == [True] * 4


def test_a_contradictory_backup_is_never_written(store: LocalStore, tmp_path: Path) -> None:
    parts = staged(tmp_path / "staging")
    for wrong in (
        {"manifest": replace(FACTS, digests={"contact": "canon-1:1:" + "0" * 32})},
        {"manifest": replace(FACTS, role="both")},
        {"manifest": replace(FACTS, schema_digest="0" * 64)},
        {"parts": [parts[0], *parts[2:]]},  # a part of the middle is missing
        {"parts": [*parts, parts[-1]]},
    ):
        given_ = {"manifest": FACTS, "schema": SCHEMA, "parts": parts} | wrong
        with pytest.raises(Corrupt):
            write_backup(store, **given_)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        write_backup(store, manifest=FACTS, schema=replace(SCHEMA, tables=SCHEMA.tables[:1]), parts=parts)
    for id_ in ("", "..", "objects", "a/b", ".x", "a b", "x" * 151):
        with pytest.raises(UsageError):
            write_backup(store, manifest=replace(FACTS, id=id_), schema=SCHEMA, parts=parts)
    assert list_backups(store) == []


# ------------------------------------------------------------------ listing


@pytest.mark.promise(29)
def test_p29_backups_are_ordered_by_recorded_time_not_by_name_or_file_time(
    store: LocalStore, tmp_path: Path
) -> None:
    for id_, at in (("a", "2026-03-01"), ("b", "2026-01-01"), ("c", "2026-02-01")):
        make(store, tmp_path, id_=id_, at=f"{at}T00:00:00+00:00")
    os.utime(store.folder / "b" / "manifest.json", (2**31, 2**31))
    assert [i.id for i in list_backups(store)] == ["b", "c", "a"]


def test_a_folder_without_a_manifest_is_no_backup(store: LocalStore, tmp_path: Path) -> None:
    make(store, tmp_path)
    store.delete(f"{FACTS.id}/manifest.json")
    assert list_backups(store) == []
    with pytest.raises(Corrupt, match="missing"):
        open_backup(store, FACTS.id)


# ----------------------------------------------------------------- verdicts


def test_verdicts_are_chained_and_append_only(store: LocalStore, tmp_path: Path) -> None:
    backup = make(store, tmp_path)
    given_ = [
        Verdict("L0 manifest", True),
        Verdict("L5", False, "a", "b", "c", {"rows": [1, 2.5, None, {"x": "y"}]}),
    ]
    for verdict in given_:
        put_verdict(store, backup, verdict)
    stored = verdicts(store, FACTS.id)
    assert [s.verdict for s in stored] == given_
    assert {s.manifest_sha256 for s in stored} == {backup.manifest_sha256}
    assert stored[0].previous == ""
    assert [v.passed for v in check(backup)] == [True] * 4  # L1 ignores verdicts/


@pytest.mark.parametrize("damage", ["edit", "remove", "insert", "reorder"])
def test_a_tampered_chain_of_verdicts_is_corrupt(store: LocalStore, tmp_path: Path, damage: str) -> None:
    backup = make(store, tmp_path)
    for n in range(3):
        put_verdict(store, backup, Verdict(f"L{n}", n != 1))
    folder = store.folder / FACTS.id / "verdicts"
    first, second = folder / "000000.json", folder / "000001.json"
    if damage == "edit":
        second.write_text(second.read_text().replace("false", "true"))
    elif damage == "remove":
        second.unlink()
    elif damage == "insert":
        (folder / "000003.json").write_bytes(second.read_bytes())
    else:
        data = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(data)
    with pytest.raises(Corrupt):
        verdicts(store, FACTS.id)


# ------------------------------------------------------------------- schema

names = st.text("abcdef ü\"';-", min_size=1, max_size=8)
texts = st.none() | st.text(max_size=10)
kinds = st.sampled_from([k for k in Kind if k is not Kind.ARRAY])
plain_types = st.builds(
    Type,
    kind=kinds,
    native=st.text(max_size=5),
    bits=st.none() | st.sampled_from([16, 32, 64]),
    precision=st.none() | st.integers(1, 100),
    labels=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    textual=st.booleans(),
)
types = plain_types | st.builds(Type, kind=st.just(Kind.ARRAY), item=plain_types)
columns = st.lists(
    st.builds(
        Column,
        name=names,
        type=types,
        nullable=st.booleans(),
        default=texts,
        generated=texts,
        collation=texts,
    ),
    max_size=4,
    unique_by=lambda c: c.name,
).map(tuple)
name_tuples = st.lists(names, max_size=2).map(tuple)
tables = st.builds(
    Table,
    name=names,
    columns=columns,
    primary_key=name_tuples,
    uniques=st.lists(st.builds(Unique, names, name_tuples, st.text(max_size=4)), max_size=2).map(tuple),
    foreign_keys=st.lists(st.builds(ForeignKey, names, name_tuples, names, name_tuples), max_size=2).map(
        tuple
    ),
    checks=st.lists(st.builds(Check, names, st.text(max_size=9), st.booleans()), max_size=2).map(tuple),
    indexes=st.lists(
        st.builds(Index, names, st.text(max_size=9), st.booleans(), name_tuples), max_size=2
    ).map(tuple),
    comment=texts,
    not_carried=name_tuples,
)
schemas = st.builds(
    Schema,
    engine=st.sampled_from(["sqlite", "postgresql", "files"]),
    version=st.text(max_size=5),
    tables=st.lists(tables, max_size=3, unique_by=lambda t: t.name).map(tuple),
    sequences=st.lists(st.builds(Sequence, names, st.none() | st.integers()), max_size=2).map(tuple),
    enums=st.dictionaries(names, name_tuples, max_size=2),
    extensions=name_tuples,
)


@settings(max_examples=150, deadline=None)
@given(schemas)
def test_a_schema_comes_back_equal_from_json(schema: Schema) -> None:
    data = schema_json.dump(schema)
    assert schema_json.load(data) == schema
    assert schema_json.dump(schema_json.load(data)) == data


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"format": 1', '"format": 2', UsageError),
        ('"format": 1', '"format": true', Corrupt),
        ('"engine": "sqlite"', '"engine": 7', Corrupt),
        ('"engine": "sqlite"', '"engine": "sqlite", "more": 1', Corrupt),
        ('"engine": "sqlite",', "", Corrupt),
        ('"engine": "sqlite"', '"engine": "sqlite", "engine": "x"', Corrupt),
        ('"kind": "int"', '"kind": "integer"', Corrupt),
        ('"bits": 64', '"bits": 64.0', Corrupt),
        ('"bits": 64', '"bits": NaN', Corrupt),
        ('"nullable": false', '"nullable": 0', Corrupt),
        ('"name": "contact"', '"name": "account"', Corrupt),
        ('"name": "email"', '"name": "id"', Corrupt),
        ("{", "[", Corrupt),
    ],
)
def test_reading_a_schema_is_strict(old: str, new: str, error: type[MigrateError]) -> None:
    text = schema_json.dump(SCHEMA).decode()
    assert old in text
    changed = text.replace(old, new, 1)
    with pytest.raises(error):
        schema_json.load(changed.encode())


def test_endless_nesting_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        schema_json.load(b"[" * 100_000)
    with pytest.raises(Corrupt):
        schema_json.load(b'{"format":1,"schema":' + b'{"x":' * 5000 + b"1" + b"}" * 5001)


def test_parts_out_of_order_are_refused(store: LocalStore, tmp_path: Path) -> None:
    parts = stage(tmp_path, CONTACT, rows_of(CONTACT, 250))
    shuffled = [parts[2], parts[0], parts[1]]
    with pytest.raises(Corrupt, match="numbered"):
        write_backup(store, manifest=FACTS, schema=SCHEMA, parts=shuffled)
