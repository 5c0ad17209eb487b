"""The reference shape: contacts of 17 columns, PostgreSQL → PostgreSQL, through every stage of a migration.

    python benchmarks/reference_shape.py                    # 1,000,000 rows
    python benchmarks/reference_shape.py --rows 200000 --json figures.json

Makes two databases on the server (MIGRATE_TEST_POSTGRES, else a local one), fills the source, measures
psql's own binary COPY from one to the other as the floor, then `mappings/contact_1m.yaml` in a process
of its own: seconds, rows per second and peak memory per stage. Databases and files go when it ends.
Seconds are of the machine at hand: what carries over is the ratio to the floor, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MAPPING = ROOT / "mappings" / "contact_1m.yaml"
LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"

TABLE = """
CREATE TABLE contact(
  id bigint PRIMARY KEY, account_id bigint, first_name text, last_name text, email text, phone text, title text,
  lead_source text, street text, city text, country char(2), amount numeric(12,2), opted_in boolean,
  created_at timestamptz, updated_at timestamp, birth date, notes text)
"""
ROWS = """
INSERT INTO contact
SELECT i, (i*7919)%100000+1, 'First'||(i%5000), 'Last'||(i*31%20000), 'first'||(i%5000)||'.last'||i||'@example'||(i%300)||'.com',
  '+1 ('||(200+i%700)||') 555-'||lpad((i%10000)::text,4,'0'),
  (array['CEO','CTO','Head of Sales','Account Manager',null])[1+i%5], (array['Web','Referral','Trade show','Cold call'])[1+i%4],
  (i%9999)||' Main Street', 'City '||(i%1200), (array['US','GB','DE','FR'])[1+i%4],
  (random()*100000)::numeric(12,2), i%3=0, timestamptz '2015-01-01' + (i||' minutes')::interval,
  timestamp '2020-01-01' + (i*37||' seconds')::interval, date '1950-01-01' + (i%20000)::int,
  CASE WHEN i%10=0 THEN repeat('note text ',(i%12)::int) END
