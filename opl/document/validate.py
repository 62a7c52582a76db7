"""
Hold JSON against JSON Schema (2020-12) and say what is wrong in a person's words.

    validate(value, "pattern", place=loaded.position)

All problems come at once, each with its JSON Pointer and, where ``place`` is
given, its line and column. No reference is ever fetched: a schema refers to
its own parts or to the schemas that ship.

A document may carry a schema of its own (``parameters``). That text is a
stranger's: ``check_parameters`` admits no references, and patterns run on RE2,
whose time is linear in the text.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource

from opl.document.load import pointer_of
from opl.document.schemas import schemas
from opl.errors import Problem, Severity

Place = Callable[[str], tuple[int, int]]

_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "nothing",
    "list": "a list",
    "dict": "an object",
}
# What the field calls the same thing elsewhere, so that it is not passed over in silence.
_OTHER_WORDS = {
    "inputs": "parameters",
    "arguments": "parameters",
    "script": "dsl",
    "code": "dsl",
    "rules": "adaptive_rules",
    "flow": "orchestration_flow",
    "stages": "orchestration_flow",
    "steps": "orchestration_flow",
    "success": "success_when",
    "success_criteria": "success_when",
}
_TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "an object",
}
_MOST = 100  # problems reported of one value; a document with more has one fault a hundred times
_LONGEST_PATTERN = 1_000  # characters of a regular expression in a stranger's schema


def validate(value: Any, name: str, *, place: Place | None = None, below: str = "") -> list[Problem]:
    """
    The problems of a value under one of the schemas that ship.

    Args:
        name: of the schema, as in ``schemas/<name>.schema.json``.
        place: line and column for a JSON Pointer of the value.
        below: pointer of the value in its document.
    """
    return _problems(_validator(name).iter_errors(value), place, below)


def validate_with(value: Any, schema: Mapping[str, Any]) -> list[Problem]:
    """
    The problems of a value under a stranger's schema, one that ``check_parameters`` has passed.

    A schema that it has not passed is reported instead of being used.
    """
    problems = check_parameters(schema)
    if problems:
        return problems
    return _problems(_Linear(dict(schema), registry=Registry()).iter_errors(value), None, "")


def unknown_keys(value: Any, name: str, *, place: Place | None = None) -> list[Problem]:
    """Notes for keys that no schema knows and that look like a slip of one it knows."""
    notes = []
    for pointer, key, known in islice(_unknown(value, schemas()[name], schemas()[name], ()), _MOST):
        near = _meant(key, known)
        if near is None:
            continue
        line, column = place(pointer) if place else (0, 0)
        notes.append(
            Problem(
                code="opl.document.unknown-key",
                message=f"the key {key!r} has no meaning here",
                hint=f"did you mean {near!r}? It is kept as it is",
                severity=Severity.NOTE,
                line=line,
                column=column,
                length=len(key),
                pointer=pointer,
            )
        )
    return notes


def _meant(key: str, known: Collection[str]) -> str | None:
    """The known key that this one is a slip or another word of; None where nothing is near."""
    other = _OTHER_WORDS.get(key.lower())
    if other in known:
        return other
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    return near[0] if near and near[0] != key else None


def check_parameters(schema: Any) -> list[Problem]:
    """What keeps a stranger's schema from being used; pointers are relative to it."""
    found = list(_forbidden(schema, ()))
    if not found:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            pointer = pointer_of(*error.absolute_path)
            found = [_parameter_problem(f"this is no JSON Schema: {error.message[:200]}", pointer)]
    return found


def _forbidden(schema: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if len(path) > 32:
        yield _parameter_problem("the schema is nested too deeply", pointer_of(*path))
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef", "$recursiveRef", "$id") and isinstance(value, str):
                yield _parameter_problem(f"{key} is not used in parameters", pointer_of(*path, key))
            elif key == "pattern" and isinstance(value, str) and not _compiles(value):
                yield _parameter_problem("this pattern is not one that RE2 reads", pointer_of(*path, key))
            elif key == "patternProperties" and isinstance(value, dict):
                bad = [pattern for pattern in value if not _compiles(pattern)]
                for pattern in bad:
                    message = "this pattern is not one that RE2 reads"
                    yield _parameter_problem(message, pointer_of(*path, key, pattern))
                yield from _forbidden(value, (*path, key))
            else:
                yield from _forbidden(value, (*path, key))
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _forbidden(item, (*path, index))


def _parameter_problem(message: str, pointer: str) -> Problem:
    return Problem(
        code="opl.document.parameters",
        message=message,
        hint="write the schema out, with type, description, default, enum, minimum, maximum, items",
        pointer=pointer,
    )


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    return re2.compile(pattern, options)


def _compiles(pattern: str) -> bool:
    if len(pattern) > _LONGEST_PATTERN:
        return False
    try:
        _compiled(pattern)
    except re2.error:
        return False
    return True


def _linear_pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")


def _linear_pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _compiled(pattern).search(key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


_Linear: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _linear_pattern, "patternProperties": _linear_pattern_properties},
)


