"""A report of a run whose ledger is lost, from the receipts in the target and the manifests in the vault (decision 0064)."""

from __future__ import annotations

import platform
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from migrate import __version__
from migrate.api.places import home_to_be
from migrate.api.proofs import place_of
from migrate.connectors.protocol import Target
from migrate.connectors.registry import open_target
from migrate.durable import make_private_folder
from migrate.errors import Corrupt, MigrateError, UsageError
from migrate.ledger.ledger import Ledger
from migrate.ledger.receipts import LAYOUT
from migrate.mapping.load import load_mapping
from migrate.opening import home_of, vault_of
from migrate.report.document import build_report, write_report
from migrate.report.html.render import write_page
from migrate.report.rebuilt import UNKNOWN, gone_rows, receipts_by_entity
from migrate.state.records import meta_rows
from migrate.state.replays import replay_of
from migrate.stores.protocol import Store
from migrate.vault.keys import Keys
from migrate.vault.layout import signature_name
from migrate.vault.reader import list_backups, open_backup
from migrate.vault.verdicts import PROVEN, is_proven, verdicts

REBUILT = (
    "rebuilt"  # the folder beside `runs`: what was written there while the ledger was there is left as it is
)


_A_RUN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}(-r[0-9]+)?")


def rebuild(
    run: str, target: str, *, store: str | None = None, home: Path | None = None, keys: Keys | None = None
) -> dict[str, Any]:
    """The report's content with `path` and `page`, in a folder of its own; nothing else is written anywhere.

    `run`: as the target or the vault knows it, the beginning of its name, or `latest`. `target`: URL, or a mapping's path,
    which names the vault too. Raises UsageError where the ledger is there and knows the run, or where neither target nor
    vault do; Unreachable where the target is. A vault that cannot be read is told in the report (`incomplete`)."""
    with _places(target, store, home, keys) as (database, vault, place):
        _refuse_newer(database)
        known = [row for rows in meta_rows(database, "run") for row in rows.to_pylist()]
        backups, problem = _backups(vault)
        began: dict[str, str] = {}
        for name, at in [*((b["run"], b["created_at"]) for b in backups), *((r["run"], r["started"]) for r in known)]:  # fmt: skip
            if _A_RUN.fullmatch(
                name
            ):  # a backup of no run; or what somebody wrote there, and would be a path here
                began[name] = max(str(at), began.get(name, ""))
        name = _named(run, began, database.url)
        _refuse_known(place, name)
        mine = next((row for row in known if row["run"] == name), None)
        its = [b for b in backups if b["run"] == name]
        document = build_report(
            {
                "run": name,
                "mapping": (mine or {}).get("mapping") or next((b["mapping"] for b in its), "unknown"),
                "state": "rolled_back" if (mine or {}).get("state") == "rolled_back" else "rebuilt",
                "started": (mine or {}).get("started"),
                "incomplete": problem or None,
                "rebuilt": {**_of_target(database, name, mine), "target": database.url, "unknown": UNKNOWN},
                "backups": its,
                "verdicts": _verdicts(its),
                "digests": {"mapping": (mine or {}).get("digest") or next((b["mapping_digest"] for b in its), None)},
                "environment": {"migrate": __version__, "python": platform.python_version(), "system": platform.system(), "machine": platform.machine(), "engines": {"target": database.engine}},
            }
        )  # fmt: skip
    folder = make_private_folder(place / REBUILT / name)
    path = write_report(folder, document)
    return {**document, "path": str(path), "page": str(write_page(folder, document))}


@contextmanager
def _places(
    target: str, store: str | None, home: Path | None, keys: Keys | None
) -> Iterator[tuple[Target, Store, Path]]:
    """Target, vault and home. A mapping names all three; of a bare URL the vault is the one given, or `backups/`."""
    with tempfile.TemporaryDirectory(prefix="migrate-rebuild-") as work:
        if target.endswith((".yaml", ".yml")):
            mapping = load_mapping(Path(target))
            place, vault, url, base = home_of(mapping, home), vault_of(mapping, store), mapping.target.url, Path(mapping.base)  # fmt: skip
        else:
            place, vault, url, base = home_to_be(home), place_of(store, home, keys), target, Path.cwd()
        database = open_target(url, base=base, work=Path(work))
        try:
            yield database, vault, place
        finally:
            database.close()


def _named(given: str, began: dict[str, str], url: str) -> str:
    whole = sorted((n for n in began if replay_of(n) is None), key=lambda n: (began[n], n))
    if given == "latest" and whole:
        return whole[-1]
    found = [n for n in began if n == given] or [n for n in whole if n.startswith(given)]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{len(found) or 'no'} runs named {given} are on record in the target and the vault",
        where=url,
        hint=f"On record: {', '.join(whole[-5:])}."
        if whole
        else "Is this the target, and --store the vault?",
    )


