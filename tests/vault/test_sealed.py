"""Encrypted backups: what they show without a key, what opens them, what later ones need not store again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from migrate import failpoints
from migrate.errors import Corrupt, UsageError
from migrate.failpoints import FailpointError
from migrate.model import Manifest
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store
from migrate.stores.s3 import S3Store
from migrate.vault import layout
from migrate.vault.age import Locked
from migrate.vault.check import check
from migrate.vault.keyed import with_keys
from migrate.vault.keys import Keys
from migrate.vault.reader import Backup, open_backup
from migrate.vault.writer import write_backup

from tests.runs import places_of
from tests.stores.servers import KEYS, s3_location
from tests.vault.building import CONTACT, FACTS, SCHEMA, make, original, rows_of, staged

CANARY = "canary-of-a-person"


def pair() -> Keys:
    identity = pyrage.x25519.Identity.generate()
    return Keys(recipients=(str(identity.to_public()),), identities=(str(identity),))


KEYS_A, KEYS_B = pair(), pair()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture(params=["folder", "bucket"])
def plain(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Where the backups lie, as somebody sees it who has no key."""
    if request.param == "folder":
        return LocalStore(tmp_path / "vault")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return S3Store(s3_location())


@pytest.fixture
def folder(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "vault")


def everything(store: Store) -> bytes:
    return b"".join(name.encode() + store.read_bytes(name, limit=1 << 30) for name in store.list())


@pytest.mark.fineprint(30)
def test_only_the_recipient_reads_what_is_stored(plain: Store, tmp_path: Path) -> None:
    data = f"id,email\r\n1,{CANARY}\r\n".encode()
    clear = make(LocalStore(tmp_path / "clear"), tmp_path / "c", word=CANARY)
    backup = make(
        with_keys(plain, KEYS_A), tmp_path / "s", word=CANARY, files=(original(tmp_path / "in", data=data),)
    )
    seen = everything(plain)
    assert CANARY.encode() not in seen
    assert b"account_id" not in seen, "names of columns are the schema's"
    for ref in clear.manifest.parts:  # nor can anybody who guesses the rows see that they are there
        assert ref.sha256.encode() not in seen
        assert ref.digest.encode() not in seen
    assert clear.manifest.digests["contact"].encode() not in seen
    assert hashlib.sha256(data).hexdigest().encode() not in seen

    assert backup.manifest.digests == clear.manifest.digests
    assert backup.schema == SCHEMA
    assert [v.passed for v in check(backup)] == [True] * 4
    assert (
        backup.part(backup.parts_by_table["contact"][0])
        .slice(0, 100)
        .equals(clear.part(clear.parts_by_table["contact"][0]))
    )
    (restored,) = backup.restore_files(tmp_path / "files")
    assert restored.read_bytes() == data
    assert [p.name for p in (tmp_path / "files").iterdir()] == ["contacts.csv"]


@pytest.mark.fineprint(30)
def test_the_levels_that_read_bytes_need_no_key(plain: Store, tmp_path: Path) -> None:
    make(with_keys(plain, KEYS_A), tmp_path / "s")
    for keys in (Keys(), KEYS_B):
        backup = open_backup(with_keys(plain, keys), FACTS.id)
        assert [v.passed for v in check(backup, 2)] == [True] * 3
        for needs in (
            lambda b: b.schema,
            lambda b: check(b, 3),
            lambda b: b.part(b.manifest.parts[0]),
            lambda b: b.part_file(b.manifest.parts[0], tmp_path / "cache"),
        ):
            with pytest.raises(Locked, match="does not open it" if keys.identities else "no identity"):
                needs(backup)
        assert not list((tmp_path / "cache").glob("*")), "nothing is left of what did not open"


def test_a_file_of_the_cache_counts_only_as_it_was(folder: LocalStore, tmp_path: Path) -> None:
    backup = make(with_keys(folder, KEYS_A), tmp_path / "s")
    ref = backup.manifest.parts[0]
    path = backup.part_file(ref, tmp_path / "cache")
    good = path.read_bytes()
    assert good[:4] == b"PAR1"
    path.write_bytes(good[:-1] + b"x")
    assert backup.part_file(ref, tmp_path / "cache").read_bytes() == good
    assert path.stat().st_mode & 0o077 == 0


