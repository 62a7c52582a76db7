"""Findings of the check as a page shows them: each with its line and a caret beneath."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opl.errors import Problem, Severity

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
    lines = text.splitlines()
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
