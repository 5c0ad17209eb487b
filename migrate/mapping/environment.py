"""References to the environment, `${NAME}` and `${NAME:-default}`, and the addresses of databases and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)
_UNKNOWN = "\ue000"  # stands for what only the environment knows

SCHEMES = ("postgresql", "mysql", "mariadb", "sqlite", "files")
LATER_SCHEMES = ("s3",)


def unresolved(text: str, environment: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """The text with its references replaced, and (message, hint) for each that cannot be; `$${` is a literal `${`."""
    problems: list[tuple[str, str]] = []

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        reference = _NAME.fullmatch(match["inside"])
        if reference is None or not match["end"]:
            problems.append(
                ("a ${…} here is not a reference", "write ${NAME} or ${NAME:-default}; a literal ${ is $${")
            )
            return ""
        name, default = reference["name"], reference["default"]
        found = environment.get(name)
        if default is not None:
            return found or default[2:]
        if found is None:
            problems.append(
                (f"the environment variable {name} is not set", f"set it, or write ${{{name}:-default}}")
            )
        return found or ""

    return _REFERENCE.sub(value, text), problems


def holds_password(text: str) -> bool:
    """Whether an address as the file has it holds a literal password (or a literal default of one)."""

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        reference = _NAME.fullmatch(match["inside"])
        default = reference["default"] if reference else None
        return default[2:] if default else _UNKNOWN

    expanded = _REFERENCE.sub(value, text)
    spoken = [m[1] for m in re.finditer(r"://[^/?#@:]*:([^/?#]*)@", expanded)]
    spoken += re.findall(r"(?i)[?&](?:\w*password|pass|passwd|pwd|secret|token)=([^&#]*)", expanded)
    spoken += re.findall(r"(?i)(?:^|\s)(?:password|pwd)\s*=\s*(\S+)", expanded)
    return any(part.replace(_UNKNOWN, "") for part in spoken)


def address_problem(url: str, role: str) -> tuple[str, str, str] | None:
    """(code, message, hint) for a resolved address that this version cannot use. Never shows the address."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if url.startswith("files:"):
        if role != "source":
            return (
                "wrong_value",
                f"a {role} is a database, not a folder of files",
                "use postgresql://, mysql:// or sqlite:///",
            )
        return (
            None
            if url.removeprefix("files:")
            else ("wrong_value", "`files:` names no folder", "for example files:exports/")
        )
    if scheme is None:
        return (
            "wrong_value",
            f"the {role}'s url is no address",
            "for example postgresql://…, mysql://…, sqlite:///folder/crm.db"
            + (" or files:exports/" if role == "source" else ""),
        )
    name = scheme[1]
    if name in LATER_SCHEMES:
        return (
            "later",
            f"`{name}://` belongs to the mapping language but is not built yet in this version",
            "",
        )
    if name not in (*SCHEMES, "postgres") or name == "files":
        hint = "the addresses are postgresql://…, mysql://… (or mariadb://…), sqlite:///… and files:…"
        return "wrong_value", f"`{name}://` is not an address that migrate knows", hint
    if name == "sqlite":
        if not url.startswith("sqlite:///"):
            return (
                "wrong_value",
                "a SQLite address has three slashes before the path",
                "sqlite:///folder/crm.db, sqlite:////absolute/crm.db",
            )
        file = url.removeprefix("sqlite:///").split("?")[0]
        if not file or file == ":memory:":
            return "wrong_value", "a SQLite address names a file", "for example sqlite:///folder/crm.db"
    return None


def absolute(url: str, base: Path) -> str:
    """Relative sqlite and files addresses made absolute below `base`; all others as they are."""
    if url.startswith("sqlite:///"):
        return f"sqlite:///{_below(url.removeprefix('sqlite:///'), base)}"
    if url.startswith("files:"):
        return f"files:{_below(url.removeprefix('files:').removeprefix('//'), base)}"
    return url


def _below(path: str, base: Path) -> str:
    return path if path.startswith("/") else f"{base}/{path.removeprefix('./')}"
