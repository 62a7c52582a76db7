"""
From a file's bytes to a rehearsal: choose the script, compile it, check the inputs, play.

Anything wrong with the file or the arguments becomes a list of problems; a
script that runs becomes a ``Rehearsal``, whatever it ends as::

    outcome = rehearse(b'RETURN "done"', file="done.opl")
    outcome.exit_status, outcome.to_json()["result"]   # 0, "done"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opl.document.envelopes import read
from opl.document.model import Document, Role, ScriptSource
from opl.document.scripts import flow_script, stage_lines
from opl.errors import Problem, errors_only
from opl.script.compiler import compile_script
from opl.script.machine import Limits, check_inputs, variables, warnings
from opl.script.rehearse.agents import Cast, Script
from opl.script.rehearse.driver import Record, Stage

FLOW_TITLE = "orchestration_flow"  # of all stages together

SUCCEEDED, FAILED, REFUSED = 0, 1, 2  # exit statuses


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What became of a rehearsal."""

    file: str = ""  # as the caller named it
    title: str = ""  # of the script
    source_lines: Sequence[str] = field(default=(), repr=False)  # of the whole file
    problems: tuple[Problem, ...] = ()  # what the check found; errors mean that nothing was played
    record: Record | None = field(default=None, repr=False)  # None where nothing was played
    source: ScriptSource | None = field(default=None, repr=False)  # the script that was chosen
    seed: int = 0

    @property
    def exit_status(self) -> int:
        """0 succeeded; 1 failed, terminated or stuck; 2 the file or the arguments are bad."""
        if self.record is None:
            return REFUSED
        return SUCCEEDED if self.record.status == "succeeded" else FAILED

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints; ``{diagnostics}`` alone where nothing was played."""
        record = self.record
        if record is None:
            return {"diagnostics": [problem.to_json() for problem in self.problems]}
        return {
            "status": record.status,
            "result": record.result,
            "variables": variables(record.state) if record.state is not None else {},
            "events": [self._placed(event) for event in record.events],
            "tracked": [self._placed(entry) for entry in record.tracked],
            "decisions": record.decisions,
            "rules": record.rules,
            "warnings": self.warnings(),
            "error": self.error(),
            "elapsed": record.elapsed,
            "statements": record.state["statements"] if record.state is not None else 0,
        }

    def warnings(self) -> list[dict[str, Any]]:
        """``{code, message, line, count}``: what was left out with ``--lenient``, then what the run noticed."""
        left_out = [
            {"code": each.code, "message": each.message, "line": each.line, "count": 1}
            for each in errors_only(self.problems)
        ]
        noticed = warnings(self.record.state) if self.record and self.record.state is not None else []
        return left_out + [self._placed(each) for each in noticed]

    def error(self) -> dict[str, Any] | None:
        """``{code, message, line, column}`` in the file, or None."""
        found = self.record.error if self.record else None
        if found is None:
            return None
        line, column = self.place(found.get("line") or 0, found.get("column") or 0)
        return {"code": found["code"], "message": found["message"], "line": line, "column": column}

    def _placed(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {**entry, "line": self.place(entry["line"], 0)[0]}

    def place(self, line: int, column: int) -> tuple[int, int]:
        """A place of the script as a place of the file."""
        return self.source.place(line, column) if self.source and line else (line, column)


def rehearse(
    data: bytes,
    *,
    file: str = "",
    script: str = "",
    inputs: Mapping[str, Any] | None = None,
    agents: Script | None = None,
    seed: int = 0,
    lenient: bool = False,
) -> Rehearsal:
    """
    Run one script of a file with scripted and simulated agents on a virtual clock.

    Args:
        data: the file's bytes: a script, a Markdown component, or a YAML document.
        file: its name, for messages, and for telling forms apart that the text leaves open.
        script: a title, or a number counted from 1; "" where the file has one script.
        inputs: name → value.
        agents: the lines of scripted agents; all others are simulated.
        seed: of the run's chance and of the simulated agents.
        lenient: leave out malformed statements and run the rest.

    Returns:
        What happened, or the problems that kept it from happening. Never raises for bad input.
    """
    document, problems = read(data, file=file)
    if document is None or errors_only(problems):
        lines = data.decode("utf-8", "replace").splitlines()
        return Rehearsal(file=file, source_lines=lines, problems=problems or (_nothing(file),))
    lines = document.text.splitlines()
    whole = None if script or document.main_scripts else flow_script(document.value, document.scripts)
    source, trouble = (whole, None) if whole is not None else _choose(document, script, file)
    if source is None:
        return Rehearsal(file=file, source_lines=lines, problems=(trouble,) if trouble else ())
    return _rehearse_script(document, source, lines, inputs or {}, agents or Script(), seed, lenient)


def rehearse_program(
    program: dict[str, Any],
    *,
    source: str,
    file: str = "",
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    enough: Callable[[], bool] | None = None,
) -> Rehearsal:
    """
    Run a program that was compiled before, with simulated agents.

    Args:
        source: the file it came from, for the lines that a story shows.
        inputs: that were checked; what does not fit is told as problems.
        limits: of the machine, lower ones for a rehearsal that somebody waits for.
        enough: asked between any two steps; True ends the rehearsal as failed, ``opl.limit.rehearsal``.
    """
    base = Rehearsal(file=file, title=program["title"], source_lines=source.splitlines(), problems=(), seed=seed)
    wrong = tuple(errors_only(check_inputs(program, inputs or {})))
    if wrong:
        return replace(base, problems=wrong)
    stage = Stage(program, inputs=inputs or {}, seed=seed, cast=Cast(Script()), limits=limits, enough=enough)
    return replace(base, record=stage.play())


def _rehearse_script(
    document: Document,
    source: ScriptSource,
    lines: Sequence[str],
    inputs: Mapping[str, Any],
    agents: Script,
    seed: int,
    lenient: bool,
) -> Rehearsal:
    compiled = compile_script(
        source.text,
        first_line=source.first_line,
        file=document.file,
        parameters=document.parameters,
        helpers={name: str(text) for name, text in document.helpers.items()},
        rules=[
            {"condition": r.condition, "action": r.action, "rationale": r.rationale, "line": r.line}
            for r in document.adaptive_rules
        ],
        actions=document.actions,
        lenient=lenient,
        stages=stage_lines(source, document.scripts) if source.title == FLOW_TITLE else (),
    )
    problems = tuple(_in_file(problem, source) for problem in compiled.problems)
    base = Rehearsal(
        file=document.file,
        title=compiled.title or _title(document, source),
        source_lines=lines,
        problems=problems,
        source=source,
        seed=seed,
    )
    if compiled.program is None:
        return base
    wrong = errors_only(check_inputs(compiled.program, inputs))
    if wrong:
        return replace(base, problems=tuple(_in_file(problem, source) for problem in wrong))
    program = {**compiled.program, **own_strategies(document)} if source.title == FLOW_TITLE else compiled.program
    record = Stage(program, inputs=inputs, seed=seed, cast=Cast(agents)).play()
    return replace(base, record=record)


def own_strategies(document: Document) -> dict[str, Any]:
    """``{strategies: {name: program}}`` of a document, as far as they compile."""
    named = [each for each in document.scripts if each.role is Role.FRAGMENT]
    found = {each.title: compile_script(each.text, parameters=document.parameters).program for each in named}
    return {"strategies": {name: program for name, program in found.items() if program is not None}}


def _title(document: Document, source: ScriptSource) -> str:
    """Of a script without a title line: the document's name, where it is its only script."""
    only = len(document.main_scripts) == 1 and bool(document.name)
    return document.name if only else source.title


