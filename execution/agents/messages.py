"""
Between our requests and the Messages API: what is sent, and what an answer means.

Pure: dictionaries in, dictionaries and values out. The parts that many
requests share (tools, then the system prompt) come first and are marked for
the prompt cache, the parts that differ come last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from execution.agents.base import Request, estimate_tokens, parse_answer
from execution.errors import AgentError

DEFAULT_MAX_TOKENS = 8192
MOST_TOKENS = 64_000
CACHE_FROM_TOKENS = 1024  # a shorter prefix is not cached by the provider, so it is not marked either
EFFORTS = ("low", "medium", "high", "xhigh", "max")
CLOSING = "Answer with the result only; when a JSON object is asked for, with that object and nothing else."


def message_arguments(
    request: Request, *, model: str, tool_schemas: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """
    The arguments of ``messages.create`` for a request.

    ``request.data`` may carry ``messages`` (a conversation so far, as the API
    writes it), ``tools`` (names out of ``tool_schemas``), ``max_tokens`` and
    ``effort``; whatever else it carries is the script's own.
    """
    arguments: dict[str, Any] = {
        "model": request.profile.model or _text(request.data.get("model")) or model,
        "max_tokens": max_tokens(request),
        "messages": _conversation(request),
    }
    if request.data.get("messages"):
        arguments["cache_control"] = {"type": "ephemeral"}  # a conversation is sent again with every turn
    tools = _tools(request, tool_schemas or {})
    if tools:
        arguments["tools"] = tools
    system = system_blocks(request)
    if system:
        arguments["system"] = system
    output = _output_config(request)
    if output:
        arguments["output_config"] = output
    return arguments


def max_tokens(request: Request) -> int:
    """How many tokens the answer may have, thinking included."""
    wanted = request.data.get("max_tokens", request.profile.settings.get("max_tokens"))
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
        return min(wanted, MOST_TOKENS)
    return DEFAULT_MAX_TOKENS


def system_blocks(request: Request) -> list[dict[str, Any]]:
    """The system prompt, marked for the cache where it is long enough to be kept."""
    parts = [request.profile.system.strip(), "" if request.data.get("messages") else CLOSING]
    text = "\n\n".join(part for part in parts if part)
    block: dict[str, Any] = {"type": "text", "text": text}
    if estimate_tokens(text) >= CACHE_FROM_TOKENS:
        block["cache_control"] = {"type": "ephemeral"}
    return [block] if text else []


def shared_prefix(arguments: Mapping[str, Any]) -> str | None:
    """What other requests may share of this one and the provider would cache; None where that is too short."""
    marked = [block for block in arguments.get("system", ()) if "cache_control" in block]
    if not marked:
        return None
    return json.dumps([arguments["model"], arguments.get("tools", ()), marked], sort_keys=True)


def _conversation(request: Request) -> list[dict[str, Any]]:
    messages = request.data.get("messages")
    if isinstance(messages, list) and messages:
        return [dict(message) for message in messages if isinstance(message, dict)]
    return [{"role": "user", "content": request.prompt or "(no instruction was given)"}]


def _tools(request: Request, schemas: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = request.data.get("tools")
    if not isinstance(names, list):
        return []
    unknown = [str(name) for name in names if name not in schemas]
    if unknown:
        raise AgentError("invalid_request", f"there is no tool {', '.join(unknown)}; there are {', '.join(schemas)}")
    return [dict(schemas[name]) for name in names]


def _output_config(request: Request) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.shape is not None and not request.data.get("tools"):
        config["format"] = {"type": "json_schema", "schema": dict(request.shape)}
    effort = request.data.get("effort", request.profile.settings.get("effort"))
    if effort in EFFORTS:
        config["effort"] = effort
    return config


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def input_estimate(arguments: Mapping[str, Any]) -> int:
    """An upper bound of the input tokens, without asking anybody."""
    counted = {name: arguments[name] for name in ("system", "messages", "tools", "output_config") if name in arguments}
    return estimate_tokens(json.dumps(counted, ensure_ascii=False))


def answer_value(content: Sequence[Mapping[str, Any]]) -> Any:
    """
    What a script reads of an answer's content blocks.

    Text alone is its JSON, where it is JSON, else the text. With tool uses it
    is ``{text, tool_uses: [{id, name, input}], content}``: the next move of a
    guided conversation, and the blocks that must be sent back with its results.
    """
    text = "".join(str(block.get("text", "")) for block in content if block.get("type") == "text")
    uses = [
        {"id": block["id"], "name": block["name"], "input": block["input"]}
        for block in content
        if block.get("type") == "tool_use"
    ]
    return {"text": text, "tool_uses": uses, "content": list(content)} if uses else parse_answer(text)


def check_stop(reason: str | None, details: Any = None) -> None:
    """
    Refuse an answer that is not whole.

    Raises:
        AgentError: ``refused`` for a policy refusal, ``truncated`` where the
            answer ended at a token limit. Both were paid for.
    """
    if reason == "refusal":
        why = getattr(details, "explanation", None) or "the model declined to answer"
        category = getattr(details, "category", None)
        raise AgentError("refused", f"{why}{f' ({category})' if category else ''}", paid=True)
    if reason == "max_tokens":
        raise AgentError("truncated", "the answer was cut off at max_tokens; allow more, or ask for less", paid=True)
    if reason == "model_context_window_exceeded":
        raise AgentError("truncated", "prompt and answer together do not fit the model's context window", paid=True)
