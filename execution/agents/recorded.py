"""
Answers of an earlier run: replays, and trials on recorded inputs.

``find`` looks into a journal; it is given so that this module stays pure. What
the earlier run never asked is answered by ``others``, or refused.
"""

from __future__ import annotations

from collections.abc import Callable

from execution.agents.base import AgentBackend, Answer, Capabilities, Request, Reservation
from execution.errors import AgentError

Find = Callable[[Request], Answer | AgentError | None]


class RecordedAgents:
    """Gives the recorded answer to the same question."""

    name = "recorded"

    def __init__(self, find: Find, *, others: AgentBackend | None = None) -> None:
        self.find, self.others = find, others
        known = others.capabilities if others is not None else Capabilities(immediate=True)
        self.capabilities = Capabilities(
            simulated=known.simulated, immediate=known.immediate, structured=True, tools=known.tools, paid=known.paid
        )

    def reserve(self, request: Request) -> Reservation:
        """What the question would take if it were not recorded."""
        return self.others.reserve(request) if self.others is not None else Reservation()

    async def complete(self, request: Request) -> Answer:
        """The recorded answer; a recorded failure fails again."""
        found = self.find(request)
        if isinstance(found, AgentError):
            raise found
        if found is not None:
            return found
        if self.others is None:
            raise AgentError("not_recorded", f"the recorded run never asked {request.agent_id} this")
        return await self.others.complete(request)
