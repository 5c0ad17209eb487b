"""A run on a terminal: the verdict first, then what flowed where, what needs a human, and what it took.

Works in 80 columns, without colour, and without anything but ASCII. All text from outside passes
`clean` and is shown as `Text`, never as markup.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from migrate.report.clean import clean
from migrate.report.document import MEASURES, quarantine_counts, sentence, total
from migrate.report.first_screen import caught
from migrate.report.gates import lamps
from migrate.report.meanings import GONE, MEANINGS, change

_GOOD = frozenset({"verified", "done", "rolled_back"})
_BAD = frozenset({"failed"})
_TOP = 8


def console_on(stream: IO[str], *, width: int | None = None) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no highlighting."""
    return _Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader who went away is for the caller to see; the library would end the process with 1."""
        raise BrokenPipeError


def run_summary(console: Console, run: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
    """The first screen after a run. `run` has the run's JSON shape, `facts` is its report.json where there is one."""
    known = {**(facts or {}), **run}
    balances: Mapping[str, Mapping[str, int]] = known.get("balances") or {}
    verdicts: Sequence[Mapping[str, Any]] = known.get("verdicts") or ()
    state = str(known.get("state", ""))
    style = "bold green" if state in _GOOD else "bold red" if state in _BAD else "bold yellow"
    edited = sum((known.get("edited") or {}).values())
    rebuilt = known.get("rebuilt")
    line(
        console,
        known["sentence"]
        if rebuilt
        else sentence(state, balances, verdicts, edited=edited, stages=known.get("stages") or ()),
        style,
    )
    if known.get("created"):
        line(console, f"Created in the target: {', '.join(map(str, known['created']))}.")
    if known.get("kept"):
        line(
            console,
            f"{int(known['kept']):,} rows were kept: changed since the load, or needed by rows that were. "
            f"`migrate rollback {known.get('run')}{_home_option(known)} --preview` lists them.",
            "bold yellow",
        )
    line(console, _heading(known), "dim")
    _lamps(console, lamps(verdicts))
    _failed_checks(console, verdicts)
    _flow(console, balances)
    _rebuilt(console, rebuilt or {})
    _before_and_after(console, known.get("checks") or ())
    _quality(console, known.get("quality") or {})
    _columns(console, known.get("columns") or {})
    for name, found in (known.get("known_as") or {}).items():
        for words, values in (found.get("shared") or {}).items():
            line(
                console,
                f"{name}: {words}: {int(values):,} values are shared by too many rows to be anybody's",
            )
    for name, archived in (known.get("archived") or {}).items():
        many = f"{int(archived['rows']):,} rows are" if int(archived["rows"]) != 1 else "1 row is"
        line(console, f"{name}: {many} archived in the vault as {archived['backup']}")
    _caught(console, known)
    _needs_a_human(console, known)
    _changed_on_the_way(console, known.get("events") or {})
    since_the_last_run(console, known.get("conflicts") or {}, known.get("gone") or {})
    _stages(console, known.get("stages") or ())
    if known.get("page") or known.get("report"):
        path(console, "Report", known.get("page") or known["report"])


def line(console: Console, text: object, style: str = "") -> None:
    """One paragraph; hostile text is shown, not obeyed."""
    console.print(Text(clean(text, limit=2000), style=style))


def path(console: Console, label: str, where: object) -> None:
    """A path on one line, however long, so that it can be copied."""
    console.print(Text(f"{label}: {clean(where, limit=4096)}"), soft_wrap=True)


def mark(console: Console, passed: bool | None) -> Text:
    """A lamp that can be told apart without colour and without Unicode."""
    plain, fancy, style = {
        True: ("[ok]", "✓", "green"),
        False: ("[FAILED]", "✗", "bold red"),
        None: ("[--]", "·", "dim"),
    }[passed]
    return Text(plain if console.options.ascii_only else fancy, style=style)


_LEAST = 10  # characters: a first column that is squeezed to less cannot be read


