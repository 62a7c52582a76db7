"""
What a run is started with.

Inputs are checked against the program: their names, the type of the constant
they replace, and the document's JSON Schema where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from opl.errors import OplError, Problem, Severity
from opl.script.inputs import fits, names_of
from opl.script.values import copy, normalise, with_article


def check_inputs(program: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[Problem, ...]:
    """
    Everything that is wrong with the inputs of a run.

    A required parameter that is missing is an error; a name that the script
    merely never binds is a warning, since it reads as null.
    """
    known = {**program["initial_state"], **program["inputs"]}
    found = [problem for name, value in inputs.items() for problem in _check(name, value, known)]
    for name, described in program["inputs"].items():
        if described["required"] and name not in inputs:
            declared = "schema" in described
            found.append(
                Problem(
                    code="opl.input.missing",
                    message=f"the input '{name}' is missing",
                    hint="give it a value" if declared else "give it a value, or it reads as null",
                    severity=Severity.ERROR if declared else Severity.WARNING,
                    line=described["line"],
                    pointer=f"/{name}",
                )
            )
    return tuple(found)


def _check(name: Any, value: Any, known: Mapping[str, Any]) -> list[Problem]:
    described = known.get(name)
    pointer = f"/{name}"
    if described is None:
        close = get_close_matches(str(name), known, 1)
        hint = f"did you mean '{close[0]}'" if close else f"its inputs are {names_of(known)}"
        return [
            Problem(code="opl.input.unknown", message=f"the script has no input '{name}'", hint=hint, pointer=pointer)
        ]
    try:
        value = normalise(value)
    except OplError as error:
        return [Problem(code="opl.input.value", message=f"the input '{name}' is no value: {error}", pointer=pointer)]
    if not fits(value, described):
        return [
            Problem(
                code="opl.input.type",
                message=f"the input '{name}' is {with_article(value)} where a {described['type']} is needed",
                hint=f"give a {described['type']}",
                line=described["line"],
                pointer=pointer,
            )
        ]
    return _check_schema(name, value, described.get("schema"), described["line"])


def _check_schema(name: str, value: Any, schema: Any, line: int) -> list[Problem]:
    if not isinstance(schema, Mapping):
        return []
    try:
        Draft202012Validator.check_schema(schema)
        errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda error: list(error.absolute_path))
    except (SchemaError, Exception):  # a schema from a stranger: its own check tells what is wrong with it
        return []
    return [
        Problem(
            code="opl.input.schema",
            message=f"the input '{name}' does not fit its description: {error.message[:200]}",
            line=line,
            pointer="/".join(["", name, *map(str, error.absolute_path)]),
        )
        for error in errors[:5]
    ]


def chosen_inputs(program: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(values by input, those of them that no statement of the script will bind)."""
    given = {name: normalise(value) for name, value in inputs.items()}
    for name, described in program["inputs"].items():
        if name not in given and "schema" in described and "default" in described:
            given[name] = copy(described["default"])
    bound = {name: copy(given[name]) for name in given if name not in program["constants"]}
    return given, bound
