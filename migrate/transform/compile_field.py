"""One field against the columns that are there and the column that it goes into."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from migrate.mapping.check_specs import condition_of
from migrate.mapping.functions import arguments_of
from migrate.mapping.model import Check, Default, Entity, Field, Step
from migrate.mapping.model import Origin as Stated
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Type
from migrate.transform import checks
from migrate.transform.compile_origin import Compiled, compile_origin
from migrate.transform.convert import DATES, NUMBERS, TEXTS, convert, impossible
from migrate.transform.entity import CompiledField, CompiledStep
from migrate.transform.quality import QUALITY
from migrate.transform.result_types import result_of, types_after
from migrate.transform.scope import Scope
from migrate.transform.sql import Prepared
from migrate.transform.values import TEXT, Values, as_series
from migrate.transform.witness import witnesses_of

_SHOWN = 10  # literals of one map that do not fit


def compile_field(name: str, field: Field, path: str, scope: Scope) -> CompiledField | None:
    """The field of the target column `name`, or None with what is wrong reported to `scope`."""
    column = scope.target_column(name, path)
    compiled = _compiled(name, field, path, scope, column)
    if compiled is None:
        return None
    _writable(compiled, path, scope)
    return replace(compiled, witnesses=witnesses_of(compiled, scope.entity.name, scope.mapping.checks))


def compile_into(name: str, field: Field, path: str, scope: Scope, column: Column) -> CompiledField | None:
    """A field of the type of `column` that is only a part of what its target column holds."""
    return _compiled(name, field, path, scope, column)


def compile_free(name: str, field: Field, path: str, scope: Scope) -> CompiledField | None:
    """A field that goes into no target column: its type is that of its own result. `name` stands in its reasons."""
    return _compiled(name, field, path, scope, None, free=True)


def compile_as_it_is(name: str, field: Field, path: str, scope: Scope) -> CompiledField | None:
    """A field of whose target column nothing is known: its type is that of its own result, or text, where literals of
    the mapping would not be of that type."""
    before = len(scope.problems)
    compiled = compile_free(name, field, path, scope)
    own = scope.problems[before:]
    if not any(problem.code == "literal" for problem in own):
        return compiled
    del scope.problems[before:]
    return _compiled(name, field, path, scope, Column(name, TEXT), free=True)


def _compiled(
    name: str, field: Field, path: str, scope: Scope, column: Column | None, *, free: bool = False
) -> CompiledField | None:
    before = len(scope.problems)
    origin = compile_origin(field, path, scope)
    when = scope.sql(field.when, f"{path}.when", boolean=True) if field.when is not None else None
    kind = scope.column(field.ref.kind, f"{path}.ref.kind") if field.ref and field.ref.kind else None
    for number, step in enumerate(field.do):
        _step_columns(step, f"{path}.do", number, scope)
    conditions = _conditions(field, path, scope)
    if origin is None or (column is None and not free) or len(scope.problems) > before:
        return None
    steps = _steps(field, origin, scope)
    if column is None:
        column = Column(name, result_of(field, steps, origin.type))
    compiled = CompiledField(
        name=name,
        field=field,
        column=column,
        origin=origin.origin,
        source_type=origin.type,
        reads=origin.reads.union(
            when.columns if when else (),
            (kind.name,) if kind else (),
            *(step.columns.values() for step in field.do),
            *(rule.columns.values() for rule in field.check),
            *(sql.columns for sql in conditions.values()),
        ),
        when=when.sql if when else None,
        steps=steps,
        conditions={stated: sql.sql for stated, sql in conditions.items()},
        lookup=scope.lookup(field.map) if field.map is not None and field.map.table is None else None,
        dates=scope.dates(origin.columns, path if _reads_dates(field, column) else None),
        zone=scope.zone(origin.columns, path if _reads_dates(field, column) else None),
        lossy="quarantine" if free else field.lossy or scope.mapping.policy.lossy,
        guarded=not free and not column.nullable and _may_be_written(scope.entity, name),
        free=free,
    )
    check_types(compiled, path, scope)
    _literals(compiled, path, scope)
    for number, check in enumerate(field.check):
        _check(compiled, check, f"{path}.check.{number}", scope)
    return compiled


def _conditions(field: Field, path: str, scope: Scope) -> dict[str, Prepared]:
    """The SQL of `expr` rules, as it can run; the columns that rules name are looked for too."""
    found: dict[str, Prepared] = {}
    for number, rule in enumerate(field.check):
        for argument, column in rule.columns.items():
            scope.column(column, ".".join(map(str, (_rule_path(rule, path, number, scope), *argument))))
        stated = condition_of(rule)
        if rule.name == "stale" and isinstance(rule.argument, dict):
            _amount(str(rule.argument.get("amount") or ""), rule, path, number, scope)
        if stated is not None:
            sql = f"coalesce(({stated}), false)" if rule.name == "stale" else stated  # NULL is no open deal
            prepared = scope.sql(sql, _rule_path(rule, path, number, scope), boolean=True)
            if prepared is not None:
                found[stated] = prepared
    return found


def _amount(name: str, rule: Check, path: str, number: int, scope: Scope) -> None:
    if name and name not in scope.entity.fields:
        hint = did_you_mean(name, scope.entity.fields)
        scope.wrong("unknown_name", _rule_path(rule, path, number, scope), f'no field gives "{name}"', hint)


def _rule_path(rule: Check, path: str, number: int, scope: Scope) -> str:
    """Where a rule stands; a single one stands in the file without its number."""
    single = f"{path}.check.{rule.name}"
    return (
        single
        if f"entities.{scope.entity.name}.{single}" in scope.mapping.positions
        else f"{path}.check.{number}.{rule.name}"
    )


def _steps(field: Field, origin: Compiled, scope: Scope) -> tuple[CompiledStep, ...]:
    """The `do` functions; those of `defaults` are for texts of the source only."""
    if field.do_if_text and (
        origin.type.kind not in (Kind.TEXT, Kind.MIXED) or any(c in scope.lets for c in origin.columns)
    ):
        return ()
    return tuple(
        CompiledStep(s.name, arguments_of(s) | {n: f.entries for n, f in s.lists.items()}, s.arguments)
        for s in field.do
    )


def _step_columns(step: Step, path: str, number: int, scope: Scope) -> None:
    """The columns that arguments of a step come from. A single step stands in the file without its number."""
    for argument, column in step.columns.items():
        inner = ".".join(map(str, (step.name, *argument)))
        single = f"entities.{scope.entity.name}.{path}.{step.name}" in scope.mapping.positions
        place = f"{path}.{inner}" if single else f"{path}.{number}.{inner}"
        found = scope.column(column, place)
        if found is not None and found.type.kind in (Kind.ARRAY, Kind.BYTES):
            scope.wrong("type", place, f'"{column}" holds {found.type.kind.value} values, which are no text')


def _reads_dates(field: Field, column: Column) -> bool:
    """Whether zone and formats of the source matter to the value."""
    return (
        column.type.kind in DATES
        or field.read_as in ("date", "timestamp", "timestamptz")
        or any(step.name in ("date", "timestamp") for step in field.do)
    )


def _writable(field: CompiledField, path: str, scope: Scope) -> None:
    column = field.column
    if column.generated is not None:
        scope.wrong(
            "generated_column", path, f'"{column.name}" is generated by the target and cannot be written'
        )
    elif column.identity == "always" and scope.entity.write != "link" and not _finds_by(scope, column):
        scope.wrong(
            "generated_column",
            path,
            f'"{column.name}" is GENERATED ALWAYS AS IDENTITY: the target gives its values',
            "leave the field out; references go through the crosswalk",
        )


def _finds_by(scope: Scope, column: Column) -> bool:
    """Is it the key by which rows are found, so that it is never written?"""
    return (
        scope.entity.write == "update"
        and column.name in scope.entity.match
        and column.name in scope.target.primary_key
    )


def _may_be_written(entity: Entity, field: str) -> bool:
    """Can an empty value of this field reach the target?"""
    return entity.inserts or (entity.updates and entity.on_existing(field) == "overwrite")


def check_types(field: CompiledField, path: str, scope: Scope) -> None:
    """The kind of value after every step, and whether the last one can become the target's type."""
    plain, kind = field.field, field.source_type.kind
    changed = bool(plain.read_as or field.steps or plain.map or plain.bands or field.refers)
    if kind is Kind.MIXED and (field.type.kind is not Kind.BYTES or field.steps):
        kind = Kind.TEXT
    if kind is Kind.BYTES and (changed or field.type.kind not in (Kind.BYTES, Kind.MIXED)):
        scope.wrong(
            "type",
            path,
            f"{_came(field)}bytes are no text: they go into a column of bytes only, as they are",
        )
        return
    if kind is Kind.ARRAY and changed:
        scope.wrong("type", path, f"{_came(field)}a list goes into a column of lists only, as it is")
        return
    wanted = field.type.kind
    for words, made in types_after(plain, field.steps, replace(field.source_type, kind=kind), wanted):
        if words.startswith("read_as") and (why := impossible(kind, made)):
            scope.wrong("type", path, f"{words}: {why}")
            return
        if words == "bands" and kind not in NUMBERS - {Kind.BOOL} and kind not in TEXTS:
            scope.wrong("type", path, f"bands are for numbers, and this is a {kind.value}")
            return
        if kind in (Kind.TIMESTAMP, Kind.DATE) and made.kind is Kind.TIMESTAMPTZ:
            _needs_zone(field, path, scope)
        kind = made.kind
    if field.refers:
        return
    if why := impossible(kind, field.type):
        if kind is Kind.OPAQUE and field.source_type.native.endswith("[]"):
            why = "arrays of arrays, or with NaN or infinity in them, are backed up and cannot be mapped"
        scope.wrong(
            "type", path, f'{_came(field, changed)}"{field.name}" holds {type_words(field.type)}: {why}'
        )
    elif kind in (Kind.TIMESTAMP, Kind.DATE) and field.type.kind is Kind.TIMESTAMPTZ:
        _needs_zone(field, path, scope)
    elif kind is Kind.TIMESTAMPTZ and field.type.kind is Kind.TIMESTAMP and field.zone is None:
        scope.wrong(
            "timezone",
            path,
            f'the target\'s "{field.name}" holds times without a zone, the source holds moments: nothing says which zone they are told in',
            "state `timezone:` for the source, the table or the column",
        )


