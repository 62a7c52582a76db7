"""
The fields that every YAML document and every front matter may have.

Each is read leniently: a section of the wrong type counts as absent here, and
the schema says so. What may stand under ``pattern`` or at the top is looked
for in both places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opl.document import reading
from opl.document.inputs import inputs_of, schema_of
from opl.document.lineage import forks_of, parents_of
from opl.document.load import Loaded
from opl.document.model import AdaptiveRule


def common_fields(loaded: Loaded) -> dict[str, Any]:
    """The fields that YAML documents and front matter share."""
    value = loaded.value
    inputs = inputs_of(value)
    return {
        "loaded": loaded,
        "name": reading.written(loaded, "/name"),
        "version": reading.written(loaded, "/version"),
        "description": (
            reading.string(value, "description") or reading.string(value, "pattern", "description")
        ).strip(),
        "author": reading.string(value, "author"),
        "tags": _tags(value),
        "metadata": reading.mapping(value, "metadata"),
        "parameters": schema_of(inputs),
        "variables": reading.mapping(value, "variables") or reading.mapping(value, "pattern", "variables"),
        "inputs": inputs,
        "adaptive_rules": _rules(loaded),
        "actions": _either(value, "actions"),
        "orchestration_flow": _either(value, "orchestration_flow"),
        "discovery_insights": _insights(value),
        "helpers": _either(value, "helpers"),
        "agents": _either(value, "agents"),
        "dependencies": reading.strings(value, "dependencies"),
        "routing": value.get("routing", value.get("routing_rules")),
        "transformers": tuple(reading.sequence(value, "transformers")),
        "verification": reading.mapping(value, "verification"),
        "learned_from": _learned_from(value),
        "performance": reading.mapping(value, "performance"),
        "capabilities": _capabilities(value),
        "security_profile": reading.string(value, "security_profile"),
        "success_when": reading.string(value, "success_when") or reading.string(value, "pattern", "success_when"),
        "score": reading.string(value, "score") or reading.string(value, "pattern", "score"),
        "lineage": parents_of(loaded),
        "forks": forks_of(value),
    }


def _either(value: Any, key: str) -> Mapping[str, Any]:
    """A section that may stand under ``pattern`` or at the top."""
    return reading.mapping(value, "pattern", key) or reading.mapping(value, key)


def _tags(value: Any) -> tuple[str, ...]:
    tags = [*reading.strings(value, "tags"), *reading.strings(value, "metadata", "tags")]
    return tuple(dict.fromkeys(tags))


def _insights(value: Any) -> tuple[str, ...]:
    told = [
        *reading.strings(value, "pattern", "discovery_insights"),
        *reading.strings(value, "discovery_insights"),
    ]
    for item in [*reading.sequence(value, "learnings"), *reading.sequence(value, "metadata", "learnings")]:
        told += [item] if isinstance(item, str) else [reading.first_string(item, "insight", "learning")]
    return tuple(dict.fromkeys(text for text in told if text))


def _learned_from(value: Any) -> tuple[Mapping[str, Any], ...]:
    found = reading.dig(value, "learned_from")
    items = found if isinstance(found, list) else [found]
    return tuple(item for item in items if isinstance(item, dict))


def _capabilities(value: Any) -> tuple[str, ...] | None:
    """A list of names, or KSI's mapping of names to booleans; None where nothing is said."""
    found = reading.dig(value, "capabilities")
    if isinstance(found, dict):
        return tuple(name for name, allowed in found.items() if allowed)
    return reading.strings(value, "capabilities") if found is not None else None


def _rules(loaded: Loaded) -> tuple[AdaptiveRule, ...]:
    found = []
    for path in ("/pattern/adaptive_rules", "/adaptive_rules"):
        for index, rule in enumerate(reading.sequence(loaded.value, *path[1:].split("/"))):
            if not isinstance(rule, dict):
                continue
            line, column = loaded.position(f"{path}/{index}/condition")
            action = rule.get("action")
            found.append(
                AdaptiveRule(
                    condition=reading.string(rule, "condition"),
                    action=action if isinstance(action, str) else "",
                    rationale=reading.string(rule, "rationale"),
                    pointer=f"{path}/{index}",
                    line=line,
                    column=column,
                    value=rule,
                )
            )
    return tuple(found)
