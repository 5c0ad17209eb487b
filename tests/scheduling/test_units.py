"""Units for schedulers outside: the same times, no secrets, and commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from migrate.api import schedule_units
from migrate.errors import UsageError
from migrate.scheduling.units import calendar

SCHEDULE = """\
migrate: 1
name: acme
timezone: Europe/Berlin
jobs:
  nightly: {cron: "0 2 * * *", backup: "${CRM_URL}", scratch: "${SCRATCH_URL}"}
  drill: {cron: "30 4 * * SUN", drill: latest}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRM_URL", "postgresql://me:secret-canary@host/db")
    path = tmp_path / "with space" / "schedule.yaml"
    path.parent.mkdir()
    path.write_text(SCHEDULE)
    return path


@pytest.mark.parametrize("kind", ["systemd", "cron", "k8s"])
def test_no_secret_is_in_them_and_what_is_read_is_named(kind: str, file: Path) -> None:
    text = schedule_units(file, kind)
    assert "secret-canary" not in text
    assert "CRM_URL, SCRATCH_URL" in text
    for job in ("nightly", "drill"):
        assert job in text


def test_systemd(file: Path) -> None:
    text = schedule_units(file, "systemd")
    assert f"ExecStart=/usr/bin/env migrate schedule '{file}' --job nightly" in text
    assert "OnCalendar=Sun *-*-* 04:30:00 Europe/Berlin" in text
    assert text.count("Persistent=true") == 2
    assert "EnvironmentFile=/etc/migrate/acme.env" in text


def test_a_crontab_is_one_line_a_job(file: Path) -> None:
    lines = [line for line in schedule_units(file, "cron").splitlines() if not line.startswith("#")]
    assert lines[0] == "CRON_TZ=Europe/Berlin"
    assert [line[:10].strip() for line in lines[1:]] == ["0 2 * * *", "30 4 * * S"]
    assert all(f"--job {job}" in line for job, line in zip(("nightly", "drill"), lines[1:], strict=True))


def test_kubernetes(file: Path) -> None:
    found = list(yaml.safe_load_all(schedule_units(file, "k8s")))
    assert [d["kind"] for d in found] == ["CronJob", "CronJob"]
    spec = found[1]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (
        "30 4 * * SUN",
        "Europe/Berlin",
        "Forbid",
    )
    container = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["migrate", "schedule", str(file), "--job", "drill"]
    assert container["envFrom"] == [{"secretRef": {"name": "migrate-acme"}}]


def test_another_kind(file: Path) -> None:
    with pytest.raises(UsageError, match="launchd"):
        schedule_units(file, "launchd")


@pytest.mark.parametrize(
    ("cron", "lines"),
    [
        ("0 2 * * *", ["*-*-* 02:00:00 UTC"]),
        ("*/15 * * * *", ["*-*-* *:00,15,30,45:00 UTC"]),
        ("* * * * *", ["*-*-* *:*:00 UTC"]),
        ("30 4 * * 0", ["Sun *-*-* 04:30:00 UTC"]),
        ("30 4 * * 7", ["Sun *-*-* 04:30:00 UTC"]),
        ("0 1 1 1,7 *", ["*-01,07-01 01:00:00 UTC"]),
        ("0 0 13 * FRI", ["*-*-13 00:00:00 UTC", "Fri *-*-* 00:00:00 UTC"]),
        ("0 0 */2 * MON", None),
    ],
)
def test_cron_in_systemds_words(cron: str, lines: list[str] | None) -> None:
    found = calendar(cron, "UTC")
    assert lines is None or found == lines
    if lines is None:
        assert len(found) == 1
        assert found[0].startswith("Mon *-*-01,03,05")
    analyze = shutil.which("systemd-analyze")
    if analyze:
        for line in found:
            done = subprocess.run([analyze, "calendar", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    assert all(
        re.fullmatch(r"((Sun|Mon|Tue|Wed|Thu|Fri|Sat|,)+ )?\*-[\d,*]+-[\d,*]+ [\d,*]+:[\d,*]+:00 UTC", line)
        for line in found
    )


@pytest.mark.parametrize("cron", ["0 0 L * *", "0 0 * * MON#2", "0 0 * * 5L"])
def test_what_systemd_cannot_say_is_refused(cron: str) -> None:
    with pytest.raises(UsageError, match="no words"):
        calendar(cron, "UTC")
