"""Erasure by request: rows that no restore brings back, recorded in the vault as keyed hashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.api.keys import source_key
from migrate.api.places import home_to_be
from migrate.api.proofs import place_of
from migrate.connectors.registry import open_target
from migrate.durable import make_private_folder
from migrate.errors import Corrupt, GateClosed, UsageError
from migrate.ledger.ledger import Ledger
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import Kind, Manifest, Type
from migrate.opening import home_of, vault_of
from migrate.planning import identity_of
from migrate.state.records import meta_rows
from migrate.stores.protocol import Store
from migrate.vault.erasures import names_of, record, target_of, without_owner
from migrate.vault.keyed import keys_of, with_keys
from migrate.vault.keys import Keys
from migrate.vault.reader import Backup, list_backups, open_backup

_OF_A_FORM = (
    Kind.INT,
    Kind.DECIMAL,
    Kind.FLOAT,
    Kind.BOOL,
    Kind.DATE,
    Kind.TIMESTAMP,
    Kind.TIMESTAMPTZ,
    Kind.UUID,
)


@dataclass(frozen=True)
class _Asked:
    """Rows of one table of one system; no `columns`: those of its primary key."""

    system: str
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]


def erase(
    mapping: Path | str | None = None,
    *,
    entity: str | None = None,
    system: str | None = None,
    table: str | None = None,
    by: Sequence[str] = (),
    keys: Sequence[str],
    store: str | None = None,
    home: Path | None = None,
    vault_keys: Keys | None = None,
) -> dict[str, Any]:
    """Record in the vault that rows are erased: every restore, drill, undo and run leaves them out from now on, whatever
    backup it reads, and empties references to them (rows that must have one go too).

    Either `mapping` and `entity`: rows by their source key, in backups of the source and, where the crosswalk knows them,
    of the target. Or `system` and `table`, by the primary key or the columns `by`. A key is a bare value or a JSON array.
    What is told of single keys names them by their place among `keys`, from 1, never by what they are. Databases are not
    touched: what they hold is deleted there. Raises UsageError for what is not there, GateClosed
    without the vault's secret of erasures."""
    if not keys:
        raise UsageError("no key was given", hint="Give --key, several times for several rows.")
    given = [source_key(k) for k in keys]
    wanted = tuple(dict.fromkeys(given))
    in_target: frozenset[str] = frozenset()
    if mapping is not None:
        if entity is None or table is not None or system is not None or by:
            raise UsageError("of a mapping, rows are named by --entity and --key")
        loaded = load_mapping(mapping)
        place = vault_of(loaded, store)
        if vault_keys is not None:
            place = with_keys(place, vault_keys.over(keys_of(place)))
        root = home_of(loaded, home)
        asked, in_target = _of_entity(loaded, entity, wanted, root)
    else:
        if system is None or table is None or entity is not None:
            raise UsageError(
                "which rows are meant is not said",
                hint="Give a mapping and --entity, or --system and --table; `migrate backup list` names the systems.",
            )
        place, root = place_of(store, home, vault_keys), home_to_be(home)
        asked = [_Asked(system, table, tuple(by), wanted)]
    newest = {one: _newest(place, one) for one in asked}
    asked = [_with_columns(one, newest[one], place) for one in asked]
    # Keys of the target are out of its crosswalk: its newest backup may be from before they were loaded.
    seen = [
        _matched(one, open_backup(place, m.id)) for one, m in zip(asked[:1], newest.values(), strict=False)
    ]
    matched: list[Counter[str] | None] = [*seen, *[None] * (len(asked) - 1)]
    new = [len(record(place, system=a.system, table=a.table, columns=a.columns, keys=a.keys)) for a in asked]
    with Ledger.open(make_private_folder(root) / "ledger.db") as ledger:
        for one, count in zip(asked, new, strict=True):
            ledger.audit("rows erased", "", {"system": one.system, "table": one.table, "recorded": count})
    return {
        "store": place.location,
        "erasures": [
            {
                "system": one.system,
                "table": one.table,
                "by": list(one.columns),
                "recorded": count,
                "known_before": len(one.keys) - count,
                "matched": None if found is None else found.total(),
                "matched_by_key": None if found is None else [found[key] for key in given],
                **_effects(place, manifest),
            }
            for one, count, manifest, found in zip(asked, new, newest.values(), matched, strict=True)
        ],
        # Loaded rows are known in the target by its crosswalk, and after a rollback no more.
        "not_in_target": len(wanted) - len(in_target) if mapping is not None else 0,
        "not_in_target_keys": [n for n, key in enumerate(given, 1) if key not in in_target]
        if mapping is not None
        else [],
        "owner_unknown": _owner_unknown(place, asked),
    }