def _in_file(problem: Problem, source: ScriptSource) -> Problem:
    line, column = source.place(problem.line, problem.column) if problem.line else (0, 0)
    return replace(problem, line=line, column=column)


# ---------------------------------------------------------------- choosing


def _choose(document: Document, wanted: str, file: str) -> tuple[ScriptSource | None, Problem | None]:
    """
    The script that is meant, or the problem that there is none or several.

    Numbers count whole scripts; a stage or a named strategy of the document is
    found by its title, or where it is all that there is.
    """
    whole = document.main_scripts
    parts = tuple(each for each in document.scripts if each.role in (Role.FLOW, Role.FRAGMENT))
    choices = whole or parts
    if not choices:
        return None, _nothing(file)
    if not wanted and len(choices) == 1:
        return choices[0], None
    found = document.script(wanted) if wanted else None
    found = found or next((each for each in parts if wanted and _called(each, wanted)), None)
    if found is not None:
        return found, None
    listed = "; ".join(f"{each.number} {each.title}".strip() for each in choices[:20])
    message = f"there is no script '{wanted}'" if wanted else f"the file has {len(choices)} scripts"
    hint = f"choose one with --script, by title or number: {listed}"
    return None, Problem(code="opl.rehearsal.script", message=message, hint=hint, file=file)


def _called(script: ScriptSource, wanted: str) -> bool:
    return wanted.strip().casefold() in (script.title.casefold(), script.slug)


def _nothing(file: str) -> Problem:
    return Problem(
        code="opl.rehearsal.script",
        message="there is no script in this file",
        hint="a guided pattern is executed by an orchestrator agent; start it as a run instead",
        file=file,
    )
