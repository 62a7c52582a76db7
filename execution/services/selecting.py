"""
A choice among options is asked for twice, in both orders; one that flips is no choice.

Judges like what stands first. So the same question is put with the options
reversed, and only an option that wins both ways is chosen: ``{choice, agreed,
reason}``, where the choice is null if the two answers differ. Both answers are
paid for, and count as one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from execution.agents.base import AgentBackend, Answer, Request, Usage
from execution.services import asking


async def complete(backend: AgentBackend, request: Request) -> Answer:
    """One answer; a selection takes two exchanges for it."""
    if request.purpose != "selection":
        return await backend.complete(request)
    options = list(request.data.get("options") or ())
    turned = options[::-1]
    prompt = asking.selection_prompt(turned, request.data.get("criteria"))
    other = replace(request, key=f"{request.key}/reversed", prompt=prompt, data={**request.data, "options": turned})
    first, second = await backend.complete(request), await backend.complete(other)
    one, two = chosen(first.value, options), chosen(second.value, turned)
    agreed = one is not None and two is not None and options[one] == turned[two]
    reason = first.value.get("reason") if isinstance(first.value, dict) else None
    value = {"choice": options[one] if agreed and one is not None else None, "agreed": agreed, "reason": reason}
    seconds = (first.duration_seconds or 0) + (second.duration_seconds or 0)
    return Answer(
        value=value,
        usage=sum_of(first.usage, second.usage),
        duration_seconds=seconds if first.duration_seconds is not None else None,
        request_id=first.request_id,
        stop_reason=second.stop_reason,
    )


def chosen(value: Any, options: list[Any]) -> int | None:
    """Which option an answer names: by ``index``, by a bare number, or by saying the option itself."""
    index = value.get("index") if isinstance(value, dict) else value
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(options):
        return index
    return next((place for place, option in enumerate(options) if option == value), None)


def sum_of(one: Usage, other: Usage) -> Usage:
    """What two exchanges took together."""
    return replace(
        one,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cost_micros=one.cost_micros + other.cost_micros,
    )
