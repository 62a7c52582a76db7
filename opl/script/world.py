"""
What a run keeps beside its script: agents, entities, checkpoints, decisions.

A ``World`` is what a rehearsal has for a database, and the plain statement of
what the local events and primitives mean. It is pure: the caller says what
time it is, and the same events in the same order make the same world::

    >>> world = World()
    >>> world.answer("state:entity:update", {"id": "progress", "properties": {"done": 1}}, at=0)
    {'type': None, 'id': 'progress', 'properties': {'done': 1}}

Always true: what is handed out is a copy, so nobody outside can change a
world; and an agent's id names one agent for the whole run.

Source: docs/language.md, sections Events and Primitives.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opl.script.values import copy, equal, is_number, to_text

Data = Mapping[str, Any]
EntityKey = tuple[str, str]  # type, id

EMITTED = {"status": "emitted"}  # the reply of an event that nobody answers


@dataclass(slots=True, kw_only=True)
class Agent:
    """One agent of the run."""

    agent_id: str  # as the script names it
    profile: str  # who it was asked to be
    details: dict[str, Any]  # what else was said when it was spawned
    active: bool = True  # False once it was terminated
    asked: int = 0  # questions put to it

    def to_json(self) -> dict[str, Any]:
        """``{agent_id, profile, status, …}``, as a script sees it."""
        status = "active" if self.active else "terminated"
        return {**copy(self.details), "agent_id": self.agent_id, "profile": self.profile, "status": status}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a checkpoint remembers."""

    state: Any  # what the script gave it
    entities: dict[EntityKey, dict[str, Any]]  # all of that time, by type and id


