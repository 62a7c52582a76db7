"""
Agents that say what a file tells them to: for tests, demos and durable rehearsals.

The file is the ``agents`` part of a rehearsal's ``agents.yaml`` (docs/language.md):
a list of entries for each agent, ``"*"`` for all others; a matching ``when``
goes before unconditional entries, each list in order, the last one repeats. A
request that is asked again (a new attempt) gets the entry it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from execution.agents.base import AgentBackend, Answer, Capabilities, Request, Reservation
from execution.agents.simulated import SimulatedAgents, Sleep
from execution.errors import AgentError

Entry = Mapping[str, Any]


class ScriptedAgents:
    """Replies in order; agents that the file does not name are answered by ``others``."""

    name = "scripted"

    def __init__(
        self,
        agents: Mapping[str, Sequence[Entry]],
        *,
        others: AgentBackend | None = None,
        scale: float = 0.0,
        sleep: Sleep | None = None,
    ) -> None:
        self.agents = {name: list(entries) for name, entries in agents.items()}
        self.others = others or SimulatedAgents()
        self.scale, self.sleep = scale, sleep
        self.capabilities = Capabilities(
            simulated=True,
            structured=True,
            tools=True,
            immediate=(scale == 0 or sleep is None) and self.others.capabilities.immediate,
        )
        self._used: dict[tuple[int, str, int], int] = {}
        self._given: dict[tuple[int, str], Entry] = {}

    def reserve(self, request: Request) -> Reservation:
        """Nothing: its words cost nothing."""
        return Reservation()

    async def complete(self, request: Request) -> Answer:
        """The next fitting entry's reply, or its error raised."""
        entry = self._entry(request)
        if entry is None:
            return await self.others.complete(request)
        latency = float(entry.get("latency", 1.0))
        if self.sleep is not None and self.scale > 0:
            await self.sleep(latency * self.scale)
        error = entry.get("error")
        if error is not None:
            told = error if isinstance(error, Mapping) else {"message": str(error)}
            raise AgentError(
                str(told.get("type", "agent_error")),
                str(told.get("message", "the agent failed")),
                retryable=bool(told.get("retryable", False)),
                retry_after=float(told.get("retry_after") or 0) or None,
            )
        return Answer(value=entry.get("reply"), duration_seconds=latency)

    def _entry(self, request: Request) -> Entry | None:
        known = self._given.get((request.run_id, request.key))
        if known is not None and not (isinstance(known.get("error"), Mapping) and known["error"].get("retryable")):
            return known
        for name in (request.agent_id, "*"):
            entry = self._next(name, request)
            if entry is not None:
                self._given[request.run_id, request.key] = entry
                return entry
        return None

    def _next(self, name: str, request: Request) -> Entry | None:
        """The next entry of ``name`` for this prompt: conditional ones first, each list in order."""
        entries = list(enumerate(self.agents.get(name, ())))
        matching = [(i, e) for i, e in entries if "when" in e and str(e["when"]) in request.prompt]
        always = [(i, e) for i, e in entries if "when" not in e]
        for group in (matching, always):
            if not group:
                continue
            # Entries are counted per agent, so that "*" serves each of them from its beginning.
            for place, entry in group:
                slot = (request.run_id, f"{name}/{request.agent_id}", place)
                if not self._used.get(slot):
                    self._used[slot] = 1
                    return entry
            return group[-1][1]
        return None
