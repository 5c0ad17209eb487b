"""A restore for good, into a place that a user named: proven empty, or cleared once a proven backup of it exists.

The place carries a mark from before the first table is made until every value was compared. Broken off anywhere, the
same command finds the mark, proves what the broken one made, keeps that, and goes on: nothing is ever doubled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from migrate import canon, failpoints
from migrate.compare import compare_schemas
from migrate.connectors.protocol import Place, Snapshot
from migrate.errors import Corrupt, Drift, GateClosed, UsageError
from migrate.model import Schema, Verdict
from migrate.vault import lease
from migrate.vault.check import check
from migrate.vault.clock import Clock
from migrate.vault.reader import Backup, open_backup, sequences_of
from migrate.vault.restore import any_failed, compared, restored_and_compared, summary, within
from migrate.vault.standing import NOTHING, Standing, not_beginnings, others_rows, standing, told

Save = Callable[[Sequence[str]], str]  # makes and proves a backup of these tables; its id


@dataclass(frozen=True)
class Intent:
    """What the mark says: whoever finds it knows what was under way."""

    backup: str
    manifest_sha256: str
    tables: tuple[str, ...]  # as asked for; none: all
    replaced: str = ""  # the backup of what was there
    around: tuple[str, ...] = ()  # what was there besides
    cleared: bool = (
        False  # what lies there now is ours; before that it may be what the backup `replaced` holds
    )
    again: bool = False  # it came to its end and did not pass: since then people may work there
    done: dict[str, int] = field(default_factory=dict)  # parts that are in, by table

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str, where: str) -> Intent:
        try:
            found = json.loads(text)
            return cls(
                str(found["backup"]),
                str(found["manifest_sha256"]),
                tuple(found["tables"]),
                str(found["replaced"]),
                tuple(found["around"]),
                bool(found.get("cleared", True)),
                bool(found.get("again", False)),
                {str(k): int(v) for k, v in dict(found.get("done", {})).items()},
            )
        except (ValueError, TypeError, KeyError):
            raise Corrupt("the mark of a restore in this database cannot be read.", where=where) from None

    def same_work(self, other: Intent) -> bool:
        return (self.manifest_sha256, self.tables) == (other.manifest_sha256, other.tables)


@dataclass(frozen=True)
class Restored:
    verdicts: tuple[Verdict, ...]
    schema: Schema
    rows: int
    state: str  # restored | resumed | there already
    replaced: str  # the backup of what was there before, "" where nothing was
    not_restored: tuple[str, ...]


def restore_into(
    backup: Backup,
    place: Place,
    *,
    trusted: bool,
    tables: Collection[str] = (),
    save: Save | None = None,
    known_sha256: str = "",
) -> Restored:
    """Restores `backup`, or these `tables` of it, into `place`, and compares every value.

    `save`: what is in the way may be replaced, once this has made and proven a backup of it.
    Raises UsageError where the place is not empty, or another restore was broken off in it; Busy where another one goes
    on; GateClosed where what is in the way cannot go. What does not restore, or is not equal, is a verdict."""
    # nobody takes it away meanwhile; where nothing may be written into the vault, it is read without that
    with lease.shared(backup.store, lease.RESTORE, backup.manifest.id, required=False):
        return _restore_into(backup, place, trusted, tables, save, known_sha256)


def _restore_into(
    backup: Backup,
    place: Place,
    trusted: bool,
    tables: Collection[str],
    save: Save | None,
    known_sha256: str,
) -> Restored:
    clock = Clock()
    with clock.phase("fetch"):
        verdicts = check(backup, 1, known_sha256=known_sha256)
    if any_failed(verdicts):
        verdicts = [*verdicts, summary(backup, verdicts, clock)]
        return Restored(tuple(verdicts), backup.schema, 0, "restored", "", ())
    with place.hold():
        wanted = Intent(backup.manifest.id, backup.manifest_sha256, tuple(sorted(tables)))
        chosen = chosen_of(backup, tables) if tables else backup
        said = place.mark()
        begun = None if said is None else _resumed(Intent.parse(said, place.url), wanted, chosen, place)
        if begun is not None and not begun.cleared and not begun.replaced:
            place.remove_mark()  # nothing was made yet: whatever is there now is not ours
            begun = None
        if begun is not None:
            intent, state = begun, "resumed"
        elif not place.there():
            intent, state = wanted, "restored"
        elif (found := _there_already(chosen, place, clock)) is not None:
            verdicts += found
            verdicts.append(summary(chosen, verdicts, clock))
            return Restored(tuple(verdicts), chosen.schema, _rows(chosen), "there already", "", ())
        else:
            intent, state = _cleared_for(chosen, wanted, place, save), "restored"
        place.around = frozenset(intent.around)
        place.not_restored += within(chosen.schema, place.around)[1]
        if begun is None:
            place.put_mark(intent.text())
        failpoints.hit("vault.place.marked")
        here = _what_stands(backup, chosen, intent, place)
        if not intent.cleared or intent.again or here.parts != intent.done:
            intent = replace(intent, cleared=True, again=False, done=dict(here.parts))
            place.put_mark(intent.text())
        if state == "resumed" and here.parts:
            verdicts.append(told(chosen, here))
        alone = not tables and not intent.around
        verdicts += restored_and_compared(
            chosen,
            place,
            clock,
            trusted=trusted,
            violations=chosen.manifest.violations if alone else None,
            alone=alone,
            around=place.around,
            found=here,
            note=partial(_note, place, intent),
        )
        if not any_failed(verdicts):
            place.remove_mark()
            failpoints.hit("vault.place.unmarked")
        else:  # who works in it from now on must not lose that to the next attempt
            place.put_mark(replace(intent, done={}, again=True).text())
    verdicts.append(summary(chosen, verdicts, clock))
    return Restored(
        tuple(verdicts), chosen.schema, _rows(chosen), state, intent.replaced, tuple(place.not_restored)
    )


def chosen_of(backup: Backup, tables: Collection[str]) -> Backup:
    """Some tables of a backup, with what they need and nothing of the others. Raises UsageError for one it does not have."""
    missing = sorted(set(tables) - set(backup.schema.table_names))
    if missing:
        raise UsageError(
            f"the backup has no table {', '.join(missing)}",
            where=backup.manifest.id,
            hint=f"It has: {', '.join(backup.schema.table_names)}.",
        )
    view = backup.only(tables)
    needed = {s for t in view.schema.tables for s in sequences_of(view.schema, t)}
    types = {c.type.native.removesuffix("[]") for t in view.schema.tables for c in t.columns}
    schema = replace(
        view.schema,
        sequences=tuple(s for s in view.schema.sequences if s.name in needed),
        enums={n: labels for n, labels in view.schema.enums.items() if n in types or f'"{n}"' in types},
    )
    return replace(view, typed=schema)


def _what_stands(backup: Backup, chosen: Backup, intent: Intent, place: Place) -> Standing:
    """What an earlier restore left here and is proven; all else of the backup's tables is cleared away."""
    schema, _ = within(chosen.schema, place.around)
    here = NOTHING
    if intent.cleared and not intent.again:
        here = standing(chosen, place, schema, intent.done)
        failpoints.hit("vault.place.examined")
    unchanged: Callable[[Snapshot], None] | None = None
    if intent.again:
        unchanged = partial(_nobody_elses, chosen, place)
    elif intent.replaced and not intent.cleared:
        unchanged = _still(backup, intent)
    try:
        place.clear(here.missing(chosen.schema) if here.parts else chosen.schema, unchanged)
    except (GateClosed, Drift):
        if here.parts:  # a table that stays refers to one that must go: then all of them
            here = Standing(changed=here.changed)
            place.clear(chosen.schema)
        else:
            if not intent.cleared:  # nothing was begun
                place.remove_mark()
            raise
    failpoints.hit("vault.place.cleared")
    return here


