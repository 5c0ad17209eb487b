"""OpenLineage: START and COMPLETE, FAIL or ABORT of the run and of each stage, with the lineage of columns from the mapping.

Names of databases, tables and columns are in the events; no value of a row, no message of an error, no user or password.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping as Dict
from datetime import UTC, datetime
from pathlib import PurePath

import sqlalchemy as sa
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    error_message_run,
    parent_run,
    tags_run,
)
from openlineage.client.uuid import generate_new_uuid

from migrate import __version__
from migrate.context import Context
from migrate.mapping.every_field import every_field
from migrate.mapping.model import Mapping
from migrate.mapping.usage import origins_of, read_tables, source_columns

NAMESPACE = "migrate"
PRODUCER = f"migrate-crm/{__version__}"
_SCHEMES = {"postgresql": "postgres", "mariadb": "mysql"}
_INTERRUPTED = 9


def watcher() -> Lineage:
    """Raises what openlineage raises for a configuration that it cannot read."""
    logging.getLogger("openlineage").addHandler(logging.NullHandler())  # what fails is told once, by us
    return Lineage(OpenLineageClient())


class Lineage:
    def __init__(self, client: OpenLineageClient) -> None:
        self._client = client
        self._run_id = str(generate_new_uuid())
        self._stages: dict[str, str] = {}
        self._name, self._of_run = "", ""
        self._inputs: list[InputDataset] = []
        self._outputs: list[OutputDataset] = []

    def run_started(self, ctx: Context) -> None:
        """A resumed run is a run of its own here; the tag `migrate_run` holds them together."""
        self._name, self._of_run = ctx.mapping.name, ctx.run
        self._inputs, self._outputs = inputs_of(ctx.mapping), outputs_of(ctx.mapping)
        self._emit(RunState.START, self._name, self._run_id, self._inputs, self._outputs)

    def stage_started(self, name: str) -> None:
        self._stages[name] = str(generate_new_uuid())
        self._of_stage(RunState.START, name, 0)

    def stage_ended(self, name: str, rows: int | None, exit_code: int) -> None:
        del rows
        self._of_stage(_end(exit_code), name, exit_code)

    def run_ended(self, state: str, exit_code: int, balances: Dict[str, Dict[str, int]]) -> None:
        del state, balances
        self._emit(
            _end(exit_code), self._name, self._run_id, self._inputs, self._outputs, exit_code=exit_code
        )

    def close(self) -> str:
        return "" if self._client.close(timeout=10) else "not all of it was sent in time"

    def _of_stage(self, state: RunState, name: str, exit_code: int) -> None:
        inputs = self._inputs if name in ("extract", "load") else []
        outputs = self._outputs if name == "load" else []
        self._emit(
            state,
            f"{self._name}.{name}",
            self._stages[name],
            inputs,
            outputs,
            exit_code=exit_code,
            inner=True,
        )

    def _emit(
        self,
        state: RunState,
        job: str,
        run_id: str,
        inputs: list[InputDataset],
        outputs: list[OutputDataset],
        *,
        exit_code: int = 0,
        inner: bool = False,
    ) -> None:
        tag = tags_run.TagsRunFacetFields(key="migrate_run", value=self._of_run, source=NAMESPACE)
        facets: dict[str, object] = {"tags": tags_run.TagsRunFacet(tags=[tag])}
        if inner:
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=self._run_id),
                job=parent_run.Job(namespace=NAMESPACE, name=self._name),
            )
        if exit_code:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=f"migrate ended with exit code {exit_code}", programmingLanguage="python"
            )
        self._client.emit(
            RunEvent(
                eventType=state,
                eventTime=datetime.now(UTC).isoformat(),
                run=Run(runId=run_id, facets=facets),  # type: ignore[arg-type]
                job=Job(namespace=NAMESPACE, name=job),
                inputs=inputs,
                outputs=outputs,
                producer=PRODUCER,
            )
        )


def inputs_of(mapping: Mapping) -> list[InputDataset]:
    """Every table of a source that the mapping reads."""
    found = []
    for source, tables in read_tables(mapping).items():
        namespace, prefix = place_of(mapping.sources[source].url)
        found += [InputDataset(namespace=namespace, name=f"{prefix}{table}") for table in tables]
    return found


def outputs_of(mapping: Mapping) -> list[OutputDataset]:
    """Every table of the target that an entity writes, with what its columns are made of."""
    namespace, prefix = place_of(mapping.target.url)
    made: dict[str, dict[str, dict[tuple[str, str, str], None]]] = {}
    for entity in mapping.entities.values():
        columns = made.setdefault(entity.into, defaultdict(dict))
        for path, field in every_field(entity):
            if path[0] == "let":
                continue
            for read in source_columns(entity, field):
                columns[str(path[1])] |= dict.fromkeys(origins_of(entity, read))
    return [
        OutputDataset(
            namespace=namespace,
            name=f"{prefix}{table}",
            facets={
                "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(
                    fields={
                        column: column_lineage_dataset.Fields(
                            inputFields=[_input(mapping, *origin) for origin in origins]
                        )
                        for column, origins in columns.items()
                    }
                )
            },
        )
        for table, columns in made.items()
    ]


def place_of(url: str) -> tuple[str, str]:
    """(namespace, what stands before a table's name) after OpenLineage's naming; never a user, password or option."""
    if url.startswith("files:"):
        return "file", f"{PurePath(url.removeprefix('files:'))}/"
    parsed = sa.make_url(url)
    scheme = parsed.get_backend_name()
    if scheme == "sqlite":
        return "sqlite", f"{parsed.database}/"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{_SCHEMES.get(scheme, scheme)}://{parsed.host or 'localhost'}{port}", f"{parsed.database}."


def _input(mapping: Mapping, source: str, table: str, column: str) -> column_lineage_dataset.InputField:
    namespace, prefix = place_of(mapping.sources[source].url)
    return column_lineage_dataset.InputField(namespace=namespace, name=f"{prefix}{table}", field=column)


def _end(exit_code: int) -> RunState:
    if exit_code == _INTERRUPTED:
        return RunState.ABORT
    return RunState.FAIL if exit_code else RunState.COMPLETE
