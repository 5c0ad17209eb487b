"""Every failure: its exit code, one paragraph on stderr, or one object on stdout; never a value or a password."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from migrate import errors
from migrate.cli import main

from tests.cli.recorded import RUN, RecordedApi

CODES = [
    (errors.UsageError("the run is not known.", where="abc", hint="See: migrate runs"), 2),
    (
        errors.MappingError(
            [errors.Problem("unknown_key", "m.yaml:3:5", "there is no key feilds", "fields?")]
        ),
        2,
    ),
    (errors.GateClosed("the backup is not proven."), 3),
    (errors.TooManyQuarantined("3 % of contacts.", kept="Nothing was written."), 4),
    (errors.Unreachable("the server is away."), 5),
    (errors.Corrupt("the part is damaged.", where="objects/ab"), 6),
    (errors.Drift("accounts changed."), 7),
    (errors.Busy("another run holds the target."), 8),
    (errors.Interrupted("stopped."), 9),
    (KeyboardInterrupt(), 9),
    (OSError(errno.ENOSPC, "No space left on device"), 5),
    (PermissionError(errno.EACCES, "Permission denied", "crm/exports"), 5),
    (RuntimeError("password=hunter2 and the value Lovelace"), 1),
    (AssertionError(), 1),
]
IDS = [f"{type(error).__name__}-{code}" for error, code in CODES]


@pytest.mark.parametrize(("error", "code"), CODES, ids=IDS)
def test_an_error_is_one_paragraph_and_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "m.yaml"], api=RecordedApi(run=error)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.strip()
    assert "hunter2" not in err
    assert "Lovelace" not in err
    if isinstance(error, errors.MigrateError):
        assert error.message in err


@pytest.mark.parametrize(("error", "code"), CODES, ids=IDS)
def test_with_json_an_error_is_one_object_on_stdout(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "m.yaml", "--json"], api=RecordedApi(run=error)) == code
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert list(told) == ["error"]
    assert {"code", "message", "where", "kept", "hint"} <= set(told["error"])
    assert told["error"]["code"] == code
    assert err == ""
    assert "hunter2" not in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run"], "MAPPING"),
        (["runn", "m.yaml"], "runn"),
        (["run", "m.yaml", "--fast"], "--fast"),
        (["run", "m.yaml", "--workers", "many"], "--workers"),
        (["run", "m.yaml", "--workers", "0"], "--workers"),
        (["run", "m.yaml", "--to", "laod"], "laod"),
        (["backup"], "ommand"),
        (["backup", "check", "b1", "--level", "9"], "--level"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_2(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, api=RecordedApi()) == 2
    assert word in capsys.readouterr().err
    assert main([*arguments, "--json"], api=RecordedApi()) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == 2
    assert err == ""


def test_interrupted_says_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "m.yaml"], api=RecordedApi(run=KeyboardInterrupt())) == 9
    assert "Run the same command again to resume" in capsys.readouterr().err


def test_debug_shows_the_traceback_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: Any, **__: Any) -> None:
        try:
            raise ValueError(
                "postgresql://ada:hunter2@db/crm refused\nDETAIL:  Key (mail)=(ada@example.com) exists."
            )
        except ValueError as cause:
            raise RuntimeError("could not connect password='s e c' to it") from cause

    assert main(["run", "m.yaml", "--debug"], api=RecordedApi(run=fails)) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "postgresql://ada:***@db/crm" in err
    for secret in ("hunter2", "ada@example.com", "s e c"):
        assert secret not in err


def test_a_bug_is_told_with_its_place_and_not_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "m.yaml"], api=RecordedApi(run=KeyError("Lovelace"))) == 1
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert "--debug" in err
    assert "migrate/cli/" in err
    assert "Lovelace" not in err


def test_an_error_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = errors.UsageError("table \x1b]0;owned\x07 [red]x[/red] \u202egnp.exe")
    assert main(["run", "m.yaml"], api=RecordedApi(run=hostile)) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert "[red]x[/red]" in err


@pytest.mark.parametrize(
    ("state", "code"), [("failed", 3), ("interrupted", 9), ("stopped", 0), ("partial", 0)]
)
def test_a_run_that_came_back_without_success_carries_an_error(
    state: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = {k: v for k, v in RUN.items() if k != "exit_code"} | {"state": state}
    assert main(["run", "m.yaml", "--json"], api=RecordedApi(run=shape)) == code
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == state
    assert ("error" in told) == (code != 0)
    if code:
        assert told["error"]["code"] == code


@pytest.mark.promise(16)
def test_p16_only_a_verified_run_is_called_verified(capsys: pytest.CaptureFixture[str]) -> None:
    for state in ("failed", "stopped", "partial", "interrupted", "running", "rolled_back", "something new"):
        shape = RUN | {"state": state, "exit_code": 0}
        main(["run", "m.yaml"], api=RecordedApi(run=shape))
        first = capsys.readouterr().out.splitlines()[0]
        assert not first.startswith("Verified"), first
    main(["run", "m.yaml"], api=RecordedApi())
    assert capsys.readouterr().out.startswith("Verified")


@pytest.mark.promise(30)
@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([("L2", True), ("L3", True)], 0),
        ([("L2", False), ("L3", True)], 6),
        ([("L3 people", False)], 6),
        ([("L4", False)], 3),
        ([("L3", True), ("L5 people", False)], 3),
        ([], 3),
    ],
)
def test_p30_a_backup_check_that_failed_or_was_not_made_is_no_success(
    checks: list[tuple[str, bool]], code: int
) -> None:
    verdicts = [{"check": c, "passed": p, "expected": "", "found": "", "reason": ""} for c, p in checks]
    assert main(["backup", "check", "b1"], api=RecordedApi(backup_check=verdicts)) == code


@pytest.mark.parametrize(
    "document", [{"verdicts": []}, {"verdicts": [{"check": "verify accounts", "passed": False}]}]
)
def test_verify_without_passed_checks_is_3(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "latest"], api=RecordedApi(verify=document)) == 3
    assert capsys.readouterr().out.startswith("Not verified")


def test_doctor_exits_with_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    found = [{"check": "disk", "passed": False, "found": "1 MB free", "hint": "Free some space."}]
    assert main(["doctor"], api=RecordedApi(doctor=found)) == 5
    assert "Free some space." in capsys.readouterr().out
