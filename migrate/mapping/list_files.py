"""Lists that lie in text files beside the mapping: domains, addresses; one entry a line."""

from __future__ import annotations

import hashlib
from pathlib import Path

from migrate.mapping.map_files import Trouble, bytes_of, kept_name
from migrate.mapping.model import ListFile


def read_list_file(base: Path, file: str, kept: Path | None = None) -> ListFile | Trouble:
    """The lines of a UTF-8 file in small letters, without white space around them, empty ones and those after #.

    `kept`: a folder of copies (`kept_name`) that is looked into instead."""
    data = bytes_of(base / file if kept is None else kept / kept_name(file), file)
    if isinstance(data, Trouble):
        return data
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Trouble("file", f"{file}:{line} is not UTF-8", "save the file as UTF-8")
    if "\0" in text:
        return Trouble("file", f"{file} is no text", "it holds one entry a line")
    lines = (line.partition("#")[0].strip().lower() for line in text.splitlines())
    entries = frozenset(line for line in lines if line)
    if not entries:
        return Trouble("file", f"{file} has no entries", "one entry a line; what follows # is a comment")
    return ListFile(file=file, digest=hashlib.sha256(data).hexdigest(), entries=entries)
