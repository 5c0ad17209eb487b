"""A dossier is what was written, by whom it says, and holds nothing of anybody; whatever is done to one shows."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from migrate import api, failpoints
from migrate.dossier import layout
from migrate.dossier.archive import pack, read_archive
from migrate.dossier.build import _speaks_of_rows
from migrate.errors import Corrupt, GateClosed, MigrateError, UsageError
from migrate.model import Verdict
from migrate.vault import signature
from migrate.vault.keys import NO_KEYS, Keys

from tests.runs import World, command, files

TARGET = ("CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT NOT NULL, mail TEXT, legacy_id TEXT)",)
MAPPED = """
  people:
    from: people
    key: id
    into: people
    fields: {name: {from: full_name, check: [required]}, mail: mail, legacy_id: id}
"""
CANARY = "ada.canary@example.com"
PEOPLE = (
    f"id,full_name,mail\r\n1,Ada Canary,{CANARY}\r\n2,,nobody.canary@example.com\r\n3,Bo Canary,\r\n".encode()
)
PEM, PUBLIC = signature.new_key()
OTHER_PEM, OTHER = signature.new_key()
TRUSTING = Keys(trusted=(PUBLIC,))


@dataclass(frozen=True)
class Made:
    world: World
    plain: Path
    signed: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("dossier")
    world = files(folder, {"people.csv": PEOPLE}, TARGET, MAPPED)
    world.write()
    (folder / "key.pem").write_text(PEM)
    plain, signed = folder / "plain.zip", folder / "signed.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIGRATE_BACKUP_SIGNING_KEY", str(folder / "key.pem"))
        assert api.run(world.mapping, home=world.home)["state"] == "verified"
        assert api.dossier("latest", signed, home=world.home)["signed"]
    assert not api.dossier("latest", plain, home=world.home)["signed"]
    return Made(world, plain, signed)


def rewritten(made: Made, tmp_path: Path, change: Callable[[dict[str, bytes]], None], *, sums: bool) -> Path:
    """The unsigned dossier with a change; `sums`: the checksum file is made to fit, as a forger would."""
    content = read_archive(made.plain)
    change(content)
    if sums:
        content[layout.CHECKSUMS] = layout.checksums(content)
    path = tmp_path / "changed.zip"
    path.write_bytes(pack(content))
    return path


def refused(path: Path, keys: Keys = NO_KEYS) -> MigrateError:
    with pytest.raises(Corrupt) as caught:
        api.dossier_verify(path, keys=keys)
    assert caught.value.exit_code == 6
    assert str(path) in caught.value.where
    assert "Ask its sender" in caught.value.hint
    return caught.value


def manifest_of(content: dict[str, bytes], role: str = "target") -> str:
    return next(
        n for n in content if n.endswith("/manifest.json") and f'"role": "{role}"'.encode() in content[n]
    )


def test_a_dossier_holds_and_says_what_it_cannot_tell(made: Made) -> None:
    found = api.dossier_verify(made.plain, keys=NO_KEYS)
    assert (found["state"], found["signed_by"]) == ("verified", "")
    checks = {c["check"] for c in found["checked"]}
    assert {"files", "mapping", "report", "audit chain"} <= checks
    assert any("not signed" in text for text in found["not_checked"])
    assert any("vault" in text for text in found["not_checked"])
    trusted = api.dossier_verify(made.signed, keys=TRUSTING)
    assert trusted["signed_by"] == PUBLIC
    assert sum(c["check"].startswith("signature of backup") for c in trusted["checked"]) == 2
    assert not any("who made" in text for text in trusted["not_checked"])


def test_it_needs_neither_ledger_nor_vault_and_any_folder_will_do(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy(made.signed, tmp_path / "copy.zip")
    monkeypatch.chdir(tmp_path)
    done = command("dossier", "verify", str(copy), "--trust", PUBLIC, "--json")
    assert done.code == 0, done.err
    assert done.document["signed_by"] == PUBLIC
    assert [p.name for p in tmp_path.iterdir()] == ["copy.zip"]


def test_the_same_run_gives_the_same_bytes_for_the_owner_alone(made: Made, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    done = command("report", "latest", "--bundle", str(again), "--home", str(made.world.home), "--json")
    assert done.code == 0, done.err
    assert again.read_bytes() == made.plain.read_bytes()
    assert done.document["bundle"]["sha256"] == hashlib.sha256(again.read_bytes()).hexdigest()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600


def test_a_kill_leaves_no_half_of_one(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "kept.zip"
    path.write_bytes(b"what was there before")
    for point in ("dossier.built", "dossier.written", "dossier.fsynced"):
        failpoints.arm(f"{point}:*:raise")
        try:
            with pytest.raises(failpoints.FailpointError):
                api.dossier("latest", path, home=made.world.home)
        finally:
            failpoints.arm()
        assert path.read_bytes() == b"what was there before"
        assert [p.name for p in tmp_path.iterdir()] == ["kept.zip"]


def test_nobodys_data_is_in_it(made: Made) -> None:
    data = made.plain.read_bytes()
    assert b"canary" not in data.lower()
    rows = Verdict("L5 values", True, evidence={"rows": 3, "violations": []})
    assert not _speaks_of_rows(rows)
    for verdict in (
        Verdict("L5 values", False),
        Verdict("query newest", True, found=CANARY),
        Verdict("L5 violations", True, evidence={"violations": [CANARY]}),
    ):
        assert _speaks_of_rows(verdict)


def test_a_verdict_that_is_kept_back_leaves_the_chain_whole(made: Made, tmp_path: Path) -> None:
    """Its stub carries the SHA-256, so that the next one still follows; another SHA-256 breaks the chain."""

    def withhold(content: dict[str, bytes]) -> None:
        name = next(n for n in sorted(content) if n.endswith("/verdicts/000000.json"))
        data = content.pop(name)
        stored = json.loads(data)
        stub = {k: stored[k] for k in ("manifest_sha256", "previous", "at")}
        stub |= {"number": 0, "check": stored["verdict"]["check"], "passed": True}
        content[layout.withheld_name(name)] = json.dumps(
            stub | {"sha256": hashlib.sha256(data).hexdigest()}
        ).encode()

    kept = api.dossier_verify(rewritten(made, tmp_path, withhold, sums=True), keys=NO_KEYS)
    assert any("kept back" in text for text in kept["not_checked"])

    def wrongly(content: dict[str, bytes]) -> None:
        withhold(content)
        name = next(n for n in content if n.endswith(".withheld.json"))
        content[name] = json.dumps(json.loads(content[name]) | {"sha256": "0" * 64}).encode()

    assert "000001" in refused(rewritten(made, tmp_path, wrongly, sums=True)).where


def test_every_single_file_that_is_changed_removed_or_renamed_is_named(made: Made, tmp_path: Path) -> None:
    names = sorted(read_archive(made.plain))
    for name in names:
        flipped = rewritten(made, tmp_path, lambda c, n=name: c.update({n: c[n][:-2] + b"~\n"}), sums=False)  # type: ignore[misc]
        told = refused(flipped).where
        assert told.endswith(f": {name}") or name == layout.CHECKSUMS, told  # one of its lines, then
        gone = rewritten(made, tmp_path, lambda c, n=name: c.pop(n), sums=False)  # type: ignore[misc]
        assert refused(gone).where.endswith(f": {name}")
    added = rewritten(made, tmp_path, lambda c: c.update({"backups/more.json": b"{}"}), sums=False)
    assert "added" in refused(added).message
    renamed = rewritten(
        made, tmp_path, lambda c: c.update({"report2.json": c.pop("report.json")}), sums=False
    )
    assert refused(renamed).where.endswith(": report.json")


def _edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(content: dict[str, bytes]) -> None:
        assert old in content[name]
        content[name] = content[name].replace(old, new, 1)

    return change


FORGED = {
    "report.json": _edit("report.json", b'"state": "verified"', b'"state": "stopped"'),
    "dossier.json": _edit("dossier.json", b'"audit_head": "', b'"audit_head": "0'),
    "verdicts.json": _edit("verdicts.json", b'"passed": true', b'"passed": false'),
    "mapping/mapping.yaml": _edit("mapping/mapping.yaml", b"full_name", b"last_name"),
    "audit.jsonl": _edit("audit.jsonl", b'"event":"run verified"', b'"event":"run Verified"'),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forger_who_mends_the_checksums_contradicts_the_rest(made: Made, tmp_path: Path, name: str) -> None:
    fault = refused(rewritten(made, tmp_path, FORGED[name], sums=True))
    assert fault.where.endswith(f": {'audit.jsonl' if name == 'dossier.json' else name}")


def test_an_entry_of_the_audit_chain_is_neither_edited_nor_taken_out(made: Made, tmp_path: Path) -> None:
    """Others than the last and the one that says verified: nothing but the chain itself holds those."""
    edited = rewritten(made, tmp_path, _edit(layout.AUDIT, b'"at":"2', b'"at":"3'), sums=True)
    assert "entry 1 was changed" in refused(edited).message

    def without_the_first(content: dict[str, bytes]) -> None:
        content[layout.AUDIT] = content[layout.AUDIT].partition(b"\n")[2]

    cut = rewritten(made, tmp_path, without_the_first, sums=True)
    assert "entry 1 is missing" in refused(cut).message


def test_a_forged_manifest_or_verdict_is_named(made: Made, tmp_path: Path) -> None:
    content = read_archive(made.plain)
    manifest = manifest_of(content)
    assert refused(
        rewritten(made, tmp_path, _edit(manifest, b'"engine"', b'"enginf"'), sums=True)
    ).where.endswith(manifest)
    verdict = manifest.replace("manifest.json", "verdicts/000000.json")
    fault = refused(rewritten(made, tmp_path, _edit(verdict, b'"at": "2', b'"at": "3'), sums=True))
    assert fault.where.endswith("000001.json"), "the next one was given after another"
    schema = manifest.replace("manifest.json", "schema.json")
    assert refused(rewritten(made, tmp_path, _edit(schema, b"people", b"peopl3"), sums=True)).where.endswith(
        schema
    )


def test_signatures_are_of_the_trusted_key_or_nothing_is(made: Made, tmp_path: Path) -> None:
    assert "none of the trusted" in refused(made.signed, Keys(trusted=(OTHER,))).message
    assert "not signed" in refused(made.plain, TRUSTING).message

    content = read_archive(made.signed)
    content["report.html"] = b"<p>All is well</p>"
    content[layout.CHECKSUMS] = layout.checksums(content)
    path = tmp_path / "forged.zip"
    path.write_bytes(pack(content))
    assert refused(path, TRUSTING).where.endswith(layout.SIGNATURE)
    content[layout.SIGNATURE] = signature.sign(content[layout.CHECKSUMS], Keys(signing=OTHER_PEM))
    path.write_bytes(pack(content))
    assert refused(path, TRUSTING).where.endswith(layout.SIGNATURE)
    assert api.dossier_verify(path, keys=NO_KEYS)["signed_by"] == "", "said as not checked, never as passed"


def test_other_tools_check_it_too(made: Made, tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    with zipfile.ZipFile(made.signed) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "checksums.txt"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _zip(*entries: tuple[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compress)
    return buffer.getvalue()


HOSTILE = {
    "empty": b"",
    "garbage": b"\x00" * 5000,
    "no archive": b"PK\x03\x04 and then nothing",
    "path traversal": _zip(("../evil.json", b"{}")),
    "absolute path": _zip(("/etc/evil", b"{}")),
    "backslashes": _zip(("..\\evil.json", b"{}")),
    "hidden name": _zip((".bashrc", b"x")),
    "a NUL in the name": _zip(("reportx.json", b"{}")).replace(b"reportx", b"report\0"),
    "long name": _zip(("a" * 5000, b"{}")),
    "a bomb": _zip(("report.json", b"0" * 20_000_000), compress=zipfile.ZIP_DEFLATED),
    "too many": _zip(*((f"n{n}", b"") for n in range(20_001))),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(HOSTILE[kind])
    refused(path)
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_is_not_as_written_is_refused(made: Made, tmp_path: Path) -> None:
    data, content = made.plain.read_bytes(), read_archive(made.plain)
    twice = io.BytesIO(data)
    with zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("report.json", b"{}")
    larger = data.replace(
        len(content["report.json"]).to_bytes(4, "little") * 2, (1 << 31).to_bytes(4, "little") * 2
    )
    for changed in (
        twice.getvalue(),
        data + b"behind it",
        b"before it" + data,
        data[:-2] + b"\x01\x00c",  # a comment
        _zip(*sorted(content.items(), reverse=True)),
        _zip(*sorted(content.items()), compress=zipfile.ZIP_DEFLATED),
        data[: len(data) // 2],
        larger,
    ):
        path = tmp_path / "changed.zip"
        path.write_bytes(changed)
        assert changed != data
        refused(path)


def test_a_run_in_any_state_has_a_dossier_that_holds(tmp_path: Path) -> None:
    world = files(tmp_path, {"people.csv": PEOPLE}, TARGET, MAPPED)
    world.write()
    path = tmp_path / "run.zip"

    def state() -> str:
        api.dossier("latest", path, home=world.home)
        return str(api.dossier_verify(path, keys=NO_KEYS)["state"])

    api.run(world.mapping, to="plan", home=world.home)
    assert state() == "stopped"
    api.run(world.mapping, home=world.home)
    world.target.run("UPDATE people SET name = 'somebody else'")
    with pytest.raises(GateClosed):
        api.verify("latest", home=world.home)
    assert state() == "failed"
    assert not api.report("latest", home=world.home)["sentence"].startswith("Verified")
    api.rollback("latest", force=["people"], home=world.home)
    assert state() == "rolled_back"


def test_places_that_cannot_be_are_said(made: Made, tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "x.zip", tmp_path):
        with pytest.raises(UsageError):
            api.dossier("latest", path, home=made.world.home)
    with pytest.raises(UsageError):
        api.dossier_verify(tmp_path / "none.zip", keys=NO_KEYS)
