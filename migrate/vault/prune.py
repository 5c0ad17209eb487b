"""Backups that may go, and their going: the manifest first, so that no half-removed backup ever looks whole.

Objects go later than manifests. A prune writes down which objects nobody needs any more (`tombstones/`); they are removed by
the first prune that comes longer than a grace after that, by the store's clock, if still no manifest names them, nobody put
them again, and nobody writes a backup. The grace is longer than a lease holds, so a backup that was being written when
the tombstone was is finished by then, or seen.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from migrate import failpoints
from migrate.errors import Corrupt, ObjectLocked
from migrate.stores.protocol import Locking, Store
from migrate.vault import layout, lease
from migrate.vault.keyed import with_keys
from migrate.vault.keys import NO_KEYS
from migrate.vault.reader import BackupInfo, list_backups, open_backup
from migrate.vault.retention import Retention, staying
from migrate.vault.verdicts import is_proven

GRACE_SECONDS = 3600.0  # of an object that nobody names, before it goes; longer than a lease holds
_LOOKED_EVERY = 100  # objects between two looks at who works with the vault
_COMPARED_EVERY = 1000  # and between two looks into all manifests
ARCHIVE = "archive"  # the role of rows that were taken out of circulation
_TOMBSTONES = "tombstones/"
_LIMIT = 64 << 20
assert GRACE_SECONDS > 4 * lease.TTL


@dataclass(frozen=True)
class Pruned:
    """What went, or (dry run) would go. `objects` went now; `waiting` are needed by nobody and go after the grace."""

    backups: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]  # (id, why)
    objects: tuple[str, ...]
    bytes: int
    dry_run: bool
    waiting: int = 0
    locked: tuple[tuple[str, str], ...] = ()  # (object, "locked until 2026-12-24")
    held_up: str = ""  # why objects whose time has come stay for now


def prune(
    store: Store,
    *,
    keep: Retention,
    mapping: str | None = None,
    needed: Mapping[str, str] | None = None,
    dry_run: bool = True,
    grace_seconds: float = GRACE_SECONDS,
) -> Pruned:
    """Keeps of every mapping, system and role what `keep` says by the times recorded in the manifests, always the newest
    proven one, archived rows (nobody else may have them), those in `needed` (id → why), and those that somebody restores
    just now. Changes nothing unless `dry_run`
    is False. Killed anywhere, it can be run again.

    `mapping`: only backups of the mapping of that name may go. Raises UsageError where nothing would be kept, Corrupt
    where a manifest cannot be read: what it needs is unknown; Busy where another prune is at work."""
    keep.checked()
    if dry_run:
        return _prune(store, keep, mapping, needed or {}, None, grace_seconds)
    with lease.exclusive(store) as held:
        return _prune(store, keep, mapping, needed or {}, held, grace_seconds)


def _prune(
    store: Store,
    keep: Retention,
    mapping: str | None,
    needed: Mapping[str, str],
    held: lease.Lease | None,
    grace: float,
) -> Pruned:
    """`held`: the lease under which things are removed; None: nothing is."""
    infos = list_backups(store)
    _all_readable(infos)
    candidates = [i for i in infos if mapping is None or (i.manifest and i.manifest.mapping == mapping)]
    kept = _kept(store, candidates, keep)
    here = {i.id for i in candidates}
    for id_, why in (*needed.items(), *((h.backup, "somebody works with it") for h in lease.holders(store))):
        if id_ in here:
            kept.setdefault(id_, why)
    for info in candidates:
        if info.id not in kept and (until := _locked(store, layout.manifest_name(info.id))):
            kept[info.id] = until
    gone = [info.id for info in candidates if info.id not in kept]
    if held is not None:
        for id_ in list(gone):
            held.must_hold()
            try:
                _remove(store, id_)
            except ObjectLocked as error:
                gone.remove(id_)
                kept[id_] = error.until
        _remove_halves(store, grace)
    ordered = tuple((i.id, kept[i.id]) for i in candidates if i.id in kept)
    return _objects(store, Pruned(tuple(gone), ordered, (), 0, held is None), held, grace)


def _all_readable(infos: Sequence[BackupInfo]) -> None:
    unreadable = next((info for info in infos if info.manifest is None), None)
    if unreadable is not None:
        raise Corrupt(
            f"the manifest of backup {unreadable.id} cannot be read, so what it needs is unknown.",
            kept="Nothing was removed.",
            hint=f"Look at it with `migrate backup check {unreadable.id}`.",
        )


# -- backups ---------------------------------------------------------------------------------------


def _kept(store: Store, infos: Sequence[BackupInfo], keep: Retention) -> dict[str, str]:
    groups: defaultdict[tuple[str, str, str], list[BackupInfo]] = defaultdict(list)
    for info in infos:  # oldest first
        if info.manifest is not None:
            groups[info.manifest.mapping, info.manifest.system, info.manifest.role].append(info)
    kept: dict[str, str] = {}
    for group in groups.values():
        if group[0].manifest is not None and group[0].manifest.role == ARCHIVE:
            kept |= dict.fromkeys((info.id for info in group), "archived rows")
            continue
        kept |= staying([(info.id, info.created_at) for info in group], keep)
        proven = _newest_proven(store, group) or _newest_proven(with_keys(store, NO_KEYS), group)
        if proven is not None:
            kept.setdefault(proven.id, "the last proven one")
    return kept


def _newest_proven(store: Store, group: Sequence[BackupInfo]) -> BackupInfo | None:
    """Where signatures count, the newest that a signed verdict calls proven; one that none does is better than nothing."""
    return next((info for info in reversed(group) if _proven(store, info)), None)


def _proven(store: Store, info: BackupInfo) -> bool:
    try:
        return is_proven(store, info.id, open_backup(store, info.id).manifest_sha256)
    except Corrupt:  # its schema is damaged: nothing that could be restored
        return False


def _locked(store: Store, name: str) -> str:
    """ "locked until …" where the store says so; it need not."""
    if not isinstance(store, Locking):
        return ""
    with suppress(Corrupt):
        return store.locked_until(name)
    return ""


def _remove(store: Store, id_: str) -> None:
    store.delete(layout.manifest_name(id_))
    failpoints.hit("vault.prune.manifest_deleted")
    _remove_folder(store, id_)


def _remove_folder(store: Store, id_: str) -> None:
    for name in store.list(f"{id_}/"):
        with suppress(ObjectLocked):  # without its manifest it is no backup; the next prune finds it
            store.delete(name)
        failpoints.hit("vault.prune.file_deleted")


def _remove_halves(store: Store, grace: float) -> None:
    """Folders that have no manifest: half removed, or half written by a process that is no more."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for name in store.list():
        id_, slash, _ = name.partition("/")
        if slash and layout.is_id(id_):
            folders[id_].append(name)
    at_work = {h.backup for h in lease.holders(store)}
    for id_, names in folders.items():
        if layout.manifest_name(id_) in names or id_ in at_work:
            continue
        if any(
            n.rpartition("/")[2] not in _OWN and n.split("/")[1] not in ("signatures", "verdicts")
            for n in names
        ):
            continue  # something that is none of ours
        if all(store.age(name) > grace for name in names):
            _remove_folder(store, id_)


