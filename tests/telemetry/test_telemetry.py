"""Events and metrics of whole runs, received by a real server and written by the client's file transport."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import TooManyQuarantined
from migrate.mapping.load import load_mapping
from migrate.telemetry.watch import Watch, lineage_configured, otel_configured

from tests import services
from tests.runs import World, files

services.needed("openlineage.client")
services.needed("opentelemetry.sdk")
read_back = importlib.import_module("tests.telemetry.read_back")

TARGET = ("CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT NOT NULL, mail TEXT, legacy_id TEXT)",)
MAPPED = """
  people:
    from: people
    key: id
    into: people
    let: {clean: {from: mail, do: [trim, lower]}}
    fields: {name: {from: full_name, check: [required]}, mail: clean, legacy_id: id}
"""
PEOPLE = b"id,full_name,mail\r\n1,Ada Canary,ada.canary@acme-leeds.co.uk\r\n2,,\r\n3,Bo Canary,\r\n"
SECRET = "s3cr3t-canary"


@dataclass
class Received:
    """What a collector was sent: path → bodies."""

    port: int
    bodies: dict[str, list[bytes]] = field(default_factory=dict)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies.get("/api/v1/lineage", [])]


@pytest.fixture
def collector() -> Iterator[Received]:
    found = Received(0)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with lock:
                found.bodies.setdefault(self.path, []).append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENLINEAGE", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = files(tmp_path, {"people.csv": PEOPLE}, TARGET, MAPPED)
    made.write()
    return made


class Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def stage(self, name: str, total: int | None) -> None: ...
    def advance(self, rows: int) -> None: ...
    def note(self, text: str) -> None:
        self.texts.append(text)


def test_a_run_is_told_to_real_receivers(
    world: World, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(world.folder / "ol.yml"))
    (world.folder / "ol.yml").write_text(
        f"transport: {{type: http, url: 'http://127.0.0.1:{collector.port}'}}\n"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    notes = Notes()
    run = api.run(world.mapping, home=world.home, progress=notes)
    assert run["state"] == "verified"
    assert not any("OpenLineage" in text or "OpenTelemetry" in text for text in notes.texts)
    _check_events(collector.events(), run["run"], [s["stage"] for s in run["stages"]])
    _check_spans(collector.bodies["/v1/traces"], run["run"])
    _check_metrics(collector.bodies["/v1/metrics"], run["balances"]["people"])
    for body in (b for bodies in collector.bodies.values() for b in bodies):
        assert b"canary" not in body.lower()


def _check_events(events: list[dict[str, Any]], run: str, stages: list[str]) -> None:
    """As the specification asks: one START and one end for each run id, with the required fields."""
    by_run: dict[str, list[str]] = {}
    for event in events:
        assert event.keys() >= {"eventTime", "eventType", "run", "job", "producer", "schemaURL"}
        read_back.run_event(event)
        by_run.setdefault(event["run"]["runId"], []).append(event["eventType"])
        assert [t["value"] for t in event["run"]["facets"]["tags"]["tags"]].count(run) == 1
        for facet in (
            f for part in (event["run"], *event["outputs"]) for f in (part.get("facets") or {}).values()
        ):
            assert facet["_producer"]
            assert facet["_schemaURL"].startswith("https://openlineage.io/spec/")
    assert set(map(tuple, by_run.values())) == {("START", "COMPLETE")}
    jobs = [e["job"]["name"] for e in events if e["eventType"] == "COMPLETE"]
    assert jobs == [*(f"{events[0]['job']['name']}.{s}" for s in stages), events[0]["job"]["name"]]
    parents = {e["run"]["facets"]["parent"]["run"]["runId"] for e in events if "parent" in e["run"]["facets"]}
    assert parents == {events[0]["run"]["runId"]}
    (output,) = events[-1]["outputs"]
    fields = output["facets"]["columnLineage"]["fields"]
    made = {column: [i["field"] for i in f["inputFields"]] for column, f in fields.items()}
    assert made == {"name": ["full_name"], "mail": ["mail"], "legacy_id": ["id"]}
    named = {(i["namespace"], i["name"]) for f in fields.values() for i in f["inputFields"]}
    assert named == {(i["namespace"], i["name"]) for i in events[-1]["inputs"]}


def test_an_event_that_is_not_as_the_specification_says_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = world.folder / "events.jsonl"
    monkeypatch.setenv(
        "OPENLINEAGE__TRANSPORT", json.dumps({"type": "file", "log_file_path": str(events), "append": True})
    )
    api.run(world.mapping, home=world.home)
    text = events.read_text(encoding="utf-8").splitlines()[-1]
    read_back.run_event(json.loads(text))
    for right, wrong in (('"runId": "', '"runId": "x'), ('"inputFields"', '"inputs"'), ('"columnLineage": {"_producer"', '"columnLineage": {"producer"'),
                         ('"eventTime": "', '"eventTime": "x'), ('"tags": [{"key": ', '"tags": [{"name": ')):  # fmt: skip
        assert right in text
        with pytest.raises((AssertionError, TypeError, ValueError)):
            read_back.run_event(json.loads(text.replace(right, wrong)))


def _check_spans(bodies: list[bytes], run: str) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.name == "migrate run"
    assert run in {a.value.string_value for a in root.attributes}
    inner = [span for span in spans if span.parent_span_id]
    assert {span.parent_span_id for span in inner} == {root.span_id}
    assert len(inner) == 9


def _check_metrics(bodies: list[bytes], balance: dict[str, int]) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    metrics = {
        metric.name: metric
        for body in bodies
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert metrics.keys() == {
        "migrate.stage.duration",
        "migrate.stage.rows",
        "migrate.row.ends",
        "migrate.runs",
    }
    ends = {
        next(a.value.string_value for a in point.attributes if a.key == "migrate.end"): point.as_int
        for point in metrics["migrate.row.ends"].sum.data_points
    }
    assert ends == {name: number for name, number in balance.items() if name != "in"}


def test_a_run_that_fails_and_collectors_that_are_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a file, a failing run; nobody listens to traces and metrics, which is told once each."""
    world.policy = "max_quarantine: 1%"
    world.write()
    events = world.folder / "events.jsonl"
    monkeypatch.setenv(
        "OPENLINEAGE__TRANSPORT", json.dumps({"type": "file", "log_file_path": str(events), "append": True})
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    notes = Notes()
    with pytest.raises(TooManyQuarantined):
        api.run(world.mapping, home=world.home, progress=notes)
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [e["eventType"] for e in told if "." not in e["job"]["name"]] == ["START", "FAIL"]
    assert told[-1]["run"]["facets"]["errorMessage"]["message"] == "migrate ended with exit code 4"
    assert "canary" not in events.read_text().lower()
    lost = [text for text in notes.texts if "OpenTelemetry" in text]
    assert len(lost) == 1
    assert "traces and metrics could not be delivered" in lost[0]


def test_a_watcher_that_fails_is_told_of_once_and_called_no_more() -> None:
    notes: list[str] = []

    class Broken:
        calls = 0

        def __getattr__(self, name: str) -> Any:
            def fail(*_: object) -> str:
                self.calls += 1
                raise OSError(f"http://me:{SECRET}@collector")

            return fail

    broken = Broken()
    watch = Watch({"OpenLineage": broken}, notes.append)
    with watch.stage("load") as had:
        had(3)
    watch.run_ended("verified", 0, {})
    watch.close()
    assert broken.calls == 1
    assert len(notes) == 1
    assert SECRET not in notes[0]
    with pytest.raises(KeyError), Watch({}, notes.append).stage("load"):
        raise KeyError


def test_a_configuration_that_is_none_stops_no_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT", json.dumps({"type": "no.such.Transport"}))
    notes = Notes()
    run = api.run(world.mapping, to="plan", home=world.home, progress=notes)
    assert run["state"] == "stopped"
    assert sum("OpenLineage" in text for text in notes.texts) == 1


def test_off_unless_configured_and_nothing_is_loaded_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lineage_configured()
    assert not otel_configured()
    code = "import migrate.run, sys; assert not {'openlineage', 'opentelemetry'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    monkeypatch.setenv("OPENLINEAGE_URL", "http://x")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x")
    assert lineage_configured()
    assert otel_configured()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")
    assert not lineage_configured()
    assert not otel_configured()


@pytest.mark.parametrize(
    ("url", "namespace", "prefix"),
    [
        ("postgresql://me:PW@db.example:6432/crm?sslmode=require", "postgres://db.example:6432", "crm."),
        ("mariadb://me:PW@db.example/crm", "mysql://db.example", "crm."),
        ("sqlite:///crm.db", "sqlite", "crm.db/"),
        ("files:exports/", "file", "exports/"),
    ],
)
def test_places_are_named_without_users_and_passwords(url: str, namespace: str, prefix: str) -> None:
    from migrate.telemetry.lineage import place_of

    assert place_of(url) == (namespace, prefix)


def test_the_lineage_of_the_demo_names_what_its_dictionary_names() -> None:
    """Both come from the mapping: every column of a target table with its source columns."""
    from migrate.report.dictionary import data_dictionary
    from migrate.telemetry.lineage import outputs_of

    root = Path(__file__).parents[2]
    mapping = load_mapping(root / "mappings" / "demo.yaml", {})
    told = {
        f"{i.name.rpartition('/')[2]}.{i.field} -> {o.name.rpartition('/')[2]}.{column}"
        for o in outputs_of(mapping)
        for column, f in o.facets["columnLineage"].fields.items()  # type: ignore[index, union-attr]
        for i in f.inputFields
    }
    lineage = data_dictionary(mapping)["lineage"]
    known = {f"{origin.partition('.')[2]} -> {goes}" for origin, all_ in lineage.items() for goes in all_}
    assert told == known
