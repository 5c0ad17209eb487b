"""The reference shape at a small size: the benchmark itself runs, ends verified, and memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.places import ROOT

ROWS = 50_000
PEAK_MB = 600  # 1M rows stay below 700: what is held is a part and DuckDB's share, not the table


@pytest.mark.promise(6)
@pytest.mark.promise(20)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux' /proc")
def test_p6_p20_the_benchmark_ends_verified_in_bounded_memory(postgres_server: str, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "reference_shape.py"), "--no-floor"]
    options = ["--rows", str(ROWS), "--server", postgres_server, "--json", str(path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures["state"] == "verified"
    assert figures["balance"] == {
        "in": ROWS,
        "loaded": ROWS,
        "unchanged": 0,
        "merged": 0,
        "quarantined": 0,
        "excluded": 0,
    }
    assert {s["stage"] for s in figures["stages"]} > {"extract", "restore-test", "load", "verify"}
    assert 100 < figures["peak_mb"] < PEAK_MB, figures["stages"]
    assert "verify" in done.stdout
