"""
Whether given inputs fit a version, with every problem at once.

A version's ``inputs`` are ``[{name, type, default, required, description, schema?}]``;
``type`` is a word of JSON Schema, and ``schema`` narrows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema

from execution.errors import InputsRefused
from opl.errors import Problem
from registry.models import PatternVersion

MAX_INPUT_BYTES = 2 * 1024 * 1024
LIMIT_NAMES = frozenset(
    {"tokens", "cost_usd", "seconds", "statements", "events", "branches", "state_bytes", "string_bytes", "nesting"}
)
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def checked_inputs(version: PatternVersion, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The inputs, as JSON values.

    Raises:
        InputsRefused: lists unknown names, missing ones and wrong types.
    """
    declared = {str(item["name"]): item for item in version.inputs if isinstance(item, Mapping) and "name" in item}
    problems: list[Problem] = []
    for name, value in given.items():
        item = declared.get(name)
        if item is None:
            known = ", ".join(sorted(declared)) or "none"
            problems.append(problem(name, f"this pattern has no input {name!r}", f"its inputs are: {known}"))
        else:
            problems += problems_of(name, item, value)
    for name, item in declared.items():
        if item.get("required") and name not in given:
            problems.append(problem(name, f"the input {name!r} has no default, so it must be given"))
    if not problems and _size(given) > MAX_INPUT_BYTES:
        problems.append(problem("", f"the inputs are larger than {MAX_INPUT_BYTES} bytes as JSON"))
    if problems:
        raise InputsRefused(problems)
    return dict(given)


def problems_of(name: str, item: Mapping[str, Any], value: Any) -> list[Problem]:
    """What is wrong with one value."""
    kind = item.get("type")
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    allowed = [part for each in kinds for part in _KINDS.get(each, ())]
    if allowed and (not isinstance(value, tuple(allowed)) or (isinstance(value, bool) and bool not in allowed)):
        wanted = " or ".join(str(each) for each in kinds)
        return [problem(name, f"the input {name!r} is a {wanted}, not {json_word(value)}")]
    schema = item.get("schema")
    if not isinstance(schema, Mapping):
        return []
    try:
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(value))
    except Exception as error:  # a stranger's schema may be anything; what it cannot say does not narrow
        return [problem(name, f"the schema of {name!r} cannot be used: {error}"[:300])]
    return [problem("/".join([name, *map(str, error.absolute_path)]), error.message[:300]) for error in errors[:20]]


def json_word(value: Any) -> str:
    """The JSON word for a value's kind."""
    if isinstance(value, bool):
        return "boolean"
    return next((word for word, kinds in _KINDS.items() if word != "integer" and isinstance(value, kinds)), "unknown")


def problem(pointer: str, message: str, hint: str = "") -> Problem:
    """One finding about an input."""
    return Problem(
        code="execution.input", message=message, hint=hint, pointer=f"/inputs/{pointer}" if pointer else "/inputs"
    )


def _size(value: Any) -> int:
    try:
        return len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return MAX_INPUT_BYTES + 1
