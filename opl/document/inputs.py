"""
What a run of a document may be given.

``parameters`` is a JSON Schema and says it outright. A composition's
``variables`` say it by example: a value that is one template with a default
(``"{{rounds|default:3}}"``), or an object with ``default``, is an input; any
other value is a constant that a run may still replace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opl.document import reading
from opl.document.load import pointer_of
from opl.document.model import Input
from opl.document.scalars import plain

_TEMPLATE = re.compile(r"\s*\{\{\s*([A-Za-z_]\w*)\s*(?:\|(.*))?\}\}\s*", re.DOTALL)
_DEFAULT = re.compile(r"default(?:\s*:\s*|\s+)(.*)", re.DOTALL)
_TYPES = {
    "str": "string",
    "bool": "boolean",
    "float": "number",
    "int": "number",
    "list": "array",
    "dict": "object",
}
_SCHEMA_TYPES = frozenset(("string", "number", "integer", "boolean", "array", "object", "null"))
_ALIASES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def inputs_of(value: Any) -> tuple[Input, ...]:
    """The inputs of a document, ``parameters`` before ``variables``; the first of a name counts."""
    found: dict[str, Input] = {}
    for path in (("parameters",), ("pattern", "parameters")):
        for item in _declared(reading.mapping(value, *path), path):
            found.setdefault(item.name, item)
    for path in (("variables",), ("pattern", "variables")):
        for name, example in reading.mapping(value, *path).items():
            found.setdefault(name, _by_example(name, example, pointer_of(*path, name)))
    return tuple(found.values())


def schema_of(inputs: tuple[Input, ...]) -> Mapping[str, Any] | None:
    """The JSON Schema of all inputs together, None where there are none."""
    if not inputs:
        return None
    properties = {}
    for item in inputs:
        described = dict(item.schema)
        if item.description:
            described.setdefault("description", item.description)
        if not item.required and item.default is not None:
            described.setdefault("default", item.default)
        properties[item.name] = described
    required = [item.name for item in inputs if item.required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _declared(schema: Mapping[str, Any], path: tuple[str, ...]) -> list[Input]:
    """From JSON Schema, or from a plain mapping of names to schemas."""
    whole = isinstance(schema.get("properties"), dict)
    properties = reading.mapping(schema, "properties") if whole else schema
    place = (*path, "properties") if whole else path
    required = reading.strings(schema, "required") if whole else ()
    return [
        _from_schema(name, each, pointer_of(*place, name), name in required)
        for name, each in properties.items()
        if isinstance(each, dict)
    ]


def _from_schema(name: str, schema: Mapping[str, Any], pointer: str, required: bool) -> Input:
    return Input(
        name=name,
        required=(required or schema.get("required") is True) and "default" not in schema,
        default=schema.get("default"),
        description=reading.string(schema, "description"),
        schema=schema,
        pointer=pointer,
    )


def _by_example(name: str, example: Any, pointer: str) -> Input:
    if isinstance(example, str) and (match := _TEMPLATE.fullmatch(example)):
        return _from_template(name, match[2], pointer)
    if isinstance(example, dict) and "default" in example:
        return _from_object(name, example, pointer)
    return Input(name=name, default=example, schema=_typed(example), pointer=pointer, constant=True)


def _from_template(name: str, rest: str | None, pointer: str) -> Input:
    """``{{n}}`` has no default; ``{{n|default:3}}``, ``{{n|default 3}}`` and ``{{n|3}}`` have one."""
    rest = (rest or "").strip()
    if not rest:
        return Input(name=name, required=True, pointer=pointer)
    match = _DEFAULT.fullmatch(rest)
    text = match[1] if match else rest
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    default = text[1:-1] if quoted else plain(text)
    return Input(name=name, default=default, schema=_typed(default), pointer=pointer)


def _from_object(name: str, example: Mapping[str, Any], pointer: str) -> Input:
    kind = reading.string(example, "type").lower()
    kind = _ALIASES.get(kind, kind)
    schema = {"type": kind} if kind in _SCHEMA_TYPES else _typed(example["default"])
    return Input(
        name=name,
        required=bool(example.get("required")) and example["default"] is None,
        default=example["default"],
        description=reading.string(example, "description"),
        schema=schema,
        pointer=pointer,
    )


def _typed(value: Any) -> dict[str, Any]:
    kind = _TYPES.get(type(value).__name__)
    return {"type": kind} if kind else {}
