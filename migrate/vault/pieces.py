"""A large table is captured piece by piece: several at the same time, and those that are done outlive a kill.

A finished piece is a folder with its parts and, written last, `piece.json`: what the server saw in it (its mark) and
what was read. Under a later snapshot the piece counts only if the server sees the same there; so all that is used
is of one snapshot. Pieces that others wrote, or that changed, are read again (F19, F20).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from migrate import canon, failpoints
from migrate.connectors.protocol import Divided
from migrate.durable import make_private_folder, sha256_file, write_bytes
from migrate.model import PartRef, Table
from migrate.parts import PartsWritten, write_parts

DONE = "piece.json"
PIECES = "pieces.json"  # all of a table's pieces, before the first one is read


def capture_pieces(
    snapshot: Divided,
    snapshot_id: str,
    table: Table,
    pieces: Sequence[str],
    folder: Path,
    *,
    on_part: Callable[[PartRef, Path], None],
    point: str,
    workers: int,
) -> PartsWritten:
    """All `pieces` of a table below `folder`, `workers` at a time; parts are numbered in the order of the pieces.

    `on_part` is told of every part that is whole on disk, and where. Pieces that an earlier capture left finished in `folder` are kept where their mark still holds. The first error
    ends it, once the pieces under way are done; what is finished stays for the next time."""
    make_private_folder(folder)
    wanted = {_folder(p) for p in pieces}
    for other in folder.iterdir():
        if other.is_dir() and other.name not in wanted:
            shutil.rmtree(other)
            failpoints.hit(f"{point}.piece_dropped")
    if known_pieces(folder, table) != tuple(pieces):
        said = {"layout": _layout(table), "pieces": list(pieces)}
        write_bytes(folder / PIECES, json.dumps(said).encode(), point=f"{point}.pieces")

    def one(piece: str) -> PartsWritten:
        return _piece(snapshot, snapshot_id, table, piece, folder / _folder(piece), on_part, point)

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="extract") as pool:
        running: list[Future[PartsWritten]] = [pool.submit(one, piece) for piece in pieces]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        failed = next((f.exception() for f in running if not f.cancelled() and f.exception()), None)
        if failed is not None:
            raise failed
        written = [f.result() for f in running]
    parts: list[PartRef] = []
    total = canon.Digest.EMPTY
    for piece, rows in zip(pieces, written, strict=True):
        for ref in rows.parts:
            parts.append(
                replace(ref, index=len(parts), path=f"{_folder(piece)}/{ref.path}", snapshot=snapshot_id)
            )
        total = total + rows.digest
    return PartsWritten(tuple(parts), total)


def known_pieces(folder: Path, table: Table) -> tuple[str, ...]:
    """The pieces of a capture into `folder` that did not finish, if the table is laid out as it was; else none."""
    path = folder / PIECES
    if not path.is_file():
        return ()
    said = json.loads(path.read_text())
    return tuple(said["pieces"]) if said["layout"] == _layout(table) else ()


def _folder(piece: str) -> str:
    """Names of pieces may be long, and hold what no name of a file may."""
    plain = re.fullmatch(r"[0-9]+-[0-9]*", piece) is not None
    return f"piece-{piece if plain else sha256(piece.encode()).hexdigest()[:32]}"


def _piece(
    snapshot: Divided,
    snapshot_id: str,
    table: Table,
    piece: str,
    folder: Path,
    on_part: Callable[[PartRef, Path], None],
    point: str,
) -> PartsWritten:
    mark = snapshot.mark(table.name, piece)
    kept = _kept(folder, mark, table)
    if kept is not None:
        failpoints.hit(f"{point}.piece_kept")
        for ref in kept.parts:
            on_part(ref, folder / ref.path)
        return kept
    shutil.rmtree(folder, ignore_errors=True)
    written = write_parts(
        snapshot.read_piece(table.name, piece),
        table=table.name,
        columns=table.columns,
        folder=folder,
        key=table.primary_key,
        snapshot=snapshot_id,
        point=point,
        on_part=lambda ref: on_part(ref, folder / ref.path),
    )
    said = {
        "mark": mark,
        "layout": _layout(table),
        "digest": written.digest.text(),
        "buckets": written.digest.buckets,
        "parts": [asdict(p) for p in written.parts],
    }
    write_bytes(folder / DONE, json.dumps(said).encode(), point=f"{point}.piece")
    return written


def _kept(folder: Path, mark: str, table: Table) -> PartsWritten | None:
    """What an earlier capture wrote of a piece, if the server sees the same rows today and the bytes are still there."""
    path = folder / DONE
    if not path.is_file():
        return None
    said = json.loads(path.read_text())
    parts = tuple(PartRef(**p) for p in said["parts"])
    if said["mark"] != mark or said["layout"] != _layout(table):
        return None
    for ref in parts:
        file = folder / ref.path
        if not file.is_file() or sha256_file(file) != ref.sha256:
            return None
    digest = replace(canon.Digest.parse(said["digest"]), buckets=tuple(tuple(b) for b in said["buckets"]))
    return PartsWritten(parts, digest) if digest.algorithm == canon.ALGORITHM else None


def _layout(table: Table) -> str:
    """What the rows travel as: other columns, types or keys make other parts."""
    return sha256(repr((table.columns, table.primary_key)).encode()).hexdigest()