def _of_entity(
    mapping: Mapping, name: str, keys: tuple[str, ...], home: Path
) -> tuple[list[_Asked], frozenset[str]]:
    """The source's rows, and those that they became in the target; and the keys of those that became some there."""
    if name not in mapping.entities:
        raise UsageError(
            f"the mapping has no entity {name!r}", hint=f"Entities: {', '.join(mapping.entities)}."
        )
    entity = mapping.entities[name]
    if entity.key_is_line or entity.key_is_content or not entity.table:
        raise UsageError(
            f"rows of {name} are not known by columns of a table",
            hint="Give --system, --table and --by instead.",
        )
    system = mapping.sources[entity.source].system
    asked = [_Asked(system, entity.table, tuple(entity.key), keys)]
    target = open_target(mapping.target.url, base=Path(mapping.base), work=make_private_folder(home / "work"))
    known, found, became = identity_of(mapping, name), [], set()
    among = frozenset(keys)
    try:
        for rows in meta_rows(target, "crosswalk", ["system", "entity", "source_key", "target_key"]):
            mine = rows.filter(
                pc.and_(pc.equal(rows["system"], known[0]), pc.equal(rows["entity"], known[1]))
            )
            for row in mine.to_pylist():
                if row["source_key"] in among:
                    found.append(row["target_key"])
                    became.add(row["source_key"])
    finally:
        target.close()
    if found:
        asked.append(_Asked(target_of(mapping.name), entity.into, (), tuple(dict.fromkeys(found))))
    return asked, frozenset(became)


def _owner_unknown(place: Store, asked: Sequence[_Asked]) -> list[dict[str, Any]]:
    """Backups that have a table of that name and do not say whose it is: earlier versions called what a restore replaced
    `replaced`, or the target of no migration. Whoever knows it is theirs erases there under that name."""
    told: dict[tuple[str, str], int] = {}
    for info in list_backups(place):
        if info.manifest is None or not without_owner(info.manifest):
            continue
        for table in {one.table for one in asked if one.system not in names_of(info.manifest)}:
            if table in info.manifest.digests:
                name = (info.manifest.system, table)
                told[name] = told.get(name, 0) + 1
    return [{"system": s, "table": t, "backups": count} for (s, t), count in sorted(told.items())]


def _newest(place: Store, asked: _Asked) -> Manifest:
    """The newest backup that has the table. Raises UsageError: a name that is mistyped would erase nothing."""
    of_system = [
        i.manifest
        for i in list_backups(place)
        if i.manifest is not None and asked.system in names_of(i.manifest)
    ]
    having = [m for m in of_system if asked.table in m.digests]
    if having:  # an archive holds only what a rule left out
        return ([m for m in having if m.role != "archive"] or having)[-1]
    systems = sorted({i.manifest.system for i in list_backups(place) if i.manifest is not None})
    what = (
        f"no backup of {asked.system} has a table {asked.table}"
        if of_system
        else f"no backup is of {asked.system}"
    )
    there = (
        f"Its tables: {', '.join(of_system[-1].digests)}." if of_system else f"Systems: {', '.join(systems)}."
    )
    raise UsageError(what, where=place.location, kept="Nothing was recorded.", hint=there)


def _with_columns(asked: _Asked, manifest: Manifest, place: Store) -> _Asked:
    backup = open_backup(place, manifest.id)
    if backup.typed is None and asked.columns:
        return asked  # what it holds cannot be seen here; a restore says where a column is missing
    table = backup.schema.table(asked.table)
    columns = asked.columns or table.primary_key
    missing = [c for c in columns if c not in table.column_names]
    if missing or not columns:
        raise UsageError(
            f"{asked.table} has no column {', '.join(missing)}"
            if missing
            else f"{asked.table} has no primary key",
            where=manifest.id,
            kept="Nothing was recorded.",
            hint=f"Give --by with one of {', '.join(table.column_names)}.",
        )
    return _Asked(asked.system, asked.table, tuple(columns), asked.keys)


def _matched(asked: _Asked, backup: Backup) -> Counter[str] | None:
    """How many rows of the backup have each of the keys; None where that cannot be seen here. Raises UsageError for a key
    that no value of the columns is: a mistyped one would erase nobody."""
    if backup.typed is None:
        return None
    table = backup.schema.table(asked.table)
    types = {c: table.column(c).type for c in asked.columns}
    for key in asked.keys:
        parts = json.loads(key)
        if len(parts) != len(types) or not all(
            _is_value(p, t) for p, t in zip(parts, types.values(), strict=True)
        ):
            raise UsageError(
                f"a key given is no value of {asked.table}.{', '.join(asked.columns)}",
                where=backup.manifest.id,
                kept="Nothing was recorded.",
                hint="A bare value for one column, a JSON array for several: in the columns' order and form.",
            )
    wanted = pa.array(asked.keys, pa.string())
    found: Counter[str] = Counter()
    for ref in backup.parts_by_table[asked.table]:
        rows = backup.raw(ref).select(list(asked.columns))
        keys = canon.source_keys(rows, asked.columns, types).cast(pa.string())
        found.update(str(key) for key in keys.filter(pc.is_in(keys, wanted)).to_pylist())
    return found


def _is_value(text: str | None, type_: Type) -> bool:
    if text is None or type_.kind not in _OF_A_FORM:
        return text is not None
    try:
        canon.from_text(pa.array([text], pa.string()), type_)
    except UsageError:
        return False
    return True


def _effects(place: Store, manifest: Manifest) -> dict[str, Any]:
    """What is left out of the newest backup now, by all erasures so far; nothing where that cannot be seen here."""
    backup: Backup = open_backup(place, manifest.id)
    if backup.typed is None:
        return {"backup": manifest.id}
    try:
        found = backup.effects
    except (Corrupt, GateClosed) as error:
        return {"backup": manifest.id, "problem": str(error)}
    return {
        "backup": manifest.id,
        "left_out": dict(found.rows),
        "references_emptied": dict(found.references),
    }
