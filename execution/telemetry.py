"""
Spans of what a run does, in the words of OpenTelemetry's GenAI conventions.

    invoke_workflow pipeline            a run, from its start to its end
      invoke_agent researcher           a question to an agent, from sending to answer
        chat claude-sonnet-5-5          the exchange with its model: tokens, finish reason, error
      execute_tool spawn_agent          a primitive, a question to a person, a child run

A run outlives every process that works on it, so spans are written when they
end, and their ids follow from the run and the effect: whoever writes the parts
needs not know the others. A child run is a trace of its own, linked to the run
that asked for it. Without ``use`` (no OTEL_EXPORTER_OTLP_ENDPOINT) all of this
costs one comparison. Prompts and answers never go into spans.

``about`` is the other half of watching: log lines written inside of it carry
the run and the effect (``<run>.<seq>``) they speak of.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from execution.services.asking import Delivery, Reply
    from execution.services.drafting import Draft

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000  # in a millisecond
TOOLS = ("primitive:", "human:ask", "orchestration:")  # events that are uses of a tool

subject: ContextVar[Mapping[str, str] | None] = ContextVar("subject", default=None)

_next_ids: ContextVar[tuple[int, int] | None] = ContextVar("next_ids", default=None)
_tracer: trace.Tracer | None = None


class _Ids(IdGenerator):
    """The ids that were decided on for the next span, random ones otherwise."""

    def __init__(self) -> None:
        self.random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        chosen = _next_ids.get()
        return chosen[1] if chosen is not None else self.random.generate_span_id()

    def generate_trace_id(self) -> int:
        chosen = _next_ids.get()
        return chosen[0] if chosen is not None else self.random.generate_trace_id()


def make_provider() -> TracerProvider:
    """A provider whose spans get the ids chosen here; the caller adds processors."""
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before what we would say.
    own = Resource({"service.name": "opl-hub", "service.instance.id": settings.PUBLIC_URL})
    told = OTELResourceDetector().detect()
    resource = Resource.create().merge(own).merge(told)
    return TracerProvider(resource=resource, id_generator=_Ids())


def use(provider: TracerProvider | None) -> None:
    """Write spans with ``provider``; None switches them off."""
    global _tracer
    _tracer = provider.get_tracer("execution") if provider is not None else None


def export_to(endpoint: str) -> TracerProvider | None:
    """
    Send spans to an OTLP collector (HTTP, protobuf) from now on; nothing for "".

    The exporter and the processor read the rest of the standard variables
    themselves: headers, time-outs, compression, certificates, batching.
    """
    if not endpoint:
        return None
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
        log.warning("spans are sent as http/protobuf, whatever OTEL_EXPORTER_OTLP_PROTOCOL says")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = make_provider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # it reads the endpoint and headers itself
    use(provider)
    return provider


# ---------------------------------------------------------------- spans


def answered(replies: Sequence[Reply]) -> None:
    """Spans of answers: the agent, and in it the exchange with its model; also of those that failed."""
    if _tracer is None:
        return
    for reply in replies:
        agent = _agent_span(reply)
        _chat_span(reply, agent)


def _agent_span(reply: Reply) -> tuple[int, int]:
    delivery = reply.delivery
    ids = _ids(delivery.run_id, f"{delivery.seq}:{delivery.epoch}")
    attributes = {
        gen_ai.GEN_AI_OPERATION_NAME: "invoke_agent",
        gen_ai.GEN_AI_PROVIDER_NAME: _provider(reply),
        gen_ai.GEN_AI_AGENT_NAME: delivery.request.agent_id,
        gen_ai.GEN_AI_CONVERSATION_ID: str(delivery.run_id),
        **_places(delivery),
    }
    _write(f"invoke_agent {delivery.request.agent_id}", ids, _run_ids(delivery.run_id), attributes, reply)
    return ids


def _chat_span(reply: Reply, agent: tuple[int, int]) -> None:
    delivery, answer = reply.delivery, reply.answer
    usage = answer.usage if answer is not None else None
    answered_by = usage.model if usage is not None else ""
    model = delivery.request.profile.model or answered_by or delivery.backend
    attributes: dict[str, Any] = {
        gen_ai.GEN_AI_OPERATION_NAME: "chat",
        gen_ai.GEN_AI_PROVIDER_NAME: _provider(reply),
        gen_ai.GEN_AI_REQUEST_MODEL: model,
        gen_ai.GEN_AI_OUTPUT_TYPE: "json" if delivery.request.shape else "text",
        gen_ai.GEN_AI_CONVERSATION_ID: str(delivery.run_id),
        **_places(delivery),
    }
    if usage is not None and answer is not None:
        attributes[gen_ai.GEN_AI_USAGE_INPUT_TOKENS] = usage.input_tokens
        attributes[gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.output_tokens
        attributes[gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS] = usage.cache_read_tokens
        attributes[gen_ai.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS] = usage.cache_write_tokens
        attributes[gen_ai.GEN_AI_RESPONSE_MODEL] = answered_by or model
        attributes[gen_ai.GEN_AI_RESPONSE_FINISH_REASONS] = [answer.stop_reason] if answer.stop_reason else []
        attributes[gen_ai.GEN_AI_RESPONSE_ID] = answer.request_id
        attributes["opl.cost_usd"] = usage.cost_micros / 1_000_000
    ids = _ids(delivery.run_id, f"{delivery.seq}:{delivery.epoch}:chat")
    _write(f"chat {model}", ids, agent, attributes, reply, kind=SpanKind.CLIENT)


def _provider(reply: Reply) -> str:
    """Who answers, in the words of the conventions, whatever this hub's alias for it is."""
    model = reply.answer.usage.model if reply.answer is not None else reply.delivery.request.profile.model
    return "anthropic" if reply.delivery.backend == "claude" or model.startswith("claude-") else reply.delivery.backend


