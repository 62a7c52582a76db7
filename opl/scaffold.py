"""
Begin a pattern document around a script.

    text = scaffold(script, name="relay", author="ada")

What the script shows is filled in (title, inputs, events that need
permission); what only a person can say stands as a comment that asks for it.
The result passes ``check`` whenever the script compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opl.check import Report, check
from opl.document.markdown import slug
from opl.document.rendering import dumped
from opl.document.scripts import title_of
from opl.document.security import DEFAULT_PROFILE

_JSON_TYPES = {"list": "array", "number": "number", "string": "string", "boolean": "boolean", "object": "object"}


def scaffold(script: str, *, name: str = "", author: str = "", description: str = "") -> str:
    """
    An OPL document that holds ``script``.

    Args:
        name: of the pattern; else the slug of the script's title, else ``untitled_pattern``.
        description: else the script's title, else a request to write one.
    """
    text = script.replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"
    report = check(text.encode(), file="script.opl")
    title = title_of(text)
    head: dict[str, Any] = {
        "type": "orchestration_pattern",
        "name": name or slug(title) or "untitled_pattern",
        "version": "1.0.0",
    }
    if author:
        head["author"] = author
    head["description"] = description or title or "Say in a sentence what this pattern does and when it helps."
    parts = [dumped(head), "# When did it succeed, and how well? Both are expressions over the result.\n"]
    parts.append('# success_when: "result != null"\n# score: "result.score"\n')
    parameters = _parameters(report)
    if parameters:
        parts.append("# Describe each input, so that the form for starting a run explains itself.\n")
        parts.append(dumped({"parameters": parameters}))
    if permissions := _permissions(report):
        parts.append(f"# Beyond the security profile {DEFAULT_PROFILE}.\n")
        parts.append(dumped({"capabilities": permissions}))
    parts.append(dumped({"dsl": text}))
    return "".join(parts)


def _parameters(report: Report) -> dict[str, Any]:
    """A JSON Schema of the inputs that the compiled script has."""
    program = report.program() or {}
    inputs: Mapping[str, Any] = program.get("inputs", {})
    if not inputs:
        return {}
    properties = {name: _described(told) for name, told in inputs.items()}
    required = [name for name, told in inputs.items() if told["required"]]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _described(told: Mapping[str, Any]) -> dict[str, Any]:
    kind = _JSON_TYPES.get(told["type"])
    schema: dict[str, Any] = {"type": kind} if kind else {}
    if "default" in told:
        schema["default"] = told["default"]
    return schema


def _permissions(report: Report) -> list[str]:
    return report.allowance.refused(report.events) if report.allowance else []
