"""Where keys come from, and that they go nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from migrate.errors import Unreachable, UsageError
from migrate.vault import signature
from migrate.vault.keys import Keys, keys_from, keys_of_environment, read_secret

SECRET = "AGE-SECRET-KEY-1QQQQ"


class InMemory(KeyringBackend):
    """A keyring of tests: one entry, or locked."""

    priority = 1
    locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("no")
        return SECRET if (service, username) == ("migrate", "identity") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture
def ring() -> Iterator[InMemory]:
    mine = InMemory()  # type: ignore[no-untyped-call]  # its base's
    before = keyring.get_keyring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


def test_a_key_out_of_the_keyring(ring: InMemory, tmp_path: Path) -> None:
    keys = keys_from(identity="keyring:migrate/identity", base=tmp_path)
    assert keys.identities == (SECRET,)
    assert SECRET not in repr(keys)
    with pytest.raises(Unreachable, match="has nothing under that name"):
        read_secret("keyring:migrate/other", "the key", tmp_path)
    with pytest.raises(UsageError, match="SERVICE/NAME"):
        read_secret("keyring:migrate", "the key", tmp_path)
    ring.locked = True
    with pytest.raises(Unreachable, match="did not give"):
        read_secret("keyring:migrate/identity", "the key", tmp_path)


def test_keys_out_of_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team.txt").write_text("# the team\nage1aaa\nssh-ed25519 AAAA somebody\n\n")
    (tmp_path / "id.txt").write_text(f"# mine\n{SECRET}\n")
    keys = keys_of_environment(
        {
            "MIGRATE_BACKUP_RECIPIENTS": "team.txt, age1bbb,age1aaa",
            "MIGRATE_BACKUP_IDENTITY": "id.txt",
            "MIGRATE_BACKUP_REQUIRE_SIGNATURE": "yes",
        }
    )
    assert keys.recipients == ("age1aaa", "ssh-ed25519 AAAA somebody", "age1bbb")
    assert SECRET in keys.identities[0]
    assert keys.require_signature
    assert keys_of_environment({}) == Keys()


@pytest.mark.parametrize(
    "content", [b"", b"nothing of the kind\n", b"age1aaa\nand more\n", b"\xff\xfe\x00", b"x" * (2 << 20)]
)
def test_what_is_no_file_of_recipients_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "team.txt").write_bytes(content)
    with pytest.raises(UsageError):
        keys_from(recipients=["team.txt"], base=tmp_path)


def test_what_is_given_goes_before_the_environment() -> None:
    assert Keys(recipients=("age1a",)).over(Keys(recipients=("age1b",), erasure="s")) == Keys(
        recipients=("age1a",), erasure="s"
    )


_PRIVATE_PEM = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"
_PUBLIC_PEM = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    "content",
    [
        _PRIVATE_PEM + _PUBLIC_PEM,
        _PUBLIC_PEM + _PRIVATE_PEM,
        _PRIVATE_PEM,
        f"age1aaa\n{SECRET}\n",
        f"{SECRET}\nage1aaa\n",
    ],
)
def test_a_file_of_public_keys_with_a_secret_one_in_it_is_refused_and_not_shown(
    content: str, tmp_path: Path
) -> None:
    (tmp_path / "team.pem").write_text(content)
    for given in ({"trusted": ["team.pem"]}, {"recipients": ["team.pem"]}):
        with pytest.raises(UsageError, match="holds a secret key") as refused:
            keys_from(**given, base=tmp_path)  # type: ignore[arg-type]
        assert "CANARY" not in str(refused.value)
        assert SECRET not in str(refused.value)


def test_what_is_no_public_key_is_not_shown() -> None:
    with pytest.raises(UsageError, match="no Ed25519 public key") as refused:
        signature.check_keys(Keys(trusted=("ed25519:CANARY",)))
    assert "CANARY" not in str(refused.value)
