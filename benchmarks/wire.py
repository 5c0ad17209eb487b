"""Databases at the speed of the wire: ours and the peers on the reference shape, side by side in one run.

    python benchmarks/wire.py                               # all routes, 1,000,000 rows, 3 rounds
    python benchmarks/wire.py --rows 10000000 --rounds 1 --route postgres --minutes 600    # memory and linearity
    python benchmarks/wire.py --route sqlite                # SQLite → SQLite; mariadb: MariaDB → PostgreSQL
    python benchmarks/wire.py --json figures.json

Every round measures everything once, one after the other; the table shows medians. Seconds are of the machine at
hand, ratios carry over. What is not installed (pgloader, dlt with connectorx) is left out and named. Servers:
MIGRATE_TEST_POSTGRES, MIGRATE_TEST_MARIADB, else local ones. Databases and files go when it ends.

It ends within --minutes (90): a round that would take longer than what is left is not begun, one that does is cut
off, and the table is of the rounds that are whole; with fewer than asked for the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bare
import peers
import routes
from reference_shape import LOCAL, databases, end_by, fill, measure

# name → (what, measured by what, at most)
TARGETS: Mapping[str, tuple[str, str, float]] = {
    "bare copy / COPY pipe": ("bare copy", "COPY pipe", 1.5),
    "verified run / pgloader": ("verified run", "pgloader", 0.8),
    "verified run / COPY pipe": ("verified run", "COPY pipe", 3.0),
    "backup / pg_dump": ("backup", "pg_dump -Fd -j2", 0.7),
    "backup bytes / pg_dump bytes": ("backup bytes", "pg_dump bytes", 0.6),
    "restore / pg_restore": ("restore", "pg_restore -j2", 1.0),
    "compare in process / read": ("compare in process", "read", 0.1),
    "stored digest / read": ("stored digest", "read", 0.4),
    "second run, nothing changed / first": ("second run, nothing changed", "verified run", 0.3),
    "second run, 1 % changed / first": ("second run, 1 % changed", "verified run", 0.4),
    "upsert of all rows / insert": ("load, all rows updated", "load, all rows new", 2.5),
    "peak MB / 600": ("peak MB", "600 MB", 1.0),
}
UPSERT = "write: add_or_update\n    match: [id]"


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(words)
    began = time.monotonic()
    end_by(began + 60 * arguments.minutes)
    rounds: list[dict[str, float]] = []
    longest = 0.0
    for number in range(arguments.rounds):
        started = time.monotonic()
        if started - began + longest > 60 * arguments.minutes:
            break
        sys.stderr.write(
            f"round {number + 1} of {arguments.rounds}, load of the machine {os.getloadavg()[0]:.1f}\n"
        )
        busy = os.getloadavg()[0]
        try:
            found = _one_round(arguments)
        except subprocess.TimeoutExpired as late:
            sys.stderr.write(
                f"round {number + 1} was cut off after {arguments.minutes:.0f} minutes in all: {late.cmd[0]}\n"
            )
            break
        rounds.append({**found, "load before": busy})
        longest = max(longest, time.monotonic() - started)
    if not rounds:
        return 1
    figures = {
        name: median(r[name] for r in rounds if name in r)
        for name in dict.fromkeys(k for r in rounds for k in r)
    }
    ratios = {
        name: figures[one] / figures[other]
        for name, (one, other, _) in TARGETS.items()
        if figures.get(one) and figures.get(other)
    }
    took = (time.monotonic() - began) / 60
    whole = f"{len(rounds)} of {arguments.rounds} rounds in {took:.0f} minutes"
    sys.stdout.write(f"{whole}\n{table(figures, ratios, arguments.rows)}\n")
    if arguments.json:
        written = {**document(figures, ratios, arguments.rows), "rounds": len(rounds)}
        Path(arguments.json).write_text(json.dumps(written, indent=1) + "\n")
    return 0 if len(rounds) == arguments.rounds else 1


def _one_round(arguments: argparse.Namespace) -> dict[str, float]:
    """Everything of the route or routes that were asked for."""
    found: dict[str, float] = {}
    if arguments.route in ("all", "postgres"):
        found |= _round(arguments.server, arguments.rows, peers_too=not arguments.no_peers)
    for name, measured in routes.ROUTES.items():
        if arguments.route in ("all", name):
            found |= measured(arguments.rows)
    return found


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--route", choices=["all", "postgres", *routes.ROUTES], default="all")
    parser.add_argument("--minutes", type=float, default=90.0, help="it ends by then")
    parser.add_argument("--no-peers", action="store_true", help="only ours and the floor")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--server", default=os.environ.get("MIGRATE_TEST_POSTGRES") or LOCAL)
    return parser.parse_args(words)


def _round(server: str, rows: int, *, peers_too: bool) -> dict[str, float]:
    found: dict[str, float] = {"600 MB": 600.0}
    with databases(server) as (source, target), tempfile.TemporaryDirectory(prefix="migrate-bench-") as name:
        folder = Path(name)
        fill(source, rows)
        found["COPY pipe"] = peers.copy_pipe(source, target)
        if peers_too:
            found |= _peers(source, target)
        found["bare copy"] = bare.copy(source, target)
        seconds = bare.digests(source)
        found |= {
            "read": seconds["read"],
            "compare in process": seconds["compare"],
            "stored digest": seconds["digest"],
        }
        found |= _ours(server, source, target, folder)
    return found


def _peers(source: str, target: str) -> dict[str, float]:
    found: dict[str, float] = {}
    if (dumped := peers.dump_and_restore(source, target)) is not None:
        found |= {
            "pg_dump -Fd -j2": dumped[0],
            "pg_restore -j2": dumped[1],
            "pg_dump bytes": float(dumped[2]),
        }
    for peer, measured in (("pgloader", peers.pgloader), ("dlt", peers.dlt)):
        if (seconds := measured(source, target)) is not None:
            found[peer] = seconds
    return found


def _ours(server: str, source: str, target: str, folder: Path) -> dict[str, float]:
    """The verified run with its stages, then the later runs, then every row as an update."""
    peers.fresh(target, table=False)
    first = measure(source, target, folder, write=UPSERT)
    _demand(first, loaded=True)
    found = {"verified run": first["seconds"], "peak MB": float(first["peak_mb"])}
    found |= {f"  {s['stage']}": s["seconds"] for s in first["stages"]}
    stages = {s["stage"]: s["seconds"] for s in first["stages"]}
    found["backup"] = stages["extract"] + stages["backup"]
    found["load, all rows new"] = stages["load"]
    vault = folder / "backups"
    found["backup bytes"] = float(
        sum(p.stat().st_size for p in (vault / "objects").rglob("*") if p.is_file())
    )
    backup = next(p.name for p in vault.iterdir() if p.name.split("-")[3:4] == ["source"])
    found["restore"] = bare.restore(vault, backup, server, folder)
    for name, share in (
        ("second run, nothing changed", 0.0),
        ("second run, 1 % changed", 0.01),
        ("every row updated", 1.0),
    ):
        if share:
            bare.change(source, share)
        again = measure(source, target, folder, write=UPSERT, table=False)
        _demand(again, loaded=bool(share))
        found[name] = again["seconds"]
        found["peak MB, later runs"] = max(found.get("peak MB, later runs", 0.0), float(again["peak_mb"]))
        if share == 1.0:
            found["load, all rows updated"] = next(
                s["seconds"] for s in again["stages"] if s["stage"] == "load"
            )
    return found


def _demand(run: Mapping[str, Any], *, loaded: bool) -> None:
    """A figure of a run that did not do its work is none."""
    if run["state"] != "verified" or bool(run["balance"]["loaded"]) != loaded:
        raise RuntimeError(f"a run ended {run['state']} with {run['balance']}")


def document(figures: Mapping[str, float], ratios: Mapping[str, float], rows: int) -> dict[str, Any]:
    kept = {k: round(v, 3) for k, v in figures.items() if _is_seconds(k)}
    return {
        "rows": rows,
        "ratios": {k: round(v, 3) for k, v in ratios.items()},
        "targets": {k: TARGETS[k][2] for k in ratios},
        "seconds": {k.strip(): v for k, v in kept.items()},
        "bytes": {k: int(v) for k, v in figures.items() if "bytes" in k},
        "peak_mb": figures.get("peak MB"),
        "peaks_mb": {k: v for k, v in figures.items() if "peak MB" in k},
        "machine": {**machine(), "load_before": figures["load before"]},
    }


def _is_seconds(name: str) -> bool:
    return not any(word in name for word in ("MB", "bytes", "load before"))


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def table(figures: Mapping[str, float], ratios: Mapping[str, float], rows: int) -> str:
    busy = f"load {figures['load before']:.1f} before a round"
    lines = [f"{rows:,} rows, {os.cpu_count()} cores, {busy}", "", f"{'':<32}{'seconds':>10}{'rows/s':>14}"]
    for name, value in figures.items():
        if _is_seconds(name):
            lines.append(f"{name:<32}{value:>10.2f}{rows / max(value, 0.01):>14,.0f}")
    for name, value in figures.items():
        if "bytes" in name:
            lines.append(f"{name:<32}{value / 1e6:>9.1f} MB")
        elif "MB" in name and name != "600 MB":
            lines.append(f"{name:<32}{value:>9.0f} MB")
    if ratios:
        lines += ["", f"{'':<40}{'ratio':>8}{'target':>9}"]
    for name, ratio in ratios.items():
        most = TARGETS[name][2]
        lines.append(f"{name:<40}{ratio:>8.2f}{most:>9.2f}{'' if ratio <= most else '  missed'}")
    absent = [name for name in ("pgloader", "dlt") if name not in figures]
    if absent and "verified run" in figures:
        lines.append(f"not measured, for not installed or not asked for: {', '.join(absent)}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
