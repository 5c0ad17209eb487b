"""Writes docs/fidelity.md anew: `python -m tests.fidelity`."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path

import psycopg

from tests import mariadb, services
from tests.conftest import database_url
from tests.fidelity.page import PAGE, section, whole
from tests.fidelity.pairs import PAIRS, try_pair


def main() -> int:
    server = services.postgres_url()
    if server is None:
        print("no PostgreSQL: see tests/services.py", file=sys.stderr)
        return 5
    other = mariadb.mariadb_url()
    if other is None:
        print("no MariaDB: see tests/mariadb.py", file=sys.stderr)
        return 5
    names: list[str] = []
    on_mariadb: list[str] = []

    def make_mysql() -> str:
        on_mariadb.append(f"t_fidelity_{secrets.token_hex(6)}")
        return mariadb.create_database(other, on_mariadb[-1])

    def make() -> str:
        names.append(f"t_fidelity_{secrets.token_hex(6)}")
        with psycopg.connect(server, autocommit=True) as connection:
            services.create_database(connection, names[-1])
        return database_url(server, names[-1])

    sections: dict[tuple[str, str], str] = {}
    try:
        for source, target in PAIRS:
            with tempfile.TemporaryDirectory(prefix="migrate-fidelity-") as folder:
                found, without = try_pair(
                    source, target, Path(folder), {"postgresql": make, "mysql": make_mysql}
                )
            if without:
                print(f"this server has no {', '.join(sorted(without))}: use one that has", file=sys.stderr)
                return 5
            wrong = [(b.lane.case.type, v) for b in found for v in b.values if v.startswith("changed")]
            if wrong:
                print(f"{source} into {target}: {wrong}", file=sys.stderr)
                return 3
            sections[source, target] = section(source, target, found)
            print(f"{source} into {target}: {len(found)} columns")
    finally:
        for name in on_mariadb:
            mariadb.drop_database(other, name)
        with psycopg.connect(server, autocommit=True) as connection:
            for name in names:
                services.drop_database(connection, name)
    PAGE.write_text(whole(sections), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
