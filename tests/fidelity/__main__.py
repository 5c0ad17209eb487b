"""Writes docs/fidelity.md anew: `python -m tests.fidelity`."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path

import psycopg

from tests import services
from tests.conftest import database_url
from tests.fidelity.page import PAGE, section, whole
from tests.fidelity.pairs import PAIRS, try_pair


def main() -> int:
    server = services.postgres_url()
    if server is None:
        print("no PostgreSQL: see tests/services.py", file=sys.stderr)
        return 5
    names: list[str] = []

    def make() -> str:
        names.append(f"t_fidelity_{secrets.token_hex(6)}")
        with psycopg.connect(server, autocommit=True) as connection:
            services.create_database(connection, names[-1])
        return database_url(server, names[-1])

    sections: dict[tuple[str, str], str] = {}
    try:
        for source, target in PAIRS:
            with tempfile.TemporaryDirectory(prefix="migrate-fidelity-") as folder:
                found, without = try_pair(source, target, Path(folder), make)
            if without:
                print(f"this server has no {', '.join(sorted(without))}: use one that has", file=sys.stderr)
                return 5
            sections[source, target] = section(source, target, found)
            print(f"{source} into {target}: {len(found)} columns")
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            for name in names:
                services.drop_database(connection, name)
    PAGE.write_text(whole(sections), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
