"""P31: an error that nobody hears of is success by accident. What the program's own text shows of that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import migrate
import pytest

PROGRAM = Path(migrate.__file__).parent
_ANY = {"Exception", "BaseException"}


def _names(node: ast.AST | None) -> set[str]:
    return set() if node is None else {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def ignored(text: str) -> Iterator[int]:
    """Lines where errors of any kind end: caught without being raised again or looked at, or suppressed."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _names(node.type) & _ANY):
            inside = [n for statement in node.body for n in ast.walk(statement)]
            raised = any(isinstance(n, ast.Raise) for n in inside)
            looked_at = any(isinstance(n, ast.Name) and n.id == node.name for n in inside)
            if not raised and not looked_at:
                yield node.lineno
        elif isinstance(node, ast.Call) and "suppress" in _names(node.func):
            yield from (node.lineno for argument in node.args if _names(argument) & _ANY)


@pytest.mark.promise(31)
def test_p31_the_program_ends_no_error_of_any_kind_in_silence() -> None:
    files = sorted(PROGRAM.rglob("*.py"))
    assert len(files) > 100
    found = [f"{path.relative_to(PROGRAM)}:{line}" for path in files for line in ignored(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept Exception:\n    pass\n",
        "try:\n    f()\nexcept:\n    log('went wrong')\n",
        "try:\n    f()\nexcept (OSError, BaseException) as error:\n    result = None\n",
        "with suppress(Exception):\n    f()\n",
    ],
)
def test_what_is_looked_for_is_found(text: str) -> None:
    assert list(ignored(text))


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept OSError:\n    pass\n",
        "try:\n    f()\nexcept Exception as error:\n    failed.append(error)\n",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n",
        "with suppress(FileNotFoundError):\n    f()\n",
    ],
)
def test_what_is_heard_of_is_left_alone(text: str) -> None:
    assert not list(ignored(text))
