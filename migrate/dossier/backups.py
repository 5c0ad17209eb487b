"""The backups of a dossier: manifests, schemas, checksum files, signatures, and the chains of their verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrate.dossier import layout
from migrate.dossier.findings import Findings
from migrate.errors import Corrupt
from migrate.model import Manifest
from migrate.vault import layout as vault
from migrate.vault import schema_json, signature, strict_json
from migrate.vault.keys import Keys
from migrate.vault.verdicts import PROVEN, StoredVerdict


@dataclass(frozen=True)
class Withheld:
    """What stands in the place of a verdict that is kept back."""

    sha256: str
    manifest_sha256: str
    previous: str
    number: int
    at: str
    check: str
    passed: bool


def check_backups(
    files: Mapping[str, bytes],
    about: Mapping[str, Any],
    report: Mapping[str, Any],
    path: Path,
    keys: Keys,
    found: Findings,
) -> list[Manifest]:
    """Every backup that the dossier names, or says that it leaves out. Raises Corrupt naming the file."""
    told = {b.get("id"): b.get("manifest_sha256") for b in about["backups"]}
    if {b.get("id"): b.get("manifest_sha256") for b in report["backups"]} != told:
        raise Corrupt("the report names other backups than the dossier", where=f"{path}: {layout.REPORT}")
    omitted = {str(item.get("what")) for item in about["omitted"]}
    grouped: dict[str, dict[str, bytes]] = {}
    for name, data in files.items():
        if name.startswith(layout.BACKUPS):
            inner = name.removeprefix(layout.BACKUPS)
            grouped.setdefault(inner.partition("/")[0], {})[inner] = data
    for id_ in sorted(grouped.keys() - told.keys()):
        raise Corrupt("this backup is none of the run's", where=f"{path}: {layout.BACKUPS}{id_}")
    manifests = []
    for id_, sha256 in told.items():
        if not isinstance(id_, str) or not vault.is_id(id_):
            raise Corrupt("a backup has no name that one can have", where=f"{path}: {layout.DOSSIER}")
        if id_ in grouped:
            manifests.append(_Backup(id_, grouped[id_], path, keys, found).check(str(sha256), about))
        elif f"{layout.BACKUPS}{id_}" in omitted:
            found.not_checked.append(
                f"backup {id_}: it is not in the dossier, for it is no longer in the vault"
            )
        else:
            raise Corrupt("the backup is missing", where=f"{path}: {layout.BACKUPS}{id_}")
    return manifests


@dataclass(frozen=True)
class _Backup:
    id: str
    files: Mapping[str, bytes]  # by their names in the vault
    path: Path
    keys: Keys
    found: Findings

    def check(self, sha256: str, about: Mapping[str, Any]) -> Manifest:
        name = vault.manifest_name(self.id)
        data = self._file(name)
        if vault.sha256(data) != sha256:
            raise Corrupt("the manifest is not the one that the report names", where=self._where(name))
        try:
            manifest = vault.load_manifest(data, self.id)
        except Corrupt as error:
            raise Corrupt(error.message, where=self._where(name)) from error
        if manifest.run != about["run"] or manifest.mapping_digest != about["mapping_digest"]:
            raise Corrupt("the manifest is of another run or mapping", where=self._where(name))
        if self._file(vault.checksums_name(self.id)) != vault.checksums(manifest):
            raise Corrupt(
                "it is not the checksum file of the manifest",
                where=self._where(vault.checksums_name(self.id)),
            )
        expected = {
            name,
            vault.checksums_name(self.id),
            vault.signature_name(self.id, sha256),
            *self._schema(manifest),
        }
        verdicts = self._verdicts(sha256)
        for extra in sorted(self.files.keys() - expected - verdicts):
            raise Corrupt("this file is none of a backup's", where=self._where(extra))
        self._signature(sha256, data)
        return manifest

    def _schema(self, manifest: Manifest) -> set[str]:
        name = vault.schema_name(self.id)
        if manifest.seal is not None:
            self.found.not_checked.append(f"backup {self.id}: the schema, which is encrypted")
            return set()
        data = self._file(name)
        if vault.sha256(data) != manifest.schema_digest:
            raise Corrupt("the schema is not the one that the manifest names", where=self._where(name))
        misfit = vault.tables_fit(manifest, schema_json.load(data, self._where(name)))
        if misfit:
            raise Corrupt(misfit, where=self._where(name))
        return {name}

    def _signature(self, sha256: str, manifest: bytes) -> None:
        name = vault.signature_name(self.id, sha256)
        signed = self.files.get(name)
        if not signature.checks(self.keys):
            return  # said once, of the whole dossier
        if signed is None:
            self.found.not_checked.append(f"backup {self.id}: the manifest is not signed by itself")
            return
        by = signature.signer(signed, manifest, self.keys)
        if not by:
            raise Corrupt(
                "the signature of the manifest is of none of the trusted keys", where=self._where(name)
            )
        self.found.holds(f"signature of backup {self.id}", by)

    def _verdicts(self, sha256: str) -> set[str]:
        """Walks the chain. The newest restore test of this manifest is what is said of it."""
        names = sorted(name for name in self.files if name.startswith(f"{self.id}/verdicts/"))
        previous = ""
        tests: list[StoredVerdict | Withheld] = []
        held = unsigned = 0
        for number, name in enumerate(names):
            plain = vault.verdict_name(self.id, number)
            if name not in (plain, layout.withheld_name(plain)):
                raise Corrupt("the verdicts are not numbered one after the other", where=self._where(name))
            data, where = self.files[name], self._where(name)
            verdict: StoredVerdict | Withheld
            if layout.is_withheld(name):
                verdict = strict_json.decode(Withheld, strict_json.parse(data, where), where)
                following, held = verdict.sha256, held + 1
            else:
                verdict = strict_json.decode(StoredVerdict, strict_json.parse(data, where), where)
                following = hashlib.sha256(data).hexdigest()
                unsigned += self._unsigned(verdict, where)
            if verdict.previous != previous or verdict.number != number:
                raise Corrupt("the verdict before it is not the one that it was given after", where=where)
            previous = following
            if _check_of(verdict) == PROVEN and verdict.manifest_sha256 == sha256:
                tests.append(verdict)
        passed = bool(tests) and (
            tests[-1].passed if isinstance(tests[-1], Withheld) else tests[-1].verdict.passed
        )
        what = (
            "restored and found equal"
            if passed
            else "the newest restore test failed"
            if tests
            else "no restore test on record"
        )
        self.found.holds(f"backup {self.id}", f"{what}; {len(names)} verdicts in an unbroken chain")
        self.found.not_checked += _left(self.id, held, unsigned)
        return set(names)

    def _unsigned(self, verdict: StoredVerdict, where: str) -> bool:
        if not signature.checks(self.keys):
            return False
        if not verdict.signature:
            return True
        if not verdict.signer(self.keys):
            raise Corrupt("the signature of the verdict is of none of the trusted keys", where=where)
        return False

    def _file(self, name: str) -> bytes:
        if name not in self.files:
            raise Corrupt("the file is missing", where=self._where(name))
        return self.files[name]

    def _where(self, name: str) -> str:
        return f"{self.path}: {layout.BACKUPS}{name}"


def _check_of(verdict: StoredVerdict | Withheld) -> str:
    return verdict.check if isinstance(verdict, Withheld) else verdict.verdict.check


def _left(id_: str, held: int, unsigned: int) -> Iterable[str]:
    if held:
        yield f"backup {id_}: the content of {held} verdicts that may name rows and are kept back"
    if unsigned:
        yield f"backup {id_}: who gave {unsigned} verdicts that are not signed"
