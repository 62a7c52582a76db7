"""
What can be wrong, said so that a person can mend it.

    OplError
    ├── DocumentError            the author's document cannot be used; carries problems
    │   └── CompileError         a script inside it does not compile; carries problems
    ├── ScriptError              a running script did something impossible; CATCH sees it
    │   ├── TypeMismatch         a value of the wrong type: "a" - 1, FILTER(3, …)
    │   ├── DivisionByZero       / // % by zero
    │   ├── NumberOutOfRange     a result that is no finite number: overflow, SQRT(-1)
    │   ├── BadArgument          the type is right and the value is not: CHUNK(list, 0)
    │   ├── AssertionFailed      an ASSERT did not hold
    │   └── AgentFailed          inside TRY: an agent, an optimizer or a child run failed
    ├── LimitExceeded            a named limit ran out; CATCH never sees it
    ├── NotCanonical             a value that RFC 8785 gives no form            (opl.document.canonical)
    ├── ProfileError             a profile that cannot be resolved              (opl.document.profile)
    │   ├── ProfileMissing       it extends one that nobody knows
    │   ├── ProfileCycle         it extends itself, through others
    │   └── ProfileTooLarge      what it composes exceeds a limit
    └── MachineError             our bug, or a state or program that this machine did not write

A ``Problem`` is one finding about a text: it never stops the search for the
next one. Errors are raised once nothing more can be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is: an error refuses the document, a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about a text, with its place and its remedy."""

    code: str  # stable, dotted: "opl.syntax.tab", "opl.document.duplicate-key"
    message: str  # what is wrong, one sentence without a full stop
    hint: str = ""  # what to write instead
    severity: Severity = Severity.ERROR
    file: str = ""  # as the caller named it; "" for text that has no file
    line: int = 0  # counts from 1; 0 where no line can be named
    column: int = 0  # counts from 1, in characters
    length: int = 1  # characters underlined on the line
    pointer: str = ""  # RFC 6901 JSON Pointer into the document, "" for the whole

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        text = f"{place}: {self.severity}: {self.message}" if place else f"{self.severity}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text

    def excerpt(self, source_lines: Sequence[str]) -> str:
        """The line the problem stands on with a caret beneath it, or "" when it has none."""
        if not 1 <= self.line <= len(source_lines):
            return ""
        text = source_lines[self.line - 1].rstrip("\r\n")
        start = max(self.column - 1, 0)
        lead = "".join("\t" if char == "\t" else " " for char in text[:start])
        return f"{text}\n{lead}{'^' * max(1, min(self.length, len(text) - start))}"

    def to_json(self) -> dict[str, Any]:
        """The shape every surface answers with: API problems, ``--json``, federation."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "pointer": self.pointer,
        }


def errors_only(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The findings that refuse a document, in their order."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


class OplError(Exception):
    """Anything this package raises on purpose; ``code`` is stable, the text is for people."""

    code = "opl.error"


class DocumentError(OplError):
    """The author's document cannot be used as it stands."""

    code = "opl.document.invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems) or "the document cannot be used"


class CompileError(DocumentError):
    """A script does not compile."""

    code = "opl.script.invalid"


class ScriptError(OplError):
    """
    A running script asked for something impossible; a script may CATCH it.

    Raised without a place by values and builtins; the machine adds the
    statement's line and column with ``at``. ``kind`` is what CATCH binds as
    ``type``.
    """

    code = "opl.run.error"
    kind = "error"

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message, line, column)
        self.message, self.line, self.column = message, line, column

    def at(self, line: int, column: int) -> ScriptError:
        """The same error, placed; a place that is already there stays."""
        if not self.line:
            self.line, self.column = line, column
            self.args = (self.message, line, column)
        return self

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}" if self.line else self.message


class TypeMismatch(ScriptError):
    """An operator or builtin met a value of a type it does not take."""

    code = "opl.run.type"
    kind = "type_error"


class DivisionByZero(ScriptError):
    """A division, floor division or remainder by zero."""

    code = "opl.run.division-by-zero"
    kind = "division_by_zero"

    def __init__(
        self,
        message: str = "division by zero; test the divisor first, or wrap it in TRY",
        line: int = 0,
        column: int = 0,
    ) -> None:
        super().__init__(message, line, column)


class NumberOutOfRange(ScriptError):
    """A calculation has no finite result; the language knows no NaN and no infinity."""

    code = "opl.run.number-range"
    kind = "number_error"


class BadArgument(ScriptError):
    """A builtin was given a value of the right type that makes no sense there."""

    code = "opl.run.argument"
    kind = "argument_error"


class AssertionFailed(ScriptError):
    """An ASSERT did not hold."""

    code = "opl.run.assertion"
    kind = "assertion"


class AgentFailed(ScriptError):
    """Inside TRY an agent, an optimizer or a child run failed; ``kind`` is the type of its error."""

    code = "opl.run.agent-failed"
    kind = "agent_error"


class LimitExceeded(OplError):
    """A named limit of a run ran out; nothing is lost, and no CATCH sees it."""

    code = "opl.limit"

    def __init__(self, limit: str, allowed: float, line: int = 0, column: int = 0) -> None:
        super().__init__(limit, allowed, line, column)
        self.limit, self.allowed, self.line, self.column = limit, allowed, line, column
        self.code = f"opl.limit.{limit}"

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return f"{place}the limit of {self.limit.replace('-', ' ')} ({self.allowed:,}) is used up"


class MachineError(OplError):
    """A program or a state that this machine did not write, or a fault of ours."""

    code = "opl.machine.error"
