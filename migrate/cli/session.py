"""What every command has: the options that work everywhere, the program behind them, and a way to answer.

`command` turns a short function into a typer command: the function names its own parameters and
takes the `Session` first; the common options are added here, once, before or after the command's name.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrate.cli.progress import progress_on_stderr
from migrate.cli.seam import Api, Progress
from migrate.cli.signals import interruptible
from migrate.errors import UsageError

if TYPE_CHECKING:
    from logging import Logger

    from rich.console import Console

_HOME_HELP = "State folder; default: $MIGRATE_HOME, else .migrate beside the mapping."
Home = Annotated[Path | None, typer.Option("--home", metavar="DIR", help=_HOME_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Log to stderr; -vv logs more.")
]
LogJson = Annotated[bool, typer.Option("--log-json", help="Log to stderr, one JSON object per line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def load_api() -> Api:
    """The program; imported here, so that `--help` does not wait for it."""
    from migrate import api

    return api


@dataclass(frozen=True)
class Session:
    """One command's surroundings; frozen, made new where an option is given after the command's name."""

    load: Callable[[], Api] = load_api
    json: bool = False
    home: Path | None = None
    verbose: int = 0
    log_json: bool = False
    debug: bool = False

    @property
    def api(self) -> Api:
        return self.load()

    def answer(self, document: Any, view: Callable[[Console], None]) -> None:
        """Print the document, or let `view` show it to a person. A reader who went away is no error."""
        try:
            if self.json:
                sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")
            else:
                from migrate.report.terminal import console_on

                view(console_on(sys.stdout))
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()

    def as_json(self) -> Session:
        """The same, answering in JSON: for documents that have no other form."""
        return replace(self, json=True)

    @contextmanager
    def at_work(self) -> Iterator[Progress | None]:
        """Around everything that takes long: progress on stderr, and signals that leave a resumable run."""
        with interruptible(), progress_on_stderr(self._log(), bars=False if self.json else None) as progress:
            yield progress

    def _log(self) -> Logger | None:
        if not self.verbose and not self.log_json:
            return None
        from migrate.cli.logs import start_logging

        return start_logging(self.verbose, as_json=self.log_json)


def silence_stdout() -> None:
    """After a broken pipe: what is still buffered goes nowhere, also at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def finish(code: int) -> None:
    """End the command with this exit code; 0 goes on to the end."""
    if code:
        raise typer.Exit(code)


def not_built(what: str) -> UsageError:
    return UsageError(f"{what} is not built yet in this version.", hint="See: migrate --help")


def _home_of_environment() -> Path | None:
    named = os.environ.get("MIGRATE_HOME")
    return Path(named) if named else None


def common_session(
    context: typer.Context,
    *,
    home: Path | None,
    json: bool,
    verbose: int,
    log_json: bool,
    debug: bool,
) -> Session:
    """The session so far with what was given at this place; an option that is left out changes nothing."""
    so_far = context.obj if isinstance(context.obj, Session) else Session()
    return replace(
        so_far,
        home=home or so_far.home or _home_of_environment(),
        json=json or so_far.json,
        verbose=max(verbose, so_far.verbose),
        log_json=log_json or so_far.log_json,
        debug=debug or so_far.debug,
    )


_COMMON = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("json", False, Json),
        ("home", None, Home),
        ("verbose", 0, Verbose),
        ("log_json", False, LogJson),
        ("debug", False, Debug),
    )
]


def command(
    app: typer.Typer, name: str, **settings: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make `function(session, …)` the command `name` of `app`; its docstring is the help."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def carried_out(context: typer.Context, **given: Any) -> None:
            common: Mapping[str, Any] = {p.name: given.pop(p.name) for p in _COMMON}
            function(common_session(context, **common), **given)

        first = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        parameters = [first, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *_COMMON]
        carried_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        carried_out.__annotations__ = {p.name: p.annotation for p in parameters}
        carried_out.__doc__ = function.__doc__
        first_line = inspect.cleandoc(function.__doc__ or "").partition("\n")[0]
        app.command(name, short_help=first_line, **settings)(carried_out)
        return function

    return register


def group(help: str) -> typer.Typer:
    """A set of commands. Plain help texts: they work on every terminal and are quick to start."""
    return typer.Typer(
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
