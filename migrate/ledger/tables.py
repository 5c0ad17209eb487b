"""The ledger's tables. A change here needs a new file in migrations/versions and a new HEAD.

A new ledger is made from what stands here, without Alembic, whose import costs more than a small run's start; a
test holds that the revisions lead to just the same tables.
"""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0003"  # newest revision that this program knows

metadata = sa.MetaData()

run = sa.Table(
    "run",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("mapping_digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),  # ISO 8601 UTC with microseconds, here and below
    sa.Column("ended", sa.Text),
    sa.Column("facts", sa.JSON, nullable=False),
)

stage = sa.Table(
    "stage",
    metadata,
    sa.Column("run", sa.Text, sa.ForeignKey("run.run"), primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # running | done
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("rows", sa.BigInteger),
)

checkpoint = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("run", sa.Text, sa.ForeignKey("run.run"), primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("inputs", sa.Text, nullable=False),  # digest of everything the outputs depend on
    sa.Column(
        "outputs", sa.JSON, nullable=False
    ),  # [{"path", "sha256", "bytes"}], paths relative to the run folder
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.Text, nullable=False, index=True),  # "" outside a run (drills)
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),  # SHA-256 of a backup's manifest, or ""
    sa.Column("check", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("expected", sa.Text, nullable=False),
    sa.Column("found", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("superseded", sa.Boolean, nullable=False),  # its stage was started over
    sa.Column("at", sa.Text, nullable=False),
)

backup = sa.Table(
    "backup",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("vault", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("snapshot_at", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("manifest_sha256", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

scratch = sa.Table(
    "scratch",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

drill = sa.Table(
    "drill",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("backup", sa.Text, nullable=False),
    sa.Column("vault", sa.Text, nullable=False),  # where it lies, safe to show
    sa.Column("manifest_sha256", sa.Text, nullable=False),
    sa.Column("mapping", sa.Text, nullable=False),  # "" for a backup with no migration
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # running | passed | failed | broken off
    sa.Column("reason", sa.Text, nullable=False),  # of failed and broken off
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("snapshot_at", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("rpo_seconds", sa.Float),
    sa.Column("rto_seconds", sa.Float),
    sa.Column("seconds", sa.JSON, nullable=False),  # phase → seconds
    sa.Column("verdicts", sa.JSON, nullable=False),  # without evidence
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("schedule", sa.Text, nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # backup | drill | prune
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("due", sa.Text, nullable=False),
    sa.Column("started", sa.Text),
    sa.Column("ended", sa.Text),
    # known | running | done | failed | missed | overlapped | interrupted | retired
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)

# What people said of pairs that may be one. Nothing is ever changed: of a pair the newest row counts. Rows are told by
# keyed hashes (`migrate.state.deciding`): neither their keys nor their values are here.
decision = sa.Table(
    "decision",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("pair", sa.Text, nullable=False, index=True),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),  # its first name
    sa.Column("a", sa.Text, nullable=False),
    sa.Column("b", sa.Text, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),  # names of what was compared
    sa.Column("content", sa.Text, nullable=False),  # of these columns in both rows
    sa.Column("decision", sa.Text, nullable=False),  # accept | reject
    sa.Column("run", sa.Text, nullable=False),  # whose queue it was
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("mapping_digest", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),  # canonical JSON text: hashed as it is stored
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

# Alembic's own record, as it makes it; apart, for it is none of the ledger's tables.
version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def create(connection: sa.Connection) -> None:
    """All tables in an empty file, at the newest layout, inside the caller's transaction."""
    version.create(connection)
    connection.execute(version.insert().values(version_num=HEAD))
    metadata.create_all(connection, checkfirst=False)
