"""Durable files: the order of the system calls, and what is left when one of them fails."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from migrate import durable, failpoints
from migrate.errors import Unreachable

MOMENTS = ("written", "fsynced", "renamed", "folder_fsynced")


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the durable system calls in the order made; fsync says whether of a file or a folder."""
    made: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        made.append("fsync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "fsync file")
        real_fsync(fd)

    def rename(src: Path, dst: Path) -> None:
        made.append("rename")
        real_rename(src, dst)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    return made


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_data_fsync_rename_folder_fsync_in_this_order(tmp_path: Path, calls: list[str]) -> None:
    durable.write_bytes(tmp_path / "a", b"abc", point="t")
    assert calls == ["fsync file", "rename", "fsync folder"]
    assert (tmp_path / "a").read_bytes() == b"abc"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert names(tmp_path) == ["a"]


def test_copy_and_link_keep_the_same_order(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "src").write_bytes(b"abc")
    durable.link_or_copy(tmp_path / "src", tmp_path / "dst", "t")
    assert calls == ["fsync file", "rename", "fsync folder"]
    assert (tmp_path / "src").stat().st_ino == (tmp_path / "dst").stat().st_ino
    durable.link_or_copy(tmp_path / "src", tmp_path / "dst", "t")  # both names are one file by now
    assert names(tmp_path) == ["dst", "src"]


def test_a_copy_is_made_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "src").write_bytes(b"abc")
    durable.link_or_copy(tmp_path / "src", tmp_path / "dst", "t")
    assert (tmp_path / "dst").read_bytes() == b"abc"
    assert (tmp_path / "src").stat().st_ino != (tmp_path / "dst").stat().st_ino


def test_a_symbolic_link_is_never_linked_or_copied(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "src").symlink_to(tmp_path / "secret")
    with pytest.raises(Unreachable):
        durable.link_or_copy(tmp_path / "src", tmp_path / "dst", "t")
    assert not (tmp_path / "dst").exists()


@pytest.mark.parametrize("action", ["raise", "enospc", "eio", "interrupt"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_failure_at_any_moment_leaves_nothing(tmp_path: Path, moment: str, action: str) -> None:
    failpoints.arm(f"t.{moment}:1:{action}")
    with pytest.raises(BaseException) as caught:
        durable.write_bytes(tmp_path / "a", b"abc", point="t")
    assert names(tmp_path) == []
    if action in ("enospc", "eio"):
        assert isinstance(caught.value, Unreachable)
        assert caught.value.exit_code == 5


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_fsync_is_never_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    tried = []

    def fsync(fd: int) -> None:
        tried.append(fd)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(Unreachable):
        durable.write_bytes(tmp_path / "a", b"new", point="t")
    assert len(tried) == 1
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_disk_that_is_full_while_the_body_writes(tmp_path: Path) -> None:
    with (
        pytest.raises(Unreachable, match="No space left") as caught,
        durable.atomic_file(tmp_path / "a", point="t"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "Free some space" in str(caught.value)
    assert names(tmp_path) == []


def test_other_errors_of_the_body_pass_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), durable.atomic_file(tmp_path / "a", point="t"):
        raise KeyError("x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_the_old_or_the_new_file_and_a_sweep_takes_the_rest(
    tmp_path: Path, moment: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    code = (
        "import sys; from pathlib import Path; from migrate import durable;"
        "durable.write_bytes(Path(sys.argv[1]), b'new', point='t')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        env=os.environ | {"MIGRATE_FAILPOINT": f"t.{moment}:1:kill"},
        check=False,
    )
    assert done.returncode == -9
    assert (tmp_path / "a").read_bytes() == (b"old" if moment in ("written", "fsynced") else b"new")
    durable.sweep_temporaries(tmp_path)
    assert names(tmp_path) == ["a"]


def test_private_folders(tmp_path: Path, calls: list[str]) -> None:
    durable.make_private_folder(tmp_path / "x" / "y")
    assert calls == ["fsync folder", "fsync folder"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "x", tmp_path / "x" / "y")} == {0o700}
    (tmp_path / "x" / "y").chmod(0o755)
    durable.make_private_folder(tmp_path / "x" / "y")
    assert stat.S_IMODE((tmp_path / "x" / "y").stat().st_mode) == 0o700


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert durable.sha256_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(Unreachable):
        durable.sha256_file(tmp_path / "missing")