def _places(delivery: Delivery) -> dict[str, Any]:
    return {"opl.run_id": delivery.run_id, "opl.effect.seq": delivery.seq, "opl.effect.key": delivery.request.key}


def _write(
    name: str,
    ids: tuple[int, int],
    parent: tuple[int, int],
    attributes: Mapping[str, Any],
    reply: Reply,
    kind: SpanKind = SpanKind.INTERNAL,
) -> None:
    start = reply.at - int(reply.duration_seconds * 1000)
    error = (reply.error.kind, reply.error.message) if reply.error is not None else None
    span_of(name, ids, parent=parent, start=start, end=reply.at, attributes=attributes, kind=kind, error=error)


def advanced(draft: Draft) -> None:
    """Spans of what one advance did: tools used, and the run itself where it ended."""
    if _tracer is None:
        return
    run_id, at = draft.session.run_id, draft.at
    for told in draft.told:
        if told.kind == "event" and told.seq is not None and told.seq not in draft.asked:
            used_tool(run_id=run_id, seq=told.seq, name=told.name, start=at, end=at)
    waited = [one.seq for one in draft.consumed if one.handler != "agent"]
    if waited:
        from execution.models import Effect

        rows = Effect.objects.filter(run_id=run_id, seq__in=waited)
        for seq, name, start, end, failed in rows.values_list("seq", "name", "emitted_at", "answered_at", "error_kind"):
            used_tool(run_id=run_id, seq=seq, name=name, start=start, end=end or at, failed=failed)
    if draft.end is not None:
        run_ended(run_id)


