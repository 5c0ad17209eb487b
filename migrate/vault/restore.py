"""Levels 4 and 5: restore a backup into an empty scratch database and compare every value. Only this proves.

The rows come from the vault, part by part, each hashed against the manifest before it is decoded
(never from staging); the scratch is read again through its own snapshot. Whoever made the scratch drops it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from migrate import canon, durable, failpoints
from migrate.compare import compare_digests, compare_schemas
from migrate.connectors.ahead import rows_of
from migrate.connectors.protocol import Scratch, Snapshot
from migrate.errors import Corrupt, GateClosed, Unfit
from migrate.model import PartRef, Schema, Table, Verdict
from migrate.vault import lease
from migrate.vault.ahead import Part, parts_ahead
from migrate.vault.check import check
from migrate.vault.clock import Clock
from migrate.vault.expressions import without_expressions
from migrate.vault.reader import Backup
from migrate.vault.standing import NOTHING, Standing, declared
from migrate.vault.verdicts import PROVEN

FILES = "files"
Note = Callable[[str, int], None]  # this table holds so many of its parts


def restore_test(
    backup: Backup,
    scratch: Scratch,
    *,
    trusted: bool,
    violations: Sequence[str] | None = None,
    known_sha256: str = "",
    tables: Collection[str] | None = None,
) -> list[Verdict]:
    """Restores everything (or these `tables`, where the others need no proof) into the empty `scratch` and compares. The last verdict is "L5": passed only
    if all others did; its evidence holds the seconds of each phase.

    `trusted`: the manifest is one that this ledger wrote or a trusted key signed; otherwise no SQL
    expression of it is run, what that leaves out is listed, and L5 is not reached (F26).
    `violations`: the source's own, as its snapshot reported them, by default as the manifest has them; the copy must
    have the same (F25).
    A failed check is a verdict; Unreachable and UsageError (the scratch is not empty, P27) pass through.
    """
    # nobody takes it away meanwhile; where nothing may be written into the vault, it is read without that
    with lease.shared(backup.store, lease.RESTORE, backup.manifest.id, required=False):
        return _restored_and_compared(backup, scratch, trusted, violations, known_sha256, tables)


def _restored_and_compared(
    backup: Backup,
    scratch: Scratch,
    trusted: bool,
    violations: Sequence[str] | None,
    known_sha256: str,
    tables: Collection[str] | None,
) -> list[Verdict]:
    clock = Clock()
    with clock.phase("fetch"):
        verdicts = check(backup, 1, known_sha256=known_sha256)
    if any_failed(verdicts):
        return [*verdicts, summary(backup, verdicts, clock)]
    if tables is not None:
        backup = backup.only(tables)  # whose foreign keys may lead out of it
    elif violations is None:
        violations = backup.manifest.violations
    verdicts += restored_and_compared(backup, scratch, clock, trusted=trusted, violations=violations)
    return [*verdicts, summary(backup, verdicts, clock)]


def restored_and_compared(
    backup: Backup,
    scratch: Scratch,
    clock: Clock,
    *,
    trusted: bool,
    violations: Sequence[str] | None,
    alone: bool = True,
    around: Collection[str] = (),
    found: Standing = NOTHING,
    note: Note | None = None,
) -> list[Verdict]:
    """L4 and L5 of a backup whose objects are there. `alone`: there is nothing else in the database;
    `around`: tables besides, which foreign keys may refer to; `found`: what an earlier restore of it left there;
    `note`: told of every part that is in, each then in a transaction of its own."""
    schema, left_out = (backup.schema, ()) if trusted else without_expressions(backup.schema)
    schema, outside = within(schema, around)
    verdicts: list[Verdict] = []
    try:
        with clock.phase("decode"):
            backup.effects  # noqa: B018 - what cannot be told of erasures is said before anything is restored
        verdicts += _restore(backup, scratch, schema, clock, found, note)
    except Corrupt as error:
        verdicts.append(_failed("L4 restored", str(error)))
    if any_failed(verdicts):
        return verdicts
    failpoints.hit("vault.restore.rows_restored")
    verdicts += compared(
        backup, scratch, clock, schema=schema, violations=violations, alone=alone, outside=outside
    )
    if left_out:
        verdicts.append(
            _failed(
                "L5 expressions",
                "not restored, because the manifest is not trusted: " + "; ".join(left_out[:50]),
            )
        )
    failpoints.hit("vault.restore.compared")
    return verdicts


def compared(
    backup: Backup,
    scratch: Scratch,
    clock: Clock,
    *,
    schema: Schema,
    violations: Sequence[str] | None,
    alone: bool = True,
    outside: Sequence[str] = (),
) -> list[Verdict]:
    """L5: every value, the schema and what it declares, read again from the database that holds the copy. `outside`: what
    the schema had and no copy of these tables alone can have, to be listed (F25)."""
    verdicts: list[Verdict] = [_erased(backup)] if backup.effects.rows else []
    with clock.phase("verify"), scratch.snapshot(schema.table_names) as snapshot:
        verdicts += [_values(backup, scratch, snapshot, table) for table in backup.schema.tables]
        if backup.schema.engine != FILES:
            found = snapshot.schema if alone else _of(snapshot.schema, schema)
            verdict = _listed("L5 schema", compare_schemas(schema, found))
            if outside and verdict.passed:
                verdict = replace(verdict, reason=f"not restored: {'; '.join(outside[:20])}")
            verdicts.append(verdict)
    if backup.schema.engine != FILES:
        verdicts.append(_violations(scratch, violations))
    else:
        with clock.phase("files"):
            verdicts.append(_original_files(backup))
    return verdicts


def within(schema: Schema, around: Collection[str] = ()) -> tuple[Schema, tuple[str, ...]]:
    """The schema without foreign keys to tables that are neither in it nor `around`, and those keys, said. SQLite keeps
    them: its tables are made of their texts, and keys there may lead nowhere."""
    inside = {*schema.table_names, *around}
    if schema.engine == "sqlite":
        return schema, ()
    outside = tuple(
        f"{t.name}: {k.name} (it refers to {k.ref_table}, which is not there)"
        for t in schema.tables
        for k in t.foreign_keys
        if k.ref_table not in inside
    )
    tables = tuple(
        replace(t, foreign_keys=tuple(k for k in t.foreign_keys if k.ref_table in inside))
        for t in schema.tables
    )
    return replace(schema, tables=tables), outside


def _of(found: Schema, expected: Schema) -> Schema:
    """Without the types and sequences of other tables."""
    names = {s.name for s in expected.sequences}
    return replace(
        found,
        sequences=tuple(s for s in found.sequences if s.name in names),
        enums={name: labels for name, labels in found.enums.items() if name in expected.enums},
    )


def _restore(
    backup: Backup, scratch: Scratch, schema: Schema, clock: Clock, there: Standing, note: Note | None
) -> list[Verdict]:
    with clock.phase("schema"):
        try:
            scratch.restore_schema(there.missing(schema))
        except Unfit as error:
            return [_failed("L4 restored", f"what the schema declares cannot be made: {error}")]
        failpoints.hit("vault.restore.schema_restored")
    written: dict[str, int] = {}
    wanted = [r for t in schema.tables for r in backup.parts_by_table[t.name][there.parts.get(t.name, 0) :]]
    with parts_ahead(backup, wanted) as brought:
        for table in schema.tables:
            try:
                with clock.phase("load"):
                    written[table.name] = _rows_of(backup, scratch, table, brought, clock, there, note)
            except GateClosed as error:
                return [_failed("L4 restored", f"the rows of {table.name} do not go in: {error}")]
            failpoints.hit("vault.restore.table_restored")
    with clock.phase("index"):
        try:
            scratch.restore_constraints(there.left(schema))
        except GateClosed as error:
            return [_failed("L4 restored", f"the data do not satisfy what the schema declares: {error}")]
    with clock.phase("verify"), scratch.snapshot(schema.table_names) as snapshot:
        # counted by the scratch database: what a driver says it wrote is no proof
        found = {t.name: snapshot.count(t.name) for t in schema.tables}
    expected = {t.name: backup.rows(t.name) for t in schema.tables}
    wrong = [n for n in expected if found[n] != expected[n] or written[n] != expected[n]]
    return [
        Verdict(
            "L4 restored",
            passed=not wrong,
            expected=f"{sum(expected.values())} rows",
            found=f"{sum(found.values())} rows",
            reason="; ".join(f"{n}: {found[n]} of {expected[n]} rows" for n in wrong),
            evidence={"backup": backup.manifest.id, "rows": found},
        )
    ]


def _rows_of(
    backup: Backup,
    scratch: Scratch,
    table: Table,
    brought: Iterator[Part],
    clock: Clock,
    there: Standing,
    note: Note | None,
) -> int:
    """All of a table in one go, or part by part from the first that is not there; how many rows it has then. Its parts
    are the next ones of `brought`."""
    refs = backup.parts_by_table[table.name]
    begin = there.parts.get(table.name, 0)
    if note is None:
        return scratch.restore_rows(table, _batches(brought, refs[begin:], clock))
    written = sum(ref.rows - backup.effects.rows_in(ref) for ref in refs[:begin])
    for i in range(begin, len(refs)):
        written += scratch.restore_rows(table, _batches(brought, refs[i : i + 1], clock))
        failpoints.hit("vault.restore.part_restored")
        note(table.name, i + 1)
    return written


def _batches(brought: Iterator[Part], refs: Sequence[PartRef], clock: Clock) -> Iterator[pa.RecordBatch]:
    """The rows of the next parts, which are `refs`; what loading waits for them is no part of it."""
    for ref in refs:
        began = time.monotonic()
        part = next(brought)
        clock.waited(time.monotonic() - began, part.seconds, outside="load")
        assert part.ref is ref, "parts are restored in the order in which they are brought"
        yield from part.rows.to_batches(max_chunksize=65_536)


def _values(backup: Backup, scratch: Scratch, snapshot: Snapshot, table: Table) -> Verdict:
    """Every value of a table, by the digest of all rows under the types of the manifest."""
    stored = snapshot.schema.table(table.name)
    try:
        with rows_of(snapshot, table.name, table.column_names) as read:
            found = canon.digest(declared(scratch, read, stored, table), table.types, table.primary_key)
    except (GateClosed, Corrupt, KeyError) as error:
        return _failed("L5 values", f"{table.name} could not be read back as it was: {error}")
    return compare_digests("L5 values", _expected(backup, table), found, table=table.name)


def _expected(backup: Backup, table: Table) -> canon.Digest:
    if backup.manifest.algorithm == canon.ALGORITHM:
        return backup.expected(table.name)
    # an older algorithm: again from the bytes, which their SHA-256 protects
    return canon.digest(backup.batches(table.name), table.types, table.primary_key)


def _violations(scratch: Scratch, expected: Sequence[str] | None) -> Verdict:
    """A faithful copy keeps the source's own violations, no more and no fewer."""
    found = scratch.violations()
    if expected is None:
        return Verdict(
            "L5 violations",
            passed=True,
            expected="those of the source",
            found=f"{len(found)} kinds",
            reason="the source's own violations are not on record; those of the equal copy are listed"
            if found
            else "",
            evidence={"violations": found[:50]},
        )
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    lines = [f"only in the source: {v}" for v in missing] + [f"only in the copy: {v}" for v in extra]
    return replace(_listed("L5 violations", lines), evidence={"violations": found[:50]})