_OWN = ("schema.json", "schema.json.age", "hash-key.age", "manifest-sha256.txt")


# -- objects ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tombstone:
    name: str
    age: float
    objects: frozenset[str] = field(default_factory=frozenset)


def _objects(store: Store, found: Pruned, held: lease.Lease | None, grace: float) -> Pruned:
    """Tombstones for what nobody needs since now, and the end of what nobody needed before."""
    stones = _tombstones(store)
    unneeded = _unneeded(store, set(found.backups))
    new = unneeded - frozenset[str]().union(*(s.objects for s in stones))
    if new and held is not None:
        data = json.dumps({"objects": sorted(new)}).encode()
        name = f"{_TOMBSTONES}{secrets.token_hex(8)}.json"
        store.put_bytes(name, data)
        failpoints.hit("vault.prune.tombstone")
        stones.append(_Tombstone(name, store.age(name), frozenset(new)))
    elif new:
        stones.append(_Tombstone("", 0.0, frozenset(new)))
    due = {
        o: s.age for s in sorted(stones, key=lambda s: s.age) if s.age > grace for o in s.objects & unneeded
    }
    # one that was put after its tombstone is wanted again: a backup that is being written puts every object
    ripe = sorted(name for name, age in due.items() if (now := _age(store, name)) is not None and now >= age)
    held_up = _held_up(store) if ripe else ""
    if held_up:
        ripe = []
    sizes = {name: store.size(name) for name in ripe}
    gone, locked = (ripe, []) if held is None else _delete(store, ripe, due, held)
    if held is not None:
        _tidy(store, stones, grace)
    return Pruned(
        **{
            **vars(found),
            "objects": tuple(gone),
            "bytes": sum(sizes[name] for name in gone),
            "waiting": len(unneeded) - len(gone),
            "locked": tuple(locked),
            "held_up": held_up,
        }
    )


