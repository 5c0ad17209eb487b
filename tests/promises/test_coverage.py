"""Which promises and sentences of the fine print are held by a test, read off the tests themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

WHOLE_RUNS = {1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 23, 27, 28, 32}
FINE_PRINT = {*range(1, 26), 27, 30, 33, 34, 35, 36, 37}

NOT_BUILT: dict[int, str] = {}  # number → what is missing, as long as something is


def _numbers(decorators: list[ast.expr], marker: str) -> Iterator[int]:
    """N of every `@pytest.mark.MARKER(N)`."""
    for found in decorators:
        match found:
            case ast.Call(
                func=ast.Attribute(attr=name, value=ast.Attribute(attr="mark")),
                args=[ast.Constant(value=int(number))],
            ) if name == marker:
                yield number


@cache
def marked(marker: str, folder: Path = TESTS) -> dict[int, list[str]]:
    """Number → tests that carry it; a mark on a class is its tests'."""
    found: dict[int, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                for number in _numbers(node.decorator_list, marker):
                    assert node.name.startswith(("test_", "Test")), f"{path}: {node.name} is no test"
                    found.setdefault(number, []).append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


@pytest.mark.parametrize("number", sorted(WHOLE_RUNS))
def test_every_promise_is_held_over_whole_runs(number: int) -> None:
    assert marked("promise", Path(__file__).parent).get(number)


@pytest.mark.parametrize("number", sorted(FINE_PRINT - set(NOT_BUILT)))
def test_every_built_sentence_of_the_fine_print_has_a_test(number: int) -> None:
    assert marked("fineprint").get(number)


# Sentences about what a database does. 4 is of PostgreSQL's driver, 22 of SQLite; 16 and 18 are of what is decided on
# backups, where no engine takes part.
OF_DATABASES = {"mysql": {*range(1, 4), *range(5, 16), 17, 19, 20, 21, 23, 25, 26, 27}}
WORDS = {"mysql": ("mysql", "mariadb", "my_database")}


def tried_on(engine: str) -> set[int]:
    """Numbers of the fine print with a test whose file, parameters or fixtures name the engine, or that is of all."""
    found: set[int] = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        # a module's own list of engines, or the one that it imports, which has all of them
        own = next((line for line in text.splitlines() if line.startswith("ENGINES =")), "mysql")
        everywhere = path.parent.name == "contracts" or any(word in path.name for word in WORDS[engine])
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (
                numbers := set(_numbers(node.decorator_list, "fineprint"))
            ):
                said = " ".join(ast.unparse(part) for part in (*node.decorator_list, node.args))
                said = said.replace("ENGINES", own)
                fixed = "fixture(params=ENGINES)" in text and "world" in ast.unparse(node.args)
                if everywhere or fixed or any(word in said for word in WORDS[engine]):
                    found |= numbers
    return found


@pytest.mark.parametrize("engine", sorted(OF_DATABASES))
def test_what_is_said_of_databases_is_tried_on_each(engine: str) -> None:
    assert OF_DATABASES[engine] - tried_on(engine) == set()


def test_what_is_called_not_built_has_no_test_that_says_otherwise() -> None:
    """When one of these is built, its test takes it off the list."""
    assert set(NOT_BUILT) <= FINE_PRINT
    assert {n: marked("fineprint").get(n, []) for n in NOT_BUILT} == {n: [] for n in NOT_BUILT}


def test_numbers_exist() -> None:
    assert set(marked("promise")) <= set(range(1, 33))
    assert set(marked("fineprint")) <= set(range(1, 38))
