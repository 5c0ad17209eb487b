"""A run is opened: its databases and ledger, the hold on the target, new or resumed, cleaned of what a kill left."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from migrate import failpoints
from migrate.connectors.registry import drop_scratch, drop_snapshot_leftovers, open_source, open_target
from migrate.context import Context, Progress, Silent
from migrate.durable import make_private_folder, sweep_temporaries, write_bytes
from migrate.errors import Drift
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JSON
from migrate.mapping.load import load_mapping
from migrate.mapping.map_files import kept_name
from migrate.mapping.model import Mapping
from migrate.model import RunInfo
from migrate.planning import scratch_url
from migrate.stages import STAGE_NAMES
from migrate.state.created import made_by
from migrate.state.records import written_parts
from migrate.state.replays import replay_of, take_over_source
from migrate.stores.protocol import Store
from migrate.stores.registry import open_store
from migrate.vault.keyed import check_ready, with_keys
from migrate.vault.keys import keys_of_policy

# Folders of a run that hold rows.
STAGED = ("extract", "target", "targets", "transform", "load", "temp", "cache", "mail_servers")
MAPPING_COPY = "mapping.yaml"  # in the run's folder; it names secrets, and holds none
MAPS_COPY = "maps"  # beside it: the files of its value maps


def home_of(mapping: Mapping, home: Path | None) -> Path:
    """`--home`, MIGRATE_HOME, or `.migrate` beside the mappings folder."""
    given = home or (Path(os.environ["MIGRATE_HOME"]) if os.environ.get("MIGRATE_HOME") else None)
    return given or Path(mapping.base) / ".migrate"


def vault_of(mapping: Mapping, store: str | None = None) -> Store:
    """The place of a mapping's backups (or `store`), with the keys that it names. Raises UsageError, Unreachable."""
    base = Path(mapping.base)
    place = open_store(store or mapping.policy.backup.to, base=Path.cwd() if store else base)
    return with_keys(place, keys_of_policy(mapping.policy.backup, base))


@contextmanager
def opened(
    mapping: Mapping,
    *,
    home: Path | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    progress: Progress | None = None,
    run: str | None = None,
    hold: bool = True,
    workers: int = 1,
) -> Iterator[tuple[Context, bool]]:
    """The context of a new or resumed run (or of `run`), holding the target against other runs (exit 8)."""
    root = make_private_folder(home_of(mapping, home))
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(root / "ledger.db"))
        base = Path(mapping.base)
        work = make_private_folder(root / "work")
        sources = {}
        for name, source in mapping.sources.items():
            sources[name] = open_source(source.url, base=base, work=work, options=source)
            stack.callback(sources[name].close)
        target = open_target(mapping.target.url, base=base, work=work)
        stack.callback(target.close)
        if hold:
            stack.enter_context(target.hold())
        store = vault_of(mapping)
        if hold:
            check_ready(store, proving=True)
        now = datetime.now(UTC)
        ctx = Context(
            run="",
            mapping=mapping,
            home=root,
            folder=root,
            ledger=ledger,
            sources=sources,
            target=target,
            store=store,
            progress=progress or Silent(),
            now=now.isoformat(timespec="seconds"),
            only=tuple(only),
            workers=workers,
        )
        found = run or _resumable(ctx, fresh)
        name = found or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        ctx = replace(ctx, run=name, folder=make_private_folder(root / "runs" / name))
        if found is None:
            facts: dict[str, JSON] = {"only": list(only), "source": mapping.path, "base": mapping.base}
            ledger.begin_run(name, mapping.name, mapping.digest, facts)
            ledger.audit("run started", name)
        if hold:
            _clean(ctx)
            _clean_scratch(ctx)
        if run is None and not (ctx.folder / MAPPING_COPY).exists():
            _keep_mapping(ctx)
        take_over_source(ctx)
        yield ctx, found is not None


def mapping_of(folder: Path, source: str, base: str) -> Mapping:
    """The mapping a run was started with: its own copy, since the file itself is edited between runs."""
    copy, maps = folder / MAPPING_COPY, folder / MAPS_COPY
    if not copy.is_file() or not base:
        return load_mapping(Path(source))
    return load_mapping(copy, base=Path(base), kept=maps if maps.is_dir() else None)


