"""Agent backends that only benchmarks use."""

from __future__ import annotations

import asyncio
import hashlib

from benchmarks.peers import paid
from execution.agents.base import Answer, Capabilities, Request, Reservation


class Kilobyte:
    """Answers at once with a text of about 1 kB, another one for each question."""

    name = "kilobyte"
    capabilities = Capabilities(simulated=True, immediate=True)

    async def complete(self, request: Request) -> Answer:
        """The question and a thousand digits that do not compress to nothing."""
        digits = "".join(hashlib.sha256(f"{request.key}{n}".encode()).hexdigest() for n in range(16))
        return Answer(value=f"{request.prompt}:{digits[:1000]}")

    def reserve(self, request: Request) -> Reservation:
        """Nothing."""
        return Reservation()


class Paid:
    """The completion of ``benchmarks.peers.paid``: 50 ms, with a line in the log before and after."""

    name = "paid"
    capabilities = Capabilities(simulated=True)

    async def complete(self, request: Request) -> Answer:
        """The question itself."""
        paid.asked(request.prompt)
        await asyncio.sleep(paid.SECONDS)
        paid.answered(request.prompt)
        return Answer(value=request.prompt)

    def reserve(self, request: Request) -> Reservation:
        """Nothing."""
        return Reservation()
