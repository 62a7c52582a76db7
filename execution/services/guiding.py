"""
Guided patterns: prose carried out by an orchestrator agent.

A version without a script runs as the one built-in program ``guided.opl``,
with its text, its tools and its orchestrator's profile as inputs. They are
fixed when the run is started, so that a profile published later changes
nothing; everything else is as for any script. The pattern's own rules are part
of the program, and its parameters are variables of it, so that rules can set
them and conditions can speak of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from execution import primitives
from execution.errors import NotExecutable
from execution.services import checking, profiles
from opl.check import action_problems
from opl.document.actions import GUIDED_NAMES
from opl.document.model import Document, Mode, ProfileSource
from opl.document.profile import ProfileError, resolve_source
from opl.document.security import allowance
from opl.errors import errors_only
from opl.script.compiler import compile_script
from opl.script.values import to_text
from registry.models import PatternVersion
from registry.services import reading

SOURCE = (Path(__file__).parent.parent / "guided.opl").read_text(encoding="utf-8")
GIVEN = ("task", "context", "max_turns")  # what may be said at the start, beside the pattern's own parameters
LONGEST_PART = 60_000  # characters of the document that the orchestrator reads beside its strategy
DEFAULT_PROFILE = "orchestrator_agent"
_KNOWN_ROLES = ("orchestrator", "controller", "coordinator", "conductor", "manager")
_SLOT = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*(?:\|[^{}]*)?\}\}")
_TOLD = (
    "routing", "routing_rules", "coordination", "resources", "adaptive_rules", "actions", "learnings",
    "discovery_insights", "orchestration_flow", "strategies", "success_when", "verification",
)  # fmt: skip
BUILT_IN_PROFILE = """\
You coordinate other agents; you do none of their work yourself. Plan first, then give each agent one clear task, read
what comes back, and decide what follows from it. When an agent fails, ask again, ask another one, or go on without it,
whichever costs least. When results disagree or fall short, change the approach and say why. Write down each decision
that another run could learn from, with how it turned out. Stop as soon as the task is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run of a version executes."""

    program: dict[str, Any]
    inputs: dict[str, Any]
    tools: bool = False  # whether the agents must be able to use tools


def plan(version: PatternVersion, given: Mapping[str, Any]) -> Plan:
    """
    The program and inputs of a run.

    Raises:
        NotExecutable: there is neither a script nor a text to be guided by.
        InputsRefused: a value does not fit; all problems at once.
    """
    if version.program is not None:
        return plan_of(version.program, given)
    document = reading.read(version.source_bytes).document
    if document is None or not version.text.strip():
        raise NotExecutable(str(version))
    program = program_of(document, str(version))
    own = parameters_of(document)
    checking.only(given, [*GIVEN, *own])
    checked = checking.checked_inputs(program, given)
    return Plan(program=program, inputs=_inputs(version, document, program, own, checked), tools=True)


def plan_of(program: Mapping[str, Any], given: Mapping[str, Any]) -> Plan:
    """A script with checked inputs."""
    return Plan(program=dict(program), inputs=checking.checked_inputs(program, given))


def fitting(version: PatternVersion, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Inputs that were given to one version, for another: a script has no use for what only an orchestrator is told.
    """
    if version.program is None:
        return dict(given)
    takes = {**version.program["inputs"], **version.program["initial_state"]}
    return {name: value for name, value in given.items() if name in takes or name not in GIVEN}


def form_inputs(version: PatternVersion) -> list[dict[str, Any]]:
    """What a form asks for before a run of the version starts, as ``PatternVersion.inputs`` describes it."""
    if version.mode != Mode.GUIDED:
        return list(version.inputs)
    told = {"required": False, "schema": {}, "initial": False}
    own = [
        {
            "name": "task",
            "type": "string",
            "default": version.description,
            "description": "What is to be done.",
            **told,
        },
        {"name": "context", "type": "object", "default": {}, "description": "What else it should know.", **told},
        {"name": "max_turns", "type": "number", "default": 40, "description": "Turns of the orchestrator.", **told},
    ]
    document = reading.read(version.source_bytes).document
    declared = parameters_of(document) if document is not None else {}
    return own + [item for item in version.inputs if item.get("name") in declared]


def given_of(run: Any) -> dict[str, Any]:
    """The inputs of a run that its starter gave, or could have given."""
    return given_values(run.version, run.input_values())


