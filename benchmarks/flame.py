"""Where a stage's time goes: one migration of the reference shape under py-spy, as a flame graph.

    pip install py-spy
    python benchmarks/flame.py load                         # flame-load.svg
    python benchmarks/flame.py verify --rows 200000 --waiting --out verify.svg

Only stacks of the stage are in the graph. `--waiting` counts threads that wait too, for a database for instance.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from reference_shape import LOCAL, MAPPING, ROOT, TABLE, databases, fill

STAGES = ("plan", "extract", "profile", "backup", "restore_test", "transform", "load", "verify", "report")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--waiting", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--server", default=os.environ.get("MIGRATE_TEST_POSTGRES") or LOCAL)
    arguments = parser.parse_args(words)
    spy = Path(sys.executable).with_name("py-spy")
    program = str(spy) if spy.exists() else shutil.which("py-spy")
    if program is None:
        parser.error("py-spy is not installed: pip install py-spy")
    out = arguments.out or Path(f"flame-{arguments.stage}.svg")
    with (
        databases(arguments.server) as (source, target),
        tempfile.TemporaryDirectory(prefix="migrate-flame-") as name,
    ):
        folder = Path(name)
        fill(source, arguments.rows)
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(TABLE)
        (folder / "mappings").mkdir()
        shutil.copy(MAPPING, folder / "mappings")
        raw = folder / "stacks.txt"
        command = [program, "record", "-r", "100", "-f", "raw", "-o", str(raw)]
        command += ["--idle"] if arguments.waiting else []
        inside = [sys.executable, str(ROOT / "benchmarks" / "reference_shape.py"), "--inside"]
        environment = os.environ | {
            "CONTACT_SOURCE_URL": source,
            "CONTACT_TARGET_URL": target,
            "MIGRATE_HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run(
            [*command, "--", *inside, str(folder / "mappings" / MAPPING.name)], env=environment, check=True
        )
        stacks = [line for line in raw.read_text().splitlines() if f"stages/{arguments.stage}" in line]
    draw(stacks, out)
    sys.stdout.write(
        f"{out}: {sum(int(s.rpartition(' ')[2]) for s in stacks) / 100:.2f} s of threads at work\n"
    )
    return 0


def draw(stacks: list[str], out: Path) -> None:
    """A flame graph as SVG: width is time, hover shows the frame; no script, so that it opens everywhere."""
    tree: dict[str, object] = {}
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        _add(tree, frames.split(";"), int(count))
    total = sum(int(s.rpartition(" ")[2]) for s in stacks) or 1
    boxes: list[str] = []
    _boxes(tree, 0.0, 0, 1200 / total, boxes)
    height = 18 * (max((int(b.partition('y="')[2].partition('"')[0]) for b in boxes), default=0) // 18 + 2)
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="{height}" font-family="monospace" font-size="11">'
        + "".join(boxes)
        + "</svg>\n"
    )


def _add(tree: dict, frames: list[str], count: int) -> None:  # type: ignore[type-arg]
    for frame in frames:
        node = tree.setdefault(frame, [0, {}])
        node[0] += count
        tree = node[1]


def _boxes(tree: dict, left: float, depth: int, scale: float, boxes: list[str]) -> None:  # type: ignore[type-arg]
    for frame, (count, below) in sorted(tree.items(), key=lambda item: -item[1][0]):
        width = count * scale
        if width >= 1:
            name = frame.replace("&", "&amp;").replace("<", "&lt;")
            boxes.append(
                f'<g><title>{name}: {count / 100:.2f} s</title><rect x="{left:.1f}" y="{depth * 18}" width="{width:.1f}" height="17" '
                f'fill="hsl({20 + depth * 7 % 40},80%,65%)"/><text x="{left + 3:.1f}" y="{depth * 18 + 13}">{name[: int(width // 7)]}</text></g>'
            )
            _boxes(below, left, depth + 1, scale, boxes)
        left += width


if __name__ == "__main__":
    raise SystemExit(main())
