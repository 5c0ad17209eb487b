"""Gathers what a dossier holds from a run's folder, the ledger and the vault. No row and no value of a row is in it.

Verdicts beside a backup are signed and chained as they are. One that may speak of rows (it failed, or its evidence names
more than tables and counts, or it is the answer to a query) is kept back: a stub with its SHA-256 takes its place, so that
the chain can still be followed, and `dossier.json` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from migrate import __version__
from migrate.dossier import layout
from migrate.errors import Corrupt, UsageError
from migrate.ledger.ledger import Ledger
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.vault import layout as vault
from migrate.vault import signature, strict_json
from migrate.vault.keyed import keys_of
from migrate.vault.verdicts import StoredVerdict

_REPORT_LIMIT = 64 << 20
# What a verdict's evidence may hold and still be shown: names of tables and backups, counts, times.
_HARMLESS = frozenset(
    {
        "backup", "table", "tables", "rows", "rows_expected", "rows_found", "seconds", "scratch", "version", "proven",
        "rows_per_second", "rpo_seconds", "rto_seconds",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What is known of the run whose dossier this is. `mapping`: the bytes of its copy; `mapping_files`: the files that it
    names, by the SHA-256 of their bytes."""

    id: str
    folder: Path
    mapping: bytes
    mapping_files: Mapping[str, str]


def dossier_files(run: Run, ledger: Ledger, store: Store) -> dict[str, bytes]:
    """Name → bytes of everything, checksum file and signature included. The same facts give the same bytes.

    Raises UsageError where the run has no report, Corrupt where a file of run or vault is not what it was, Unreachable."""
    info = ledger.run(run.id)
    entries = ledger.audit_entries()
    omitted: list[dict[str, str]] = []
    files = {
        layout.REPORT: _of_run(run, layout.REPORT),
        layout.MAPPING: run.mapping,
        layout.VERDICTS: strict_json.readable(
            [{"stage": stage, **_shown(verdict)} for stage, verdict in ledger.verdicts(run.id)]
        ),
        layout.AUDIT: b"".join(strict_json.canonical(entry) + b"\n" for entry in entries),
    }
    if (run.folder / layout.PAGE).is_file():
        files[layout.PAGE] = _of_run(run, layout.PAGE)
    else:
        omitted.append({"what": layout.PAGE, "why": "the run has no page"})
    backups = []
    for row in sorted((b for b in ledger.backups() if b.run == run.id), key=lambda b: b.id):
        backups.append({"id": row.id, "role": row.role, "manifest_sha256": row.manifest_sha256})
        if not store.exists(vault.manifest_name(row.id)):
            omitted.append(
                {"what": f"{layout.BACKUPS}{row.id}", "why": "the backup is no longer in the vault"}
            )
            continue
        files |= _backup(store, row.id, row.manifest_sha256, omitted)
    files[layout.DOSSIER] = strict_json.readable(
        {
            "format": layout.FORMAT,
            "program": f"migrate {__version__}",
            "run": run.id,
            "mapping": info.mapping,
            "mapping_digest": info.mapping_digest,
            "mapping_files": dict(sorted(run.mapping_files.items())),
            "state": _state(files[layout.REPORT]),
            "started": info.started.isoformat(),
            "ended": info.ended.isoformat() if info.ended else None,
            "backups": backups,
            "audit_head": entries[-1]["hash"] if entries else "",
            "omitted": omitted,
        }
    )
    files[layout.CHECKSUMS] = layout.checksums(files)
    keys = keys_of(store)
    if keys.signing:
        files[layout.SIGNATURE] = signature.sign(files[layout.CHECKSUMS], keys)
    return files


def _state(report: bytes) -> str:
    """That of the report: a run that was verified and later found changed is still so in the ledger."""
    found = strict_json.parse(report, layout.REPORT)
    return str(found.get("state")) if isinstance(found, dict) else ""


def _of_run(run: Run, name: str) -> bytes:
    path = run.folder / name
    if not path.is_file():
        raise UsageError(f"run {run.id} has no {name}", hint=f"`migrate report {run.id}` makes it.")
    if path.stat().st_size > _REPORT_LIMIT:
        raise UsageError(f"{name} is larger than a dossier takes", where=str(path))
    return path.read_bytes()


def _backup(store: Store, id_: str, known: str, omitted: list[dict[str, str]]) -> dict[str, bytes]:
    name = vault.manifest_name(id_)
    data = store.read_bytes(name, limit=vault.MANIFEST_LIMIT)
    sha256 = vault.sha256(data)
    if sha256 != known:
        raise Corrupt(
            "the manifest is not the one that this run wrote", where=name, kept="No dossier was written."
        )
    manifest = vault.load_manifest(data, id_)
    files = {
        name: data,
        vault.checksums_name(id_): store.read_bytes(vault.checksums_name(id_), limit=vault.MANIFEST_LIMIT),
    }
    if manifest.seal is None:
        files[vault.schema_name(id_)] = store.read_bytes(vault.schema_name(id_), limit=vault.SCHEMA_LIMIT)
    else:
        omitted.append(
            {"what": f"{layout.BACKUPS}{vault.schema_name(id_)}", "why": "the backup is encrypted"}
        )
    if store.exists(vault.signature_name(id_, sha256)):
        files[vault.signature_name(id_, sha256)] = store.read_bytes(
            vault.signature_name(id_, sha256), limit=signature.BYTES
        )
    for verdict in sorted(store.list(f"{id_}/verdicts/")):
        files |= _verdict(verdict, store.read_bytes(verdict, limit=vault.VERDICT_LIMIT), omitted)
    return {f"{layout.BACKUPS}{name}": content for name, content in files.items()}


def _verdict(name: str, data: bytes, omitted: list[dict[str, str]]) -> dict[str, bytes]:
    stored = strict_json.decode(StoredVerdict, strict_json.parse(data, name), name)
    if not _speaks_of_rows(stored.verdict):
        return {name: data}
    omitted.append({"what": f"{layout.BACKUPS}{name}", "why": "it may name rows"})
    stub = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "manifest_sha256": stored.manifest_sha256,
        "previous": stored.previous,
        "number": stored.number,
        "at": stored.at,
        "check": stored.verdict.check,
        "passed": stored.verdict.passed,
    }
    return {layout.withheld_name(name): strict_json.readable(stub)}


def _speaks_of_rows(verdict: Verdict) -> bool:
    told = {name for name, value in verdict.evidence.items() if value not in ([], {}, None)}
    return not verdict.passed or verdict.check.startswith("query ") or not told <= _HARMLESS


def _shown(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in asdict(verdict).items() if name != "evidence"}