def _note(place: Place, intent: Intent, table: str, parts: int) -> None:
    """Durable before the next part begins."""
    intent.done[table] = parts
    place.put_mark(intent.text())


def _resumed(found: Intent, wanted: Intent, chosen: Backup, place: Place) -> Intent | None:
    """What goes on; None where a restore came to its end and what is there is not only the backup's any more: then the
    place is one like any other."""
    if found.again and (not found.same_work(wanted) or others_rows(chosen, place)):
        return None
    if found.same_work(wanted):
        return found
    more = "".join(f" --table {t}" for t in found.tables)
    raise UsageError(
        f"a restore of backup {found.backup} was broken off in this place",
        where=place.url,
        kept="Nothing was changed in it.",
        hint=f"Finish it with `migrate backup restore {found.backup}{more} --into …`, or give another place.",
    )


def _cleared_for(chosen: Backup, wanted: Intent, place: Place, save: Save | None) -> Intent:
    """What is in the way is saved and may go; or this is no place to restore into."""
    there = place.there()
    if save is None:
        shown = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
        raise UsageError(
            f"the place to restore into is not empty: it has {shown}",
            where=place.url,
            kept="Nothing was changed in it.",
            hint="Give an empty database or a new file, or --replace to have its tables saved, proven and replaced.",
        )
    tables = set(place.schema().table_names)
    in_the_way = [name for name in chosen.schema.table_names if name in there]
    odd = [name for name in in_the_way if name not in tables]
    if odd:
        raise UsageError(
            f"{', '.join(odd)} is in the way and cannot be saved: it is a view, or a table that a backup does not carry",
            where=place.url,
            kept="Nothing was changed in it.",
            hint="Move it out of the way first.",
        )
    around = tuple(sorted(tables - set(in_the_way)))
    return replace(wanted, replaced=save(in_the_way) if in_the_way else "", around=around)


def _still(backup: Backup, intent: Intent) -> Callable[[Snapshot], None]:
    """Asks whether the tables that go are what the backup of them holds."""
    saved = open_backup(backup.store, intent.replaced)
    if saved.locked:
        raise saved.locked

    def unchanged(now: Snapshot) -> None:
        for table in now.schema.tables:
            digest = canon.digest(now.read(table.name), table.types, table.primary_key)
            if digest.text() != saved.manifest.digests.get(table.name):
                raise Drift(
                    "its rows changed while they were saved",
                    where=table.name,
                    kept=f"Nothing was replaced; backup {intent.replaced} is kept.",
                    hint="Stop what writes to it, then run the same command again.",
                )

    return unchanged


def _nobody_elses(chosen: Backup, place: Place, now: Snapshot) -> None:
    found = not_beginnings(chosen, place, now)
    if found:
        raise Drift(
            "somebody wrote to it while it was to be restored again",
            where=found[0],
            kept="Nothing was changed in it.",
            hint="Stop what writes to it, then give the command with --replace to have its tables saved and replaced.",
        )


def _there_already(chosen: Backup, place: Place, clock: Clock) -> list[Verdict] | None:
    """L5 of what is in the place, if it is this backup and nothing else: a restore that was killed after its last step,
    or made twice. None where it is not."""
    names = place.schema().table_names
    if set(names) != set(chosen.schema.table_names):
        return None
    schema, outside = within(chosen.schema)
    with place.snapshot(names) as snapshot:
        if compare_schemas(schema, snapshot.schema):
            return None
    found = compared(chosen, place, clock, schema=schema, violations=None, outside=outside)
    return None if any_failed(found) else found


def _rows(chosen: Backup) -> int:
    return sum(chosen.rows(name) for name in chosen.schema.table_names)
