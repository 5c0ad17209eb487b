"""`policy`: limits, and what happens by default."""

from __future__ import annotations

import re
from typing import Any

from migrate.mapping.model import (
    Backup,
    Keep,
    Policy,
)
from migrate.mapping.reference_shapes import (
    TABLE,
)
from migrate.mapping.shapes import (
    Choice,
    Key,
    Many,
    Reading,
    Record,
    Share,
    Whole,
    Words,
)
from migrate.mapping.tree import Node, Path_


class VaultPlace(Words):
    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = super().read(node, reading, path)
        scheme = re.match(r"(\w+)://", value) if isinstance(value, str) else None
        if scheme and scheme[1] != "s3":
            return reading.wrong(
                "wrong_value",
                node.at,
                "`to` is a folder or a bucket, not an address",
                "for example backups/ or s3://BUCKET/PREFIX",
            )
        return value


KEEP = Record(
    "keep",
    {name: Key(Whole(1), f"How many {doc} backups stay.") for name, doc in {"last": "latest", "daily": "daily", "weekly": "weekly", "monthly": "monthly", "yearly": "yearly"}.items()},
    Keep,
)  # fmt: skip
BACKUP = Record(
    "backup",
    {
        "to": Key(VaultPlace("a folder"), "The vault: a folder, relative to the mapping's project."),
        "tables": Key(
            Many(TABLE, "touched, or a list of tables", single=True),
            "touched (tables that the run may change), and further tables.",
        ),
        "keep": Key(KEEP, "How many backups stay."),
    },
    Backup,
)
POLICY = Record(
    "policy",
    {
        "max_quarantine": Key(Share(), "More rows in quarantine than this share stop the run before load."),
        "max_gone": Key(
            Share(),
            "More loaded rows gone at the source than this share stop the run before load, where `on_gone` would act on them.",
        ),
        "proof_days": Key(
            Whole(0),
            "How many days the proof of a backup holds for tables that did not change since; 0: every restore is made again.",
        ),
        "unmapped": Key(
            Choice.of(Policy, "unmapped"),
            "Filled source columns and tables that nothing uses and left_behind does not name.",
        ),
        "lossy": Key(
            Choice.of(Policy, "lossy"),
            "Truncation, rounding, encoding repair, zone shift; counted either way.",
        ),
        "target_drift": Key(
            Choice.of(Policy, "target_drift"),
            "The target changed since its backup: back up and prove again, or stop.",
        ),
        "backup": Key(BACKUP, "Where backups go and what they hold."),
    },
    Policy,
)
