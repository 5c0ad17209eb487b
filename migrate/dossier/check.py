"""Checks a dossier by itself: no ledger, no vault, no database, no network.

What its hashes, chains and signatures can tell is told; what they cannot is listed as not checked. Every fault is
Corrupt and names the file.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrate.dossier import backups, layout
from migrate.dossier.archive import HINT, read_archive
from migrate.dossier.findings import Findings
from migrate.errors import Corrupt, MappingError, UsageError
from migrate.ledger.audit_chain import broken_links
from migrate.mapping.load import digest_of
from migrate.mapping.tree import read_tree
from migrate.vault import signature, strict_json
from migrate.vault.keys import Keys

_OFFLINE = (
    "the rows of the backups: they lie in the vault (`migrate backup check`)",
    "what the target holds now (`migrate verify`)",
    "whether the audit chain went on after this file was written: only the ledger knows",
)
_ENTRY = frozenset(
    {"seq", "at", "who", "event", "run", "mapping_digest", "code_version", "facts", "previous", "hash"}
)


def check_dossier(path: Path, keys: Keys) -> dict[str, Any]:
    """{dossier, run, mapping, state, program, signed_by, checked, not_checked, omitted}. With keys that are trusted, the
    dossier has to be signed by one of them.

    Raises Corrupt naming the file that is not as it was written, UsageError (no such file; a newer program's), Unreachable."""
    try:
        return check_files(read_archive(path), path, keys)
    except Corrupt as fault:
        fault.hint = fault.hint or HINT
        raise


def check_files(files: Mapping[str, bytes], path: Path, keys: Keys) -> dict[str, Any]:
    """`check_dossier` of what was read from `path`, or is to be written there."""
    found = Findings()
    _checksums(files, path, found)
    about = _about(files, path)
    signed_by = _signature(files, path, keys, found)
    _mapping(files, about, path, found)
    report = _report(files, about, path, found)
    manifests = backups.check_backups(files, about, report, path, keys, found)
    _audit(files, about, path, [m.audit_head for m in manifests], found)
    found.not_checked += _OFFLINE
    return {
        "dossier": str(path),
        **{key: about[key] for key in ("run", "mapping", "state", "program")},
        "signed_by": signed_by,
        "checked": found.checked,
        "not_checked": found.not_checked,
        "omitted": about["omitted"],
        "exit_code": 0,
    }


def _checksums(files: Mapping[str, bytes], path: Path, found: Findings) -> None:
    for name in sorted(layout.ALWAYS - files.keys()):
        raise Corrupt("the file is missing", where=f"{path}: {name}")
    said = layout.parsed_checksums(files[layout.CHECKSUMS])
    if said is None:
        raise Corrupt("the checksum file was changed", where=f"{path}: {layout.CHECKSUMS}")
    there = files.keys() - {layout.CHECKSUMS, layout.SIGNATURE}
    for name in sorted(said.keys() - there):
        raise Corrupt("the file is missing: the checksum file names it", where=f"{path}: {name}")
    for name in sorted(there - said.keys()):
        raise Corrupt("the file was added: the checksum file does not name it", where=f"{path}: {name}")
    for name in sorted(there):
        if hashlib.sha256(files[name]).hexdigest() != said[name]:
            raise Corrupt(
                "the file was changed: its SHA-256 is not the recorded one", where=f"{path}: {name}"
            )
        if not layout.is_ours(name):
            raise Corrupt("a file of this name does not belong into a dossier", where=f"{path}: {name}")
    if files[layout.CHECKSUMS] != layout.checksums(files):
        raise Corrupt("the checksum file was changed", where=f"{path}: {layout.CHECKSUMS}")
    found.holds("files", f"{len(there)} files, each with its SHA-256, none missing, none added")


def _about(files: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    where = f"{path}: {layout.DOSSIER}"
    about = strict_json.parse(files[layout.DOSSIER], where)
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise Corrupt("this is not what a dossier says of itself", where=where)
    if about["format"] != layout.FORMAT:
        raise UsageError(
            f"the dossier has format {about['format']}, this version knows {layout.FORMAT}", where=str(path)
        )
    texts = ("run", "mapping", "mapping_digest", "state", "program", "audit_head")
    listed = all(
        isinstance(about.get(name), list) and all(isinstance(item, dict) for item in about[name])
        for name in ("backups", "omitted")
    )
    if not listed or not isinstance(about.get("mapping_files"), dict):
        raise Corrupt("this is not what a dossier says of itself", where=where)
    if not all(isinstance(about.get(name), str) for name in texts):
        raise Corrupt("this is not what a dossier says of itself", where=where)
    return about


def _signature(files: Mapping[str, bytes], path: Path, keys: Keys, found: Findings) -> str:
    signed = files.get(layout.SIGNATURE)
    if not signature.checks(keys):
        found.not_checked.append(
            "who made this file: "
            + ("it is signed, and no trusted key was given (--trust)" if signed else "it is not signed")
            + "; one who changes a file and all hashes with it is not found by hashes alone"
        )
        return ""
    where = f"{path}: {layout.SIGNATURE}"
    if signed is None:
        raise Corrupt("the dossier is not signed, and a trusted key was given", where=where)
    by = signature.signer(signed, files[layout.CHECKSUMS], keys)
    if not by:
        raise Corrupt("the signature is of none of the trusted keys, or the dossier was changed", where=where)
    found.holds("signature of the dossier", by)
    return by


def _mapping(files: Mapping[str, bytes], about: Mapping[str, Any], path: Path, found: Findings) -> None:
    where = f"{path}: {layout.MAPPING}"
    with tempfile.TemporaryDirectory(prefix="migrate-dossier-") as folder:
        copy = Path(folder) / "mapping.yaml"
        copy.write_bytes(files[layout.MAPPING])
        try:
            digest = digest_of(read_tree(copy, where), about["mapping_files"])
        except MappingError as error:
            raise Corrupt("this is no mapping", where=where) from error
    if digest != about["mapping_digest"]:
        raise Corrupt(
            "the mapping is not the one that the run was started with: its digest differs", where=where
        )
    found.holds("mapping", digest)
    if about["mapping_files"]:
        count = len(about["mapping_files"])
        found.not_checked.append(
            f"{count} files that the mapping names: only their SHA-256 are in the dossier"
        )


def _report(
    files: Mapping[str, bytes], about: Mapping[str, Any], path: Path, found: Findings
) -> dict[str, Any]:
    """The report, of the same run, in the same state, with the same verdicts as the rest of the dossier."""
    where = f"{path}: {layout.REPORT}"
    report = strict_json.parse(files[layout.REPORT], where)
    if not isinstance(report, dict) or not isinstance(report.get("backups"), list):
        raise Corrupt("this is no report of a run", where=where)
    for name in ("run", "mapping", "state"):
        if report.get(name) != about[name]:
            raise Corrupt(f"the report is of another {name} than the dossier", where=where)
    verdicts = strict_json.parse(files[layout.VERDICTS], f"{path}: {layout.VERDICTS}")
    plain = [{k: v for k, v in verdict.items() if k != "stage"} for verdict in verdicts]
    if plain != report.get("verdicts"):
        raise Corrupt("its verdicts are not those of the report", where=f"{path}: {layout.VERDICTS}")
    failed = sum(not verdict.get("passed") for verdict in plain)
    found.holds("report", f"{about['state']}; {len(plain)} checks, {failed} of them failed")
    if layout.PAGE in files:
        found.not_checked.append("whether the page says what report.json says: only that neither was changed")
    return report


def _audit(
    files: Mapping[str, bytes], about: Mapping[str, Any], path: Path, heads: list[str], found: Findings
) -> None:
    where = f"{path}: {layout.AUDIT}"
    chain = [strict_json.parse(line, where) for line in files[layout.AUDIT].splitlines()]
    if not all(isinstance(entry, dict) and entry.keys() == _ENTRY for entry in chain):
        raise Corrupt("an entry of the audit chain is none", where=where)
    broken = broken_links(chain, [*heads, about["audit_head"]])
    if broken:
        raise Corrupt(f"the audit chain is broken: {broken[0]}", where=where)
    if (chain[-1]["hash"] if chain else "") != about["audit_head"]:
        raise Corrupt("the audit chain does not end where the dossier says", where=where)
    own = [entry for entry in chain if entry["run"] == about["run"]]
    if any(entry["mapping_digest"] != about["mapping_digest"] for entry in own):
        raise Corrupt("the audit chain knows the run with another mapping", where=where)
    if about["state"] == "verified" and not any(entry["event"] == "run verified" for entry in own):
        raise Corrupt("the audit chain does not say that the run was verified", where=where)
    found.holds(
        "audit chain", f"{len(chain)} entries, {len(own)} of this run, none changed, removed or added"
    )