@lru_cache(maxsize=32)
def _validator(name: str) -> Any:
    known = schemas()
    registry: Any = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in known.values()
    )
    return Draft202012Validator(dict(known[name]), registry=registry)


def _problems(errors: Iterator[ValidationError], place: Place | None, below: str) -> list[Problem]:
    found: list[Problem] = []
    for error in errors:
        if len(found) == _MOST:
            break
        pointer = below + pointer_of(*error.absolute_path)
        line, column = place(pointer) if place else (0, 0)
        code, message = _told(error)
        found.append(
            Problem(
                code=f"opl.schema.{code}",
                message=message,
                hint=_hint(error),
                line=line,
                column=column,
                pointer=pointer,
            )
        )
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _told(error: ValidationError) -> tuple[str, str]:
    """Code and sentence for an error, without repeating a large value."""
    subject = _subject(error)
    instance: Any = error.instance
    limit: Any = error.validator_value
    kind = _KINDS.get(type(instance).__name__, "something")
    match error.validator:
        case "type":
            wanted = [limit] if isinstance(limit, str) else list(limit)
            words = [_TYPE_WORDS[each] for each in wanted if each != "null"] or ["nothing"]
            return "type", f"{subject} must be {' or '.join(words)}, not {kind}"
        case "required":
            missing = next((key for key in limit if key not in instance), "a key")
            return "required", f"{subject} lacks the key {missing!r}"
        case "additionalProperties":
            return (
                "unknown-key",
                f"{subject} has the key {_extra(error)[0][:60]!r}, which has no meaning here",
            )
        case "enum" | "const":
            allowed = limit if isinstance(limit, list) else [limit]
            return "value", f"{subject} must be {' or '.join(str(each) for each in allowed)}"
        case "pattern":
            return "pattern", f"{subject} cannot be {str(instance)[:60]!r}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            way = "at least" if "inimum" in str(error.validator) else "at most"
            return "range", f"{subject} must be {way} {limit}, not {instance}"
        case "minLength" | "minItems" | "minProperties":
            return "empty", f"{subject} must not be empty"
    return "invalid", f"{subject} is not as it should be"


def _subject(error: ValidationError) -> str:
    path = list(error.absolute_path)
    if not path:
        return "the document"
    words = str(path[0])
    for part in path[1:]:
        words += f"[{part}]" if isinstance(part, int) else f".{part}"
    return words[:120]


def _extra(error: ValidationError) -> list[str]:
    """The keys that the schema does not name, of an error about such."""
    instance: Any = error.instance
    schema: Any = error.schema
    return sorted(set(instance) - set(schema.get("properties", {})))


def _hint(error: ValidationError) -> str:
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "required":
        wanted: Any = error.validator_value
        present: Any = error.instance
        missing = next((key for key in wanted if key not in present), "")
        described = schema.get("properties", {}).get(missing, {}).get("description", "")
        return f"add {missing}: {described}".rstrip(": ")
    if error.validator == "additionalProperties":
        near = difflib.get_close_matches(_extra(error)[0], list(schema.get("properties", {})), n=1)
        return f"did you mean {near[0]!r}?" if near else "remove it"
    description = schema.get("description", "")
    return f"write {description}" if description else ""


def _unknown(
    value: Any, schema: Any, root: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[str, str, list[str]]]:
    """(pointer, key, known keys) of every key that its schema does not name."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    properties = schema.get("properties")
    if isinstance(value, dict) and properties:
        for key, item in value.items():
            if key in properties:
                yield from _unknown(item, properties[key], root, (*path, key))
            elif "additionalProperties" not in schema:
                yield pointer_of(*path, key), key, list(properties)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _unknown(item, schema["items"], root, (*path, index))