FROM generate_series(1,:rows::bigint) i
"""


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(words)
    if arguments.inside:
        _inside(arguments.inside)
        return 0
    with databases(arguments.server) as (source, target), tempfile.TemporaryDirectory() as folder:
        fill(source, arguments.rows)
        floor = 0.0
        if not arguments.no_floor:
            from peers import copy_pipe, fresh

            floor = copy_pipe(source, target)
            fresh(target, table=False)
        figures = measure(source, target, Path(folder), keep=arguments.home)
    figures |= {"rows": arguments.rows, "floor_seconds": round(floor, 2)}
    if floor:
        figures["ratio"] = round(figures["seconds"] / floor, 2)
    sys.stdout.write(table(figures) + "\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["state"] == "verified" else 1


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--server", default=os.environ.get("MIGRATE_TEST_POSTGRES") or LOCAL)
    parser.add_argument("--no-floor", action="store_true", help="do not measure psql's COPY")
    parser.add_argument("--home", type=Path, help="keep the run's folder here instead of a temporary one")
    parser.add_argument("--inside", metavar="MAPPING", help=argparse.SUPPRESS)
    return parser.parse_args(words)


# ------------------------------------------------------------------ the databases


@contextmanager
def databases(server: str) -> Iterator[tuple[str, str]]:
    """URLs of a source and a target database, dropped afterwards."""
    import psycopg
    from psycopg import sql

    names = [f"bench_{role}_{secrets.token_hex(4)}" for role in ("source", "target")]
    with psycopg.connect(server, autocommit=True) as admin:
        try:
            for name in names:
                admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            base = server.rpartition("/")[0]
            yield f"{base}/{names[0]}", f"{base}/{names[1]}"
        finally:
            for name in names:
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def fill(source: str, rows: int) -> None:
    """The same rows every time."""
    import psycopg

    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(TABLE)
        connection.execute("SELECT setseed(0.42)")
        connection.execute(ROWS.replace(":rows", str(rows)))
        connection.execute("VACUUM ANALYZE contact")


# ------------------------------------------------------------------ the migration

_end: list[float] = []


def end_by(moment: float) -> None:
    """No process that is started from here on outlives `moment` (time.monotonic): subprocess.TimeoutExpired."""
    _end[:] = [moment]


def left() -> float | None:
    """Seconds until then; None: it was not said."""
    return max(1.0, _end[0] - time.monotonic()) if _end else None


def measure(
    source: str,
    target: str,
    folder: Path,
    *,
    keep: Path | None = None,
    write: str = "write: add",
    table: bool = True,
    scratch: str = "",
) -> dict[str, Any]:
    """The whole migration in a process of its own: state, seconds, seconds and peak MB per stage, peak MB.

    `table`: the target's table is not there yet. `write`: what the mapping says in place of `write: add`.
    `scratch`: the server where the source's backup is restored, if it is not the target's."""
    import psycopg

    if table:
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(TABLE)
    place = folder / "mappings"  # backups and home lie beside a mapping's folder: here they go with it
    place.mkdir(exist_ok=True)
    text = MAPPING.read_text().replace("write: add\n", f"{write}\n")
    if scratch:
        text = text.replace("\npolicy:\n", f"\nscratch: {{source: {json.dumps(scratch)}}}\n\npolicy:\n")
    (place / MAPPING.name).write_text(text)
    environment = os.environ | {
        "CONTACT_SOURCE_URL": source,
        "CONTACT_TARGET_URL": target,
        "MIGRATE_HOME": str(keep or folder / "home"),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--inside",
        str(folder / "mappings" / MAPPING.name),
    ]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            said, _ = running.communicate(timeout=left())
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)  # it drops its scratch database
            try:
                running.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                running.kill()
            raise
    if running.returncode:
        raise RuntimeError(f"the migration ended with {running.returncode}; its errors are above")
    found: dict[str, Any] = json.loads(said)
    return found


def _inside(mapping: str) -> None:
    """In the process that is measured: one migration, figures as JSON on stdout."""
    sys.path.insert(0, str(ROOT))
    from migrate import api

    peaks = Peaks()
    began = time.perf_counter()
    result = api.run(mapping, progress=peaks)
    seconds = time.perf_counter() - began
    peaks.close()
    stages = [
        {
            "stage": s["stage"],
            "seconds": round(s["seconds"], 2),
            "rows": s["rows"],
            "cpu": round(peaks.cpu(s["stage"]), 2),
            "peak_mb": peaks.of(s["stage"]),
        }
        for s in result["stages"]
    ]
    balance = result["balances"]["contacts"]
    figures = {"state": result["state"], "seconds": round(seconds, 2), "stages": stages, "balance": balance}
    json.dump({**figures, "peak_mb": max(s["peak_mb"] for s in stages)}, sys.stdout)


class Peaks:
    """A run's progress that takes peak resident memory and processor time per stage from the kernel."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}
        self._worked: dict[str, float] = {}
        self._mark = time.process_time()
        self._now = "start"

    def stage(self, name: str, total: int | None) -> None:
        del total
        self.close()
        self._now = name

    def advance(self, rows: int) -> None:
        del rows

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")

    def close(self) -> None:
        self._peaks[self._now] = max(peak_mb(), self._peaks.get(self._now, 0))
        now = time.process_time()
        self._worked[self._now] = self._worked.get(self._now, 0.0) + now - self._mark
        self._mark = now
        Path("/proc/self/clear_refs").write_text("5")  # start the high-water mark anew

    def of(self, stage: str) -> int:
        return self._peaks.get(stage, 0)

    def cpu(self, stage: str) -> float:
        """Seconds of processor time of this process; the server's own are not in it."""
        return self._worked.get(stage, 0.0)


def peak_mb() -> int:
    """VmHWM: getrusage would also count what the parent had before exec."""
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def table(figures: dict[str, Any]) -> str:
    rows = figures["rows"]
    lines = [f"{'stage':<14}{'seconds':>9}{'our cpu':>9}{'rows/s':>12}{'peak MB':>9}"]
    for stage in figures["stages"]:
        rate = f"{rows / stage['seconds']:,.0f}" if stage["seconds"] >= 0.01 else "–"
        lines.append(
            f"{stage['stage']:<14}{stage['seconds']:>9.2f}{stage['cpu']:>9.2f}{rate:>12}{stage['peak_mb']:>9}"
        )
    rate, cpu = f"{rows / figures['seconds']:,.0f}", sum(s["cpu"] for s in figures["stages"])
    lines.append(f"{'in all':<14}{figures['seconds']:>9.2f}{cpu:>9.2f}{rate:>12}{figures['peak_mb']:>9}")
    if figures["floor_seconds"]:
        lines.append(
            f"psql COPY binary, piped: {figures['floor_seconds']:.2f} s; a verified migration takes "
            f"{figures['ratio']:.1f} times as long ({rows:,} rows, {figures['state']})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
