"""Findings of the check as a page shows them: each with its line and a caret beneath."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from opl.document.text import split_lines
from opl.errors import Problem, Severity
from registry.models import PatternVersion

ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProblem:
    """One finding with the text it stands on."""

    severity: str  # error, warning or note
    message: str
    hint: str
    code: str
    line: int  # counts from 1; 0 where no line can be named
    column: int
    shown: tuple[str, str] | None  # the source line, and the caret line beneath it


def shown(problems: Iterable[Problem], text: str) -> list[ShownProblem]:
    """The findings in the order of the text, errors first on a line."""
    lines = split_lines(text)
    ordered = sorted(problems, key=lambda one: (one.line, ORDER[one.severity], one.column))
    return [_shown(problem, lines) for problem in ordered]


def _shown(problem: Problem, lines: list[str]) -> ShownProblem:
    excerpt = problem.excerpt(lines)
    source, _newline, caret = excerpt.rpartition("\n")
    return ShownProblem(
        severity=str(problem.severity),
        message=problem.message,
        hint=problem.hint,
        code=problem.code,
        line=problem.line,
        column=problem.column,
        shown=(source[:400], caret[:400]) if excerpt else None,
    )


def stored_problems(version: PatternVersion) -> list[ShownProblem]:
    """
    The remarks that were made when the version was published, with their lines.

    They speak of the document; a script out of a component is a part of it, so
    there only remarks without a line can be shown.
    """
    found = [_restored(item) for item in version.document.problems if isinstance(item, dict)]
    if version.script_number:
        return []
    return shown(found, version.text)


def _restored(item: dict[str, Any]) -> Problem:
    """A problem from its JSON form; what an older version wrote differently is left out."""
    known = {field.name for field in fields(Problem)}
    values = {key: value for key, value in item.items() if key in known}
    values["severity"] = Severity(values.get("severity", "warning"))
    return Problem(**{"code": "", "message": "", **values})
