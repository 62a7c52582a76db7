"""
What a run keeps beside its script: entities and agents, as the script's events change them.

Events of these kinds are answered here, at once and without the network. A
``World`` is loaded when first needed, changes in memory, and what changed is
written in the transaction of the advance. Rebuilding it by applying the same
events in the same order gives the same world, which is how a branch gets one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from execution.models import Entity, RunAgent
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, load_many

EntityKey = tuple[str, str]  # type, id


@dataclass(slots=True)
class Agent:
    """One agent of the run."""

    agent_id: str
    profile: str
    details: dict[str, Any]
    active: bool = True
    spawned_at: int = 0  # ms

    def to_json(self) -> dict[str, Any]:
        """As a script sees it."""
        status = "active" if self.active else "terminated"
        return {**self.details, "agent_id": self.agent_id, "profile": self.profile, "status": status}


@dataclass(slots=True)
class World:
    """The entities and agents of one run."""

    run_id: int
    agents: dict[str, Agent] | None = None  # None: not loaded
    entities: dict[EntityKey, dict[str, Any] | None] | None = None  # None as a value: deleted
    changed_agents: set[str] = field(default_factory=set)
    changed_entities: set[EntityKey] = field(default_factory=set)

    @classmethod
    def empty(cls, run_id: int) -> World:
        """The world of a run that has not begun."""
        return cls(run_id, agents={}, entities={})

    def answer(self, name: str, data: dict[str, Any], at: int) -> Any:
        """Carry one local event out; the reply."""
        handler = _HANDLERS.get(name)
        return handler(self, data, at) if handler is not None else {"status": "emitted"}

    def replayed(self, name: str, data: dict[str, Any], at: int) -> None:
        """Apply one event of the journal again, the meeting of agents included."""
        if name in AGENT_EVENTS:
            self.meet(agent_of(name, data), data, at)
        elif name in LOCAL_EVENTS:
            self.answer(name, data, at)

    # ------------------------------------------------------------ agents

    def agent_rows(self) -> dict[str, Agent]:
        if self.agents is None:
            self.agents = {
                row.agent_id: Agent(row.agent_id, row.profile, row.details, row.active, row.spawned_at)
                for row in RunAgent.objects.filter(run_id=self.run_id)
            }
        return self.agents

    def meet(self, agent_id: str, data: dict[str, Any], at: int) -> Agent:
        """The agent a question goes to; one not spawned before is spawned with the profile of its name."""
        agents = self.agent_rows()
        agent = agents.get(agent_id)
        if agent is None:
            agent = Agent(agent_id, text(data.get("profile")), {}, True, at)
            agents[agent_id] = agent
            self.changed_agents.add(agent_id)
        return agent

    def spawn(self, data: dict[str, Any], at: int) -> dict[str, Any]:
        agents = self.agent_rows()
        profile = text(data.get("profile") or data.get("role"))
        agent_id = text(data.get("agent_id")) or self._free_name(profile or "agent")
        details = {name: value for name, value in data.items() if name not in ("agent_id", "profile", "status")}
        agents[agent_id] = Agent(agent_id, profile, details, True, at)
        self.changed_agents.add(agent_id)
        return agents[agent_id].to_json()

    def _free_name(self, base: str) -> str:
        agents, name, count = self.agent_rows(), base, 1
        while name in agents:
            count += 1
            name = f"{base}_{count}"
        return name

    def terminate(self, data: dict[str, Any], at: int) -> Any:
        wanted = data.get("agent_id", data.get("agents"))
        names = wanted if isinstance(wanted, list) else [wanted]
        gone = [agent for name in names if (agent := self.agent_rows().get(text(name))) is not None]
        for agent in gone:
            agent.active = False
            self.changed_agents.add(agent.agent_id)
        if isinstance(wanted, list):
            return [agent.to_json() for agent in gone]
        return gone[0].to_json() if gone else {"agent_id": wanted, "status": "unknown"}

    def list_agents(self, data: dict[str, Any], at: int) -> list[dict[str, Any]]:
        wanted = text(data.get("profile"))
        return [
            agent.to_json()
            for agent in self.agent_rows().values()
            if agent.active and (not wanted or agent.profile == wanted)
        ]

    # ------------------------------------------------------------ entities

    def entity_rows(self) -> dict[EntityKey, dict[str, Any] | None]:
        if self.entities is None:
            rows = list(Entity.objects.filter(run_id=self.run_id).values_list("type", "entity_id", "properties"))
            values = load_many(row[2] for row in rows)
            self.entities = {(row[0], row[1]): value for row, value in zip(rows, values, strict=True)}
        return self.entities

    def _find(self, data: dict[str, Any]) -> EntityKey:
        """The entity an event names; without a type, the one of that id whatever its type."""
        kind, name = text(data.get("type")), text(data.get("id"))
        if not kind and (kind, name) not in self.entity_rows():
            for key, value in self.entity_rows().items():
                if key[1] == name and value is not None:
                    return key
        return kind, name

    def put_entity(self, data: dict[str, Any], at: int) -> dict[str, Any]:
        """Create and update are one: both merge, both create."""
        key = self._find(data)
        given = data.get("properties")
        properties = given if isinstance(given, dict) else {} if given is None else {"value": given}
        merged = {**(self.entity_rows().get(key) or {}), **properties}
        self.entity_rows()[key] = merged
        self.changed_entities.add(key)
        return shown(key, merged)

    def get_entity(self, data: dict[str, Any], at: int) -> dict[str, Any] | None:
        key = self._find(data)
        properties = self.entity_rows().get(key)
        return None if properties is None else shown(key, properties)

    def query_entities(self, data: dict[str, Any], at: int) -> list[dict[str, Any]]:
        kind = text(data.get("type"))
        where = data.get("where", data.get("properties", data.get("filter")))
        wanted = where if isinstance(where, dict) else {}
        return [
            shown(key, properties)
            for key, properties in self.entity_rows().items()
            if properties is not None
            and (not kind or key[0] == kind)
            and all(name in properties and properties[name] == value for name, value in wanted.items())
        ]

    def delete_entity(self, data: dict[str, Any], at: int) -> dict[str, Any] | None:
        key = self._find(data)
        properties = self.entity_rows().get(key)
        if properties is None:
            return None
        self.entity_rows()[key] = None
        self.changed_entities.add(key)
        return shown(key, properties)

    # ------------------------------------------------------------ writing

    def write(self, cursor: Any, blobs: BlobWriter, at: int) -> None:
        """Write what changed, inside the transaction of the advance."""
        for name in sorted(self.changed_agents):
            agent = self.agent_rows()[name]
            cursor.execute(
                "INSERT INTO execution_runagent (run_id, agent_id, profile, details, active, spawned_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, agent_id) DO UPDATE SET"
                " profile = excluded.profile, details = excluded.details, active = excluded.active",
                [self.run_id, name[:200], agent.profile[:200], dumps(agent.details), agent.active, agent.spawned_at],
            )
        for key in sorted(self.changed_entities):
            properties = self.entity_rows()[key]
            if properties is None:
                cursor.execute(
                    "DELETE FROM execution_entity WHERE run_id = %s AND type = %s AND entity_id = %s",
                    [self.run_id, *key],
                )
                continue
            cursor.execute(
                "INSERT INTO execution_entity (run_id, type, entity_id, properties, updated_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run_id, type, entity_id) DO UPDATE SET"
                " properties = excluded.properties, updated_at = excluded.updated_at",
                [self.run_id, *key, blobs.put(properties), at],
            )

    def written(self) -> None:
        """The transaction is through."""
        self.changed_agents.clear()
        self.changed_entities.clear()


def agent_of(name: str, data: dict[str, Any]) -> str:
    """The agent that an event asks: named in it, else the optimizer or the default agent."""
    return text(data.get("agent_id")) or ("optimizer" if name == "optimization:async" else "default")


def shown(key: EntityKey, properties: dict[str, Any]) -> dict[str, Any]:
    """An entity as a script sees it; copied, since the machine owns what it is given."""
    return {"type": key[0] or None, "id": key[1], "properties": dict(properties)}


def text(value: Any) -> str:
    """What a script wrote where a name belongs; at most 200 characters, as the rows hold."""
    if value is None:
        return ""
    plain = value if isinstance(value, str) else dumps(value)
    # No database column holds U+0000 or half a surrogate pair.
    return plain[:200].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


_HANDLERS = {
    "agent:spawn": World.spawn,
    "agent:terminate": World.terminate,
    "agent:list": World.list_agents,
    "state:entity:create": World.put_entity,
    "state:entity:update": World.put_entity,
    "state:entity:get": World.get_entity,
    "state:entity:query": World.query_entities,
    "state:entity:delete": World.delete_entity,
}
AGENT_EVENTS = frozenset({"completion:async", "optimization:async"})
LOCAL_EVENTS = frozenset(_HANDLERS)
