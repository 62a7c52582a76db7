"""
A script becomes a program.

``compile_script`` reads, resolves and generates, and tells everything that is
wrong on the way. The program is one JSON object; it is all that the machine
needs, and its hash names it.

    >>> found = compile_script("STATE total = 1")
    >>> found.program["inputs"]["total"]["default"]
    1

Source: docs/language.md; docs/decisions/0010-one-plain-instruction.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from opl.errors import Problem, ScriptError, Severity
from opl.script import values
from opl.script.calls import PRIMITIVES
from opl.script.codegen import STRATEGY, Codegen
from opl.script.inputs import declared_inputs, kind_of, script_inputs
from opl.script.lowering import Lowering
from opl.script.parser import parse
from opl.script.parser.cursor import problem_at
from opl.script.resolver import Resolution, mirror, resolve
from opl.script.resting import collector_at_rest
from opl.script.rules import compile_rules
from opl.script.shapes import infer_shapes
from opl.script.syntax import (
    At,
    Bind,
    Block,
    Chain,
    Const,
    Event,
    Expr,
    ListOf,
    ObjectOf,
    Stmt,
    Track,
    Unary,
    blocks_of,
)

FORMAT = "opl-program/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What became of a script."""

    program: dict[str, Any] | None  # None where an error refuses it
    problems: tuple[Problem, ...]  # errors, warnings and notes in the order of the text
    body: Block  # the tree, for the outline
    title: str  # the script's own title, or ""

    @property
    def ok(self) -> bool:
        """Whether there is a program."""
        return self.program is not None


LONG_SOURCE = 16_384  # characters; below, the collector hardly finds the time


def compile_script(
    source: str,
    *,
    first_line: int = 1,
    file: str = "",
    parameters: Mapping[str, Any] | None = None,
    helpers: Mapping[str, str] | None = None,
    rules: Sequence[Mapping[str, Any]] = (),
    actions: Mapping[str, Any] | None = None,
    capabilities: Collection[str] | None = None,
    lenient: bool = False,
    stages: Sequence[int] = (),
) -> Compilation:
    """
    Compile a script.

    Args:
        first_line: the number of the text's first line in ``file``.
        file: the name that problems tell.
        parameters: the document's ``parameters``: a JSON Schema of type object, or name → schema.
        helpers: judgement name → what it judges, in natural language.
        rules: adaptive rules, each ``{condition, action, rationale, line?}``.
        actions: action name → ``{set: {name: expression}}`` or ``{use: strategy}``.
        capabilities: names (or patterns such as ``state:*``) of the events that are allowed; None allows all.
        lenient: leave statements with errors out and compile the rest.
        stages: the first lines of the stages of an ``orchestration_flow``; there, USE runs the named strategy,
            binds its result to ``strategy``, and goes on with the next stage.
    """
    try:
        with collector_at_rest() if len(source) > LONG_SOURCE else nullcontext():
            return _compiled(
                source,
                first_line,
                file,
                parameters,
                dict(helpers or {}),
                rules,
                actions or {},
                capabilities,
                lenient,
                stages,
            )
    except RecursionError:  # 64 levels of each kind fit into the default stack, but the caller may stand deep in it
        hint = "nest less, and give inner parts names with STATE"
        problem = problem_at(At(first_line, 1), "opl.limit.nesting", "the script is nested too deeply", hint)
        return Compilation(program=None, problems=_finished([problem], file), body=[], title="")


def _compiled(
    source: str,
    first_line: int,
    file: str,
    parameters: Mapping[str, Any] | None,
    helpers: dict[str, str],
    rules: Sequence[Mapping[str, Any]],
    actions: Mapping[str, Any],
    capabilities: Collection[str] | None,
    lenient: bool,
    stages: Sequence[int],
) -> Compilation:
    script = parse(source, first_line=first_line)
    problems = list(script.problems)
    declared = declared_inputs(parameters)
    names = resolve(script.body, [*declared, *((STRATEGY,) if stages else ())])
    lowering = Lowering(names, helpers, problems.append)
    codegen = Codegen(names, lowering, helpers)
    codegen.staged = bool(stages)
    constants = _constants(script.body, names, codegen)
    if stages:
        codegen.flow(script.body, stages)
    else:
        codegen.block(script.body)
    codegen.emit(At(_last_line(source, first_line), 1), "end", 0)
    mirror(names.root)
    for described, index, scope in codegen.code.branches:
        described[index] = sorted(scope.mirrored)
    infer_shapes(script.body, codegen.code.event_nodes)
    compiled_rules = compile_rules(rules, actions, lowering, problems)
    _check_capabilities(codegen, capabilities, problems)
    _note_judgements(codegen, helpers, problems)
    inputs, initial = script_inputs(constants, names, lowering.optional, declared)
    if "GENERATE_TASKS" in lowering.used and "tasks" not in inputs:
        inputs["tasks"] = {"type": "list", "required": False, "line": 0}
    instructions = codegen.code.finished()
    program = {
        "format": FORMAT,
        "title": script.title,
        "inputs": inputs,
        "initial_state": initial,
        "constants": sorted(constants),
        "events": sorted(codegen.code.events),
        "judgements": {
            name: {"definition": helpers.get(name, ""), "line": at.line}
            for name, at in sorted(codegen.code.judgements.items())
        },
        "primitives": sorted(codegen.code.primitives),
        "builtins": sorted(lowering.used),
        "rules": compiled_rules,
        "slots": lowering.slots,
        "source_map": codegen.code.places,
        "shapes": {
            str(pc): each[-1] for pc, each in enumerate(instructions) if each[0] == "event" and each[-1] is not None
        },
        "instructions": instructions,
    }
    found = _finished(problems, file)
    failed = any(problem.severity is Severity.ERROR for problem in found)
    kept = lenient and not any(problem.code.startswith("opl.limit.") for problem in found)
    return Compilation(
        program=json.loads(json.dumps(program)) if kept or not failed else None,
        problems=found,
        body=script.body,
        title=script.title,
    )


