"""Spans reach a collector: a small OTLP/HTTP receiver on loopback, configured as the specification says, by OTEL_* alone."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from execution import telemetry
from execution.worker import run_until_idle
from hub.environment import Environment
from tests.execution.factories import Clock, make_run, make_user, make_version

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
STATE agent = spawn_agent("reader", "to read")
EVENT completion:async {agent_id: agent, prompt: "a secret prompt"} AS r
RETURN r.output
"""


class Collector:
    """Receives what an exporter sends to ``/v1/traces``."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                found = ExportTraceServiceRequest.FromString(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append((self.path, headers, found))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def resource(self) -> dict[str, Any]:
        return values(self.requests[0][2].resource_spans[0].resource.attributes)

    def spans(self) -> dict[str, Any]:
        """Every span by its name."""
        return {
            span.name: span
            for _, _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


@pytest.fixture
def exported(collector: Collector, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Collector:
    """A run was carried out while the environment named the collector, and the process ended."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=founders,authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "hub-of-ours")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    endpoint = Environment.read({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, base=Path("/nowhere")).otlp_endpoint
    provider = telemetry.export_to(endpoint)
    assert provider is not None
    try:
        version = make_version(SCRIPT, owner=make_user().own_owner, name="reading")
        make_run(version=version)
        run_until_idle(clock=clock)
    finally:
        telemetry.use(None)
        provider.shutdown()
    return collector


class TestExport:
    def test_goes_where_the_environment_says(self, exported: Collector) -> None:
        path, headers, _ = exported.requests[0]

        assert path == "/v1/traces" and headers["content-type"] == "application/x-protobuf"
        assert headers["x-team"] == "founders" and headers["authorization"] == "Bearer abc"
        assert headers["content-encoding"] == "gzip"

    def test_names_the_service_as_the_environment_does(self, exported: Collector) -> None:
        resource = exported.resource()

        assert resource["service.name"] == "hub-of-ours" and resource["deployment.environment.name"] == "test"
        assert resource["service.instance.id"] and resource["telemetry.sdk.language"] == "python"

    def test_brings_the_whole_tree(self, exported: Collector) -> None:
        spans = exported.spans()

        whole, agent, chat = (
            spans[name] for name in ("invoke_workflow reading", "invoke_agent reader", "chat simulated")
        )
        tool = spans["execute_tool spawn_agent"]
        assert (whole.parent_span_id, agent.parent_span_id) == (b"", whole.span_id)
        assert chat.parent_span_id == agent.span_id and tool.parent_span_id == whole.span_id
        assert len({span.trace_id for span in spans.values()}) == 1
        assert chat.end_time_unix_nano >= chat.start_time_unix_nano > 0

    def test_every_gen_ai_attribute_is_one_of_the_conventions(self, exported: Collector) -> None:
        known = {getattr(gen_ai, name) for name in dir(gen_ai) if name.startswith("GEN_AI_")}
        operations = {each.value for each in gen_ai.GenAiOperationNameValues}
        outdated = {"gen_ai.system", "gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.prompt_tokens"}

        for span in exported.spans().values():
            found = values(span.attributes)
            own = {name for name in found if name.startswith("gen_ai.")}
            assert own <= known - outdated, span.name
            assert found["gen_ai.operation.name"] in operations
            assert span.name.startswith(found["gen_ai.operation.name"])

    def test_says_what_the_conventions_require_of_an_exchange(self, exported: Collector) -> None:
        found = values(exported.spans()["chat simulated"].attributes)

        assert found["gen_ai.provider.name"] == "simulated" and found["gen_ai.request.model"] == "simulated"
        assert found["gen_ai.response.model"] == "simulated" and found["gen_ai.output.type"] == "text"
        assert found["gen_ai.usage.input_tokens"] > 0 and found["gen_ai.usage.output_tokens"] > 0
        assert found["gen_ai.usage.cache_read.input_tokens"] == 0

    def test_says_nothing_of_what_was_said(self, exported: Collector) -> None:
        assert all(b"secret" not in request.SerializeToString() for _, _, request in exported.requests)


class TestEnvironment:
    @pytest.mark.parametrize(
        ("variables", "endpoint"),
        [
            ({}, ""),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318"),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "http://c:4318/v1/traces"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, ""),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ],
    )
    def test_decides_whether_spans_are_sent(self, variables: dict[str, str], endpoint: str) -> None:
        assert Environment.read(variables, base=Path("/nowhere")).otlp_endpoint == endpoint

    def test_nothing_is_set_up_without_an_endpoint(self) -> None:
        assert telemetry.export_to("") is None
