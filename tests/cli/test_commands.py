"""Every command: what it asks of the program, what a person reads, what a script reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from migrate.cli import main

from tests.cli.recorded import ANSWERS, QUARANTINE, ROLLBACK, RUN, RecordedApi

COMMANDS: list[tuple[list[str], str, Any]] = [
    (["demo"], "demo", None),
    (["plan", "m.yaml"], "plan", None),
    (["run", "m.yaml"], "run", None),
    (["status"], "status", None),
    (["runs"], "runs", None),
    (["verify", "latest"], "verify", None),
    (["report", "latest"], "report", None),
    (["dossier", "verify", "acme.zip"], "dossier_verify", None),
    (["rollback", "latest", "--yes"], "rollback", None),
    (["trace", "latest", "contacts", "000017"], "trace", None),
    (["quarantine", "list", "latest"], "quarantine", None),
    (["quarantine", "show", "latest", "9"], "quarantine", [QUARANTINE[1]]),
    (["audit", "crm.db"], "audit", None),
    (["quarantine", "cells", "latest"], "quarantine_cells", None),
    (["quarantine", "export", "latest", "out"], "quarantine_export", None),
    (["quarantine", "replay", "latest", "--from", "a.csv"], "quarantine_replay", None),
    (["test", "m.yaml"], "examples", None),
    (["preview", "m.yaml", "contacts", "--key", "000017"], "preview", None),
    (["dictionary", "m.yaml"], "dictionary", None),
    (["suggest", "sqlite:///a.db", "sqlite:///b.db"], "suggest", None),
    (["schema"], "schema", None),
    (["profile", "exports/"], "profile", None),
    (["duplicates", "find", "people.csv"], "duplicates_find", None),
    (["duplicates", "list", "latest"], "duplicates_list", None),
    (["duplicates", "accept", "latest", "3f2a90c1d4e5b677"], "duplicates_accept", None),
    (["duplicates", "reject", "latest", "3f2a90c1d4e5b677"], "duplicates_reject", None),
    (["backup", "list"], "backups", None),
    (["backup", "create", "crm.db"], "backup_create", None),
    (["backup", "prune", "--keep", "3"], "backup_prune", None),
    (["backup", "keygen", "keys", "--signing"], "backup_keygen", None),
    (["erase", "--system", "crm", "--table", "people", "--key", "17"], "erase", None),
    (["backup", "show", "b1"], "backup_show", None),
    (["backup", "check", "b1"], "backup_check", None),
    (["backup", "restore", "b1", "--into", "sqlite:///x.db"], "backup_restore", None),
    (["drill", "latest"], "drill", None),
    (["drills"], "drills", None),
    (["schedule", "s.yaml", "--job", "nightly"], "schedule", None),
    (["doctor"], "doctor", None),
]
NAMES = [" ".join(arguments[:2]) for arguments, _, _ in COMMANDS]


@pytest.mark.parametrize(("arguments", "function", "document"), COMMANDS, ids=NAMES)
def test_json_is_the_programs_document_and_nothing_else(
    arguments: list[str], function: str, document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    api = RecordedApi()
    for line in ([*arguments, "--json"], ["--json", *arguments]):
        assert main(line, api=api) == 0
        out, err = capsys.readouterr()
        assert json.loads(out) == (ANSWERS[function] if document is None else document)
        assert err == ""
    assert api.last()[0] == function


@pytest.mark.parametrize(("arguments", "function", "document"), COMMANDS, ids=NAMES)
def test_people_read_stdout_in_80_columns(
    arguments: list[str],
    function: str,
    document: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(arguments, api=RecordedApi()) == 0
    out, err = capsys.readouterr()
    assert out.strip()
    assert err == ""
    long = [line for line in out.splitlines() if len(line) > 80]
    assert all(line.startswith(("Report: ", "Look: ")) for line in long) or function in (
        "schema",
        "dictionary",
        "suggest",
    ), long


def test_run_passes_its_options_on(tmp_path: Path) -> None:
    api = RecordedApi()
    line = "run m.yaml --to restore-test --only accounts --only contacts --fresh --workers 4"
    assert main([*line.split(), "--home", str(tmp_path)], api=api) == 0
    name, given, named = api.last()
    assert (name, given) == ("run", (Path("m.yaml"),))
    assert {k: v for k, v in named.items() if k != "progress"} == {
        "to": "restore-test",
        "only": ("accounts", "contacts"),
        "fresh": True,
        "workers": 4,
        "plan": None,
        "home": tmp_path,
    }


def test_home_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIGRATE_HOME", str(tmp_path))
    api = RecordedApi()
    main(["runs"], api=api)
    assert api.last()[2]["home"] == tmp_path
    main(["--home", "elsewhere", "runs"], api=api)
    assert api.last()[2]["home"] == Path("elsewhere")


def test_a_run_given_by_parts_of_a_key_is_traced_by_the_whole_key() -> None:
    api = RecordedApi()
    main(["trace", "latest", "phones", "4711", "wörk"], api=api)
    assert api.last()[1] == ("latest", "phones", '["4711","wörk"]')
    main(["trace", "latest", "phones", "4711"], api=api)
    assert api.last()[1] == ("latest", "phones", "4711")


def test_a_key_of_several_columns_is_previewed_part_by_part() -> None:
    api = RecordedApi()
    main(["preview", "m.yaml", "phones", "--key", "4711", "--key", "wörk"], api=api)
    assert api.last()[1] == (Path("m.yaml"), "phones", '["4711","wörk"]')
    assert main(["preview", "m.yaml", "phones"], api=api) == 2


def test_a_backup_is_shown_with_every_check_as_it_came_out_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "show", "b1"], api=RecordedApi()) == 0
    said = capsys.readouterr().out
    assert "Backup b1: 2 tables, 2,020 rows." in said
    assert "not encrypted and not signed" in said
    assert "not carried: people: trigger stamp" in said
    assert "not carried: view everybody" in said
    assert "L5 values: 2 tables, 2026-11-02 00:00:00" in said
    assert "L2 bytes: expected x, found y. torn" in said
    assert "expected a, found b" not in said


@pytest.mark.parametrize("typed", ["000017", '["000017"]'])
def test_quarantine_show_finds_a_key_as_people_type_it(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quarantine", "show", "latest", typed], api=RecordedApi()) == 0
    out = capsys.readouterr().out
    assert "ada@" in out
    assert "email has not the expected form" in out


@pytest.mark.parametrize(
    "typed",
    [
        ["contacts", "000017"],
        ["000017", "contacts"],
        ["000017", "--entity", "contacts"],
        ['["000017"]', "contacts"],
    ],
)
def test_quarantine_show_takes_entity_and_key_in_either_order(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quarantine", "show", "latest", *typed], api=RecordedApi()) == 0
    assert "ada@" in capsys.readouterr().out


def test_quarantine_show_does_not_choose_between_two_rows_that_the_words_may_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{**QUARANTINE[0], "key": '["accounts"]'}, {**QUARANTINE[1], "key": '["contacts"]'}]
    words = ["quarantine", "show", "latest", "contacts", "accounts"]
    assert main(words, api=RecordedApi(quarantine=rows)) == 2
    assert "more than one row" in capsys.readouterr().err
    assert main([*words[:3], "accounts", "--entity", "contacts"], api=RecordedApi(quarantine=rows)) == 0


def test_trace_takes_the_entity_as_an_option_too_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = RecordedApi()
    main(["trace", "latest", "4711", "work", "--entity", "phones"], api=api)
    assert api.last()[1] == ("latest", "phones", '["4711","work"]')
    capsys.readouterr()
    assert main(["trace", "latest", "phones"], api=RecordedApi()) == 2
    assert "migrate trace latest ENTITY KEY" in capsys.readouterr().err


def test_quarantine_show_of_another_key_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "show", "latest", "17"], api=RecordedApi()) == 2
    assert "no quarantined row" in capsys.readouterr().err


def test_plan_writes_its_document_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.json"
    assert main(["plan", "m.yaml", "--out", str(out)], api=RecordedApi()) == 0
    assert json.loads(out.read_text()) == ANSWERS["plan"]
    assert "fax is not used" in capsys.readouterr().out
    assert main(["plan", "m.yaml", "--out", str(tmp_path)], api=RecordedApi()) == 2


def test_rollback_asks_and_does_nothing_where_nobody_can_answer(capsys: pytest.CaptureFixture[str]) -> None:
    api = RecordedApi()
    assert main(["rollback", "latest"], api=api) == 2
    assert api.asked == []
    assert "--yes" in capsys.readouterr().err
    assert main(["rollback", "latest", "--preview"], api=api) == 0
    assert api.last()[2]["preview"] is True


def test_rollback_without_proof_closes_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    unproven = ROLLBACK | {"proof": {"passed": False, "differences": ["accounts: 1 row"]}}
    api = RecordedApi(rollback=unproven)
    assert main(["rollback", "latest", "--yes", "--only", "accounts", "--force", "deals"], api=api) == 3
    assert "accounts: 1 row" in capsys.readouterr().out
    assert (api.last()[2]["only"], api.last()[2]["force"]) == (("accounts",), ("deals",))


def test_run_shows_what_its_report_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    counts = [{"entity": "deals", "field": "amount", "code": "db_check", "count": 3}]
    report.write_text(json.dumps({"format": 1, "quarantine": counts, "peak_mb": 321.0}))
    shape = {k: v for k, v in RUN.items() if k not in ("quarantine", "peak_mb")} | {"report": str(report)}
    assert main(["run", "m.yaml"], api=RecordedApi(run=shape)) == 0
    out = capsys.readouterr().out
    assert "deals.amount" in out
    assert "321 MB" in out
    report.write_text("garbage")
    assert main(["run", "m.yaml"], api=RecordedApi(run=shape)) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "m.yaml", "--engine", "spark"],
    ],
    ids=" ".join,
)
def test_what_is_not_built_yet_says_so(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    api = RecordedApi()
    assert main(arguments, api=api) == 2
    out, err = capsys.readouterr()
    assert "not built yet in this version" in err
    assert out == ""
    assert api.asked == []
