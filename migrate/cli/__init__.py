"""The command line. `main` is the one place that turns an error into an exit code."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from migrate.cli.seam import Api

if TYPE_CHECKING:
    from typer.core import TyperGroup


def entry() -> NoReturn:
    """The process of `migrate`: `main`, and nothing that comes later changes its exit code."""
    code = main()
    # All is done or told: Ctrl-C while the interpreter tidies up would only end in a traceback and another code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None, *, api: Api | None = None) -> int:
    """Carry out one command line and return its exit code; `api` takes the place of the program in tests.

    0 done and verified · 1 bug · 2 usage or mapping wrong · 3 gate closed · 4 too many rows quarantined ·
    5 cannot reach or not allowed · 6 corrupt bytes · 7 drift · 8 another run holds the target · 9 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal cannot show is escaped, never a crash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _carry_out(given, api)
        sys.stdout.flush()
    except BrokenPipeError:
        from migrate.cli.session import silence_stdout

        silence_stdout()
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every error ends here, as its exit code
        return _fail(error, given)
    return code


def _carry_out(given: list[str], api: Api | None) -> int:
    import typer

    from migrate.cli.session import Session

    session = Session() if api is None else Session(load=lambda: api)
    program = _program()
    try:
        with program.make_context("migrate", given or ["--help"], obj=session) as context:
            program.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return 0


@cache
def _program() -> TyperGroup:
    """All commands with their options: made of the functions' signatures once per process."""
    from typer.main import get_group

    from migrate.cli.app import app

    return get_group(app)


def _fail(error: BaseException, given: list[str]) -> int:
    from migrate.cli.failure import failure_of, traceback_of
    from migrate.report.clean import clean

    failure = failure_of(error)
    if "--debug" in given:
        print(traceback_of(error), file=sys.stderr)
    if "--json" in given:
        print(json.dumps({"error": failure.document}, indent=2))
    else:
        print(clean(failure.paragraph, limit=20_000, lines=True), file=sys.stderr)
    return failure.code
