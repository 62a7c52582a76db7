"""
Adaptive rules: conditions over what a run tracks.

A rule ``{condition, action, rationale}`` is compiled to a test over tracked
names. A condition that is prose is no error: the rule stays in the program
without a test, for an orchestrator to read. An action that the document maps,
``{set: {name: expression}}``, is carried out by the machine; ``{use:
strategy}`` and all others are told to the driver.

Source: docs/language.md, section Adaptive rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opl.errors import Problem, Severity
from opl.script.lowering import Lowering
from opl.script.parser.cursor import problem_at
from opl.script.parser.expressions import parse_expression
from opl.script.resolver import Resolution, resolve
from opl.script.syntax import At, Do


def compile_rules(
    rules: Sequence[Mapping[str, Any]],
    actions: Mapping[str, Any],
    lowering: Lowering,
    problems: list[Problem],
) -> list[dict[str, Any]]:
    """
    The rules as the program holds them.

    Each is ``{condition, action, rationale, line, names, test, set, use}``; ``test`` is None for prose.
    """
    found = []
    for rule in rules:
        line = rule.get("line", 0)
        at = At(line if isinstance(line, int) else 0, 1)
        condition, action = str(rule.get("condition", "")), str(rule.get("action", ""))
        names, test = _compiled(condition, at, lowering, problems)
        if test is None:
            problems.append(
                problem_at(
                    at,
                    "opl.script.rule-prose",
                    f"the rule's condition is prose: {condition[:60]!r}",
                    "an orchestrator reads it; write an expression over tracked names to have it tested",
                    severity=Severity.NOTE,
                )
            )
        mapped = actions.get(action)
        mapped = mapped if isinstance(mapped, Mapping) else {}
        found.append(
            {
                "condition": condition,
                "action": action,
                "rationale": str(rule.get("rationale", "")),
                "line": at.line,
                "names": names,
                "test": test,
                "set": _changes(mapped.get("set"), action, at, lowering, problems),
                "use": mapped.get("use") if isinstance(mapped.get("use"), str) else None,
            }
        )
    return found


def _compiled(text: str, at: At, lowering: Lowering, problems: list[Problem]) -> tuple[list[str], list[Any] | None]:
    """The names of an expression and its form in the program, or None where it is none."""
    node = parse_expression(text, at)
    if node is None:
        return [], None
    names: Resolution = resolve([Do(at=at, value=node)])
    inner: list[Problem] = []
    own = Lowering(names, {}, inner.append)
    own.slots = lowering.slots
    lowered = own.lower(node)
    lowering.slots = own.slots
    if any(problem.severity is Severity.ERROR for problem in inner):
        return [], None
    return sorted(names.inputs), lowered


def _changes(changes: Any, action: str, at: At, lowering: Lowering, problems: list[Problem]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, text in changes.items() if isinstance(changes, Mapping) else ():
        source = text if isinstance(text, str) else repr(text) if isinstance(text, int | float) else ""
        _, lowered = _compiled(source, at, lowering, problems)
        if lowered is None or not str(name).isidentifier():
            problems.append(
                problem_at(
                    at,
                    "opl.script.rule-action",
                    f"the action '{action}' sets '{name}' to what is no expression",
                    'write {set: {name: "expression"}}',
                )
            )
        else:
            found[str(name)] = lowered
    return found
