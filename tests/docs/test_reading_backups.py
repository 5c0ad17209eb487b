"""What docs/backups.md says of reading a backup without this program, followed line by line.

Once with the real `age`, where it is installed, and once with its library in its place; `duckdb` is stood in for by its
module where the program is not here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from migrate import api

from tests.runs import Db, command

DOCS = Path(__file__).parents[2] / "docs" / "backups.md"
AGE = """#!{python}
import sys, pyrage
_, decrypt, option, key, file = sys.argv
assert (decrypt, option) == ("-d", "-i"), sys.argv
line = [l for l in open(key).read().splitlines() if l and not l.startswith("#")][0]
identity = pyrage.x25519.Identity.from_str(line)
sys.stdout.buffer.write(pyrage.decrypt(open(file, "rb").read(), [identity]))
"""
DUCKDB = """#!{python}
import sys, duckdb
assert sys.argv[1] == "-c", sys.argv
for row in duckdb.sql(sys.argv[2]).fetchall():
    print(*row)
"""


@pytest.fixture(params=["the real age", "its library"])
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH on which age and duckdb are found."""
    real = request.param == "the real age"
    if real and shutil.which("age") is None:
        pytest.skip("age is not installed here (Debian: apt-get install age): read with its library only")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("age", AGE), ("duckdb", DUCKDB)):
        if (name == "age" and not real) or shutil.which(name) is None:
            (folder / name).write_text(text.format(python=sys.executable))
            (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.fineprint(30)
def test_an_encrypted_backup_is_read_without_this_program(tmp_path: Path, tools: str) -> None:
    crm = Db(f"sqlite:///{tmp_path}/crm.db")
    crm.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    crm.fill("people", [(1, "Ada"), (2, "Bob")])
    made = api.backup_keygen(tmp_path / "escrow")
    done = command(
        "backup", "create", str(crm.path), "-r", made["public"], "-i", made["secret_file"], "--json",
        "--store", str(tmp_path / "backups"), "--home", str(tmp_path / "home"),
    )  # fmt: skip
    assert done.code == 0, done.out
    (stored,) = (tmp_path / "backups" / "objects").iterdir()

    section = DOCS.read_text().partition("## Read without this program\n")[2]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:1]
    script = block.replace("/media/escrow/backup-identity.txt", made["secret_file"])
    script = re.sub(r"backups/\S+", f"backups/{done.document['backup']}", script)
    script = re.sub(r"(objects/)[0-9a-f]+…", rf"\g<1>{stored.name}", script)
    assert "…" not in script
    said = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "schema.json.age: OK" in said.stdout
    assert f"../objects/{stored.name}: OK" in said.stdout
    assert '"name": "people"' in said.stdout
    assert f"objects/{stored.name}" in said.stdout.partition('"table": "people"')[2], "the manifest names it"
    assert re.search(r"Ada.*\n.*Bob", said.stdout)
