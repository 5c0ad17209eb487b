"""Objects of a backup on their way into a vault: those that an earlier backup names are shared, the others sent and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from migrate import failpoints
from migrate.errors import Corrupt
from migrate.model import FileRef, PartRef
from migrate.stores.protocol import Store
from migrate.vault import layout
from migrate.vault.reader import list_backups, object_sha256

Known = frozenset[tuple[str, int]]  # SHA-256 and size of objects
_T = TypeVar("_T")
_R = TypeVar("_R")


def named_already(store: Store) -> Known:
    """Every object that a backup names. Others are put again although they may be there: whoever removes what nobody
    names sees by that that somebody wants them."""
    found: set[tuple[str, int]] = set()
    for info in list_backups(store):
        if info.manifest is not None:
            found |= set(layout.objects_of(info.manifest).items())
    return frozenset(found)


def store_objects(
    store: Store, objects: Sequence[tuple[PartRef | FileRef, Path, bool]], known: Known
) -> None:
    """One after the other, or several at the same time; the first that fails ends it, once those under way are done.
    The last of each triple: may the bytes be shared with the file?"""
    each(store, lambda one: store_or_share(store, one[0], one[1], known, link=one[2]), objects)


def each(store: Store, call: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """`call` of every item, as many at the same time as the store takes. Raises the first error, once those under way
    are done."""
    if store.at_once <= 1:
        return [call(item) for item in items]
    with ThreadPoolExecutor(store.at_once, thread_name_prefix="store") as pool:
        running = [pool.submit(call, item) for item in items]
        try:
            return [done.result() for done in running]
        finally:
            pool.shutdown(cancel_futures=True)


def store_or_share(store: Store, ref: PartRef | FileRef, path: Path, known: Known, *, link: bool) -> None:
    if (ref.sha256, ref.bytes) in known and _is_whole(store, ref):
        failpoints.hit("vault.object.shared")
        return
    store_object(store, ref, path, link=link)


def _is_whole(store: Store, ref: PartRef | FileRef) -> bool:
    """Read and hashed: that a manifest names an object does not say that it is still what it was."""
    name = layout.object_name(ref.sha256)
    try:
        return store.size(name) == ref.bytes and object_sha256(store, name) == ref.sha256
    except Corrupt:
        return False


def store_object(store: Store, ref: PartRef | FileRef, path: Path, *, link: bool) -> None:
    name = layout.object_name(ref.sha256)
    store.put_file(name, path, sha256=ref.sha256, link=link)
    failpoints.hit("vault.object.stored")
    # hashed again from the store: what was sent is not yet what is kept; sizes are asked for before the manifest
    if object_sha256(store, name) != ref.sha256:
        store.delete(name)
        raise Corrupt("the object in the vault is not what was stored.", where=name)
    failpoints.hit("vault.object.verified")