@dataclass(slots=True)
class World:
    """The agents, entities and notes of one run."""

    agents: dict[str, Agent] = field(default_factory=dict)
    entities: dict[EntityKey, dict[str, Any]] = field(default_factory=dict)  # properties by type and id
    checkpoints: dict[str, Saved] = field(default_factory=dict)  # by checkpoint id, in order of being made
    metrics: dict[str, Any] = field(default_factory=dict)  # the latest tracked value of each name
    decisions: list[dict[str, Any]] = field(default_factory=list)  # in order of being made
    seen: list[dict[str, Any]] = field(default_factory=list)  # {name, data} of every event so far
    subscriptions: list[list[str]] = field(default_factory=list)  # patterns of observe_events

    def answer(self, name: str, data: Data, at: int) -> Any:
        """Carry one local event out; its reply. ``at`` is milliseconds since the epoch."""
        handler = _HANDLERS.get(name)
        return handler(self, data, at) if handler is not None else dict(EMITTED)

    def note(self, name: str, data: Data) -> None:
        """Remember an event for ``observe_events``."""
        self.seen.append({"name": name, "data": data})

    def track(self, data: Data) -> None:
        """Remember the latest value of each tracked field."""
        self.metrics.update(copy(dict(data)))

    # ------------------------------------------------------------ agents

    def meet(self, agent_id: str, data: Data | None = None) -> Agent:
        """The agent a question goes to; one not spawned before gets the profile of its name."""
        agent = self.agents.get(agent_id)
        if agent is None:
            profile = to_text((data or {}).get("profile")) or agent_id
            agent = self.agents[agent_id] = Agent(agent_id=agent_id, profile=profile, details={})
        agent.asked += 1
        return agent

    def spawn(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """A handle ``{agent_id, profile, …}``; without an ``agent_id`` it is named after its profile: judge, judge_2."""
        profile = to_text(data.get("profile") or data.get("role"))
        agent_id = to_text(data.get("agent_id")) or self._free_name(profile or "agent")
        details = {k: copy(v) for k, v in data.items() if k not in ("agent_id", "profile", "status")}
        agent = Agent(agent_id=agent_id, profile=profile or agent_id, details=details)
        self.agents[agent_id] = agent
        return {"agent_id": agent_id, "profile": agent.profile, **copy(details)}

    def _free_name(self, base: str) -> str:
        name, count = base, 1
        while name in self.agents:
            count += 1
            name = f"{base}_{count}"
        return name

    def terminate(self, data: Data, _at: int = 0) -> Any:
        """The agent that was terminated, or the list of them for a list of ids or ``ALL``."""
        wanted = data.get("agent_id", data.get("agents"))
        if data.get("all") is True or to_text(wanted).upper() == "ALL":
            wanted = [agent.agent_id for agent in self.agents.values() if agent.active]
        if type(wanted) is list:
            return [self._terminated(each) for each in wanted]
        return self._terminated(wanted)

    def _terminated(self, wanted: Any) -> dict[str, Any]:
        name = to_text(wanted.get("agent_id") if type(wanted) is dict else wanted)
        agent = self.agents.get(name)
        if agent is None:
            return {"agent_id": name, "status": "unknown"}
        agent.active = False
        return agent.to_json()

    def list_agents(self, data: Data, _at: int = 0) -> list[dict[str, Any]]:
        """The active agents; with criteria those whose fields equal them."""
        criteria = data.get("filter_criteria", data.get("filter"))
        wanted = dict(criteria) if type(criteria) is dict else {}
        if data.get("profile") is not None:
            wanted["profile"] = data["profile"]
        shown = (agent.to_json() for agent in self.agents.values())
        status = wanted.get("status", "active")
        return [each for each in shown if each["status"] == status and _has(each, wanted)]

    def status_of(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """One agent, with how many questions it was asked."""
        name = to_text(data.get("agent_id"))
        agent = self.agents.get(name)
        if agent is None:
            return {"agent_id": name, "status": "unknown"}
        return {**agent.to_json(), "asked": agent.asked}

    # ------------------------------------------------------------ entities

    def _find(self, data: Data) -> EntityKey:
        """The entity that an event names; without a type the one of that id, whatever its type."""
        kind, name = to_text(data.get("type")), to_text(data.get("id"))
        if not kind and (kind, name) not in self.entities:
            return next((key for key in self.entities if key[1] == name), (kind, name))
        return kind, name

    def put_entity(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """Create and update are one: both merge into what is there, both create what is not."""
        key = self._find(data)
        given = data.get("properties")
        properties = given if type(given) is dict else {} if given is None else {"value": given}
        self.entities[key] = {**self.entities.get(key, {}), **copy(properties)}
        return _entity(key, self.entities[key])

    def get_entity(self, data: Data, _at: int = 0) -> dict[str, Any] | None:
        """``{type, id, properties}``, null for what is not there."""
        key = self._find(data)
        return _entity(key, self.entities[key]) if key in self.entities else None

    def query_entities(self, data: Data, _at: int = 0) -> list[dict[str, Any]]:
        """The entities of a type whose properties equal those of ``where``."""
        kind = to_text(data.get("type"))
        where = data.get("where", data.get("properties", data.get("filter")))
        wanted = where if type(where) is dict else {}
        return [
            _entity(key, properties)
            for key, properties in self.entities.items()
            if (not kind or key[0] == kind) and _has(properties, wanted)
        ]

    def delete_entity(self, data: Data, _at: int = 0) -> dict[str, Any] | None:
        """The entity that is gone now, null for what was not there."""
        key = self._find(data)
        properties = self.entities.pop(key, None)
        return None if properties is None else _entity(key, properties)

    # ------------------------------------------------------------ primitives

    def checkpoint(self, data: Data, _at: int = 0) -> str:
        """Remember a state, and the entities as they are; the checkpoint's id."""
        name = f"checkpoint_{len(self.checkpoints) + 1}"
        self.checkpoints[name] = Saved(state=copy(data.get("state")), entities=copy_entities(self.entities))
        return name

    def rollback(self, data: Data, _at: int = 0) -> Any:
        """The state that a checkpoint remembers, its entities being back; null for an id that names none."""
        saved = self.checkpoints.get(to_text(data.get("checkpoint_id")))
        if saved is None:
            return None
        self.entities.clear()
        self.entities.update(copy_entities(saved.entities))
        return copy(saved.state)

    def observe(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """``{subscription, patterns, events}``: the events so far whose names match one of the globs."""
        given = data.get("patterns")
        patterns = [to_text(each) for each in (given if type(given) is list else [given])]
        self.subscriptions.append(patterns)
        events = [each for each in self.seen if any(fnmatch.fnmatchcase(each["name"], p) for p in patterns)]
        return {"subscription": len(self.subscriptions), "patterns": patterns, "events": copy(events[-1000:])}

    def read_metrics(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """The latest tracked values of the names, null for one never tracked; all without names."""
        names = data.get("metric_names")
        if names is None:
            return {name: value for name, value in self.metrics.items() if is_number(value)}
        wanted = names if type(names) is list else [names]
        return {to_text(name): copy(self.metrics.get(to_text(name))) for name in wanted}

    def decide(self, data: Data, at: int) -> None:
        """Write one decision into the log; ``decision`` is another name for ``decision_type``."""
        entry = {"decision_type": data.get("decision"), **copy(dict(data))}
        self.decisions.append({"at": at, **entry})

    def record_decision(self, data: Data, at: int) -> dict[str, Any]:
        """The same as a primitive, which answers what it wrote."""
        self.decide(data, at)
        return {**copy(self.decisions[-1]), "status": "recorded"}

    def modify_strategy(self, data: Data, at: int) -> dict[str, Any]:
        """A change of approach is a decision; what it sets is the caller's to carry out."""
        approach = copy(data.get("new_approach"))
        self.decide({"decision_type": "modify_strategy", "outcome": approach}, at)
        return {"status": "modified", "new_approach": approach}

    def load_pattern(self, data: Data, _at: int = 0) -> dict[str, Any]:
        """A pattern by its name; a world without a registry knows no more of it."""
        return {"name": to_text(data.get("name"))}

    def adapt_pattern(self, data: Data, at: int) -> dict[str, Any]:
        """The pattern with what it was adapted to."""
        pattern = data.get("pattern")
        base = copy(pattern) if type(pattern) is dict else {"name": to_text(pattern)}
        self.decide({"decision_type": "adapt_pattern", "context": data.get("context")}, at)
        return {**base, "adapted_to": copy(data.get("context"))}

    def export_pattern(self, _data: Data, _at: int = 0) -> dict[str, Any]:
        """What the run learned: its decisions, metrics and agents."""
        return {
            "decisions": copy(self.decisions),
            "metrics": copy(self.metrics),
            "agents": [agent.to_json() for agent in self.agents.values()],
        }


def copy_entities(entities: Mapping[EntityKey, dict[str, Any]]) -> dict[EntityKey, dict[str, Any]]:
    """Entities that change no more when the others do."""
    return {key: copy(properties) for key, properties in entities.items()}


def _has(fields: Data, wanted: Data) -> bool:
    return all(name in fields and equal(fields[name], value) for name, value in wanted.items())


def _entity(key: EntityKey, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": key[0] or None, "id": key[1], "properties": copy(properties)}


def names_of(agents: Any) -> Sequence[str]:
    """The ids of agents given as ids, handles, or a list of either."""
    listed = agents if type(agents) is list else [] if agents is None else [agents]
    return [to_text(each.get("agent_id") if type(each) is dict else each) for each in listed]


def _spawned_id(world: World, data: Data, at: int) -> str:
    """The primitive answers the id alone, as the seed has it."""
    return str(world.spawn(data, at)["agent_id"])


_HANDLERS: Mapping[str, Callable[[World, Data, int], Any]] = {
    "agent:spawn": World.spawn,
    "agent:terminate": World.terminate,
    "agent:list": World.list_agents,
    "state:entity:create": World.put_entity,
    "state:entity:update": World.put_entity,
    "state:entity:get": World.get_entity,
    "state:entity:query": World.query_entities,
    "state:entity:delete": World.delete_entity,
    "orchestrator:decision": World.decide,
    "primitive:spawn_agent": _spawned_id,
    "primitive:terminate_agent": World.terminate,
    "primitive:list_agents": World.list_agents,
    "primitive:query_agent_status": World.status_of,
    "primitive:observe_events": World.observe,
    "primitive:track_metrics": World.read_metrics,
    "primitive:modify_strategy": World.modify_strategy,
    "primitive:create_checkpoint": World.checkpoint,
    "primitive:rollback_to_checkpoint": World.rollback,
    "primitive:load_pattern": World.load_pattern,
    "primitive:adapt_pattern": World.adapt_pattern,
    "primitive:record_decision": World.record_decision,
    "primitive:export_pattern": World.export_pattern,
}
LOCAL_EVENTS = frozenset(_HANDLERS)