def of(backup: Backup) -> set[str]:
    return {p.sha256 for p in backup.manifest.parts}


@pytest.mark.fineprint(30)
def test_equal_parts_are_named_again_only_for_equal_recipients(plain: Store, tmp_path: Path) -> None:
    vault = with_keys(plain, KEYS_A)
    first = make(vault, tmp_path / "1", id_="b1")
    second = make(vault, tmp_path / "2", id_="b2")
    assert of(second) == of(first)
    assert [v.passed for v in check(second)] == [True] * 4
    more = replace(KEYS_A, recipients=(*KEYS_A.recipients, *KEYS_B.recipients))
    third = make(with_keys(plain, more), tmp_path / "3", id_="b3")
    assert not of(third) & of(first)
    unread = make(with_keys(plain, replace(KEYS_A, identities=())), tmp_path / "4", id_="b4")
    assert not of(unread) & of(first), "without an identity nobody knows what the earlier objects hold"
    fifth = make(vault, tmp_path / "5", id_="b5")
    assert of(fifth) == of(unread), "the newest backup's key is gone on with"
    assert open_backup(with_keys(plain, KEYS_B), "b3").schema == SCHEMA


def test_an_object_that_is_damaged_is_not_named_again(folder: LocalStore, tmp_path: Path) -> None:
    vault = with_keys(folder, KEYS_A)
    first = make(vault, tmp_path / "1", id_="b1")
    for sha256 in of(first):
        path = folder.folder / layout.object_name(sha256)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    second = make(vault, tmp_path / "2", id_="b2")
    assert [v.passed for v in check(second)] == [True] * 4


def rewritten(store: LocalStore, manifest: Manifest) -> None:
    """As one would who can write in the vault and knows the format, and has no key."""
    (store.folder / manifest.id / "manifest.json").write_bytes(layout.dump_manifest(manifest))
    (store.folder / manifest.id / "manifest-sha256.txt").write_bytes(layout.checksums(manifest))


def stored(store: LocalStore, id_: str = FACTS.id) -> Manifest:
    return layout.load_manifest((store.folder / id_ / "manifest.json").read_bytes(), id_)


def test_parts_of_another_backup_in_its_place_are_found_with_the_key(
    folder: LocalStore, tmp_path: Path
) -> None:
    vault = with_keys(folder, KEYS_A)
    make(vault, tmp_path / "1", id_="b1")
    make(vault, tmp_path / "2", id_="b2", word="other")
    one, two = stored(folder, "b1"), stored(folder, "b2")
    swapped = [
        replace(p, path=q.path, sha256=q.sha256, bytes=q.bytes)
        for p, q in zip(one.parts, two.parts, strict=True)
    ]
    rewritten(folder, replace(one, parts=tuple(swapped)))
    backup = open_backup(vault, "b1")
    assert [v.passed for v in check(backup)] == [True, True, True, False]
    with pytest.raises(Corrupt, match="does not hold what the manifest says"):
        backup.part_file(backup.manifest.parts[0], tmp_path / "cache")
    # with the keyed hashes of the others too: then it is the rows that are not those that were counted
    whole = [replace(p, keyed=q.keyed) for p, q in zip(swapped, two.parts, strict=True)]
    rewritten(folder, replace(one, parts=tuple(whole)))
    assert not check(open_backup(vault, "b1"))[-1].passed


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda m: replace(m, seal=None, format=1), "keyed hash"),
        (lambda m: replace(m, seal=None), "encryption"),
        (lambda m: replace(m, format=1), "encryption"),
        (lambda m: replace(m, seal=replace(m.seal, recipients=())), "recipients"),
        (lambda m: replace(m, seal=replace(m.seal, key="../x")), "hash key"),
        (lambda m: replace(m, parts=tuple(replace(p, keyed="") for p in m.parts)), "keyed hash"),
        (lambda m: replace(m, seal=replace(m.seal, key="0" * 32)), "hash key"),
        (lambda m: replace(m, seal=replace(m.seal, key_sha256="0" * 64)), "not the one"),
    ],
)
def test_a_manifest_that_was_bent_is_refused(
    change: object, word: str, folder: LocalStore, tmp_path: Path
) -> None:
    vault = with_keys(folder, KEYS_A)
    make(vault, tmp_path / "1")
    rewritten(folder, change(stored(folder)))  # type: ignore[operator]
    with pytest.raises(Corrupt, match=word):
        open_backup(vault, FACTS.id)


