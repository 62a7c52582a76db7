"""
A whole document, looked at once: everything that is wrong with it, where, and what to do.

    report = check(data, file="tournament.yaml")
    for problem in report.problems: ...
    if report.ok: report.programs[report.document.scripts[0].key]

One validator for the web, the API, the command line and the federation. It
reads the document, holds it against its schema, compiles every script, stage
and condition in it, weighs its claims and says what it will be able to do.
What is narrative rather than formal is no error: such a pattern is guided, and
a note says where it stops being formal.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opl.document import actions
from opl.document.claims import impossible_claims
from opl.document.envelopes import read
from opl.document.load import DEFAULT, LoadLimits
from opl.document.model import Document, Envelope, Kind, Mode, Role, ScriptSource
from opl.document.prose import first_narrative, is_expression
from opl.document.scripts import flow_script, stage_lines
from opl.document.security import Allowance, allowance
from opl.document.validate import unknown_keys, validate
from opl.errors import Problem, Severity

_FLOWS = ("/pattern/orchestration_flow", "/orchestration_flow")  # keys of the stages taken together
_MOST_SCRIPTS = 500  # pieces of script in one document, conditions and stages included
_MOST_RULES = 2_000  # adaptive rules times scripts, as every program holds all rules
_MOST_DEPENDENCIES = 100  # that are looked up; each may cost a query
_OPENING = "RETURN ("  # makes a statement of an expression; its length is taken off the columns again


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    document: Document | None  # None where nothing could be read
    problems: tuple[Problem, ...]  # all of them, in order of the text
    programs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by ``ScriptSource.key``
    mode: Mode = Mode.GUIDED
    events: tuple[str, ...] = ()  # that its programs use, sorted
    allowance: Allowance | None = None  # what it is allowed to do

    @property
    def ok(self) -> bool:
        """Whether the document may be stored and run: nothing is an error."""
        return self.document is not None and not any(p.severity is Severity.ERROR for p in self.problems)

    def program(self, wanted: str = "") -> Mapping[str, Any] | None:
        """
        The program of a script by its title, slug or number.

        For "" that of the first script that compiles, else of the whole ``orchestration_flow``.
        """
        if self.document is None:
            return None
        if wanted:
            script = self.document.script(wanted)
            return self.programs.get(script.key) if script else None
        keys = [script.key for script in self.document.main_scripts] + list(_FLOWS)
        found = (self.programs.get(key) for key in keys)
        return next((program for program in found if program is not None), None)

    def to_json(self) -> dict[str, Any]:
        """The shape of ``check_pattern --json`` for one file."""
        document = self.document
        scripts = document.scripts if document else ()
        return {
            "ok": self.ok,
            "envelope": str(document.envelope) if document else None,
            "kind": str(document.kind) if document else None,
            "name": document.name if document else None,
            "version": document.version if document else None,
            "digest": document.digest if document else None,
            "semantic_digest": document.semantic_digest if document else None,
            "mode": str(self.mode) if document else None,
            "scripts": [_script_json(script, self.programs) for script in scripts],
            "events": list(self.events),
            "problems": [problem.to_json() for problem in self.problems],
        }


def _script_json(script: ScriptSource, programs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": script.title,
        "number": script.number,
        "role": str(script.role),
        "line": script.first_line,
        "compiles": script.key in programs,
    }


def check(data: bytes, *, file: str = "", limits: LoadLimits = DEFAULT, known: Container[str] | None = None) -> Report:
    """
    Everything that can be said about a source without running it.

    Args:
        data: the bytes as they came; any bytes are allowed.
        file: as the caller names it; it stands in every problem.
        known: names of components that exist; dependencies outside it get a
            warning. None: nobody knows, and none is given.

    Returns:
        The report; never raises for anything that the bytes hold.
    """
    document, found = read(data, file=file, limits=limits)
    problems = list(found)
    if document is None:
        return Report(document=None, problems=_ordered(problems, file))
    if any(problem.severity is Severity.ERROR for problem in problems):
        problems += _schema_problems(document)
        return Report(document=document, problems=_ordered(problems, file), mode=document.mode)
    problems += _schema_problems(document)
    problems += document.loaded.unfederable
    problems += impossible_claims(document.loaded) if document.value else []
    problems += _unresolved(document, known)
    programs, told = _compile_all(document)
    mode = _mode(document, programs)
    problems += [problem for problem in told if problem.code != "opl.script.rule-action"]
    problems += action_problems(document) + actions.parameters(document, mode)
    events = sorted({event for program in programs.values() for event in program_events(program)})
    allowed = allowance(document)
    if document.kind in (Kind.PATTERN, Kind.COMPONENT):
        problems += _not_allowed(document, programs, allowed)
    return Report(
        document=document,
        problems=_ordered(problems, file),
        programs=programs,
        mode=mode,
        events=tuple(events),
        allowance=allowed,
    )


def _ordered(problems: Iterable[Problem], file: str) -> tuple[Problem, ...]:
    placed = (replace(problem, file=file) for problem in dict.fromkeys(problems))
    return tuple(sorted(placed, key=lambda problem: (problem.line, problem.column)))


def _mode(document: Document, programs: Mapping[str, Any]) -> Mode:
    keys = [*(script.key for script in document.main_scripts), *_FLOWS]
    return Mode.EXECUTABLE if any(key in programs for key in keys) else Mode.GUIDED


# ---------------------------------------------------------------- the schema


def _schema_problems(document: Document) -> list[Problem]:
    name = schema_for(document)
    if not name:
        return []
    loaded = document.loaded
    problems = validate(document.value, name, place=loaded.position)
    problems += unknown_keys(document.value, name, place=loaded.key_position)
    for path in (("parameters",), ("pattern", "parameters")):
        problems += actions.schema_problems(document, path)
    return problems


def schema_for(document: Document) -> str:
    """The name of the schema that a document is held against, "" for none."""
    if document.envelope is Envelope.OPL:
        return "pattern"
    if document.envelope is Envelope.COMPONENT:
        return "component" if document.value else ""
    if document.envelope is Envelope.KSI:
        return {Kind.PATTERN: "composition", Kind.PROFILE: "profile"}.get(document.kind, "")
    return ""


def _unresolved(document: Document, known: Container[str] | None) -> list[Problem]:
    if known is None:
        return []
    problems = []
    for index, name in enumerate(document.dependencies[:_MOST_DEPENDENCIES]):
        if name in known:
            continue
        pointer = f"/dependencies/{index}"
        line, column = document.position(pointer)
        problems.append(
            Problem(
                code="opl.document.unresolved-dependency",
                message=f"no component named {name!r} is stored here",
                hint="publish it first, or pull it from the node that has it",
                severity=Severity.WARNING,
                line=line,
                column=column,
                length=len(name),
                pointer=pointer,
            )
        )
    return problems


# ---------------------------------------------------------------- the scripts


def _compile_all(document: Document) -> tuple[dict[str, Mapping[str, Any]], list[Problem]]:
    if too_many := _too_many(document):
        return {}, [too_many]
    programs: dict[str, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for script in document.scripts:
        condition = script.role is Role.CONDITION
        program, told = _compile_condition(script) if condition else _compile(document, script)
        problems += told
        if program is not None:
            programs[script.key] = program
    whole = flow_script(document.value, document.scripts)
    if whole is not None and all(script.key in programs for script in document.scripts if script.role is Role.FLOW):
        starts = stage_lines(whole, document.scripts)
        program, _ = _compile(document, whole, starts)  # what is wrong with a stage is told of the stage
        if program is not None:
            programs[whole.key] = {**program, **_own_strategies(document, programs)}
    return programs, problems


def _own_strategies(document: Document, programs: Mapping[str, Any]) -> dict[str, Any]:
    """``{strategies: {name: program}}``: what USE in a stage runs before it looks in the library."""
    found = {script.title: programs.get(script.key) for script in document.scripts if script.role is Role.FRAGMENT}
    compiled = {name: program for name, program in found.items() if program is not None}
    return {"strategies": compiled} if compiled else {}


def _too_many(document: Document) -> Problem | None:
    """Why a document is not compiled at all: it would keep its reader busy for too long."""
    rules = len(document.adaptive_rules)
    carriers = sum(script.role is not Role.CONDITION for script in document.scripts)
    if len(document.scripts) <= _MOST_SCRIPTS and rules * carriers <= _MOST_RULES:
        return None
    return Problem(
        code="opl.document.too-many-scripts",
        message=f"the document has {len(document.scripts)} pieces of script and {rules} rules",
        hint=f"keep to {_MOST_SCRIPTS} pieces, and to {_MOST_RULES:,} rules times scripts; split the document",
        line=1,
        column=1,
    )


def _compile(
    document: Document, script: ScriptSource, stages: Sequence[int] = ()
) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    compilation = _compiled(
        script.text,
        first_line=script.first_line,
        parameters=document.parameters,
        helpers=_helpers(document.helpers),
        rules=[{**rule.value, "line": rule.line} for rule in document.adaptive_rules],
        actions=document.actions or None,
        stages=stages,
    )
    problems = [
        problem if problem.code.startswith("opl.script.rule-") else _placed(problem, script)
        for problem in compilation.problems
        if problem.code != "opl.script.rule-prose"  # conditions are looked at where they stand
    ]
    if not any(problem.severity is Severity.ERROR for problem in problems):
        return compilation.program, problems
    return None, problems if script.formal else [_stops_being_formal(script, problems)]


def _helpers(helpers: Mapping[str, Any]) -> dict[str, str]:
    """What each judgement means, as one text."""
    return {
        name: told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, sort_keys=True)
        for name, told in helpers.items()
    }


def _compile_condition(script: ScriptSource) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    """A condition as the statement ``RETURN (…)``, its problems where the condition stands."""
    if not is_expression(script.text):
        return None, [_prose_condition(script)]
    return _expression(script)


def _expression(script: ScriptSource) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    compilation = _compiled(f"{_OPENING}{script.text}\n)", first_line=script.first_line)
    problems = [_placed(_shifted(problem, script), script) for problem in compilation.problems]
    wanted = [problem for problem in problems if problem.severity is Severity.ERROR]
    return (None if wanted else compilation.program), wanted


def action_problems(document: Document) -> list[Problem]:
    """What is wrong with what the document's actions set, where it stands; in guided mode no script shows it."""
    if not document.loaded.value or not isinstance(document.value, dict):
        return []
    found = actions.unusable(document)
    for script in actions.expressions(document.loaded):
        found += _expression(script)[1]
    return found


