"""The real process: start-up, streams, signals, pipes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "migrate"]
HEAVY = (
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "polars",
    "duckdb",
    "numpy",
    "psycopg",
    "alembic",
    "yaml",
    "rich",
    "phonenumbers",
    "pycountry",
    "nameparser",
    "selectolax",
    "idna",
    "migrate.api",
)


def environment(**more: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "MIGRATE_HOME")
    }
    return kept | {"PYTHONPATH": str(ROOT)} | more


def recorded(answers: str, arguments: list[str]) -> list[str]:
    """The command line of a process whose program is the recorded one; `answers` is Python for its answers."""
    code = (
        "import sys; from pathlib import Path; from migrate.cli import main; from tests.cli.recorded import *; "
        f"sys.exit(main({arguments!r}, api=RecordedApi({answers})))"
    )
    return [sys.executable, "-c", code]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)


def start(answers: str, arguments: list[str], tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        recorded(answers, arguments),
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a test runner in the background ignores it
    )


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    listing = f"import sys; from migrate.cli import main; main(['--help']); print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", listing], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "[]"
    used = []
    for _ in range(5):
        before = os.times()
        subprocess.run([*PROGRAM, "--help"], env=environment(), check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        used.append(
            after.children_user - before.children_user + after.children_system - before.children_system
        )
    # A guard against something heavy at start-up; benchmarks/startup.py measures (0.3 s is what we promise).
    assert min(used) < 1.0, used


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_everything_exits_0(option: str) -> None:
    for command in ([], ["run"], ["quarantine"], ["quarantine", "list"], ["backup", "restore"], ["rollback"]):
        done = subprocess.run(
            [*PROGRAM, *command, option], env=environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "Usage: migrate" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100


def test_no_command_is_help_and_version_is_a_version() -> None:
    done = subprocess.run(PROGRAM, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "migrate demo" in done.stdout
    done = subprocess.run(
        [*PROGRAM, "--version"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("migrate 0.")


def test_no_bars_where_there_is_no_terminal(tmp_path: Path) -> None:
    noisy = "run=lambda *a, progress=None, **k: (progress and progress.note('x'), RUN)[1]"
    done = subprocess.run(
        recorded(noisy, ["run", "m.yaml"]),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


def test_bars_on_a_terminal_and_stdout_stays_clean(tmp_path: Path) -> None:
    noisy = "run=lambda *a, progress=None, **k: (progress.stage('load \\x1b[31m', 10), progress.advance(5), progress.note('half'), RUN)[3]"
    leader, follower = pty.openpty()
    with subprocess.Popen(
        recorded(noisy, ["run", "m.yaml"]),
        env=environment(TERM="xterm", COLUMNS="80"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        out, _ = process.communicate()
    os.close(leader)
    assert process.returncode == 0
    assert b"load \\x1b[31m" in shown
    assert b"half" in shown
    assert "half" not in out
    assert out.startswith("Verified")


def test_logs_go_to_stderr_for_people_and_for_collectors(tmp_path: Path) -> None:
    noisy = "run=lambda *a, progress=None, **k: (progress.stage('load', 10), progress.note('postgresql://a:hunter2@h/d'), RUN)[2]"
    done = subprocess.run(
        recorded(noisy, ["run", "m.yaml", "-v"]),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "load: 10 rows" in done.stderr
    assert "hunter2" not in done.stderr
    done = subprocess.run(
        recorded(noisy, ["run", "m.yaml", "--log-json", "--json"]),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == [
        "load: 10 rows",
        "postgresql://a:***@h/d",
    ]
    assert json.loads(done.stdout)["state"] == "verified"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_leaves_a_run_that_can_be_resumed(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(f"run=waits(Path({str(ready)!r}))", ["run", "m.yaml"], tmp_path)
    wait_for(ready, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 9
    assert out == ""
    assert "Run the same command again to resume" in err
    assert "Traceback" not in err


def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(f"run=waits(Path({str(ready)!r}), deaf=True)", ["run", "m.yaml"], tmp_path)
    wait_for(ready, process)
    process.send_signal(signal.SIGINT)
    wait_for(ready.with_suffix(".asked"), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 9


def test_ctrl_c_after_the_end_changes_nothing() -> None:
    """While the interpreter tidies up, which takes a moment on a busy machine."""
    late = "import atexit, os, signal, sys; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    begin = "sys.argv = ['migrate', '--version']; from migrate.cli import entry; entry()"
    done = subprocess.run(
        [sys.executable, "-c", f"{late}; {begin}"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_who_goes_away_is_no_error(tmp_path: Path) -> None:
    many = "runs=[{'run': f'r{n}', 'mapping': 'm', 'state': 'verified'} for n in range(20000)]"
    for option in ([], ["--json"]):
        process = start(many, ["runs", *option], tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(timeout=30) == 0
        assert err == ""


def test_a_terminal_without_unicode_or_colour_shows_everything(tmp_path: Path) -> None:
    shape = "run=RUN | {'mapping': 'Übernahme \\x1b[2J'}"
    for encoding in ("ascii", "latin-1"):
        done = subprocess.run(
            recorded(shape, ["run", "m.yaml"]),
            env=environment(PYTHONIOENCODING=encoding, LC_ALL="C", COLUMNS="80"),
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        out = done.stdout.decode(encoding)
        assert "[ok] backup source" in out
        assert "\x1b" not in out
        assert "bernahme" in out
        assert "2,400" in out
