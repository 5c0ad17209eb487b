"""The parts of an .xlsx file: which member of the archive holds which sheet."""

from __future__ import annotations

import posixpath
import zipfile
from xml.etree import ElementTree

from migrate.errors import Corrupt

_LARGEST = 16 << 20  # bytes of workbook.xml and the like


def sheet_members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Sheet → member. Raises Corrupt, without the name of the file, and what ElementTree and zipfile raise."""
    book = next(iter(_related(archive, "").values()), "xl/workbook.xml")
    targets = _related(archive, book)
    found = {}
    for node in _described(archive, book).iter():
        if _local(node.tag) == "sheet":
            id_ = next((v for k, v in node.attrib.items() if k.endswith("}id")), "")
            found[node.get("name") or ""] = _member(archive, targets.get(id_, ""))
    return found


def _related(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Id → member of what a part of the package refers to; of the package itself only its document."""
    folder, name = posixpath.split(part)
    found = {}
    for node in _described(archive, posixpath.join(folder, "_rels", f"{name}.rels")):
        target = (node.get("Target") or "").replace("\\", "/")
        if part or (node.get("Type") or "").endswith("/officeDocument"):
            path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            found[node.get("Id") or ""] = posixpath.normpath(path)
    return found


def _described(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    with archive.open(_member(archive, part)) as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Corrupt("the description of the workbook is larger than any real one.")
    return ElementTree.fromstring(data)


def _member(archive: zipfile.ZipFile, part: str) -> str:
    """Its name as the archive spells it; some programs differ in case."""
    wanted = part.lower()
    for name in archive.namelist():
        if name.replace("\\", "/").lower() == wanted:
            return name
    raise Corrupt("the workbook refers to a part that is not there.")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