def _prose_condition(script: ScriptSource) -> Problem:
    return Problem(
        code="opl.document.prose-condition",
        message=f"the condition is told, not written: {script.text.strip()[:60]!r}",
        hint="an orchestrator agent will judge it; write an expression to have it tested",
        severity=Severity.NOTE,
        line=script.first_line,
        column=script.first_column,
        length=len(script.text.strip()),
        pointer=script.pointer,
    )


def _shifted(problem: Problem, script: ScriptSource) -> Problem:
    if problem.line > script.first_line + script.text.rstrip().count("\n"):
        return replace(problem, line=script.first_line, column=len(script.text.rstrip()) + 1)
    if problem.line == script.first_line:
        return replace(problem, column=max(1, problem.column - len(_OPENING)))
    return problem


def _compiled(text: str, **more: Any) -> Any:
    from opl.script.compiler import compile_script

    return compile_script(text, **more)


def _placed(problem: Problem, script: ScriptSource) -> Problem:
    line, column = script.place(problem.line, problem.column)
    return replace(problem, line=line, column=column, pointer=script.pointer)


def _stops_being_formal(script: ScriptSource, problems: list[Problem]) -> Problem:
    """The note that a text is told rather than written: at its first narrative line, or first error."""
    narrative = first_narrative(script.text)
    if narrative:
        line, column = script.place(script.first_line + narrative[0], 1)
        what = f"{script.title or 'the text'} stops being formal here: {narrative[1][:60]!r}"
    else:
        first = next(problem for problem in problems if problem.severity is Severity.ERROR)
        line, column = first.line, first.column
        what = f"{script.title or 'the text'} does not compile: {first.message}"
    return Problem(
        code="opl.document.guided",
        message=what,
        hint="an orchestrator agent will execute it; write statements only to have it run as a script",
        severity=Severity.NOTE if narrative else Severity.WARNING,
        line=line,
        column=column,
        pointer=script.pointer,
    )


