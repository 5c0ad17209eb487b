"""The vault, written: backups made with no migration, and old ones taken away."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from migrate.api.places import home_to_be
from migrate.api.proofs import place_of, prove
from migrate.connectors.protocol import Database
from migrate.connectors.registry import engine_of, open_source, open_target
from migrate.context import Progress, Silent
from migrate.durable import make_private_folder, work_folder, write_bytes_if_absent
from migrate.errors import Unreachable, UsageError
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import UNFINISHED
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping, Source
from migrate.mapping.usage import read_tables
from migrate.model import Manifest
from migrate.opening import home_of, vault_of
from migrate.planning import scratch_url
from migrate.stages.plan import target_tables
from migrate.stores.protocol import Store
from migrate.vault import age, signature
from migrate.vault import prune as pruning
from migrate.vault.create import create
from migrate.vault.keyed import check_ready, with_keys
from migrate.vault.keys import Keys
from migrate.vault.reader import Backup, list_backups, open_backup
from migrate.vault.retention import Retention

_MAPPING = (".yaml", ".yml")
_SQLITE = (".db", ".sqlite", ".sqlite3")


def backup_create(
    what: str,
    *,
    tables: Sequence[str] = (),
    system: str | None = None,
    scratch: str | None = None,
    prove_it: bool = True,
    store: str | None = None,
    home: Path | None = None,
    keys: Keys | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """A backup of the database at a URL, of a SQLite file or of a folder of files; proven by a restore where it can be.
    Of a mapping's file: one of what it reads of every source and one of what it may write of the target, in its own vault
    (`backups` lists them).

    `scratch`: a server where the restored copy may be made and dropped; SQLite and files need none. `system`: what the
    backup is called after, by default the database's name. `proven` is None where that was not wanted.
    `keys`: `backup_keys`, by default those of the environment: for whom it is encrypted, what opens it for the proof, who signs.
    Raises UsageError where a server's backup has no `scratch`, Locked (GateClosed) where no key opens it, what stops the backup; a proof that fails is in the answer (`proven` False)."""
    if what.lower().endswith(_MAPPING):
        if tables or system:
            raise UsageError(
                "a mapping says itself which tables are backed up, and what their systems are called",
                where=what,
            )
        return _of_mapping(load_mapping(what), scratch, prove_it, store, home, keys, progress or Silent())
    url = _url(what)
    engine = engine_of(url)
    if prove_it and scratch is None and engine not in ("sqlite", "files"):
        raise UsageError(
            f"a backup of {engine} is proven on a server of its own kind, and none was named",
            kept="Nothing was read.",
            hint=f"Give --scratch {engine}://…, where a database may be made and dropped; or --no-prove, and prove it later.",
        )
    place = place_of(store, home, keys)
    check_ready(place, proving=prove_it)
    work = _Work(place, make_private_folder(home_to_be(home)), progress or Silent(), prove_it)
    return work.back_up(
        lambda folder: open_source(url, base=Path.cwd(), work=folder),
        system=_safe(system or _called(url)),
        tables=tables,
        scratch=scratch,
    )


def _of_mapping(
    mapping: Mapping,
    scratch: str | None,
    prove_it: bool,
    store: str | None,
    home: Path | None,
    keys: Keys | None,
    told: Progress,
) -> dict[str, Any]:
    """Of every source what the mapping reads, and of the target what it may write and looks into; each as of a snapshot."""
    place = vault_of(mapping, store)
    if keys is not None:
        place = with_keys(place, keys)
    check_ready(place, proving=prove_it)
    base = Path(mapping.base)
    work = _Work(place, make_private_folder(home_of(mapping, home)), told, prove_it)
    proofs = {role: scratch or scratch_url(mapping, *role)[1] for role in _roles(mapping)} if prove_it else {}
    made = []
    for role, source in _roles(mapping):
        spec = mapping.sources.get(source)

        def opened(folder: Path, spec: Source | None = spec) -> Database:
            if spec is not None:
                return open_source(spec.url, base=base, work=folder, options=spec)
            return open_target(mapping.target.url, base=base, work=folder)

        made.append(
            work.back_up(
                opened,
                system=spec.system if spec is not None else "target",
                tables=list(read_tables(mapping)[source]) if spec is not None else target_tables(mapping),
                # tables that a run is yet to create are not missing
                missing_ok={e.into for e in mapping.entities.values() if e.create} if spec is None else set(),
                scratch=proofs.get((role, source)),
                role=role,
                mapping=(mapping.name, mapping.digest),
            )
        )
    return {
        "mapping": mapping.name,
        "backups": made,
        "proven": all(m["proven"] for m in made) if prove_it else None,
        "verdicts": [v for m in made for v in m["verdicts"]],
    }


