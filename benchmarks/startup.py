"""How long a person waits for `migrate --help`, and for the errors of a wrong mapping.

    python benchmarks/startup.py [--json FILE]

Promised: --help in 0.3 s, the errors of any mapping in 0.5 s once the program runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from migrate.errors import MappingError
from migrate.mapping.load import load_mapping

GOLDENS = Path(__file__).parents[1] / "tests" / "mapping" / "goldens"
ROUNDS = 7


def help_seconds() -> list[float]:
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "migrate", "--help"], check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - started)
    return found


def mapping_seconds() -> dict[str, float]:
    """Per wrong mapping; the first round, which loads libraries, is not counted."""
    found: dict[str, float] = {}
    for counted in (False, True):
        for file in sorted(GOLDENS.glob("*.yaml")):
            started = time.perf_counter()
            with contextlib.suppress(MappingError):  # every one of them is wrong
                load_mapping(file, {})
            if counted:
                found[file.stem] = time.perf_counter() - started
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    shown = help_seconds()
    errors = mapping_seconds()
    slowest = max(errors, key=lambda name: errors[name])
    seconds = {
        "help_median": statistics.median(shown),
        "help_worst": max(shown),
        "mapping_median": statistics.median(errors.values()),
        "mapping_worst": errors[slowest],
    }
    for name, value in seconds.items():
        print(f"{name:16} {value:7.3f} s")
    print(f"slowest wrong mapping: {slowest} of {len(errors)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
