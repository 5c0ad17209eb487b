"""Drills: that a backup restores, shown now; and what the drills so far have shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from migrate import __version__, failpoints
from migrate.api.places import home_to_be, ledger_of
from migrate.api.proofs import named, on_record, place_of
from migrate.api.scratch_places import is_alive, scratch_engine, scratch_for
from migrate.context import Progress, Silent
from migrate.durable import make_private_folder
from migrate.errors import GateClosed, MappingError, MigrateError, Problem, UsageError
from migrate.ledger import practice
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import DrillRow
from migrate.mapping.drill_file import DrillFile, Query, load_drill_file
from migrate.mapping.environment import absolute
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import Manifest
from migrate.opening import home_of, vault_of
from migrate.planning import scratch_url
from migrate.report.document import write_report
from migrate.report.drill_document import build_drill_report
from migrate.report.html.render import write_page
from migrate.stores.protocol import Store
from migrate.vault.drill import Drilled
from migrate.vault.drill import drill as carry_out
from migrate.vault.keys import Keys
from migrate.vault.reader import Backup, list_backups, open_backup
from migrate.vault.verdicts import put_verdicts

_HISTORY = 30  # drills, in the report of one
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class _Chosen:
    """One backup to restore, and where."""

    backup: Backup
    place: Store
    scratch: str | None


def drill(
    what: str,
    *,
    file: Path | str | None = None,
    scratch: str | None = None,
    store: str | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
    keys: Keys | None = None,
) -> dict[str, Any]:
    """Restore a backup (its id, the beginning of it, `latest`), or the latest backups of a mapping's sources and target,
    into scratch as if they were needed now: fetch, decode, load, constraints, compare; then ask the queries of `file`.

    `passed`, the split of the time, RPO and RTO of each are in the answer, in the ledger, and as verdicts beside the
    manifest. What cannot be carried out raises (UsageError, Unreachable, GateClosed where the mapping has no backup), and
    is on record as broken off: it never counts as passed. `keys`: with which an encrypted backup is opened; a mapping
    and the environment name their own."""
    asked = load_drill_file(file) if file is not None else None
    mapping = load_mapping(Path(what)) if what.lower().endswith(_YAML) else None
    where = home_of(mapping, home) if mapping is not None else home_to_be(home)
    chosen = (
        _of_mapping(mapping, store, scratch, asked)
        if mapping is not None
        else _of_id(what, store, scratch, asked, home, keys)
    )
    queries = _shared_out(asked, chosen)
    for one in chosen:
        scratch_engine(one.backup, one.scratch)  # what is wrong with one is said before another is begun
    told = progress or Silent()
    done = []
    for one, own in zip(chosen, queries, strict=True):
        told.stage(f"drill {one.backup.manifest.system}", None)
        done.append(_one(one, own, asked, where))
    return {
        "passed": all(d["passed"] for d in done),
        "drills": done,
        "verdicts": [{**v, "backup": d["backup"]} for d in done for v in d["verdicts"]],
    }


def drills(*, home: Path | None = None, limit: int | None = None) -> dict[str, Any]:
    """`drills`, newest first, and the `trend` of every backed-up system: how often it passed, the last RTO against the
    median of those before, and the last RPO."""
    try:
        with ledger_of(home) as ledger:
            _settle(ledger, ledger.path.parent)
            rows = practice.drills(ledger)
    except UsageError:  # no ledger: no drill so far
        rows = []
    return {
        "drills": [_line(r) for r in (rows if limit is None else rows[:limit])],
        "trend": _trend(rows),
    }


# -- which backups ---------------------------------------------------------------------------------


def _of_id(
    what: str,
    store: str | None,
    scratch: str | None,
    asked: DrillFile | None,
    home: Path | None,
    keys: Keys | None,
) -> list[_Chosen]:
    place = place_of(store, home, keys)
    infos = list_backups(place)
    if not infos:
        raise UsageError(
            "there is no backup in this vault",
            where=place.location,
            hint="Give --store, or make one: migrate backup create.",
        )
    backup = open_backup(place, named(place, what, home))
    return [_Chosen(backup, place, scratch or _scratch_of(asked, backup.manifest))]


def _of_mapping(
    mapping: Mapping, store: str | None, scratch: str | None, asked: DrillFile | None
) -> list[_Chosen]:
    """The latest backup of every source, and that of the target."""
    place = vault_of(mapping, store)
    newest: dict[tuple[str, str], Manifest] = {}
    for info in list_backups(place):  # oldest first by recorded time
        if info.manifest is not None and info.manifest.mapping == mapping.name:
            newest[info.manifest.role, info.manifest.system] = info.manifest
    wanted = [("source", s.system, name) for name, s in mapping.sources.items()] + [("target", "target", "")]
    missing = [f"the {role} {system}" for role, system, _ in wanted if (role, system) not in newest]
    if missing:
        raise GateClosed(
            f"there is no backup of {' and of '.join(missing)}".replace("the target target", "the target"),
            where=place.location,
            kept="Nothing was restored.",
            hint="A run makes them: migrate run MAPPING --to restore-test.",
        )
    chosen = []
    for role, system, name in wanted:
        manifest = newest[role, system]
        url = scratch or _scratch_of(asked, manifest)
        if url is None:
            url = scratch_url(mapping, role, name)[1]
        chosen.append(_Chosen(open_backup(place, manifest.id), place, url))
    return chosen


def _scratch_of(asked: DrillFile | None, manifest: Manifest) -> str | None:
    if asked is None:
        return None
    given = asked.scratch.source if manifest.role == "source" else asked.scratch.target
    return None if given is None else absolute(given, Path(asked.base))


def _shared_out(asked: DrillFile | None, chosen: Sequence[_Chosen]) -> list[list[Query]]:
    """The queries of each backup. Raises what a wrong drill file raises: one that belongs to none, or to which is not said."""
    shared: list[list[Query]] = [[] for _ in chosen]
    problems = []
    for query in asked.queries if asked is not None else ():
        fitting = [
            n
            for n, one in enumerate(chosen)
            if query.of in ("", one.backup.manifest.role, one.backup.manifest.system)
        ]
        if len(fitting) == 1:
            shared[fitting[0]].append(query)
            continue
        names = ", ".join(
            dict.fromkeys(n for one in chosen for n in (one.backup.manifest.role, one.backup.manifest.system))
        )
        if query.of and not fitting:
            message = f"no backup that is restored here is `{query.of}`"
        else:
            message = "several backups are restored here, so the query must say `of` which it is asked"
        problems.append(Problem("wrong_value", query.where, message, f"one of {names}"))
    if problems:
        raise MappingError(problems, what="drill file")
    return shared


# -- one drill -------------------------------------------------------------------------------------


def _one(chosen: _Chosen, queries: Sequence[Query], asked: DrillFile | None, home: Path) -> dict[str, Any]:
    backup, manifest = chosen.backup, chosen.backup.manifest
    known = on_record(manifest.id, home)
    began = datetime.now(UTC)
    row = DrillRow(
        id=f"{began:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        backup=manifest.id,
        vault=chosen.place.location,
        manifest_sha256=backup.manifest_sha256,
        mapping=manifest.mapping,
        role=manifest.role,
        system=manifest.system,
        engine=manifest.engine,
        state="running",
        started=began.isoformat(timespec="microseconds"),
        snapshot_at=manifest.snapshot_at,
        rows=sum(p.rows for p in manifest.parts),
        bytes=sum(p.bytes for p in manifest.parts) + sum(f.bytes for f in manifest.files),
    )

    def restored() -> Drilled:
        with scratch_for(backup, chosen.scratch, home, run=f"drill {row.id}") as scratch:
            found = carry_out(
                backup,
                scratch,
                trusted=known == backup.manifest_sha256 or bool(backup.signed_by),
                known_sha256=known,
                queries=queries,
                limits=asked.limits if asked is not None else DrillFile(path="", base="").limits,
                now=began,
            )
        put_verdicts(chosen.place, backup, found.verdicts)
        return found

    drilled = _on_record(home, row, restored)
    ended = replace(
        row,
        state="passed" if drilled.passed else "failed",
        reason=drilled.verdicts[-1].reason,
        ended=_now(),
        rpo_seconds=drilled.rpo_seconds,
        rto_seconds=drilled.rto_seconds,
        seconds=drilled.seconds,
        verdicts=tuple(v.without_evidence() for v in drilled.verdicts),
    )
    with Ledger.open(home / "ledger.db") as ledger:
        practice.put_drill(ledger, ended)
        ledger.put_verdicts("", "drill", drilled.verdicts, subject=backup.manifest_sha256)
        head = ledger.audit("drill", "", {"drill": row.id, "backup": manifest.id, "passed": drilled.passed})
        history = [asdict(r) for r in practice.drills(ledger) if _group(r) == _group(ended)][:_HISTORY]
    told = {
        **_line(ended),
        "rows_per_second": drilled.rows_per_second,
        "verdicts": list(ended.verdicts),
        "queries": [
            {**a.verdict.without_evidence(), "query": a.query.name, "why": a.query.why, "seconds": a.seconds}
            for a in drilled.queries
        ],
    }
    document = build_drill_report(told, history, {"code": __version__, "audit": {"head": head}})
    folder = make_private_folder(home / "drills" / row.id)
    path = write_report(folder, document)
    return {**told, "report": str(path), "page": str(write_page(folder, document))}


def _on_record(home: Path, row: DrillRow, work: Callable[[], Drilled]) -> Drilled:
    """`work`, with the ledger knowing that it goes on; what breaks it off stays on record."""
    with Ledger.open(home / "ledger.db") as ledger:
        _settle(ledger, home)
        practice.put_drill(ledger, row)
    failpoints.hit("drill.recorded")
    try:
        return work()
    except BaseException as error:
        # MigrateError's own words hold neither values nor secrets; of others only the kind is told
        reason = type(error).__name__
        if isinstance(error, MigrateError):
            reason = f"{error.where}: {error.message}" if error.where else error.message
        with Ledger.open(home / "ledger.db") as ledger:
            practice.put_drill(ledger, replace(row, state="broken off", reason=reason, ended=_now()))
        raise


def _settle(ledger: Ledger, home: Path) -> None:
    """Drills that were killed say so: one that goes on has a scratch database on record, and holds its lock."""
    living = {s.run for s in ledger.scratches() if is_alive(home, s.name)}
    for row in practice.drills(ledger):
        if row.state == "running" and f"drill {row.id}" not in living:
            practice.put_drill(ledger, replace(row, state="broken off", reason="the process ended"))


# -- what is shown ---------------------------------------------------------------------------------


def _line(row: DrillRow) -> dict[str, Any]:
    document = asdict(row)
    del document["verdicts"]
    document["drill"] = document.pop("id")
    rate = round(row.rows / row.rto_seconds, 1) if row.rto_seconds else None
    return {
        "drill": row.id,
        "passed": row.state == "passed",
        **document,
        "rows_per_second": rate,
        "failed": [str(v["check"]) for v in row.verdicts if not v["passed"]],
    }


def _group(row: DrillRow) -> tuple[str, str, str, str]:
    """Drills are compared with those of the same system's backups in the same vault."""
    return row.vault, row.mapping, row.role, row.system


def _trend(rows: Sequence[DrillRow]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str, str], list[DrillRow]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    return [
        {
            "vault": vault,
            "mapping": mapping,
            "role": role,
            "system": system,
            "drills": len(found),
            "passed": sum(r.state == "passed" for r in found),
            "last": found[0].state,
            "last_at": found[0].started,
            "last_passed_at": next((r.started for r in found if r.state == "passed"), None),
            **_times([r for r in found if r.rto_seconds is not None]),
        }
        for (vault, mapping, role, system), found in groups.items()
    ]


def _times(timed: Sequence[DrillRow]) -> dict[str, Any]:
    """Of drills that came to their end, newest first."""
    if not timed:
        return {"rto_seconds": None, "rto_median": None, "rto_change": None, "rpo_seconds": None}
    last = timed[0].rto_seconds or 0.0
    before = [r.rto_seconds or 0.0 for r in timed[1:11]]
    middle = round(median(before), 3) if before else None
    return {
        "rto_seconds": last,
        "rto_median": middle,
        "rto_change": round(last / middle - 1, 3) if middle else None,
        "rpo_seconds": timed[0].rpo_seconds,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
