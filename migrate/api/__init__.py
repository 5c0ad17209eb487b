"""The public interface. Every command of the command line is a few lines over one of these.

Documents are plain JSON-able dicts in the shapes of docs/cli; errors are `migrate.errors`.
"""

from migrate.api.backups import backup_check, backup_restore, backup_show, backups
from migrate.api.databases import doctor, profile, schema
from migrate.api.mappings import dictionary, examples
from migrate.api.preview import preview
from migrate.api.quarantined import quarantine, quarantine_export
from migrate.api.rows import trace
from migrate.api.runs import demo, plan, report, rollback, run, runs, status, verify

__all__ = [
    "backup_check",
    "backup_restore",
    "backup_show",
    "backups",
    "demo",
    "dictionary",
    "doctor",
    "examples",
    "plan",
    "preview",
    "profile",
    "quarantine",
    "quarantine_export",
    "report",
    "rollback",
    "run",
    "runs",
    "schema",
    "status",
    "trace",
    "verify",
]
