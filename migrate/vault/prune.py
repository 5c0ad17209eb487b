"""Which backups may go, and their going: the manifest first, so that no half-removed backup ever looks whole."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from migrate import failpoints
from migrate.errors import Corrupt, UsageError
from migrate.stores.protocol import Store
from migrate.vault import layout
from migrate.vault.reader import BackupInfo, list_backups, open_backup
from migrate.vault.verdicts import is_proven

GRACE_SECONDS = 24 * 3600.0  # an object younger than this may belong to a backup that is being written


@dataclass(frozen=True)
class Pruned:
    """What went, or (dry run) would go."""

    backups: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]  # (id, why)
    objects: tuple[str, ...]
    bytes: int
    dry_run: bool


def prune(store: Store, *, keep: int, dry_run: bool = True, grace_seconds: float = GRACE_SECONDS) -> Pruned:
    """Keeps the newest `keep` backups of every mapping, system and role by the time recorded in their
    manifests, and always the newest proven one; archived rows (role archive) always, for nobody else may have
    them. Then removes objects that no backup names and that are older than the grace. Changes nothing unless `dry_run` is False. Killed anywhere, it can be run again.

    Raises UsageError for keep < 1, Corrupt where a manifest cannot be read: what it needs is unknown."""
    if keep < 1:
        raise UsageError("at least one backup is kept.")
    infos = list_backups(store)
    unreadable = [info for info in infos if info.manifest is None]
    if unreadable:
        raise Corrupt(
            f"the manifest of backup {unreadable[0].id} cannot be read, so what it needs is unknown.",
            kept="Nothing was removed.",
            hint=f"Look at it with `migrate backup check {unreadable[0].id}`.",
        )
    kept = _kept(store, infos, keep)
    gone = [info.id for info in infos if info.id not in kept]
    if not dry_run:
        for id_ in gone:
            _remove(store, id_)
    objects = _unreferenced(store, set(gone), grace_seconds)
    size = sum(store.size(name) for name in objects)
    if not dry_run:
        still = _unreferenced_names(store)  # a backup may have been finished meanwhile
        for name in objects:
            # one that is being written puts every object again, shared ones too, so it is young now
            if name not in still or store.age(name) <= grace_seconds:
                continue
            store.delete(name)
            failpoints.hit("vault.prune.object_deleted")
        store.tidy(older_than=grace_seconds)
    return Pruned(tuple(gone), tuple(kept.items()), tuple(objects), size, dry_run)


def _kept(store: Store, infos: list[BackupInfo], keep: int) -> dict[str, str]:
    groups: defaultdict[tuple[str, str, str], list[BackupInfo]] = defaultdict(list)
    for info in infos:  # oldest first
        if info.manifest is not None:
            groups[info.manifest.mapping, info.manifest.system, info.manifest.role].append(info)
    kept: dict[str, str] = {
        info.id: "archived rows"
        for info in infos
        if info.manifest is not None and info.manifest.role == "archive"
    }
    for group in groups.values():
        for info in group[-keep:]:
            kept.setdefault(info.id, f"among the newest {keep}")
        proven = next((info for info in reversed(group) if _proven(store, info)), None)
        if proven is not None:
            kept.setdefault(proven.id, "the last proven one")
    return kept


def _proven(store: Store, info: BackupInfo) -> bool:
    try:
        return is_proven(store, info.id, open_backup(store, info.id).manifest_sha256)
    except Corrupt:  # its schema is damaged: nothing that could be restored
        return False


def _remove(store: Store, id_: str) -> None:
    store.delete(layout.manifest_name(id_))
    failpoints.hit("vault.prune.manifest_deleted")
    for name in store.list(f"{id_}/"):
        store.delete(name)
        failpoints.hit("vault.prune.file_deleted")


def _unreferenced_names(store: Store, gone: frozenset[str] | set[str] = frozenset()) -> set[str]:
    needed: set[str] = set()
    for info in list_backups(store):
        if info.manifest is None:
            return set()
        if info.id not in gone:
            needed |= {layout.object_name(sha) for sha in layout.objects_of(info.manifest)}
    return set(store.list("objects/")) - needed


def _unreferenced(store: Store, gone: set[str], grace_seconds: float) -> list[str]:
    return sorted(name for name in _unreferenced_names(store, gone) if store.age(name) > grace_seconds)
