"""Logs on stderr, for people (-v) or for collectors (--log-json). Secrets and row details are redacted."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from migrate.cli.failure import redact
from migrate.report.clean import clean


def start_logging(verbose: int, *, as_json: bool) -> logging.Logger:
    """The program's own logger, open from INFO on (-vv: DEBUG). Libraries stay silent: they may log what we must not."""
    log = logging.getLogger("migrate")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    return log


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        return f"{at} {record.levelname.lower()} {clean(redact(record.getMessage()), limit=2000)}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": redact(record.getMessage()),
            }
        )
