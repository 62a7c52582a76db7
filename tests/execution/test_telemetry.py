"""Spans in the words of the GenAI conventions, and log lines that say what they speak of."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from execution import telemetry
from execution.services import controlling
from execution.worker import run_until_idle
from hub.logs import JsonFormatter
from tests.execution.factories import Clock, make_run, scripted

pytestmark = pytest.mark.django_db(transaction=True)

ASKS = 'EVENT completion:async {agent_id: "solo", prompt: "a secret prompt"} AS r\nRETURN r.output'


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Where spans go instead of to a collector."""
    kept = InMemorySpanExporter()
    provider = telemetry.make_provider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    telemetry.use(provider)
    yield kept
    telemetry.use(None)
    provider.shutdown()


def by_name(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


class TestSpans:
    def test_nest_the_completion_in_the_agent_and_the_agent_in_the_run(
        self, spans: InMemorySpanExporter, clock: Clock
    ) -> None:
        run = make_run(ASKS)
        run_until_idle(clock=clock)

        found = by_name(spans)
        whole = found[f"invoke_workflow {run.version.pattern.name}"]
        agent, chat = found["invoke_agent solo"], found["chat simulated"]
        assert whole.parent is None
        assert agent.parent.span_id == whole.context.span_id
        assert chat.parent.span_id == agent.context.span_id
        assert {span.context.trace_id for span in (whole, agent, chat)} == {whole.context.trace_id}
        assert chat.kind == SpanKind.CLIENT

    def test_speak_the_words_of_the_conventions(self, spans: InMemorySpanExporter, clock: Clock) -> None:
        run = make_run(ASKS)
        run_until_idle(clock=clock)

        chat = dict(by_name(spans)["chat simulated"].attributes)
        assert chat["gen_ai.operation.name"] == "chat"
        assert chat["gen_ai.provider.name"] == "simulated"
        assert chat["gen_ai.usage.input_tokens"] >= 0
        assert chat["opl.run_id"] == run.pk
        whole = dict(by_name(spans)[f"invoke_workflow {run.version.pattern.name}"].attributes)
        assert whole["gen_ai.operation.name"] == "invoke_workflow"
        assert whole["opl.run.status"] == "succeeded"

    def test_keep_what_was_said_to_themselves(self, spans: InMemorySpanExporter, clock: Clock) -> None:
        make_run(ASKS)
        run_until_idle(clock=clock)

        assert all("secret" not in span.to_json() for span in spans.get_finished_spans())

    def test_say_what_failed(self, spans: InMemorySpanExporter, clock: Clock) -> None:
        scripted(ASKS, {"solo": [{"error": {"type": "agent_error", "message": "broke"}}]})
        run_until_idle(clock=clock)

        chat = by_name(spans)["chat scripted"]
        assert chat.status.status_code == StatusCode.ERROR
        assert chat.attributes["error.type"] == "agent_error"

    def test_show_a_question_to_a_person_as_a_tool_and_how_long_it_took(
        self, spans: InMemorySpanExporter, clock: Clock
    ) -> None:
        run = make_run('EVENT human:ask {question: "go?"} AS said\nRETURN said')
        run_until_idle(clock=clock)
        clock.forward(60)
        (question,) = controlling.open_questions(run.pk)
        controlling.answer(run_id=run.pk, seq=question.seq, value="yes", now=clock(), by="me")

        tool = by_name(spans)["execute_tool human:ask"]
        assert tool.attributes["gen_ai.tool.name"] == "human:ask"
        assert tool.end_time - tool.start_time == 60 * 10**9

    def test_are_the_same_whoever_writes_them(self, spans: InMemorySpanExporter, settings: Any) -> None:
        first = telemetry._ids(7, "run")
        settings.PUBLIC_URL = "https://elsewhere.example"

        assert telemetry._ids(7, "1:1:chat")[0] != first[0]
        assert telemetry._ids(7, "run") == telemetry._ids(7, "run")

    def test_cost_nothing_where_nobody_asked_for_them(self, clock: Clock) -> None:
        make_run(ASKS)

        assert run_until_idle(clock=clock)
        telemetry.export_to("")
        assert telemetry._tracer is None


class TestAbout:
    def test_puts_run_and_effect_into_every_line(self) -> None:
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, "sent", (), None)

        with telemetry.about(12, 3):
            inside = json.loads(JsonFormatter().format(record))
        outside = json.loads(JsonFormatter().format(record))

        assert (inside["run_id"], inside["effect_id"]) == ("12", "12.3")
        assert "run_id" not in outside