def _keep_mapping(ctx: Context) -> None:
    """Copies of the mapping and of its maps' files, the mapping last: where it is, all is there.

    After the ledger knows the run: what a kill leaves half written is then found and swept."""
    for file, digest in ctx.mapping.files.items():
        data = (Path(ctx.mapping.base) / file).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise Drift(
                f"{file} changed while the run was started",
                where=ctx.mapping.path,
                kept="Nothing was read or changed.",
                hint="Run again.",
            )
        write_bytes(ctx.place(MAPS_COPY, kept_name(file)), data, point="run.map")
    write_bytes(ctx.place(MAPPING_COPY), Path(ctx.mapping.path).read_bytes(), point="run.mapping")


def _resumable(ctx: Context, fresh: bool) -> str | None:
    """The unfinished run to go on with; a changed mapping may start anew only where nothing was written (exit 7)."""
    last = ctx.ledger.latest_unfinished(ctx.mapping.name)
    if last is None or _finished(ctx, last):
        return None
    replayed = replay_of(last.run)
    if replayed is not None and not fresh:
        raise Drift(
            f"the replay {last.run} is unfinished",
            kept="Nothing was changed by this command.",
            hint=f"Finish it with `migrate quarantine replay {replayed}`, or give it up with --fresh if it wrote nothing.",
        )
    same = last.mapping_digest == ctx.mapping.digest and ctx.ledger.run_facts(last.run).get("only") == list(
        ctx.only
    )
    if same and not fresh:
        return last.run
    before = replace(ctx, run=last.run)
    created = made_by(before)
    if created or written_parts(before):
        what = "--fresh was given" if same else "the mapping changed"
        raise Drift(
            f"{what}, but run {last.run} is unfinished and has {'created tables or columns in' if created else 'written to'} the target",
            kept="Nothing was changed by this command.",
            hint=f"Finish it with the mapping as it was, or undo it with `migrate rollback {last.run}`.",
        )
    _abandon(ctx, last.run, fresh)
    return None


def _abandon(ctx: Context, run: str, fresh: bool) -> None:
    """A run that wrote nothing is given up: its rows on disk go (F15), what it found out stays."""
    ctx.ledger.set_state(run, "failed")
    ctx.ledger.audit("run abandoned", run, {"fresh": fresh})
    for name in STAGED:
        shutil.rmtree(ctx.home / "runs" / run / name, ignore_errors=True)


def _finished(ctx: Context, last: RunInfo) -> bool:
    """A run of some entities only ends partial: it is done, though the whole migration is not."""
    done = {s.stage for s in ctx.ledger.stages(last.run) if s.state == "done"}
    return last.state == "partial" and STAGE_NAMES[-1] in done


def _clean(ctx: Context) -> None:
    """What a killed process left in this run's folder and of the copies it read: it holds rows."""
    failpoints.hit("run.opened")
    drop_snapshot_leftovers(ctx.home / "work")
    shutil.rmtree(ctx.folder / "temp", ignore_errors=True)
    for folder, _, _ in os.walk(ctx.folder):
        sweep_temporaries(Path(folder))
    for other in ctx.ledger.runs():  # one that was killed over its last report, having ended already
        if other.mapping == ctx.mapping.name and (ctx.home / "runs" / other.run).is_dir():
            sweep_temporaries(ctx.home / "runs" / other.run)


def _clean_scratch(ctx: Context) -> None:
    """Scratch databases that a killed process left behind."""
    runs = {r.run: r.mapping for r in ctx.ledger.runs()}
    for left in ctx.ledger.scratches():
        if runs.get(left.run) != ctx.mapping.name:
            continue  # another migration's, which may be running, or that of a drill
        role, _, source = left.location.partition(":")
        engine, url = scratch_url(ctx.mapping, role, source)
        if not drop_scratch(engine, url, folder=ctx.home / "runs" / left.run / "scratch", name=left.name):
            ctx.progress.note(f"the scratch database {left.name} is still in use, or not ours: it stays")
            continue
        failpoints.hit("run.scratch_cleaned")
        ctx.ledger.remove_scratch(left.name)