# ---------------------------------------------------------------- what it may do


def program_events(program: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the events that a program may emit."""
    found = program.get("events", ())
    return tuple(found)


def _not_allowed(document: Document, programs: Mapping[str, Mapping[str, Any]], allowed: Allowance) -> list[Problem]:
    problems = []
    if not allowed.known:
        line, column = document.position("/security_profile")
        problems.append(
            Problem(
                code="opl.document.unknown-security-profile",
                message=f"there is no security profile {allowed.profile!r} here",
                hint="name one that ships, such as dsl_interpreter, or list events under capabilities",
                severity=Severity.WARNING,
                line=line,
                column=column,
                pointer="/security_profile",
            )
        )
    problems += [
        _refused(script, event, allowed)
        for script in document.scripts
        for event in allowed.refused(program_events(programs.get(script.key, {})))
    ]
    return problems


def _refused(script: ScriptSource, event: str, allowed: Allowance) -> Problem:
    index = max(script.text.find(event), 0)
    before = script.text[:index]
    line, column = script.first_line + before.count("\n"), index - before.rfind("\n")
    line, column = script.place(line, column)
    return Problem(
        code="opl.document.capability",
        message=f"{script.title or 'the script'} uses {event}, which {allowed.profile} does not allow",
        hint=f"add {event} to capabilities, or name a security_profile that allows it",
        severity=Severity.ERROR if allowed.declared else Severity.WARNING,
        line=line,
        column=column,
        length=len(event),
        pointer=script.pointer,
    )
