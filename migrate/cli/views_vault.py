"""What a person reads of backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from migrate.cli.views import count, moment, verdicts
from migrate.report.clean import clean
from migrate.report.terminal import line, path, row, table

Document = Mapping[str, Any]


def restored(console: Console, document: Document) -> None:
    passed = document.get("passed", all(v.get("passed") for v in document.get("verdicts") or ()))
    size = f"{count(document.get('tables') or [])} tables, {count(document.get('rows'))} rows"
    if passed and document.get("state") == "there already":
        line(console, f"It is there already, and every value is equal: {size}.", "bold green")
    elif passed:
        again = "Went on with a restore that was broken off. " if document.get("state") == "resumed" else ""
        line(console, f"{again}Restored and compared, every value is equal: {size}.", "bold green")
    else:
        line(console, f"Restored, but not equal to the backup: {size}.", "bold red")
    if document.get("into"):
        path(console, "Into", document["into"])
    if document.get("replaced"):
        line(console, f"What was there is in backup {document['replaced']}, proven.")
    for note in document.get("not_restored") or ():
        line(console, f"  not restored: {note}")
    for note in document.get("not_carried") or ():
        line(console, f"  not carried by the backup: {note}")
    verdicts(console, document.get("verdicts") or ())
    if not passed:
        line(
            console,
            "The place stays marked as half restored: the same command clears it and tries again."
            + (
                " What was there comes back with that backup and --replace."
                if document.get("replaced")
                else ""
            ),
        )


def created(console: Console, document: Document) -> None:
    if "backups" in document:  # of a mapping
        for one in document["backups"]:
            created(console, one)
        return
    size = f"{count(document.get('tables') or [])} tables, {count(document.get('rows'))} rows, {count(document.get('bytes'))} bytes"
    line(console, f"Backup {document.get('backup')}: {size}.", "bold")
    for note in document.get("not_carried") or ():
        line(console, f"  not carried: {note}")
    for one in (v for v in document.get("verdicts") or () if v.get("check") == "L4 erased"):
        line(console, f"  {one.get('found')}")
    if document.get("proven"):
        line(console, "Restored at once and compared, every value is equal.", "bold green")
    elif document.get("proven") is None:
        line(
            console,
            f"Not proven. Prove it: migrate backup check {document.get('backup')} --level 5",
            "bold yellow",
        )
    else:
        line(console, "It does not restore to what was read.", "bold red")
        verdicts(console, [v for v in document.get("verdicts") or () if not v.get("passed")])


def erased(console: Console, document: Document) -> None:
    for one in document.get("erasures") or ():
        known = f", {count(one['known_before'])} were recorded before" if one.get("known_before") else ""
        what = f"{one.get('system')} {one.get('table')} by {', '.join(one.get('by') or ())}"
        line(console, f"{what}: {count(one.get('recorded'))} recorded{known}.", "bold")
        if one.get("problem"):
            line(console, f"  {one['problem']}", "red")
        elif one.get("matched") == 0:
            line(
                console,
                f"  No row of the newest backup, {one.get('backup')}, has such a key: look whether it is the right one. "
                "Older backups leave such rows out, if they have any.",
                "bold yellow",
            )
        elif one.get("matched"):
            line(console, f"  In the newest backup, {one.get('backup')}: {count(one['matched'])}.")
            _none_of_these(
                console, [n for n, rows in enumerate(one.get("matched_by_key") or (), 1) if not rows]
            )
        if "left_out" in one:
            rows, emptied = sum(one["left_out"].values()), sum(one["references_emptied"].values())
            line(
                console,
                f"  With all erasures so far, a restore of it leaves out {count(rows)} rows and empties {count(emptied)} references.",
            )
    if document.get("not_in_target"):
        line(
            console,
            f"{count(document['not_in_target'])} of them are not known in the target now{_places(document.get('not_in_target_keys') or ())}. Where a rollback took them out, backups of the target "
            "from before it may hold them: erase them there by --system target:MAPPING --table and their key.",
            "bold yellow",
        )
    for one in document.get("owner_unknown") or ():
        line(
            console,
            f"{count(one.get('backups'))} older backups of what a restore replaced have a table {one.get('table')} and do not say whose it is: "
            f"where it is this one, erase there too by --system {one.get('system')} --table {one.get('table')}.",
            "bold yellow",
        )
    line(console, "Databases were not touched: delete there what they hold.")


def _none_of_these(console: Console, places: Sequence[int]) -> None:
    """Keys are never repeated: they say who somebody is."""
    if places:
        line(
            console,
            f"  No row of it has {count(len(places))} of the keys given{_places(places)}: look whether they are the right ones.",
            "bold yellow",
        )


def _places(places: Sequence[int]) -> str:
    """Which of the keys given, in their order: those of --key first, then the lines of the file that are not empty."""
    if not places:
        return ""
    shown = ", ".join(str(n) for n in places[:20])
    return f" (by their order: {shown}{f' and {len(places) - 20:,} more' if len(places) > 20 else ''})"


def pruned(console: Console, document: Document) -> None:
    removed, dry = document.get("removed") or (), document.get("dry_run")
    for one in removed:
        line(console, f"{'would go' if dry else 'removed'}: {one}")
    for one in document.get("kept") or ():
        line(console, f"stays: {one.get('backup')}, {one.get('why')}")
    for one in document.get("locked") or ():
        line(console, f"stays: {one.get('object')}, {one.get('why')}", "yellow")
    size = f"{count(document.get('objects'))} objects, {count(document.get('bytes'))} bytes"
    if dry:
        line(
            console, f"{len(removed):,} backups and {size} would go. Nothing was removed: give --yes.", "bold"
        )
    else:
        line(console, f"{len(removed):,} backups and {size} removed.", "bold")
    if document.get("held_up"):
        line(console, f"No object was removed, because {document['held_up']}: run it again later.", "yellow")
    elif document.get("waiting"):
        minutes = round(float(document.get("grace_seconds") or 0) / 60)
        line(
            console,
            f"{count(document['waiting'])} objects that nobody needs then go with the first prune after {minutes} minutes.",
        )


def shown(console: Console, document: Document) -> None:
    """One backup: of what and when, what is in it, and the newest outcome of every check."""
    tables = document.get("tables") or ()
    rows = sum(int(t.get("rows") or 0) for t in tables)
    line(console, f"Backup {document.get('id')}: {count(tables)} tables, {count(rows)} rows.", "bold")
    line(
        console,
        f"Of {document.get('role')} {document.get('system')} ({document.get('engine')}), as it was {moment(document.get('snapshot_at'))}",
    )
    by = f"Written {moment(document.get('created_at'))} by version {document.get('code_version')}"
    line(console, by + (f", in run {document['run']}" if document.get("run") else ""))
    closed = "encrypted" if document.get("seal") else "not encrypted"
    signer = f"signed by {document['signed_by']}" if document.get("signed_by") else "not signed"
    line(console, f"It is {closed} and {signer}.")
    if document.get("locked"):
        line(console, f"It does not open here: {document['locked']}", "bold yellow")
    made = table(console, "table", "rows", "parts", "columns", numbers=("rows", "parts", "columns"))
    for one in tables:
        row(made, one.get("table"), *(count(one.get(n)) for n in ("rows", "parts", "columns")))
    console.print(made)
    for one in tables:
        for note in one.get("not_carried") or ():
            line(console, f"  not carried: {one.get('table')}: {note}")
    for note in document.get("not_carried") or ():
        line(console, f"  not carried: {note}")
    for note in document.get("violations") or ():
        line(console, f"  broken at the source already: {note}")
    native = document.get("native") or {}
    if native.get("bytes"):
        path(console, "DDL text", f"migrate backup show {document.get('id')} --ddl")
    elif native.get("problem"):
        line(console, f"No DDL text: {native['problem']}", "yellow")
    _newest(console, document.get("verdicts") or ())
    line(console, f"SHA-256 {document.get('manifest_sha256')}")


def _newest(console: Console, found: Sequence[Document]) -> None:
    """Each check as it came out last, of every table that it is about; what passed stands in one line."""
    if not found:
        line(console, "No check was made of it: migrate backup check ID --level 5", "bold yellow")
    last = {(str(one.get("check")), str(one.get("table") or "")): one for one in found}
    for check in dict.fromkeys(name for name, _ in last):
        mine = [(about, one) for (name, about), one in last.items() if name == check]
        bad = [{**one, "check": f"{check} {about}".strip()} for about, one in mine if not one.get("passed")]
        about = f"{count(len(mine))} tables, " if len(mine) > 1 else ""
        good = {"check": check, "passed": True, "found": about + moment(mine[-1][1].get("at"))}
        verdicts(console, bad or [good])


def backups(console: Console, found: Sequence[Document]) -> None:
    if not found:
        line(console, "No backups here. A run makes them; --store names another vault.")
        return
    missing = [one for one in found if one.get("missing")]
    if missing:
        line(console, f"{missing[0].get('problem')}.", "bold red")
        line(console, missing[0].get("hint"))
    for one in found:
        if one.get("missing"):
            continue
        line(console, one.get("id"), "bold")
        if one.get("problem"):
            line(console, f"  cannot be opened: {one['problem']}", "red")
            continue
        what = f"  {one.get('role')} {one.get('system')} ({one.get('engine')}), taken {moment(one.get('snapshot_at'))}, "
        held = f"{count(one.get('tables'))} tables, {count(one.get('rows'))} rows, {count(one.get('bytes'))} bytes, "
        held += ("encrypted, " if one.get("encrypted") else "") + ("signed, " if one.get("signed_by") else "")
        proven = ("proven by a restore", "green") if one.get("proven") else ("not proven", "bold red")
        console.print(Text.assemble(clean(what + held, limit=400), proven))
