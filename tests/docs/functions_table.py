"""The table of `do` functions in docs/mapping.md. `python -m tests.docs.functions_table` writes it anew."""

from __future__ import annotations

from pathlib import Path

from migrate.mapping.function_spec import FAILS, Argument, Arguments, FromColumn, FunctionSpec, Parameter, Row
from migrate.mapping.functions import FUNCTIONS

MAPPING = Path(__file__).parents[2] / "docs" / "mapping.md"
BEGIN, END = "<!-- functions: begin -->\n", "<!-- functions: end -->"


def table() -> str:
    """Markdown: one row per function, in the order of FUNCTIONS."""
    rows = ["| function | does | parameters | examples |", "|---|---|---|---|"]
    rows += [
        f"| `{spec.name}` | {_cell(spec.summary)} | {parameters(spec)} | {_examples(spec)} |"
        for spec in FUNCTIONS.values()
    ]
    return "\n".join(rows) + "\n"


def written() -> str:
    """What stands between the markers of docs/mapping.md."""
    return MAPPING.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write() -> None:
    before, _, rest = MAPPING.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    MAPPING.write_text(before + BEGIN + table() + END + after, encoding="utf-8")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\\1 to \\9", "`\\1` to `\\9`").replace("\\\\ is", "`\\\\` is")


def parameters(spec: FunctionSpec) -> str:
    """What can be said to a function or a rule, with defaults."""
    all_ = [*spec.parameters, *([spec.rest] if spec.rest else [])]
    return "<br>".join(_parameter(p) for p in all_) or "none"


def _parameter(parameter: Parameter) -> str:
    notes = []
    if parameter.required:
        notes.append("required")
    if parameter.choices:
        notes.append(" or ".join(_code(c) for c in parameter.choices))
    if parameter.default not in (None, ()):
        notes.append(f"default {_default(parameter.default)}")
    return f"`{parameter.name}`: {_cell(parameter.summary)}" + (f" ({'; '.join(notes)})" if notes else "")


def _default(value: object) -> str:
    return " ".join(_code(v) for v in value) if isinstance(value, tuple) else _code(value)


def _examples(spec: FunctionSpec) -> str:
    shown = [e for e in spec.examples if e[0] is not None]
    return "<br>".join(
        f"{_step(spec.name, given)}{_given(value)} → {_result(result)}" for value, given, result in shown
    )


def _given(value: object) -> str:
    if not isinstance(value, Row):
        return _code(value)
    others = ", ".join(f"{name} {_null(text)}" for name, text in value.columns.items())
    return f"{_null(value.value)} (and {others})"


def _null(value: object) -> str:
    return "NULL" if value is None else _code(value)


def _result(result: object) -> str:
    return "fails" if result is FAILS else "NULL" if result is None else _code(result)


def step(name: str, given: Arguments) -> str:
    """A step of `do` as a mapping has it."""
    return name if given is None else f"{{{name}: {_yaml(given)}}}"


def _step(name: str, given: Arguments) -> str:
    return "" if given is None else f"{_code(step(name, given), plain=True)}: "


def _yaml(given: Argument | dict[str, Argument]) -> str:
    if isinstance(given, FromColumn):
        return f"{{from: {given.from_}}}"
    if isinstance(given, dict):
        return "{" + ", ".join(f"{_yaml(k)}: {_yaml(v)}" for k, v in given.items()) + "}"
    if isinstance(given, tuple):
        return "[" + ", ".join(_yaml(v) for v in given) + "]"
    bare = (
        given.isascii()
        and given.replace(" ", "").replace(":", "").replace("/", "").replace("-", "").isalnum()
    )
    if bare and given == given.strip() and ": " not in given and not given.startswith("-"):
        return given
    return "'" + given.replace("'", "''") + "'"


def _code(value: object, *, plain: bool = False) -> str:
    """Code in a cell; texts in quotes where their ends or their emptiness would not show, unseen characters escaped."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    if not plain and (text != text.strip() or not text or "  " in text):
        text = f'"{text}"'
    return "`" + text.replace("|", "\\|") + "`"


if __name__ == "__main__":
    write()