def _came(field: CompiledField, changed: bool = False) -> str:
    """What the source declares, where a column goes into the field as it is."""
    native = field.source_type.native
    if not field.source or not native or changed:
        return ""
    is_list = field.source_type.kind is Kind.ARRAY and not native.endswith("[]")
    return f'"{field.source}" is {"a list" if is_list else native}, '


def _needs_zone(field: CompiledField, path: str, scope: Scope) -> None:
    if field.zone is None:
        scope.wrong(
            "timezone",
            path,
            f'"{field.source or field.name}" holds times without a zone, the target holds moments',
            "state `timezone:` for the source, the table or the column",
        )


def _literals(field: CompiledField, path: str, scope: Scope) -> None:
    """What the mapping itself puts in must fit the target."""
    plain = field.field
    literals: list[tuple[str, list[str | None]]] = [("default", [plain.default])]
    if not (plain.read_as or field.steps or plain.map or plain.bands or field.refers):
        literals.append(("value", [plain.value]))
        literals += [(f"choose.{n}.value", [case.value]) for n, case in enumerate(plain.choose)]
        if isinstance(plain.otherwise, Stated):
            literals.append(("else.value", [plain.otherwise.value]))
    if not field.refers and plain.map is not None:
        literals.append(("map", list(plain.map.values.values())))
    if not field.refers and plain.bands is not None:
        literals.append(("bands", [value for _, value in plain.bands.limits] + [plain.bands.above]))
    if not field.refers and isinstance(plain.unmapped, Default):
        literals.append(("unmapped", [plain.unmapped.default]))
    for key, texts in literals:
        for literal, why in _unfit(texts, field):
            scope.wrong("literal", f"{path}.{key}", f'"{literal}" cannot be {type_words(field.type)}: {why}')