def _refuse_newer(database: Target) -> None:
    versions = [int(v or 0) for rows in meta_rows(database, "layout") for v in rows["version"].to_pylist()]
    if any(v > LAYOUT for v in versions):
        raise UsageError(
            f"our tables in the target are of a newer version of this program (layout {max(versions)}, this one knows {LAYOUT})",
            where=database.url,
            hint="Use the version that wrote them, or a newer one.",
        )


def _refuse_known(place: Path, run: str) -> None:
    """A ledger that can be read and knows the run says more than this can."""
    if not (place / "ledger.db").is_file():
        return
    try:
        with Ledger.open(place / "ledger.db") as ledger:
            known = any(r.run == run for r in ledger.runs())
    except Corrupt:
        return
    if known:
        raise UsageError(
            f"the ledger is there and knows run {run}",
            where=str(place / "ledger.db"),
            hint=f"`migrate report {run}` has more than could be rebuilt.",
        )


def _of_target(database: Target, run: str, mine: dict[str, Any] | None) -> dict[str, Any]:
    """What our own tables in the target say of the run."""
    receipts = list(_of_run(database, "receipt", run, ["run", "part", "row_count", "rejected", "written_at"]))
    entries = Counter((r["entity"], r["origin"]) for r in _of_run(database, "crosswalk", run, ["run", "entity", "origin"]))  # fmt: skip
    names = sorted({entity for entity, _ in entries})
    return {
        "rolled_back": bool(mine) and (mine or {}).get("state") == "rolled_back",
        "receipts": receipts_by_entity(receipts),
        "gone": gone_rows(receipts),
        "crosswalk": {
            name: {o: n for (entity, o), n in sorted(entries.items()) if entity == name} for name in names
        },
        "merged": dict(Counter(r["entity"] for r in _of_run(database, "merged", run, ["run", "entity"]))),
        "journal": sum(int(r["row_count"]) for r in _of_run(database, "journal", run, ["run", "kind", "row_count"]) if r["kind"] in ("rows", "gone")),
        "refused": dict(Counter(r["code"] for r in _of_run(database, "reject", run, ["run", "code"]))),
    }  # fmt: skip


def _of_run(database: Target, table: str, run: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Batch by batch: the crosswalk of a run may have millions."""
    for rows in meta_rows(database, table, columns):
        yield from rows.filter(pc.equal(rows["run"], run)).select(columns).to_pylist()


def _backups(vault: Store) -> tuple[list[dict[str, Any]], str]:
    """Of all runs, and what of the vault could not be read, in words."""
    found, problems = [], []
    try:
        infos = list_backups(vault)
    except MigrateError as error:
        return [], f"the vault could not be read: {error.message}"
    for info in infos:
        if info.manifest is None:
            problems.append(info.problem)
            continue
        try:
            found.append(_backup(vault, info.id))
        except Corrupt as error:
            problems.append(str(error))
    return found, "; ".join(problems[:5])


def _backup(vault: Store, id_: str) -> dict[str, Any]:
    backup = open_backup(vault, id_)
    manifest = backup.manifest
    proven = is_proven(vault, id_, backup.manifest_sha256)
    tests = [
        v.verdict.passed
        for v in verdicts(vault, id_)
        if v.verdict.check == PROVEN and v.manifest_sha256 == backup.manifest_sha256
    ]
    return {
        "id": id_, "run": manifest.run, "mapping": manifest.mapping, "mapping_digest": manifest.mapping_digest,
        "role": manifest.role, "system": manifest.system, "engine": manifest.engine, "snapshot_at": manifest.snapshot_at,
        "created_at": manifest.created_at, "rows": sum(p.rows for p in manifest.parts),
        "bytes": sum(p.bytes for p in manifest.parts) + sum(f.bytes for f in manifest.files),
        "level": PROVEN if proven else "none", "failed": bool(tests) and not tests[-1],
        "manifest_sha256": backup.manifest_sha256, "signed": vault.exists(signature_name(id_, backup.manifest_sha256)),
    }  # fmt: skip


def _verdicts(backups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Restore tests that are on record beside the manifests. They say that the run's backups are proven only where both
    sides are there; a failed one is told in any case."""
    sides = {b["role"] for b in backups if b["level"] == PROVEN}
    return [
        {"check": f"{PROVEN} {b['role']} {b['id']}", "passed": b["level"] == PROVEN, "expected": "every value", "found": "every value" if b["level"] == PROVEN else "differences"}
        for b in backups
        if b["failed"] or (b["level"] == PROVEN and {"source", "target"} <= sides)
    ]  # fmt: skip