def _erased(backup: Backup) -> Verdict:
    """How much was left out by request; the comparisons expect exactly that."""
    gone, emptied = backup.effects.rows, backup.effects.references
    rows, references = sum(gone.values()), sum(emptied.values())
    left = f"{rows} row{'s' if rows != 1 else ''} left out by request"
    if references:
        left += f", {references} reference{'s' if references != 1 else ''} to them emptied"
    return Verdict("L4 erased", True, left, left, evidence={"rows": dict(gone), "references": dict(emptied)})


def _original_files(backup: Backup) -> Verdict:
    """The originals out of the vault, byte for byte (their SHA-256 is checked once they lie on disk)."""
    if backup.effects.rows:
        count = f"{len(backup.manifest.files)} files"
        return Verdict(
            "L5 files", True, count, "not brought back: they hold rows that were erased by request"
        )
    with tempfile.TemporaryDirectory(prefix="migrate-files-") as name:
        folder = durable.make_private_folder(Path(name) / "files")
        try:
            restored = backup.restore_files(folder)
        except Corrupt as error:
            return _failed("L5 files", str(error))
        return Verdict("L5 files", True, f"{len(backup.manifest.files)} files", f"{len(restored)} files")


def summary(backup: Backup, verdicts: Sequence[Verdict], clock: Clock) -> Verdict:
    failed = [v.check for v in verdicts if not v.passed]
    rows = sum(p.rows for p in backup.manifest.parts)
    gone = sum(backup.effects.rows.values()) if not failed else 0
    return Verdict(
        PROVEN,
        passed=not failed,
        expected="restored and equal",
        found="restored and equal" if not failed else f"{len(failed)} checks failed",
        reason=", ".join(dict.fromkeys(failed)),
        evidence={"backup": backup.manifest.id, "rows": rows - gone, "seconds": clock.seconds()}
        | ({"erased": gone} if gone else {}),
    )


def any_failed(verdicts: Sequence[Verdict]) -> bool:
    return not all(v.passed for v in verdicts)


def _listed(name: str, differences: Sequence[str]) -> Verdict:
    found = f"{len(differences)} differences" if differences else "equal"
    return Verdict(name, not differences, "equal", found, "; ".join(differences[:20]))


def _failed(name: str, reason: str) -> Verdict:
    return Verdict(name, False, "possible", "not possible", reason)