def table(console: Console, *columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """An airy table; the columns named in `numbers` are set to the right, and like those in `whole` never wrapped."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in columns:
        if name in numbers:
            made.add_column(name, justify="right", no_wrap=True)
        else:
            made.add_column(
                name, overflow="fold", no_wrap=name in whole, min_width=_LEAST if name == columns[0] else None
            )
    return made


def row(made: Table, *cells: object) -> None:
    made.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in cells))


def _heading(known: Mapping[str, Any]) -> str:
    seconds = sum(float(s.get("seconds") or 0) for s in known.get("stages") or ())
    parts = [
        f"mapping {known.get('mapping', '?')}",
        f"run {known.get('run', '?')}",
        f"{seconds:.1f} s",
        f"peak memory {known['peak_mb']:,.0f} MB" if isinstance(known.get("peak_mb"), int | float) else "",
    ]
    return ", ".join(part for part in parts if part)


def _lamps(console: Console, shown: Mapping[str, bool | None]) -> None:
    console.print()
    text = Text()
    for name, passed in shown.items():
        text.append_text(mark(console, passed)).append(f" {name}   ")
    console.print(text)


def _home_option(known: Mapping[str, Any]) -> str:
    """`--home` where a command given here would not find the run's state folder by itself."""
    report = Path(str(known.get("report") or ""))
    if len(report.absolute().parents) < 3:
        return ""
    home = report.absolute().parents[2]  # HOME/runs/RUN/report.json
    if not (home / "ledger.db").is_file():
        return ""
    named = os.environ.get("MIGRATE_HOME")
    here = Path.cwd()
    above = (p / ".migrate" for p in (here, *here.parents))
    found = Path(named).absolute() if named else next((p for p in above if (p / "ledger.db").is_file()), None)
    if found is not None and found.resolve() == home.resolve():
        return ""
    shown = home.relative_to(here) if home.is_relative_to(here) else home
    return f" --home {shlex.quote(clean(shown, limit=4096))}"


def _failed_checks(console: Console, verdicts: Sequence[Mapping[str, Any]]) -> None:
    failed = [v for v in verdicts if not v.get("passed")]
    for verdict in failed[:_TOP]:
        what = f"{verdict.get('check')}: expected {verdict.get('expected')}, found {verdict.get('found')}. {verdict.get('reason') or ''}"
        console.print(Text.assemble(mark(console, False), " ", clean(what, limit=600)))
    if len(failed) > _TOP:
        line(console, f"... and {len(failed) - _TOP} more, see the report.")


def _flow(console: Console, balances: Mapping[str, Mapping[str, int]]) -> None:
    if not balances:
        return
    made = table(console, "entity", *MEASURES, numbers=MEASURES)
    for name, balance in balances.items():
        row(made, name, *(f"{int(balance.get(m, 0)):,}" for m in MEASURES))
    if len(balances) > 1:
        made.add_section()
        row(made, "total", *(f"{n:,}" for n in total(balances).values()))
    console.print(made)


def _rebuilt(console: Console, rebuilt: Mapping[str, Any]) -> None:
    """What is on record without the ledger, and what is not."""
    numbers = ("parts", "rows written", "refused")
    if rebuilt.get("receipts"):
        made = table(console, "entity", *numbers, "last written", numbers=numbers)
        for name, told in rebuilt["receipts"].items():
            counts = (f"{int(told[k]):,}" for k in ("parts", "rows", "refused"))
            row(made, name, *counts, str(told.get("last"))[:19].replace("T", " "))
        console.print(made)
    for what in rebuilt.get("unknown") or ():
        line(console, f"Not known: {what}.", "yellow")


def _before_and_after(console: Console, checks: Sequence[Mapping[str, Any]]) -> None:
    """Checks over tables: a line for each, and the groups of those that failed."""
    for check in checks:
        whole = check.get("whole") or {}
        said = f"{check.get('check')}: {whole.get('before')} before, {whole.get('after')} after"
        if (merged := check.get("merged") or {}).get("rows"):
            rows = "1 row" if merged["rows"] == 1 else f"{merged['rows']:,} rows"
            said += f"; {merged['amount']} in {rows} that became part of others left out"
        console.print(Text.assemble(mark(console, bool(check.get("passed"))), " ", clean(said, limit=600)))
        apart = [g for g in check.get("groups") or () if not g.get("passed")]
        if not apart:
            continue
        numbers = ("before", "after", "difference", "in quarantine")
        made = table(console, "group", *numbers, numbers=numbers)
        for group in apart[:_TOP]:
            label = ", ".join("(empty)" if v is None else str(v) for v in group["of"].values())
            row(made, label, *(group[k] for k in ("before", "after", "difference", "quarantined")))
        console.print(made)
        if len(apart) > _TOP:
            line(console, f"... and {len(apart) - _TOP} more groups, see the report.")


def _columns(console: Console, columns: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Columns of the source that a mapping may have no use for, or may have forgotten."""
    words = {
        "unmapped": "Filled, and nothing uses them",
        "empty": "Used by the mapping, and empty",
        "rare": "Hardly filled",
    }
    for kind, what in words.items():
        found = columns.get(kind) or ()
        if found:
            shown = ", ".join(f"{c['table']}.{c['column']}" for c in found[:_TOP])
            line(
                console,
                f"{what}: {shown}{f' and {len(found) - _TOP} more' if len(found) > _TOP else ''}",
                "dim",
            )


_SCORES = ("completeness", "validity", "uniqueness", "timeliness", "consistency")


def _quality(console: Console, quality: Mapping[str, Mapping[str, Any]]) -> None:
    """Scores of every entity, at the source and of what goes on; `-` where nothing asked."""
    told = {name: one.get("scores") or {} for name, one in quality.items()}
    shown = [d for d in _SCORES if any((s.get(d) or {}).get("before") is not None for s in told.values())]
    if not shown:
        return
    line(console, "Quality, at the source and of the rows that go on (%)", "bold")
    made = table(console, "entity", *shown, numbers=shown)
    for name, scores in told.items():
        row(made, name, *(_score(scores.get(d) or {}) for d in shown))
    console.print(made)


def _score(score: Mapping[str, Any]) -> str:
    ends = [score.get(end) for end in ("before", "after")]
    return (
        " > ".join("-" if end is None else f"{100 * float(end):.0f}" for end in ends)
        if any(e is not None for e in ends)
        else "-"
    )


def _caught(console: Console, known: Mapping[str, Any]) -> None:
    found = caught(known)
    if found:
        console.print()
        line(console, "Caught on the way", "bold")
        for item in found:
            console.print(
                Text.assemble(mark(console, True), f" {item.count:,} ", clean(item.what, limit=600))
            )
        console.print()


def _needs_a_human(console: Console, known: Mapping[str, Any]) -> None:
    _rows_to_correct(console, known)
    review_lines(console, known.get("review") or {}, f"{clean(known.get('run'))}{_home_option(known)}")


def review_lines(console: Console, review: Mapping[str, int], run: str) -> None:
    """Pairs that may be one; nothing where there are none. `run`: as a command names it."""
    if not review:
        return
    where = ", ".join(f"{clean(name)} {n:,}" for name, n in review.items())
    many = sum(review.values())
    pairs = "pair" if many == 1 else "pairs"
    line(console, f"Needs a human: {many:,} {pairs} of rows that may be one ({where})", "bold")
    console.print(Text(f"Look: migrate duplicates list {run}"), soft_wrap=True)
    console.print()


def _rows_to_correct(console: Console, known: Mapping[str, Any]) -> None:
    counts = quarantine_counts(known.get("quarantine") or ())
    # Rows of a split table that fit no road are in no entity's balance.
    waiting = total(known.get("balances") or {})["quarantined"] + sum(
        int(account.get("quarantined") or 0) for account in (known.get("tables") or {}).values()
    )
    if not waiting and not counts:
        return
    line(console, f"Needs a human: {waiting:,} rows in quarantine", "bold")
    made = table(console, "reasons", "entity.field", "code", "what", numbers=("reasons",))
    for count in counts[:_TOP]:
        place = ".".join(filter(None, (count["entity"], count["field"])))
        row(made, f"{count['count']:,}", place, count["code"], MEANINGS.get(count["code"], ""))
    if counts:
        console.print(made)
    if len(counts) > _TOP:
        line(console, f"... and {len(counts) - _TOP} more kinds.")
    look = f"Look: migrate quarantine list {clean(known.get('run'))}{_home_option(known)}"
    console.print(Text(look), soft_wrap=True)
    console.print()


def _changed_on_the_way(console: Console, events: Mapping[str, Any]) -> None:
    """What rules of the mapping did to values; `events` is "entity.field: code" → count."""
    if not events:
        return
    counts = sorted(events.items(), key=lambda item: (-int(item[1]), item[0]))
    line(console, f"Changed on the way by rule: {sum(n for _, n in counts):,} values", "bold")
    made = table(console, "values", "entity.field", "what", numbers=("values",))
    for name, count in counts[:_TOP]:
        place, _, code = name.rpartition(": ")
        row(made, f"{int(count):,}", place, change(code) or code)
    console.print(made)
    if len(counts) > _TOP:
        line(console, f"... and {len(counts) - _TOP} more kinds, see the report.")


def since_the_last_run(
    console: Console, conflicts: Mapping[str, Mapping[str, int]], gone: Mapping[str, Mapping[str, Any]]
) -> None:
    """What an earlier run loaded and what has become of it since, entity by entity, on a line each."""
    for name, counts in conflicts.items():
        told = ", ".join(f"{int(n):,} {what}" for what, n in counts.items() if n)
        if told:
            line(console, f"{name}: changed at the source and edited in the target: {told}")
    for name, counts in gone.items():
        total_ = int(counts.get("gone") or 0)
        ended: Any = counts.get("ended") or {k: v for k, v in counts.items() if k in GONE}
        if total_:
            told = ", ".join(f"{int(n):,} {GONE.get(what, what)}" for what, n in ended.items() if n)
            line(console, f"{name}: {total_:,} loaded rows are gone at the source: {told}")
        if counts.get("left_out"):
            line(
                console,
                f"{name}: {int(counts['left_out']):,} loaded rows are left out by rule now; they stay as they are",
            )


def _stages(console: Console, stages: Sequence[Mapping[str, Any]]) -> None:
    if not stages:
        return
    made = table(
        console, "stage", "state", "seconds", "rows", "rows/s", numbers=("seconds", "rows", "rows/s")
    )
    for stage in stages:
        seconds, rows = float(stage.get("seconds") or 0), stage.get("rows")
        # What a killed attempt spent is not known, so there is no speed to tell.
        once = int(stage.get("attempts") or 1) == 1
        speed = f"{rows / seconds:,.0f}" if rows and seconds >= 0.001 and once else ""
        row(
            made,
            stage.get("stage"),
            f"{stage.get('state')}{'' if once else ', resumed'}",
            f"{seconds:.2f}",
            "" if rows is None else f"{rows:,}",
            speed,
        )
    console.print(made)