def _roles(mapping: Mapping) -> list[tuple[str, str]]:
    return [*(("source", name) for name in mapping.sources), ("target", "")]


@dataclass(frozen=True)
class _Work:
    """Where backups go, and where their rows lie meanwhile."""

    vault: Store
    home: Path
    told: Progress
    prove_it: bool

    def back_up(
        self,
        opened: Callable[[Path], Database],
        *,
        system: str,
        tables: Sequence[str],
        scratch: str | None,
        missing_ok: Collection[str] = (),
        role: str = "source",
        mapping: tuple[str, str] = ("", ""),
    ) -> dict[str, Any]:
        """Made, on record, and (where that is wanted) proven."""
        with work_folder(self.home / "work", "create-") as folder:
            self.told.stage("backup", None)
            database = opened(folder)
            try:
                if missing_ok:
                    there = database.schema(list(tables)).table_names
                    tables = [t for t in tables if t in there or t not in missing_ok]
                made = create(
                    database,
                    self.vault,
                    system=system,
                    tables=tables,
                    folder=folder,
                    advance=self.told.advance,
                    role=role,
                    mapping=mapping,
                )
            finally:
                database.close()
        backup = open_backup(self.vault, made.id)
        with Ledger.open(self.home / "ledger.db") as ledger:
            ledger.put_backup(made, backup.manifest_sha256, vault=self.vault.location)
            ledger.audit("backup created", "", {"backup": made.id})
        answer = _said(self.vault, made, backup)
        if not self.prove_it:
            return {**answer, "proven": None, "unproven": "it was not asked for", "verdicts": []}
        self.told.stage("restore-test", None)
        found = prove(self.vault, made.id, scratch, known=backup.manifest_sha256, home=self.home)
        return {
            **answer,
            "proven": all(v.passed for v in found),
            "verdicts": [asdict(v) for v in found],
        }


def _said(vault: Store, made: Manifest, backup: Backup) -> dict[str, Any]:
    not_carried = []
    if backup.typed is not None:
        notes = [f"{t.name}: {note}" for t in backup.schema.tables for note in t.not_carried]
        not_carried = [*backup.schema.not_carried, *notes]
    return {
        "backup": made.id,
        "store": vault.location,
        "role": made.role,
        "system": made.system,
        "engine": made.engine,
        "snapshot_at": made.snapshot_at,
        "encrypted_for": list(made.seal.recipients) if made.seal else [],
        "signed_by": backup.signed_by,
        "tables": sorted(made.digests) if backup.typed is None else list(backup.schema.table_names),
        "rows": sum(p.rows for p in made.parts),
        "bytes": sum(p.bytes for p in made.parts) + sum(f.bytes for f in made.files),
        "not_carried": not_carried,
    }


def backup_prune(
    mapping: Path | str | None = None,
    *,
    last: int | None = None,
    daily: int | None = None,
    weekly: int | None = None,
    monthly: int | None = None,
    yearly: int | None = None,
    really: bool = False,
    store: str | None = None,
    home: Path | None = None,
    keys: Keys | None = None,
) -> dict[str, Any]:
    """What would go, or went (`really`), of each mapping, system and role: all but the newest `last` and the newest of so
    many days, weeks, months and years; never the last proven one, nor one that a run still needs, nor one in use.

    `mapping`: only its backups may go, in its store, and what is not said here is as its `policy.backup.keep` says.
    `waiting`: objects that nobody needs any more and that go after a grace. Raises UsageError where nothing would be
    kept, Corrupt where a manifest cannot be read, Busy where another prune is at work."""
    said = {"last": last, "daily": daily, "weekly": weekly, "monthly": monthly, "yearly": yearly}
    given = {name: number for name, number in said.items() if number is not None}
    loaded = load_mapping(mapping) if mapping is not None else None
    if loaded is not None:
        place = vault_of(loaded, store)
        home = home_of(loaded, home)
        if not given:
            given = _kept_by(loaded)
    else:
        place = place_of(store, home, keys)
    done = pruning.prune(
        place,
        keep=Retention(**given),
        mapping=loaded.name if loaded is not None else None,
        needed=_needed(place, home),
        dry_run=not really,
    )
    if really:
        _forget(done.backups, home)
    return {
        "removed": list(done.backups),
        "kept": [{"backup": id_, "why": why} for id_, why in done.kept],
        "objects": len(done.objects),
        "bytes": done.bytes,
        "waiting": done.waiting,
        "grace_seconds": pruning.GRACE_SECONDS,
        "held_up": done.held_up,
        "locked": [{"object": name, "why": until} for name, until in done.locked],
        "dry_run": done.dry_run,
    }


