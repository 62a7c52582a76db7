"""
The inputs of a script: what a run can be started with.

An input comes from a top-level constant (``STATE documents = […]``), from a
name that nothing binds, or from the document's ``parameters``. One that the
script assigns again is *initial state*: it can be given too, but a form folds
it away.

Each is described as ``{type, required, line, default?, description?, schema?}``.

Source: docs/language.md, section Inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opl.script import templates
from opl.script.resolver import Resolution
from opl.script.syntax import At
from opl.script.values import type_name

_TYPES = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "list",
    "list": "list",
    "object": "object",
    "dict": "object",
    "null": "null",
}


def kind_of(value: Any) -> str:
    """The type of a constant as inputs name it; "any" for null."""
    return "any" if value is None else type_name(value)


def declared_inputs(parameters: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The document's parameters, name → JSON Schema; ``required`` is told as ``x-required``."""
    if not isinstance(parameters, Mapping):
        return {}
    properties = parameters.get("properties")
    if isinstance(properties, Mapping) and parameters.get("type", "object") == "object":
        needed = parameters.get("required")
        required = set(needed) if isinstance(needed, list) else set()
    else:
        properties, required = parameters, set()
    found: dict[str, dict[str, Any]] = {}
    for name, schema in properties.items():
        if isinstance(name, str) and name.isidentifier():
            described = dict(schema) if isinstance(schema, Mapping) else _variable(schema)
            found[name] = {**described, "x-required": name in required or described.get("required") is True}
    return found


def _variable(value: Any) -> dict[str, Any]:
    """A composition's variable: a constant, or one template ``{{name|default:3}}`` with its default."""
    parts = templates.split(value) if isinstance(value, str) else ()
    if len(parts) == 1 and isinstance(parts[0], templates.Slot):
        for name, argument in parts[0].filters:
            if name == "default":
                return {"default": templates.FILTERS["default"](None, argument)}
        return {}
    return {"default": value}


def script_inputs(
    constants: Mapping[str, tuple[Any, int, bool]],
    names: Resolution,
    optional: Mapping[str, At],
    declared: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(inputs, initial state) of a script."""
    inputs: dict[str, Any] = {}
    initial: dict[str, Any] = {}
    for name, (value, line, once) in constants.items():
        described = {"type": kind_of(value), "required": False, "line": line, "default": value}
        (inputs if once or name in declared else initial)[name] = described
    for name, node in names.inputs.items():
        inputs[name] = {"type": "any", "required": name not in names.in_text, "line": node.at.line}
    for name, at in optional.items():
        if name not in inputs and name not in constants:
            inputs[name] = {"type": "any", "required": False, "line": at.line}
    for name, schema in declared.items():
        inputs[name] = _narrowed(inputs.get(name, {"type": "any", "required": False, "line": 0}), schema)
    return inputs, initial


def _narrowed(described: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """An input with what the document says of it."""
    found = dict(described)
    clean = {key: value for key, value in schema.items() if key not in ("x-required", "required")}
    if isinstance(schema.get("required"), list):
        clean["required"] = schema["required"]
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        found["type"] = _TYPES[kind]
    if "default" in clean:
        found["default"] = clean["default"]
    found["required"] = bool(schema.get("x-required")) and "default" not in found
    if isinstance(clean.get("description"), str):
        found["description"] = clean["description"]
    found["schema"] = clean
    return found


def fits(value: Any, described: Mapping[str, Any]) -> bool:
    """Whether a value has the type that an input names."""
    kind: str = described.get("type", "any")
    return kind == "any" or type_name(value) == kind


def names_of(descriptions: Iterable[str]) -> str:
    """A list of names for a message."""
    return ", ".join(sorted(descriptions)) or "none"
