"""
What a document's actions set, and what its parameters can be for: the parts of a document that no script shows.

An action ``{set: {name: expression}}`` and a parameter's name and default are
read when a run is started. What is wrong with them is told here, where they
stand, whether the document holds a script or is guided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator

from opl.document import reading
from opl.document.load import Loaded, pointer_of
from opl.document.model import Document, Mode, Role, ScriptSource
from opl.document.scripts import source_at
from opl.document.validate import check_parameters
from opl.errors import Problem, Severity

# What the guided program binds itself (``execution/guided.opl``); a test holds the two together.
GUIDED_NAMES = frozenset(
    [
        "adapted",
        "answer",
        "called",
        "checked",
        "child",
        "choice",
        "context",
        "done",
        "exported",
        "failures",
        "finished",
        "given",
        "heard",
        "judged",
        "loaded",
        "max_failures",
        "max_turns",
        "messages",
        "metrics",
        "notes",
        "orchestrator",
        "outcome",
        "reply",
        "responses",
        "results",
        "seen",
        "step",
        "strategy",
        "system",
        "task",
        "tools",
        "turn",
    ]
)
GIVEN = frozenset(("task", "context", "max_turns"))  # of them a run is started with anyway
_PLACES = (("pattern", "actions"), ("actions",))


def expressions(loaded: Loaded) -> Iterator[ScriptSource]:
    """The expressions that actions set variables to, each with its place; numbers and truth values need none."""
    for pointer, _, value in _changes(loaded.value):
        if isinstance(value, str):
            yield source_at(loaded, pointer=pointer, title=pointer.rpartition("/")[2], role=Role.CONDITION)


def unusable(document: Document) -> list[Problem]:
    """Variables that an action cannot set, or not to that."""
    found = []
    for pointer, name, value in _changes(document.value):
        if not name.isidentifier():
            found.append(_problem(document, pointer, f"'{name}' is no name of a variable", "use letters, digits and _"))
        elif not isinstance(value, str | int | float):
            message = f"the action sets '{name}' to what is no expression"
            found.append(_problem(document, pointer, message, 'write {set: {name: "expression"}}'))
    return found


def _changes(value: Any) -> Iterator[tuple[str, str, Any]]:
    """``(pointer, variable, what it is set to)`` of every action."""
    for path in _PLACES:
        actions = reading.dig(value, *path)
        for action, mapped in actions.items() if isinstance(actions, dict) else ():
            changes = mapped.get("set") if isinstance(mapped, dict) else None
            for name, given in changes.items() if isinstance(changes, dict) else ():
                yield pointer_of(*path, action, "set", name), str(name), given


def schema_problems(document: Document, path: tuple[str, ...]) -> list[Problem]:
    """What keeps a stranger's schema from being used, where it stands."""
    section = reading.dig(document.value, *path)
    if not isinstance(section, dict):
        return []
    whole = section if "properties" in section else {"type": "object", "properties": section}
    base = path if whole is section else path[:-1]
    problems = []
    for problem in check_parameters(whole):
        inner = problem.pointer if whole is section else problem.pointer.replace("/properties", "", 1)
        pointer = pointer_of(*(base if whole is section else path)) + inner
        line, column = document.position(pointer)
        problems.append(replace(problem, pointer=pointer, line=line, column=column))
    return problems


def parameters(document: Document, mode: Mode) -> list[Problem]:
    """Parameters that a run cannot be given, and defaults that their own schema refuses."""
    found = []
    for path in (("parameters",), ("pattern", "parameters")):
        section = reading.dig(document.value, *path)
        if not isinstance(section, dict):
            continue
        whole = isinstance(section.get("properties"), dict)
        named = section["properties"] if whole else section
        base = (*path, "properties") if whole else path
        for name, schema in named.items():
            found += _parameter(document, pointer_of(*base, name), str(name), schema, mode)
    return found


def _parameter(document: Document, pointer: str, name: str, schema: Any, mode: Mode) -> list[Problem]:
    code, severity = "opl.document.parameter", Severity.WARNING
    found = []
    if not name.isidentifier():
        message = f"'{name}' is no name of a variable: no run can be started with it"
        hint = "use letters, digits and _"
        found.append(_problem(document, pointer, message, hint, code=code, severity=severity, key=True))
    elif mode is Mode.GUIDED and name in GUIDED_NAMES - GIVEN:
        message = f"guided mode uses '{name}' itself: rules cannot set it, and a run cannot be started with it"
        hint = "give the parameter another name"
        found.append(_problem(document, pointer, message, hint, code=code, severity=severity, key=True))
    if isinstance(schema, Mapping) and "default" in schema and (why := _misfit(schema)):
        message = f"the default of '{name}' is not what its schema allows: {why}"
        hint = "change the default or the schema"
        place = f"{pointer}/default"
        found.append(_problem(document, place, message, hint, code=code, severity=severity))
    return found


def _misfit(schema: Mapping[str, Any]) -> str:
    """Why the default does not fit, "" where it does; a schema that is none is somebody else's to tell."""
    own = {key: value for key, value in schema.items() if key in ("type", "enum", "minimum", "maximum", "const")}
    try:
        Draft202012Validator.check_schema(own)
    except Exception:
        return ""
    error = next(iter(Draft202012Validator(own).iter_errors(schema["default"])), None)
    return error.message[:200] if error is not None else ""


def _problem(
    document: Document,
    pointer: str,
    message: str,
    hint: str,
    *,
    code: str = "opl.script.rule-action",
    severity: Severity = Severity.ERROR,
    key: bool = False,
) -> Problem:
    line, column = document.loaded.key_position(pointer) if key else document.position(pointer)
    return Problem(code=code, message=message, hint=hint, severity=severity, line=line, column=column, pointer=pointer)
