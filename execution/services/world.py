"""
What a run keeps beside its script, on rows: entities and agents, as the script's events change them.

What the events mean is said once, in ``opl.script.world``, so that a rehearsal
and a durable run agree; this is that world with rows behind it. Agents and
entities are loaded when they are first needed, change in memory, and what
changed is written in the transaction of the advance. Applying the same events
in the same order gives the same world, which is how a branch gets one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import Count

from execution.models import Checkpoint, Effect, Entity, RunAgent
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, load_many
from execution.services.clock import to_datetime
from opl.script.values import to_text
from opl.script.world import LOCAL_EVENTS, Agent, Saved, World, names_of

SILENT = frozenset({"agent:status", "agent:progress", "agent:result", "orchestration:request_termination"})
_CHECKPOINTS = ("primitive:create_checkpoint", "primitive:rollback_to_checkpoint")
_AGENT_EVENTS = ("agent:", "primitive:spawn_agent", "primitive:terminate_agent", "primitive:list_agents")


class RunWorld:
    """The entities and agents of one run."""

    def __init__(self, run_id: int, *, fresh: bool = False) -> None:
        self.run_id = run_id
        self.core = World()
        self.has_agents = self.has_entities = fresh
        self.changed_agents: set[str] = set()
        self.changed_entities: set[tuple[str, str]] = set()
        self.has_checkpoints = fresh
        self.new_checkpoints: list[str] = []

    def answer(self, name: str, data: Mapping[str, Any], at: int) -> Any:
        """Carry one local event out; the reply."""
        if name in SILENT:
            return None
        if name.startswith("state:"):
            return self._on_entities(name, data, at)
        if name in _CHECKPOINTS:
            return self._on_checkpoints(name, data, at)
        if name.startswith(_AGENT_EVENTS) or name == "primitive:query_agent_status":
            return self._on_agents(name, data, at)
        return self.core.answer(name, data, at)

    def replayed(self, name: str, data: Mapping[str, Any], at: int) -> None:
        """Apply one event of the journal again, the meeting of agents included."""
        from execution.services.asking import HANDLERS, question_of

        if HANDLERS.get(name) == "agent":
            self.meet(question_of(name, data).agent_id, data, at)
        elif name == "primitive:call" and f"primitive:{data.get('name')}" in LOCAL_EVENTS:
            arguments = data.get("arguments")
            self.answer(f"primitive:{data['name']}", arguments if isinstance(arguments, Mapping) else {}, at)
        elif name in LOCAL_EVENTS and name not in HANDLERS:
            self.answer(name, data, at)

    # ------------------------------------------------------------ agents

    @property
    def agents(self) -> dict[str, Agent]:
        """The agents by id."""
        if not self.has_agents:
            self.has_agents = True
            rows = RunAgent.objects.filter(run_id=self.run_id)
            counts = Effect.objects.filter(run_id=self.run_id, handler="agent").values_list("agent_id")
            asked = dict(counts.annotate(count=Count("pk")).order_by())
            for row in rows:
                self.core.agents[row.agent_id] = Agent(
                    agent_id=row.agent_id,
                    profile=row.profile,
                    details=row.details,
                    active=row.active,
                    asked=asked.get(row.agent_id, 0),
                )
        return self.core.agents

    def meet(self, agent_id: str, data: Mapping[str, Any], at: int) -> Agent:
        """The agent a question goes to; one not spawned before is spawned with the profile of its name."""
        if agent_id not in self.agents:
            self.changed_agents.add(agent_id)
        return self.core.meet(agent_id, data)

    def _on_agents(self, name: str, data: Mapping[str, Any], at: int) -> Any:
        before = {key: (id(agent), agent.active) for key, agent in self.agents.items()}
        reply = self.core.answer(name, data, at)
        for key, agent in self.core.agents.items():
            if before.get(key) != (id(agent), agent.active):
                self.changed_agents.add(key)
        return reply

    # ------------------------------------------------------------ entities

    def _load_entities(self) -> None:
        if self.has_entities:
            return
        self.has_entities = True
        rows = list(Entity.objects.filter(run_id=self.run_id).values_list("type", "entity_id", "properties"))
        values = load_many(row[2] for row in rows)
        self.core.entities.update({(row[0], row[1]): value for row, value in zip(rows, values, strict=True)})

    def _on_entities(self, name: str, data: Mapping[str, Any], at: int) -> Any:
        self._load_entities()
        key = self.core._find(data)
        reply = self.core.answer(name, data, at)
        if not name.endswith((":get", ":query")):
            self.changed_entities.add(key)
        return reply

    # ------------------------------------------------------------ checkpoints

    @property
    def checkpoints(self) -> dict[str, Saved]:
        """What the script's own checkpoints remember, by their ids."""
        if not self.has_checkpoints:
            self.has_checkpoints = True
            rows = list(Checkpoint.objects.filter(run_id=self.run_id).exclude(entities="").order_by("pk"))
            for row, listed in zip(rows, load_many(row.entities for row in rows), strict=True):
                entities = {(kind, name): properties for kind, name, properties in listed}
                self.core.checkpoints[row.label] = Saved(state=row.note, entities=entities)
        return self.core.checkpoints

    def _on_checkpoints(self, name: str, data: Mapping[str, Any], at: int) -> Any:
        self._load_entities()
        known = len(self.checkpoints)
        before = set(self.core.entities)
        reply = self.core.answer(name, data, at)
        if len(self.core.checkpoints) > known:
            self.new_checkpoints.append(str(reply))
        elif name == "primitive:rollback_to_checkpoint":
            self.changed_entities |= before | set(self.core.entities)
        return reply

    def _write_checkpoints(self, cursor: Any, blobs: BlobWriter, at: int, tick: int) -> None:
        made = connection.ops.adapt_datetimefield_value(to_datetime(at))
        for name in self.new_checkpoints:
            saved = self.core.checkpoints[name]
            entities = [[kind, entity, properties] for (kind, entity), properties in saved.entities.items()]
            cursor.execute(
                "INSERT INTO execution_checkpoint (run_id, tick, label, note, entities, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [self.run_id, tick, name, dumps(saved.state), blobs.put(entities), made],
            )

    # ------------------------------------------------------------ writing

    def write(self, cursor: Any, blobs: BlobWriter, at: int, tick: int) -> None:
        """Write what changed, inside the transaction of the advance that is this tick."""
        if self.new_checkpoints:
            self._write_checkpoints(cursor, blobs, at, tick)
        for name in sorted(self.changed_agents):
            agent = self.core.agents[name]
            cursor.execute(
                "INSERT INTO execution_runagent (run_id, agent_id, profile, details, active, spawned_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, agent_id) DO UPDATE SET"
                " profile = excluded.profile, details = excluded.details, active = excluded.active",
                [self.run_id, text(name), text(agent.profile), dumps(agent.details), agent.active, at],
            )
        for kind, name in sorted(self.changed_entities):
            properties = self.core.entities.get((kind, name))
            place = [self.run_id, text(kind), text(name)]
            if properties is None:
                cursor.execute("DELETE FROM execution_entity WHERE run_id = %s AND type = %s AND entity_id = %s", place)
                continue
            cursor.execute(
                "INSERT INTO execution_entity (run_id, type, entity_id, properties, updated_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run_id, type, entity_id) DO UPDATE SET"
                " properties = excluded.properties, updated_at = excluded.updated_at",
                [*place, blobs.put(properties), at],
            )

    @property
    def has_changed(self) -> bool:
        """Whether ``write`` has anything to do."""
        return bool(self.changed_agents or self.changed_entities or self.new_checkpoints)

    def written(self) -> None:
        """The transaction is through."""
        self.changed_agents.clear()
        self.changed_entities.clear()
        self.new_checkpoints.clear()


def text(value: Any) -> str:
    """What a script wrote where a name belongs; at most 200 characters, as the rows hold."""
    plain = to_text(value)
    # No database column holds U+0000 or half a surrogate pair.
    return plain[:200].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


__all__ = ["LOCAL_EVENTS", "Agent", "RunWorld", "names_of", "text"]
