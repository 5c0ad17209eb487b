"""Backups, drills and the undo on the reference shape, side by side in one run.

    python benchmarks/vault.py                     # PostgreSQL, 1,000,000 rows; a bucket on a server of its own (moto)
    python benchmarks/vault.py --rows 100000 --json figures.json

Every step is a process of its own, so that its peak of memory is its own. Seconds are of the machine at hand, ratios
carry over. Databases, the bucket and files go when it ends. Server: MIGRATE_TEST_POSTGRES, else a local one.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reference_shape import LOCAL, ROOT, databases, fill, measure, peak_mb

# name → (what, measured by what, at most)
TARGETS: Mapping[str, tuple[str, str, float]] = {
    "backup to S3 / to a folder": ("backup to S3", "backup to a folder", 1.3),
    "bytes of the second, unchanged / of the first": ("bytes of the second", "bytes of the first", 0.02),
    "rollback of the inserted rows / their load": ("rollback", "load", 1.5),
    "peak MB / 600": ("peak MB", "600 MB", 1.0),
}
S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(words)
    if arguments.inside:
        return _inside(json.loads(arguments.inside))
    figures: dict[str, float] = {"600 MB": 600.0}
    with databases(arguments.server) as (source, target), tempfile.TemporaryDirectory() as name:
        fill(source, arguments.rows)
        figures |= _vaults(source, arguments.server, Path(name))
        figures |= _undo(source, target, Path(name))
    figures["peak MB"] = max(v for k, v in figures.items() if k.startswith("peak MB, "))
    ratios = {
        n: figures[one] / figures[other] for n, (one, other, _) in TARGETS.items() if figures.get(other)
    }
    lines = [f"{name:<48}{value:>14.2f}" for name, value in figures.items()]
    lines += [f"{name:<48}{value:>14.4f}  (at most {TARGETS[name][2]})" for name, value in ratios.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"figures": figures, "ratios": ratios}, indent=1) + "\n")
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--server", default=os.environ.get("MIGRATE_TEST_POSTGRES") or LOCAL)
    parser.add_argument("--inside", metavar="JSON", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _vaults(source: str, server: str, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    local, home = folder / "vault", str(folder / "home")
    made = _step("backup_create", source, prove_it=False, store=str(local), home=home)
    found |= {"backup to a folder": made["seconds"], "peak MB, backup to a folder": made["peak_mb"]}
    found["bytes of the first"] = float(size := _bytes(local))
    with bucket() as location:
        made = _step("backup_create", source, prove_it=False, store=location, home=home)
    found |= {"backup to S3": made["seconds"], "peak MB, backup to S3": made["peak_mb"]}
    made = _step("backup_create", source, prove_it=False, store=str(local), home=home)
    found |= {"second backup": made["seconds"], "peak MB, second backup": made["peak_mb"]}
    found["bytes of the second"] = float(_bytes(local) - size)
    made = _step("drill", "latest", scratch=server, store=str(local), home=home)
    found |= {"drill": made["seconds"], "peak MB, drill": made["peak_mb"]}
    for one in made["answer"].get("drills", [made["answer"]]):
        for phase, seconds in (one.get("phases") or one.get("seconds") or {}).items():
            found[f"  drill: {phase}"] = float(seconds)
    return found


def _undo(source: str, target: str, folder: Path) -> dict[str, float]:
    place = folder / "run"
    place.mkdir()
    first = measure(source, target, place)
    load = next(s["seconds"] for s in first["stages"] if s["stage"] == "load")
    undone = _step("rollback", "latest", home=str(place / "home"), urls=[source, target])
    if undone["answer"]["state"] != "rolled_back" or not undone["answer"]["proof"]["passed"]:
        raise RuntimeError("the run was not undone")
    return {"load": load, "rollback": undone["seconds"], "peak MB, rollback": undone["peak_mb"]}


def _bytes(vault: Path) -> int:
    """What a vault takes, manifests and all."""
    return sum(p.stat().st_size for p in vault.rglob("*") if p.is_file())


def _step(call: str, what: str, *, urls: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """One call of the API in a process of its own: its answer, seconds, peak MB."""
    environment = os.environ | S3_KEYS | {"PYTHONPATH": str(ROOT)}
    if urls:
        environment |= {"CONTACT_SOURCE_URL": urls[0], "CONTACT_TARGET_URL": urls[1]}
    asked = json.dumps({"call": call, "what": what, "more": more})
    command = [sys.executable, str(Path(__file__).resolve()), "--inside", asked]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{call}: {found['seconds']} s, {found['peak_mb']} MB\n")
    return found


def _inside(asked: dict[str, Any]) -> int:
    from migrate import api

    more = asked["more"] | {"home": Path(asked["more"]["home"])}
    began = time.perf_counter()
    answer = getattr(api, asked["call"])(asked["what"], **more)
    seconds = round(time.perf_counter() - began, 2)
    json.dump({"answer": answer, "seconds": seconds, "peak_mb": peak_mb()}, sys.stdout, default=str)
    return 0


@contextmanager
def bucket() -> Iterator[str]:
    """A vault in a bucket of a server that keeps it in memory, in a process of its own."""
    import boto3

    os.environ.update(S3_KEYS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            end = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
                time.sleep(0.1)
            url = f"http://127.0.0.1:{port}"
            boto3.session.Session().client("s3", endpoint_url=url).create_bucket(Bucket="bench")
            yield f"s3://bench/vault?endpoint={quote(url, safe='')}"
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
