"""The migration itself: demo, plan, run, status, runs, verify, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.outcome import code_of_run, code_of_verdicts
from migrate.cli.session import Session, command, finish, group, not_built
from migrate.errors import GateClosed, UsageError

if TYPE_CHECKING:
    from rich.console import Console

STAGES = ("plan", "extract", "profile", "backup", "restore-test", "transform", "load", "verify", "report")

app = group("")

Mapping = Annotated[
    Path, typer.Argument(metavar="MAPPING", help="The mapping file, such as mappings/acme.yaml.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, its beginning, or: latest.")]


@command(app, "demo")
def demo(
    session: Session,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Where to build it; default: migrate-demo in this folder."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other data, the same seed the same.")] = 7,
) -> None:
    """Take over a whole (invented) company on embedded databases, in seconds.

    Makes a messy source CRM, a CSV export and a target CRM, runs all stages, and ends with the report's path.

    Examples:

        migrate demo

        migrate demo try/it --seed 11
    """
    with session.at_work() as progress:
        document = session.api.demo(folder, seed=seed, progress=progress)
    _show_run(session, document)


@command(app, "plan")
def plan(
    session: Session,
    mapping: Mapping,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the plan as JSON.")] = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Also load into a proven scratch copy of the target, so that its constraints speak.",
        ),
    ] = False,
    ddl: Annotated[
        bool,
        typer.Option(
            "--ddl", help="Print the SQL of what the run would create in the target (create: if_missing)."
        ),
    ] = False,
) -> None:
    """Check a mapping against both databases and say what a run would do; changes nothing in either.

    Ends with the exit code with which a run would stop (3: a gate, 4: too many rows in quarantine), else with 0.

    Examples:

        migrate plan mappings/acme.yaml

        migrate plan mappings/acme.yaml --out plan.json

        migrate plan mappings/acme.yaml --rehearse

        migrate plan mappings/acme.yaml --ddl
    """
    short = ddl and out is None and not rehearse  # nothing else was asked for, so no row is read
    with session.at_work() as progress:
        document = session.api.plan(
            mapping, rehearse=rehearse, ddl=short, home=session.home, progress=progress
        )
    if out is not None:
        try:
            out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError("the plan cannot be written there.", where=str(out)) from error
    from migrate.cli import views_plan

    view = views_plan.ddl if ddl else views_plan.plan
    session.answer(document, lambda console: view(console, document))
    finish(int(document.get("exit_code", 0)))


@command(app, "run")
def run(
    session: Session,
    mapping: Mapping,
    to: Annotated[
        str | None, typer.Option(metavar="STAGE", help=f"Stop after this stage: {', '.join(STAGES)}.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ENTITY", help="Only this entity; may be given several times.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Drop what is staged and read again; never forgets what is in the target."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="Parts worked on at the same time, each over a connection of its own. "
            "\\[default: one per core, four at most]",
        ),
    ] = None,
    plan_file: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Hold the run to this plan; what differs from it stops the run."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(hidden=True)] = "local",
) -> None:
    """Carry out a migration: all stages, or resume the unfinished run of the same mapping.

    Interrupt it when you like (Ctrl-C): the same command goes on where it stood.

    Examples:

        migrate run mappings/acme.yaml

        migrate run mappings/acme.yaml --to restore-test

        migrate run mappings/acme.yaml --plan plan.json

        migrate run mappings/acme.yaml --only accounts --only contacts --json
    """
    if engine != "local":
        raise not_built(f"run --engine {engine}")
    if to is not None and to not in STAGES:
        raise UsageError(f"there is no stage {to!r}.", hint=f"Stages: {', '.join(STAGES)}.")
    with session.at_work() as progress:
        document = session.api.run(
            mapping,
            to=to,
            only=tuple(only or ()),
            fresh=fresh,
            workers=workers,
            plan=plan_file,
            home=session.home,
            progress=progress,
        )
    _show_run(session, document)


@command(app, "status")
def status(
    session: Session,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Default: the latest run.")] = None,
) -> None:
    """Show where a run stands, stage by stage. Ends with 3 while a drill or a scheduled job has failed or was missed."""
    document = session.api.status(run, home=session.home)
    from migrate.cli import views

    session.answer(document, lambda console: views.status(console, document))
    finish(GateClosed.exit_code if document.get("practice") else 0)


@command(app, "runs")
def runs(session: Session) -> None:
    """List all runs, the newest first."""
    found = session.api.runs(home=session.home)
    from migrate.cli import views

    session.answer(found, lambda console: views.runs(console, found))


@command(app, "verify")
def verify(session: Session, run: Run) -> None:
    """Read the target again, now, and compare it with what the run should have written.

    Examples:

        migrate verify latest
    """
    with session.at_work() as progress:
        document = session.api.verify(run, home=session.home, progress=progress)
    from migrate.cli import views

    session.answer(document, lambda console: views.verified(console, document))
    finish(int(document.get("exit_code", code_of_verdicts(document.get("verdicts") or []))))


@command(app, "report")
def report(
    session: Session,
    run: Run,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", metavar="FILE", help="Also print the page into this file (needs a Chromium)."),
    ] = None,
    with_samples: Annotated[
        bool,
        typer.Option(
            "--with-samples",
            help="A page with values as they are, as a file of its own: personal data, for your eyes only.",
        ),
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Also write the dossier into this file: report, mapping, manifests, verdicts, signatures, audit chain.",
        ),
    ] = None,
    rebuild: Annotated[
        str | None,
        typer.Option(
            "--rebuild",
            metavar="MAPPING|URL",
            help="The ledger is lost: say what is known from this target (or the mapping's) and the vault.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="PLACE",
            help="With --rebuild: the vault, by default the mapping's or backups/.",
        ),
    ] = None,
) -> None:
    """Show a run's report and where its page is: one HTML file that can be forwarded as it is.

    Examples:

        migrate report latest

        migrate report latest --open

        migrate report latest --pdf report.pdf

        migrate report latest --json > report.json

        migrate report latest --bundle acme.zip

        migrate report latest --rebuild mappings/acme.yaml
    """
    if rebuild is None and store is not None:
        raise UsageError("--store goes with --rebuild.")
    if rebuild is None:
        document = session.api.report(run, with_samples=with_samples, pdf=pdf, home=session.home)
    elif with_samples or pdf is not None or bundle is not None:
        raise UsageError(
            "a rebuilt report has no samples and no dossier.",
            hint="Give --rebuild without --with-samples, --pdf and --bundle.",
        )
    else:
        document = session.api.rebuild(run, rebuild, store=store, home=session.home)
    if bundle is not None:
        document = {**document, "bundle": session.api.dossier(run, bundle, home=session.home)}
    from migrate.cli import views, views_dossier

    def view(console: Console) -> None:
        views.report(console, document)
        views_dossier.written(console, document.get("bundle"))

    session.answer(document, view)
    if open_ and not _opened(str(document["page"])):
        raise UsageError("no browser could be opened here.", kept=f"The page is there: {document['page']}")


def _opened(page: str) -> bool:
    import webbrowser

    return webbrowser.open(Path(page).absolute().as_uri())


def _show_run(session: Session, document: dict[str, object]) -> None:
    """The summary, or the document; a run that did not end well says so in both."""
    code, document = code_of_run(document)
    from migrate.cli import views

    session.answer(document, lambda console: views.run(console, document))
    finish(code)