def used_tool(*, run_id: int, seq: int, name: str, start: int, end: int, failed: str = "") -> None:
    """A span of one use of a tool: a primitive, a person, a child run; times in milliseconds."""
    if _tracer is None or not name.startswith(TOOLS):
        return
    tool = name.removeprefix("primitive:")
    attributes = {
        gen_ai.GEN_AI_OPERATION_NAME: "execute_tool",
        gen_ai.GEN_AI_TOOL_NAME: tool,
        gen_ai.GEN_AI_TOOL_TYPE: "function",
        gen_ai.GEN_AI_TOOL_CALL_ID: f"{run_id}.{seq}",
        "opl.run_id": run_id,
    }
    error = (failed, failed) if failed else None
    ids = _ids(run_id, f"{seq}:tool")
    span_of(
        f"execute_tool {tool}", ids, parent=_run_ids(run_id), start=start, end=end, attributes=attributes, error=error
    )


def run_ended(run_id: int) -> None:
    """The span of a run that has ended, read from its row."""
    if _tracer is None:
        return
    from execution.models import Run

    run = Run.objects.select_related("version__pattern__owner").get(pk=run_id)
    attributes = {
        gen_ai.GEN_AI_OPERATION_NAME: "invoke_workflow",
        gen_ai.GEN_AI_WORKFLOW_NAME: str(run.version),
        gen_ai.GEN_AI_CONVERSATION_ID: str(run.pk),
        "opl.run_id": run.pk,
        "opl.run.status": run.status,
        "opl.tokens": run.tokens_used,
        "opl.cost_usd": run.cost_usd,
        "opl.repaid": run.repaid,
    }
    started = run.started_at or run.created_at
    code = str((run.error or {}).get("code", "")) or run.status
    span_of(
        f"invoke_workflow {run.version.pattern.name}",
        _run_ids(run.pk),
        parent=None,
        start=int(started.timestamp() * 1000),
        end=run.clock,
        attributes=attributes,
        error=(code, code) if run.status in ("failed", "stuck") else None,
        links=[_run_ids(run.parent_id)] if run.parent_id is not None else [],
    )


def span_of(
    name: str,
    ids: tuple[int, int],
    *,
    parent: tuple[int, int] | None,
    start: int,
    end: int,
    attributes: Mapping[str, Any],
    kind: SpanKind = SpanKind.INTERNAL,
    error: tuple[str, str] | None = None,
    links: Sequence[tuple[int, int]] = (),
) -> None:
    """Write one span that has ended; ``ids`` and ``parent`` are (trace, span), times milliseconds."""
    assert _tracer is not None
    above = trace.set_span_in_context(NonRecordingSpan(_context(parent))) if parent is not None else Context()
    token = _next_ids.set(ids)
    try:
        span = _tracer.start_span(
            name,
            context=above,
            kind=kind,
            attributes=dict(attributes),
            links=[Link(_context(one)) for one in links],
            start_time=min(start, end) * NANOSECONDS,
        )
    finally:
        _next_ids.reset(token)
    if error is not None:
        span.set_attribute("error.type", error[0])
        span.set_status(Status(StatusCode.ERROR, error[1][:500]))
    span.end(end_time=end * NANOSECONDS)


def _context(ids: tuple[int, int]) -> SpanContext:
    return SpanContext(ids[0], ids[1], is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _run_ids(run_id: int) -> tuple[int, int]:
    return _ids(run_id, "run")


def _ids(run_id: int, part: str) -> tuple[int, int]:
    """(trace, span) of a part of a run: the same in every process of this hub, different from other hubs'."""
    of_run = hashlib.sha256(f"{settings.PUBLIC_URL}:{run_id}".encode()).digest()
    of_part = hashlib.sha256(of_run + part.encode()).digest()
    return int.from_bytes(of_run[:16], "big"), int.from_bytes(of_part[:8], "big")


# ---------------------------------------------------------------- log lines


@contextmanager
def about(run_id: int, seq: int | None = None) -> Iterator[None]:
    """Log lines written inside carry this run, and with ``seq`` this effect."""
    told = {"run_id": str(run_id)}
    if seq is not None:
        told["effect_id"] = f"{run_id}.{seq}"
    token = subject.set(told)
    try:
        yield
    finally:
        subject.reset(token)