def test_another_backups_key_does_not_fit(folder: LocalStore, tmp_path: Path) -> None:
    vault = with_keys(folder, KEYS_A)
    make(vault, tmp_path / "1", id_="b1")
    make(with_keys(folder, replace(KEYS_A, identities=())), tmp_path / "2", id_="b2")  # a key of its own
    other = (folder.folder / "b2" / "hash-key.age").read_bytes()
    (folder.folder / "b1" / "hash-key.age").write_bytes(other)
    manifest = stored(folder, "b1")
    assert manifest.seal is not None
    rewritten(folder, replace(manifest, seal=replace(manifest.seal, key_sha256=layout.sha256(other))))
    with pytest.raises(Corrupt, match="not the one that the manifest was written with"):
        open_backup(vault, "b1")


POINTS = (
    "vault.object.sealed", "vault.object.stored", "vault.object.verified", "vault.schema.stored",
    "vault.checksums.stored", "vault.manifest.before", "vault.manifest.stored",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_backup_that_was_broken_off_is_none_and_can_be_made_again(
    point: str, folder: LocalStore, tmp_path: Path
) -> None:
    vault = with_keys(folder, KEYS_A)
    parts = staged(tmp_path / "s")
    failpoints.arm(f"{point}:1:raise")
    with pytest.raises(FailpointError):
        write_backup(vault, manifest=FACTS, schema=SCHEMA, parts=parts)
    failpoints.arm()
    assert not list((tmp_path / "s").rglob("migrate-seal-*"))
    if point != "vault.manifest.stored":
        with pytest.raises(Corrupt):
            open_backup(vault, FACTS.id)
    again = write_backup(vault, manifest=FACTS, schema=SCHEMA, parts=parts)
    backup = open_backup(vault, FACTS.id)
    assert again.digests == backup.manifest.digests
    assert [v.passed for v in check(backup)] == [True] * 4
    assert rows_of(CONTACT, 250).num_rows == backup.rows("contact")


def test_the_same_name_with_other_rows_is_refused(folder: LocalStore, tmp_path: Path) -> None:
    make(with_keys(folder, KEYS_A), tmp_path / "1")
    for keys in (KEYS_A, Keys()):
        with pytest.raises(UsageError, match="other content"):
            make(with_keys(folder, keys), tmp_path / "2", word="y")


def test_a_part_that_changed_on_the_way_is_not_encrypted(folder: LocalStore, tmp_path: Path) -> None:
    parts = staged(tmp_path / "s")
    parts[1][1].write_bytes(b"something else")
    with pytest.raises(Corrupt, match="no longer what was written"):
        write_backup(with_keys(folder, KEYS_A), manifest=FACTS, schema=SCHEMA, parts=parts)


def test_an_identity_that_opens_nothing_is_found_before_anything_is_stored(
    folder: LocalStore, tmp_path: Path
) -> None:
    keys = replace(KEYS_A, identities=KEYS_B.identities)
    with pytest.raises(Locked):
        make(with_keys(folder, keys), tmp_path / "s")
    assert folder.list() == []


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
def test_the_checksum_file_is_of_what_is_stored(folder: LocalStore, tmp_path: Path) -> None:
    make(with_keys(folder, KEYS_A), tmp_path / "s")
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "manifest-sha256.txt"],
        cwd=folder.folder / FACTS.id,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert b"hash-key.age: OK" in done.stdout


def test_keys_show_nowhere(folder: LocalStore, tmp_path: Path) -> None:
    backup = make(with_keys(folder, KEYS_A), tmp_path / "s")
    secret = KEYS_A.identities[0]
    assert secret not in repr(KEYS_A) + repr(backup)
    assert backup.hash_key.hex() not in repr(backup)
    assert repr(backup.hash_key) not in repr(backup)
    assert not places_of([tmp_path], secret.encode())
    assert not places_of([tmp_path], backup.hash_key.hex().encode())
