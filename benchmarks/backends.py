"""Agent backends that only benchmarks use."""

from __future__ import annotations

from execution.agents.base import Answer, Capabilities, Request, Reservation


class Kilobyte:
    """Answers at once with a text of about 1 kB, another one for each question."""

    name = "kilobyte"
    capabilities = Capabilities(simulated=True, immediate=True)

    async def complete(self, request: Request) -> Answer:
        """A thousand letters and the question."""
        return Answer(value=f"{request.prompt}:{'x' * 1000}")

    def reserve(self, request: Request) -> Reservation:
        """Nothing."""
        return Reservation()
