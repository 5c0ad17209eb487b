"""Signed backups: who signed what, and everything that somebody may put in the place of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from migrate import failpoints
from migrate.errors import Corrupt, UsageError
from migrate.failpoints import FailpointError
from migrate.model import Verdict
from migrate.stores.local import LocalStore
from migrate.vault import layout, signature, strict_json
from migrate.vault.check import check, check_backup
from migrate.vault.keyed import with_keys
from migrate.vault.keys import NO_KEYS, Keys
from migrate.vault.reader import open_backup
from migrate.vault.verdicts import PROVEN, StoredVerdict, is_proven, put_verdict, verdicts

from tests.vault.building import FACTS, make
from tests.vault.test_sealed import KEYS_A, of

PEM, PUBLIC = signature.new_key()
OTHER_PEM, OTHER = signature.new_key()
SIGNING = Keys(signing=PEM)
READING = Keys(trusted=(PUBLIC,), require_signature=True)
ID = FACTS.id


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "vault")


@pytest.fixture
def folder(store: LocalStore, tmp_path: Path) -> Path:
    make(with_keys(store, SIGNING), tmp_path / "s")
    return store.folder / ID


def of_key(store: LocalStore, pem: str, folder: Path) -> None:
    """The manifest that lies there, signed by another key."""
    data = (folder / "manifest.json").read_bytes()
    signed = signature.sign(data, Keys(signing=pem))
    (folder / "signatures").mkdir(exist_ok=True)
    (store.folder / layout.signature_name(ID, layout.sha256(data))).write_bytes(signed)


def test_a_signed_backup_names_its_signer(store: LocalStore, folder: Path) -> None:
    backup = open_backup(with_keys(store, READING), ID)
    assert backup.signed_by == PUBLIC
    assert [v.passed for v in check(backup)] == [True] * 4
    assert open_backup(with_keys(store, SIGNING), ID).signed_by == PUBLIC
    assert open_backup(with_keys(store, Keys(trusted=(OTHER,))), ID).signed_by == ""
    assert open_backup(store, ID).signed_by == ""
    assert PEM not in repr(SIGNING)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_openssl_checks_the_signature_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_text(signature.public_pem(PUBLIC))
    (signed,) = (folder / "signatures").iterdir()
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(tmp_path / "signing.pub"), "-rawin"]
    command = [*verify, "-in", str(folder / "manifest.json"), "-sigfile", str(signed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b"\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def _unsigned(store: LocalStore, folder: Path) -> None:
    shutil.rmtree(folder / "signatures")


def _edited(store: LocalStore, folder: Path) -> None:
    manifest = replace(layout.load_manifest((folder / "manifest.json").read_bytes(), ID), system="other")
    (folder / "manifest.json").write_bytes(layout.dump_manifest(manifest))


def _edited_and_renamed(store: LocalStore, folder: Path) -> None:
    """The signature of the old manifest under the name that that of the new one would have."""
    (old,) = (folder / "signatures").iterdir()
    _edited(store, folder)
    old.rename(old.with_name(f"{layout.sha256((folder / 'manifest.json').read_bytes())}.sig"))


def _signed_by_another(store: LocalStore, folder: Path) -> None:
    _edited(store, folder)
    of_key(store, OTHER_PEM, folder)


def _cut(store: LocalStore, folder: Path) -> None:
    (signed,) = (folder / "signatures").iterdir()
    signed.write_bytes(signed.read_bytes()[:63])


def _long(store: LocalStore, folder: Path) -> None:
    (signed,) = (folder / "signatures").iterdir()
    signed.write_bytes(signed.read_bytes() + b"\0")


def _linked(store: LocalStore, folder: Path) -> None:
    (signed,) = (folder / "signatures").iterdir()
    signed.rename(folder.parent / "elsewhere")
    signed.symlink_to(folder.parent / "elsewhere")


@pytest.mark.fineprint(29)
@pytest.mark.parametrize(
    "forge", [_unsigned, _edited, _edited_and_renamed, _signed_by_another, _cut, _long, _linked]
)
def test_what_no_trusted_key_signed_is_refused_where_that_is_required(
    forge: Callable[[LocalStore, Path], None], store: LocalStore, folder: Path
) -> None:
    forge(store, folder)
    with pytest.raises(Corrupt) as caught:
        open_backup(with_keys(store, READING), ID)
    assert caught.value.exit_code == 6
    (verdict,) = check_backup(with_keys(store, READING), ID)
    assert (verdict.check, verdict.passed) == ("L0 manifest", False)


@pytest.mark.parametrize("pem", [PEM, OTHER_PEM])
def test_an_older_signed_manifest_is_found_by_whoever_remembers_the_newer(
    pem: str, store: LocalStore, folder: Path
) -> None:
    """Its signature is good: that it is not the last one, only a ledger or a verdict knows."""
    newer = layout.sha256((folder / "manifest.json").read_bytes())
    _edited(store, folder)
    of_key(store, pem, folder)
    keys = replace(READING, trusted=(PUBLIC, OTHER))
    assert [v.passed for v in check_backup(with_keys(store, keys), ID, known_sha256=newer)] == [False]


def test_a_manifest_in_the_place_of_another_is_none_though_signed(
    store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    make(with_keys(store, SIGNING), tmp_path / "o", id_="older")
    for name in ("manifest.json", "signatures"):
        target = folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (store.folder / "older" / name).rename(target)
    with pytest.raises(Corrupt, match="says that it is backup"):
        open_backup(with_keys(store, READING), ID)


@pytest.mark.fineprint(29)
@pytest.mark.parametrize(
    "point", ["vault.signature.stored", "vault.manifest.before", "vault.manifest.stored"]
)
def test_the_signature_is_there_before_the_manifest(point: str, store: LocalStore, tmp_path: Path) -> None:
    failpoints.arm(f"{point}:1:raise")
    with pytest.raises(FailpointError):
        make(with_keys(store, SIGNING), tmp_path / "1")
    failpoints.arm()
    assert store.list(f"{ID}/signatures/")
    backup = make(with_keys(store, SIGNING), tmp_path / "2", at="2026-01-01T00:00:07+00:00")
    assert backup.signed_by == PUBLIC
    assert [v.passed for v in check(backup, 1)] == [True, True], "one that was left over harms nobody"


@pytest.mark.fineprint(29)
def test_verdicts_are_signed_name_their_manifest_and_their_predecessor(
    store: LocalStore, folder: Path
) -> None:
    vault = with_keys(store, SIGNING)
    backup = open_backup(vault, ID)
    for passed in (False, True):
        put_verdict(vault, backup, Verdict(PROVEN, passed))
    first, second = verdicts(store, ID)
    assert [v.signer(READING) for v in (first, second)] == [PUBLIC] * 2
    assert second.manifest_sha256 == backup.manifest_sha256
    assert second.previous == layout.sha256((folder / "verdicts" / "000000.json").read_bytes())
    assert [v.passed for v in check(backup, 1)] == [True, True]
    assert is_proven(with_keys(store, READING), ID, backup.manifest_sha256)
    assert not is_proven(with_keys(store, Keys(trusted=(OTHER,))), ID, backup.manifest_sha256)


@pytest.mark.fineprint(29)
@pytest.mark.parametrize("keys", [NO_KEYS, Keys(signing=OTHER_PEM)])
def test_a_verdict_that_anybody_wrote_proves_nothing(keys: Keys, store: LocalStore, folder: Path) -> None:
    backup = open_backup(store, ID)
    put_verdict(with_keys(store, keys), backup, Verdict(PROVEN, True))
    assert is_proven(store, ID, backup.manifest_sha256), (
        "as far as one can tell who trusts nobody in particular"
    )
    assert not is_proven(with_keys(store, READING), ID, backup.manifest_sha256)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: replace(v, verdict=replace(v.verdict, passed=True)),
        lambda v: replace(v, signature="zz"),
        lambda v: replace(v, signature=""),
        lambda v: replace(v, at="2027-01-01"),
    ],
)
def test_an_edited_verdict_is_signed_by_nobody(
    change: Callable[[StoredVerdict], StoredVerdict], store: LocalStore, folder: Path
) -> None:
    vault = with_keys(store, SIGNING)
    put_verdict(vault, open_backup(vault, ID), Verdict(PROVEN, False))
    path = folder / "verdicts" / "000000.json"
    edited = change(strict_json.decode(StoredVerdict, json.loads(path.read_text()), "v"))
    path.write_bytes(strict_json.readable(strict_json.encode(edited)))
    (found,) = verdicts(store, ID)
    assert found.signer(READING) == ""


@pytest.mark.parametrize(
    "keys",
    [
        Keys(signing="garbage"),
        Keys(signing="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        Keys(trusted=("ed25519:AAAA",)),
        Keys(trusted=("ssh-ed25519 AAAA",)),
        Keys(require_signature=True),
    ],
)
def test_what_is_no_key_is_said_before_anything_is_stored(
    keys: Keys, store: LocalStore, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        make(with_keys(store, keys), tmp_path / "s")
    assert "garbage" not in str(caught.value)
    assert store.list() == []


@pytest.mark.fineprint(30)
def test_a_hash_key_that_no_trusted_key_signed_is_not_gone_on_with(store: LocalStore, tmp_path: Path) -> None:
    """Whoever can write in the vault could else plant one that they know, and try values against the next backup."""
    planted = make(with_keys(store, KEYS_A), tmp_path / "1", id_="b1")
    careful = SIGNING.over(KEYS_A)
    second = make(with_keys(store, careful), tmp_path / "2", id_="b2")
    assert second.hash_key != planted.hash_key
    assert not of(second) & of(planted)
    third = make(with_keys(store, careful), tmp_path / "3", id_="b3")
    assert third.hash_key == second.hash_key
    assert of(third) == of(second)


@pytest.mark.fineprint(30)
def test_an_object_that_an_unsigned_manifest_names_is_not_taken_for_a_part(
    store: LocalStore, tmp_path: Path
) -> None:
    careful = with_keys(store, SIGNING.over(KEYS_A))
    first = make(careful, tmp_path / "1", id_="b1")
    make(careful, tmp_path / "2", id_="b2", word="other")
    one, two = (
        layout.load_manifest((store.folder / id_ / "manifest.json").read_bytes(), id_) for id_ in ("b1", "b2")
    )
    crossed = [
        replace(p, sha256=q.sha256, bytes=q.bytes, path=q.path)
        for p, q in zip(one.parts, two.parts, strict=True)
    ]
    forged = replace(one, id="b9", created_at="2030-01-01T00:00:00+00:00", parts=tuple(crossed))
    (store.folder / "b9").mkdir()
    (store.folder / "b9" / "manifest.json").write_bytes(layout.dump_manifest(forged))
    assert of(make(careful, tmp_path / "3", id_="b3")) == of(first)