def given_values(version: PatternVersion, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's inputs those that its starter may give; a guided run holds more."""
    if version.program is not None:
        return dict(values)
    document = reading.read(version.source_bytes).document
    allowed = {*GIVEN, *(parameters_of(document) if document is not None else ())}
    return {name: value for name, value in values.items() if name in allowed}


# ---------------------------------------------------------------- the program


def parameters_of(document: Document) -> dict[str, Any]:
    """The pattern's declared parameters; a name that the guided program uses itself is told in words only."""
    properties = (document.parameters or {}).get("properties")
    declared = properties if isinstance(properties, Mapping) else {}
    return {name: schema for name, schema in declared.items() if name.isidentifier() and name not in GUIDED_NAMES}


def program_of(document: Document, version: str = "") -> dict[str, Any]:
    """
    The guided program with the pattern's parameters and rules in it.

    Raises:
        NotExecutable: one of them does not compile; says which, where it stands.
    """
    compiled = compile_script(
        SOURCE,
        parameters={"type": "object", "properties": parameters_of(document)},
        rules=[{**rule.value, "line": rule.line} for rule in document.adaptive_rules],
        actions=document.actions or None,
    )
    if compiled.program is None:
        problems = errors_only(action_problems(document)) or errors_only(compiled.problems)
        told = "; ".join(f"{each.line}:{each.column}: {each.message}" for each in problems[:5])
        raise NotExecutable(version or document.name, f"its rules or parameters do not compile: {told}")
    return compiled.program


# ---------------------------------------------------------------- what the orchestrator is told


def _inputs(
    version: PatternVersion,
    document: Document,
    program: Mapping[str, Any],
    own: Mapping[str, Any],
    given: dict[str, Any],
) -> dict[str, Any]:
    agent_id, declared = orchestrator_of(document)
    values = {name: program["inputs"].get(name, {}).get("default") for name in own} | given
    values = {name: value for name, value in values.items() if value is not None and name not in GIVEN}
    context = given.get("context")
    told = dict(context) if isinstance(context, Mapping) else {}
    return {
        **given,
        **values,
        "task": given.get("task") or document.description.strip() or version.title or version.pattern.name,
        "strategy": filled(strategy_of(version, document), {**values, "agent_id": agent_id}),
        "context": {**told, **({"parameters": values} if values else {})},
        "tools": tools_of(document),
        "system": system_of(version, declared, {**values, "agent_id": agent_id}),
        "orchestrator": agent_id,
    }


def tools_of(document: Document) -> list[str]:
    """The tools it may use: all, or those that its declared capabilities cover."""
    allowed = allowance(document)
    names = [*primitives.PRIMITIVES, *primitives.PATTERN_OPERATIONS]
    return [name for name in names if not allowed.declared or allowed.allows(f"primitive:{name}")]


def strategy_of(version: PatternVersion, document: Document) -> str:
    """The prose, then whatever else of the document an orchestrator should know."""
    value = document.value
    if not value:
        return version.text
    logic = value.get("orchestration_logic")
    parts = [document.strategy.strip()]
    if isinstance(logic, Mapping):
        parts += [part.strip() for part in logic.values() if isinstance(part, str)]
        rest = {name: part for name, part in logic.items() if not isinstance(part, str)}
    else:
        rest = {}
    inner = value.get("pattern")
    for holder in (value, inner if isinstance(inner, Mapping) else {}):
        rest |= {name: holder[name] for name in _TOLD if holder.get(name)}
    if document.agents:
        rest["agents"] = {name: _without_prompt(agent) for name, agent in document.agents.items()}
    told = "\n\n".join(dict.fromkeys(part for part in parts if part)) or version.text
    if rest:
        shown = yaml.safe_dump(_plain(rest), sort_keys=False, allow_unicode=True, width=120)[:LONGEST_PART]
        told += f"\n\nFROM THE PATTERN'S DOCUMENT:\n{shown}"
    return told


def _without_prompt(agent: Any) -> Any:
    return {k: v for k, v in agent.items() if k != "prompt"} if isinstance(agent, Mapping) else agent


def _plain(value: Any) -> Any:
    """The same as plain dicts and lists, which is all that the dumper knows."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def orchestrator_of(document: Document) -> tuple[str, Mapping[str, Any]]:
    """The agent of the document that orchestrates, and what is said of it: the one named so, else the only one."""
    agents = {name: agent for name, agent in document.agents.items() if isinstance(agent, Mapping)}
    for word in _KNOWN_ROLES:
        for name, agent in agents.items():
            if word in name.lower():
                return name, agent
    if len(agents) == 1 and not next(iter(agents.values())).get("template"):
        return next(iter(agents.items()))
    return "orchestrator", {}


def system_of(version: PatternVersion, declared: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """The orchestrator's system prompt: its profile with all that it extends, then the document's own words."""
    wanted = to_text(declared.get("profile") or declared.get("component")) or DEFAULT_PROFILE
    if profiles.lookup(version.pk, wanted) is None:
        wanted = DEFAULT_PROFILE
    variables = declared.get("vars")
    known = {**(variables if isinstance(variables, Mapping) else {}), **values}
    own = to_text(declared.get("prompt") or declared.get("system_prompt"))
    source = ProfileSource(name="%guided", value={"extends": wanted}, prompt=own)
    try:
        resolved = resolve_source(source, lambda name: profiles.lookup(version.pk, name), variables=known)
    except ProfileError:
        return f"{BUILT_IN_PROFILE}\n\n{filled(own, known)}".strip()
    parts = [part.prompt for part in resolved.components if part.prompt]
    has_profile = any(part.origin != "%guided" for part in resolved.components if part.prompt)
    return "\n\n".join(parts if has_profile else [BUILT_IN_PROFILE, *parts])


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with ``{{name}}`` replaced where the name is known; anything else stays as written."""
    return _SLOT.sub(lambda found: to_text(values[found[1]]) if found[1] in values else found[0], text)
