"""The public interface. Every command of the command line is a few lines over one of these.

Documents are plain JSON-able dicts in the shapes of docs/cli; errors are `migrate.errors`. A function's module is loaded
when it is first asked for: looking at a mapping need not wait for what a run needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrate.api.audits import audit
    from migrate.api.backup_looks import backup_check, backup_ddl, backup_show, backups
    from migrate.api.cells import quarantine_cells
    from migrate.api.contracts import contract
    from migrate.api.databases import doctor, profile, schema
    from migrate.api.dossiers import dossier, dossier_verify
    from migrate.api.drilling import drill, drills
    from migrate.api.duplicates import duplicates_find
    from migrate.api.erasing import erase
    from migrate.api.exporting import quarantine_export
    from migrate.api.gone_rows import gone
    from migrate.api.mappings import dictionary, examples
    from migrate.api.previewing import preview
    from migrate.api.proofs import backup_keys
    from migrate.api.quarantined import quarantine
    from migrate.api.rebuilding import rebuild
    from migrate.api.replays import quarantine_replay
    from migrate.api.reports import report
    from migrate.api.restores import backup_restore
    from migrate.api.reviewing import duplicates_accept, duplicates_list, duplicates_reject
    from migrate.api.rows import trace
    from migrate.api.running import demo, plan, rollback, run, runs, status, verify
    from migrate.api.schedules import practice_checks, schedule, schedule_units
    from migrate.api.suggesting import suggest
    from migrate.api.vault import backup_create, backup_keygen, backup_prune

_HOMES = {
    "backup_looks": ("backup_check", "backup_ddl", "backup_show", "backups"),
    "vault": ("backup_create", "backup_keygen", "backup_prune"),
    "proofs": ("backup_keys",),
    "erasing": ("erase",),
    "databases": ("doctor", "profile", "schema"),
    "dossiers": ("dossier", "dossier_verify"),
    "drilling": ("drill", "drills"),
    "duplicates": ("duplicates_find",),
    "reviewing": ("duplicates_accept", "duplicates_list", "duplicates_reject"),
    "schedules": ("practice_checks", "schedule", "schedule_units"),
    "gone_rows": ("gone",),
    "mappings": ("dictionary", "examples"),
    "previewing": ("preview",),
    "audits": ("audit",),
    "contracts": ("contract",),
    "cells": ("quarantine_cells",),
    "exporting": ("quarantine_export",),
    "quarantined": ("quarantine",),
    "replays": ("quarantine_replay",),
    "restores": ("backup_restore",),
    "rows": ("trace",),
    "suggesting": ("suggest",),
    "rebuilding": ("rebuild",),
    "reports": ("report",),
    "running": ("demo", "plan", "rollback", "run", "runs", "status", "verify"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    # No module here is called like a function: importing it would put the module in the function's place.
    globals().update({one: getattr(module, one) for one in _HOMES[home]})
    return globals()[name]


__all__ = [
    "audit",
    "backup_check",
    "backup_create",
    "backup_ddl",
    "backup_keygen",
    "backup_keys",
    "backup_prune",
    "backup_restore",
    "backup_show",
    "backups",
    "contract",
    "demo",
    "dictionary",
    "doctor",
    "dossier",
    "dossier_verify",
    "drill",
    "drills",
    "duplicates_accept",
    "duplicates_find",
    "duplicates_list",
    "duplicates_reject",
    "erase",
    "examples",
    "gone",
    "plan",
    "practice_checks",
    "preview",
    "profile",
    "quarantine",
    "quarantine_cells",
    "quarantine_export",
    "quarantine_replay",
    "rebuild",
    "report",
    "rollback",
    "run",
    "runs",
    "schedule",
    "schedule_units",
    "schema",
    "status",
    "suggest",
    "trace",
    "verify",
]