def _kept_by(mapping: Mapping) -> dict[str, int]:
    keep = mapping.policy.backup.keep
    found = keep.model_dump(exclude_none=True) if keep is not None else {}
    if not found:
        raise UsageError(
            f"the mapping {mapping.name} does not say how many backups stay",
            where=mapping.path,
            kept="Nothing was removed.",
            hint="Write policy: {backup: {keep: {last: 3, daily: 7, monthly: 12}}}, or give --keep-last and the like.",
        )
    return found


def _needed(place: Store, home: Path | None) -> dict[str, str]:
    """Backups that runs still need: to be resumed, or to prove an undo against."""
    path = home_to_be(home) / "ledger.db"
    if not path.is_file():
        return {}
    needed: dict[str, str] = {}
    with Ledger.open(path) as ledger:
        whys: dict[str, str] = {}
        seen: set[str] = set()
        for run in ledger.runs():  # newest first; an older one can neither be resumed nor undone
            if run.mapping in seen:
                continue
            if run.state == "verified":
                whys[run.run] = f"run {run.run} is undone against it"
                seen.add(run.mapping)
            elif run.state in UNFINISHED:
                whys[run.run] = f"run {run.run} can be resumed with it"
        for info in list_backups(place):
            if info.manifest is not None and info.manifest.run in whys:
                needed[info.id] = whys[info.manifest.run]
    return needed


def _forget(gone: Sequence[str], home: Path | None) -> None:
    path = home_to_be(home) / "ledger.db"
    if path.is_file():
        with Ledger.open(path) as ledger:
            for id_ in gone:
                ledger.remove_backup(id_)
            ledger.audit("backups pruned", "", {"backups": list(gone)})


def _url(what: str) -> str:
    path = Path(what).expanduser()
    if ":" in what and not path.exists():
        return what
    if path.is_dir():
        return f"files:{path.absolute()}"
    if path.suffix.lower() in _SQLITE and path.is_file():
        return f"sqlite:///{path.absolute()}"
    if path.is_file():
        raise UsageError(
            "a backup is of a database or of a folder of files",
            where=what,
            hint="Give a URL, a SQLite file, or the folder that the file is in.",
        )
    raise Unreachable("there is no such file or folder", where=what)


def _called(url: str) -> str:
    """The database's name, as its URL says it; never user or password."""
    name = re.split(r"[?#]", url)[0].rstrip("/").rpartition("/")[2]
    return name if "@" not in name and ":" not in name else engine_of(url)


def _safe(name: str) -> str:
    for ending in _SQLITE:
        name = name.removesuffix(ending)
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:60] or "database"


def backup_keygen(folder: Path, *, signing: bool = False, erasure: bool = False) -> dict[str, str]:
    """A new pair of keys in files of `folder` (0600): an identity of age that opens backups, or (`signing`) an Ed25519 key
    that signs them, or (`erasure`) the secret of erasures, which has no public half. Gives the public one, and where the
    secret one lies. Raises UsageError where a file is there already."""
    if erasure:
        public, path, extra = "", folder / "erasure-secret.txt", {}
        files = {path: f"MIGRATE-ERASURE-SECRET-{secrets.token_hex(32)}\n"}
    elif signing:
        secret, public = signature.new_key()
        path, extra = folder / "backup-signing.pem", {"pem": str(folder / "backup-signing.pub")}
        files = {path: secret, folder / "backup-signing.pub": signature.public_pem(public)}
    else:
        secret, public = age.new_identity()
        path, extra = folder / "backup-identity.txt", {}
        files = {path: f"# public key: {public}\n{secret}\n"}
    for file in files:
        if file.exists() or file.is_symlink():
            raise UsageError(
                "there is a key of that name already, and what it opens nobody else may be able to open",
                where=str(file),
                kept="It was left as it is.",
                hint="Give another folder.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        if not write_bytes_if_absent(file, text.encode(), point="keygen"):
            raise UsageError("another key of that name was made meanwhile", where=str(file))
    return {"public": public, "secret_file": str(path), **extra}