def program_hash(program: Mapping[str, Any]) -> str:
    """The name of a program: BLAKE2b of its canonical JSON, 32 hexadecimal digits."""
    text = json.dumps(program, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _finished(problems: list[Problem], file: str) -> tuple[Problem, ...]:
    """The problems in the order of the text, each once, with the name of the file."""
    unique = dict.fromkeys(replace(problem, file=file) if file else problem for problem in problems)
    return tuple(sorted(unique, key=lambda problem: (problem.line, problem.column)))


def _last_line(source: str, first_line: int) -> int:
    return first_line + max(len(source.splitlines()) - 1, 0)


# ---------------------------------------------------------------- inputs


def _constants(body: Block, names: Resolution, codegen: Codegen) -> dict[str, tuple[Any, int, bool]]:
    """
    Top-level ``STATE name = constant`` before the first event.

    Returns:
        name → (value, line, whether the script never assigns it again).
    """
    found: dict[str, tuple[Any, int, bool]] = {}
    for statement in body:
        if not isinstance(statement, Track) and codegen.waits(statement):
            if _emits(statement, codegen):
                break
            continue
        if isinstance(statement, Bind) and statement.name not in found:
            known, value = constant(statement.value)
            if known:
                found[statement.name] = (value, statement.at.line, names.changes.get(statement.name) == 1)
                codegen.given.add(id(statement))
    return found


def _emits(statement: Stmt, codegen: Codegen) -> bool:
    """Whether a waiting statement does more than TRACK."""
    if isinstance(statement, Track):
        return codegen._asks(statement)
    inner = [each for block in blocks_of(statement) for each in block if codegen.waits(each)]
    return isinstance(statement, Event) or not inner or any(_emits(each, codegen) for each in inner)


def constant(node: Expr) -> tuple[bool, Any]:
    """Whether an expression is constant, and its value."""
    match node:
        case Const(value=value):
            return True, value
        case ListOf(items=items):
            parts = [constant(item) for item in items]
            return all(known for known, _ in parts), [value for _, value in parts]
        case ObjectOf(entries=entries):
            pairs = [(key, *constant(value)) for key, value in entries]
            known = all(isinstance(key, str) and known for key, known, _ in pairs)
            return known, {str(key): value for key, _, value in pairs} if known else None
        case Unary(operator="-", operand=operand) | Chain(first=operand, rest=[*_]) if operand is not None:
            return _computed(node)
    return False, None


_ARITHMETIC = {
    "+": values.add,
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "//": values.floor_divide,
    "%": values.modulo,
}


def _computed(node: Expr) -> tuple[bool, Any]:
    try:
        match node:
            case Unary(operand=operand):
                known, value = constant(operand)
                return known, values.negate(value) if known else None
            case Chain(first=first, rest=rest):
                known, value = constant(first)
                for operator, operand, _ in rest:
                    also, other = constant(operand)
                    known = known and also
                    value = _ARITHMETIC[operator](value, other) if known else None
                return known, value
    except ScriptError:
        pass
    return False, None


# ---------------------------------------------------------------- what a script may do


def _check_capabilities(codegen: Codegen, allowed: Collection[str] | None, problems: list[Problem]) -> None:
    if allowed is None:
        return
    for name, at in codegen.code.events.items():
        if not any(fnmatchcase(name, pattern) for pattern in allowed):
            problems.append(
                problem_at(
                    at,
                    "opl.script.capability",
                    f"the event {name} is not among the capabilities of this pattern",
                    "declare it under capabilities, or choose a security_profile that has it",
                    length=len(name),
                )
            )


def _note_judgements(codegen: Codegen, helpers: Mapping[str, str], problems: list[Problem]) -> None:
    for name, at in codegen.code.judgements.items():
        defined = "the document's helpers define it" if name in helpers else "an oracle agent is asked"
        problems.append(
            problem_at(
                at,
                "opl.script.judgement",
                f"{name} is a judgement: {defined}",
                "describe it under helpers, so that every run judges alike" if name not in helpers else "",
                severity=Severity.NOTE,
                length=len(name),
            )
        )


__all__ = ["FORMAT", "PRIMITIVES", "Compilation", "compile_script", "constant", "kind_of", "program_hash"]
