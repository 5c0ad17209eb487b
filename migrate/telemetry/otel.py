"""OpenTelemetry: one span for the run and one for each stage, rows and seconds as metrics; over OTLP (HTTP).

Attributes are names (mapping, run, stage, entity), counts and exit codes: no value of a row, no message of an error.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from migrate import __version__
from migrate.context import Context

_TIMEOUT = 5.0  # seconds for one delivery, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing


def watcher() -> Telemetry:
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # what fails is told once, by us
    return Telemetry()


class _Spans(OTLPSpanExporter):
    failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        self.failed |= result is not SpanExportResult.SUCCESS
        return result


class _Metrics(OTLPMetricExporter):
    failed = False

    def export(self, metrics_data: MetricsData, *given: Any, **named: Any) -> MetricExportResult:
        result = super().export(metrics_data, *given, **named)
        self.failed |= result is not MetricExportResult.SUCCESS
        return result


class Telemetry:
    """Providers of its own: what a notebook around us has configured for itself stays as it is."""

    def __init__(self) -> None:
        timeout = None if os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") else _TIMEOUT
        resource = Resource.create(
            {"service.name": os.environ.get("OTEL_SERVICE_NAME", "migrate"), "service.version": __version__}
        )
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans = self._metrics = None
        readers = []
        if _asked("TRACES"):
            self._spans = _Spans(timeout=timeout)
            self._tracers.add_span_processor(BatchSpanProcessor(self._spans))
        if _asked("METRICS"):
            self._metrics = _Metrics(timeout=timeout)
            readers = [PeriodicExportingMetricReader(self._metrics)]
        self._meters = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self._tracer = self._tracers.get_tracer("migrate", __version__)
        meter = self._meters.get_meter("migrate", __version__)
        self._seconds = meter.create_histogram("migrate.stage.duration", "s", "Seconds of a stage")
        self._rows = meter.create_counter("migrate.stage.rows", "{row}", "Rows that a stage went through")
        self._ends = meter.create_counter("migrate.row.ends", "{row}", "Where the rows of an entity ended")
        self._runs = meter.create_counter("migrate.runs", "{run}", "Runs by how they ended")
        self._mapping = ""
        self._run: Span | None = None
        self._stage: tuple[Span, float] | None = None

    def run_started(self, ctx: Context) -> None:
        self._mapping = ctx.mapping.name
        self._run = self._tracer.start_span(
            "migrate run",
            attributes={
                "migrate.mapping": ctx.mapping.name,
                "migrate.mapping.digest": ctx.mapping.digest,
                "migrate.run": ctx.run,
            },
        )

    def stage_started(self, name: str) -> None:
        within = set_span_in_context(self._run) if self._run is not None else None
        span = self._tracer.start_span(f"migrate {name}", within, attributes={"migrate.stage": name})
        self._stage = (span, time.perf_counter())

    def stage_ended(self, name: str, rows: int | None, exit_code: int) -> None:
        if self._stage is None:
            return
        (span, begin), self._stage = self._stage, None
        labels: dict[str, str | int] = {"migrate.mapping": self._mapping, "migrate.stage": name}
        labels["migrate.exit_code"] = exit_code
        self._seconds.record(time.perf_counter() - begin, labels)
        if rows is not None:
            span.set_attribute("migrate.rows", rows)
            self._rows.add(rows, {"migrate.mapping": self._mapping, "migrate.stage": name})
        _end(span, exit_code)

    def run_ended(self, state: str, exit_code: int, balances: Dict[str, Dict[str, int]]) -> None:
        for entity, balance in balances.items():
            for end, number in balance.items():
                if end != "in":
                    labels = {"migrate.mapping": self._mapping, "migrate.entity": entity, "migrate.end": end}
                    self._ends.add(number, labels)
        self._runs.add(
            1, {"migrate.mapping": self._mapping, "migrate.state": state, "migrate.exit_code": exit_code}
        )
        if self._run is not None:
            self._run.set_attribute("migrate.state", state)
            _end(self._run, exit_code)

    def close(self) -> str:
        self._tracers.shutdown()
        self._meters.shutdown(timeout_millis=_TIMEOUT * 1000)
        lost = [
            name
            for name, e in (("traces", self._spans), ("metrics", self._metrics))
            if e is not None and e.failed
        ]
        return f"{' and '.join(lost)} could not be delivered" if lost else ""


def _asked(kind: str) -> bool:
    """Whether traces, or metrics, have a place to go and are not switched off."""
    if os.environ.get(f"OTEL_{kind}_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{k}ENDPOINT") for k in ("", f"{kind}_"))


def _end(span: Span, exit_code: int) -> None:
    span.set_attribute("migrate.exit_code", exit_code)
    span.set_status(
        Status(StatusCode.ERROR, f"exit code {exit_code}") if exit_code else Status(StatusCode.OK)
    )
    span.end()