def _delete(
    store: Store, ripe: Sequence[str], due: Mapping[str, float], held: lease.Lease
) -> tuple[list[str], list[tuple[str, str]]]:
    """Those that are still needed by nobody; ends early where somebody begins to work with the vault."""
    gone: list[str] = []
    locked: list[tuple[str, str]] = []
    still: frozenset[str] = frozenset()
    for number, name in enumerate(ripe):
        if number % _LOOKED_EVERY == 0:
            held.must_hold()
            if _held_up(store):
                break
        if number % _COMPARED_EVERY == 0:
            still = _unneeded(store)  # every manifest again: a backup may have been finished meanwhile
        age = _age(store, name)
        if name not in still or age is None or age < due[name]:
            continue
        try:
            store.delete(name)
        except ObjectLocked as error:
            locked.append((name, error.until))
            continue
        failpoints.hit("vault.prune.object_deleted")
        gone.append(name)
    return gone, locked


def _held_up(store: Store) -> str:
    """Why no object may go just now: what a backup needs that is being written is known only when it is done."""
    for holder in lease.holders(store):
        if holder.kind == lease.PRUNE:
            continue
        if holder.kind != lease.RESTORE:
            return "a backup is being written"
        if not layout.is_id(holder.backup) or not store.exists(layout.manifest_name(holder.backup)):
            return f"{holder.backup or 'a backup'} is being restored"
    return ""


def _unneeded(store: Store, gone: set[str] | frozenset[str] = frozenset()) -> frozenset[str]:
    """Objects that no manifest names, but for those of the backups `gone`; none where one cannot be read."""
    needed: set[str] = set()
    for info in list_backups(store):
        if info.manifest is None:
            return frozenset()
        if info.id not in gone:
            needed |= {layout.object_name(sha) for sha in layout.objects_of(info.manifest)}
    return frozenset(store.list("objects/")) - needed


def _tombstones(store: Store) -> list[_Tombstone]:
    found = []
    for name in store.list(_TOMBSTONES):
        with suppress(Corrupt, ValueError, TypeError, KeyError):  # one that cannot be read counts for nothing
            names = json.loads(store.read_bytes(name, limit=_LIMIT))["objects"]
            found.append(_Tombstone(name, store.age(name), frozenset(map(str, names))))
    return found


def _tidy(store: Store, stones: Sequence[_Tombstone], grace: float) -> None:
    """Tombstones of which nothing is left to do, leases of the dead, half-written files."""
    there = set(_unneeded(store))
    for stone in stones:
        if stone.name and not stone.objects & there:
            store.delete(stone.name)
    lease.forget_those_that_ran_out(store)
    if not _held_up(store):  # an upload that is still sending may have begun long ago
        store.tidy(older_than=grace)


def _age(store: Store, name: str) -> float | None:
    try:
        return store.age(name)
    except Corrupt:
        return None