def _unfit(texts: list[str | None], field: CompiledField) -> list[tuple[str, str]]:
    """The first few of the texts that cannot become the target's type, and why."""
    series = pl.Series("", texts, dtype=pl.String).drop_nulls().unique(maintain_order=True)
    if not len(series):
        return []
    done = convert(Values(series, TEXT), field.type, zone=field.zone)
    wrong = [(failure.mask, failure.detail) for failure in done.failures]
    if done.lossy is not None and field.lossy != "allow":
        wrong.append((done.lossy, done.lossy_detail))
    return [
        (text, why) for mask, why in wrong for text in series.filter(as_series(mask)).head(_SHOWN).to_list()
    ]


def _check(field: CompiledField, check: Check, path: str, scope: Scope) -> None:
    if check.name not in checks.RULES and check.name not in QUALITY:
        near = did_you_mean(check.name, [*checks.RULES, *QUALITY])
        scope.wrong("unknown_check", path, f'there is no rule "{check.name}"', near)
        return
    if field.refers and check.name not in ("required", "unique", "expr"):
        scope.wrong(
            "check_on_reference",
            path,
            f"`{check.name}` looks at the value, but after a reference the value is a key of the target",
            "only `required`, `unique` and `expr` are possible here",
        )
    if "default" in (check.on_fail, *_verdicts(check)) and field.field.default is None:
        scope.wrong(
            "no_default", path, f"`on_fail: default` of `{check.name}` needs a `default:` of the field"
        )
    if check.name == "expr" and field.refers and check.on_fail == "default":
        scope.wrong("no_default", path, "`on_fail: default` of `expr` is for values, and this is a reference")
    if check.name == "range" and not field.refers and isinstance(check.argument, dict):
        limits = {name: str(limit) for name, limit in check.argument.items()}
        kind = checks.range_kind(
            limits.get("min"), limits.get("max"), field.source_type.kind, field.type.kind
        )
        if field.source_type.kind not in DATES and field.field.read_as in (
            "date",
            "timestamp",
            "timestamptz",
        ):
            kind = Kind.DATE
        for limit in (limits.get("min"), limits.get("max")):
            if limit is not None and (why := checks.limit_problem(limit, kind)):
                scope.wrong("range", path, why)


def _verdicts(check: Check) -> tuple[object, ...]:
    """What a rule says of single verdicts."""
    return (
        tuple(check.argument.values()) if check.name == "email" and isinstance(check.argument, dict) else ()
    )


def type_words(type_: Type) -> str:
    return type_.native or type_.kind.value
