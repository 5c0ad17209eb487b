"""Units for a scheduler outside: systemd timers, a crontab, CronJobs of Kubernetes. No secrets are in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from cronsim import CronSim

from migrate.errors import UsageError
from migrate.mapping.schedule_file import Job, Schedule

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def units(kind: str, schedule: Schedule, names: Sequence[str]) -> str:
    """The text for `systemd`, `cron` or `k8s`. `names`: variables of the environment that the schedule reads. Raises UsageError."""
    if kind not in WRITERS:
        raise UsageError(f"there are no units for {kind!r}", hint=f"Known: {', '.join(WRITERS)}.")
    return WRITERS[kind](schedule, names)


def _command(schedule: Schedule, job: Job) -> str:
    return f"migrate schedule {shlex.quote(schedule.path)} --job {job.name}"


# -- systemd ---------------------------------------------------------------------------------------


def _systemd(schedule: Schedule, names: Sequence[str]) -> str:
    environment = f"/etc/migrate/{schedule.name}.env"
    lines = [
        f"# Units of the schedule {schedule.name}: put each into the file named above it, then",
        "#   systemctl daemon-reload && systemctl enable --now "
        + " ".join(f"{_unit(schedule, j)}.timer" for j in schedule.jobs.values()),
        *_about_names(names, environment),
    ]
    for job in schedule.jobs.values():
        unit = _unit(schedule, job)
        lines += [
            "",
            f"# /etc/systemd/system/{unit}.service",
            "[Unit]",
            f"Description=migrate: {job.kind} ({schedule.name}, {job.name})",
            "",
            "[Service]",
            "Type=oneshot",
            f"WorkingDirectory={schedule.base}",
            f"EnvironmentFile={'-' if not names else ''}{environment}",
            f"ExecStart=/usr/bin/env {_percent(_command(schedule, job))}",
            "UMask=0077",
            "",
            f"# /etc/systemd/system/{unit}.timer",
            "[Unit]",
            f"Description=migrate: times of {schedule.name}, {job.name}",
            "",
            "[Timer]",
            *(f"OnCalendar={text}" for text in calendar(job.cron, schedule.timezone)),
            f"Persistent={'true' if schedule.missed == 'run' else 'false'}",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
    return "\n".join(lines) + "\n"


def _unit(schedule: Schedule, job: Job) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"migrate-{schedule.name}-{job.name}")


def _percent(text: str) -> str:
    """systemd takes % for the beginning of a name, and $ for that of a variable."""
    return text.replace("%", "%%").replace("$", "$$")


def calendar(cron: str, zone: str) -> list[str]:
    """The same times in systemd's words; where either day is enough, two lines. Raises UsageError for what it cannot say."""
    found = CronSim(cron, datetime.now(UTC))
    time = f"{_listed(found.hours, range(24))}:{_listed(found.minutes, range(60))}:00"
    month = _listed(found.months, range(1, 13))
    weekday_numbers = {d % 7 for d in found.weekdays if isinstance(d, int)}
    any_day, any_weekday = set(found.days) == set(range(1, 32)), weekday_numbers == set(range(7))
    if any(d < 1 for d in found.days) or any(not isinstance(d, int) for d in found.weekdays):
        raise UsageError(
            f"systemd has no words for {cron!r}",
            hint="Write the day without # and L, or let `migrate schedule` run itself.",
        )
    days = _listed(found.days, range(1, 32))
    weekdays = ",".join(_DAYS[d] for d in sorted(weekday_numbers))
    by_day, by_weekday = f"*-{month}-{days} {time} {zone}", f"{weekdays} *-{month}-* {time} {zone}"
    if any_weekday:
        return [by_day]
    if any_day:
        return [by_weekday]
    return [f"{weekdays} {by_day}"] if found.day_and else [by_day, by_weekday]


def _listed(found: Iterable[object], every: range) -> str:
    numbers = sorted(int(str(n)) for n in found)
    return "*" if set(numbers) == set(every) else ",".join(f"{n:02d}" for n in numbers)


# -- crontab ---------------------------------------------------------------------------------------


def _crontab(schedule: Schedule, names: Sequence[str]) -> str:
    environment = f"/etc/migrate/{schedule.name}.env"
    lines = [
        f"# Lines of the schedule {schedule.name} for a user's crontab (crontab -e).",
        f"# The times are those of {schedule.timezone}. CRON_TZ is known to cronie (Fedora, RHEL, Arch); Debian's cron passes it",
        "# over and uses the machine's own zone: set that, or write the times in it.",
        *_about_names(names, environment),
        f"CRON_TZ={schedule.timezone}",
    ]
    for job in schedule.jobs.values():
        read = f"set -a; . {environment}; set +a; " if names else ""
        command = f"{read}cd {shlex.quote(schedule.base)} && {_command(schedule, job)}"
        lines.append(f"{job.cron} {command}".replace("%", r"\%"))  # cron takes % for the end of the line
    return "\n".join(lines) + "\n"


# -- Kubernetes ------------------------------------------------------------------------------------


def _kubernetes(schedule: Schedule, names: Sequence[str]) -> str:
    """YAML of one CronJob for each job."""
    import yaml

    secret = _dns(f"migrate-{schedule.name}")
    head = [
        f"# CronJobs of the schedule {schedule.name}. To be filled in: the image, and the volume that holds {schedule.base}",
        "# with the schedule and its .migrate folder, which remembers what was backed up and proven.",
        *(
            [
                f"# Put {', '.join(names)} into the secret {secret}: kubectl create secret generic {secret} --from-env-file=FILE"
            ]
            if names
            else []
        ),
    ]
    documents = [_cron_job(schedule, job, secret if names else "") for job in schedule.jobs.values()]
    return "\n".join(head) + "\n" + yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


def _cron_job(schedule: Schedule, job: Job, secret: str) -> dict[str, object]:
    if re.search(r"[#L]", job.cron.upper().replace("JUL", "")):
        raise UsageError(f"Kubernetes has no words for {job.cron!r}", hint="Write the day without # and L.")
    container: dict[str, object] = {
        "name": "migrate",
        "image": "IMAGE-WITH-MIGRATE",
        "command": ["migrate", "schedule", schedule.path, "--job", job.name],
        "workingDir": schedule.base,
        "volumeMounts": [{"name": "home", "mountPath": schedule.base}],
    }
    if secret:
        container["envFrom"] = [{"secretRef": {"name": secret}}]
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "CLAIM"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": _dns(f"migrate-{schedule.name}-{job.name}")},
        "spec": {
            "schedule": job.cron,
            "timeZone": schedule.timezone,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }


def _dns(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52]


def _about_names(names: Sequence[str], environment: str) -> list[str]:
    """Where the secrets come from."""
    return (
        [
            f"# It reads {', '.join(names)}: write them as NAME=value into {environment} (mode 0600, the owner is who runs it)."
        ]
        if names
        else []
    )


WRITERS: dict[str, Callable[[Schedule, Sequence[str]], str]] = {
    "systemd": _systemd,
    "cron": _crontab,
    "k8s": _kubernetes,
}
