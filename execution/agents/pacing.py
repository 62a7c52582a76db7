"""
How many requests may be under way, learned from the provider's answers.

Additive increase, multiplicative decrease (Chiu & Jain 1989), as TCP does it:
until the first overload every answer widens the window by one, so that it
doubles with each round (slow start, RFC 5681, section 3.1); from then on by a
fraction. An overload halves it, once per round of requests, and
``retry-after`` holds everybody back for as long as it says. One window for each API key and model, since limits are counted so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

START = 16.0  # requests under way at first
LEAST = 1.0
MOST = 600.0  # a worker process carries at least 500


class Window:
    """
    One congestion window; belongs to one event loop.

    ``clock`` gives monotonic seconds, ``sleep`` waits; both are the loop's own
    unless a test passes others in.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object] = asyncio.sleep,
        start: float = START,
    ) -> None:
        self.size, self.clock, self.sleep = start, clock, sleep
        self.under_way = 0
        self.held_until = 0.0
        self.reduced_at = -1.0
        self._room = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for room, then hold one place; gives the time at which the place was got."""
        async with self._room:
            while True:
                wait = self.held_until - self.clock()
                if wait <= 0 and self.under_way < int(self.size):
                    break
                await self._pause(wait)
            self.under_way += 1
        try:
            yield self.clock()
        finally:
            async with self._room:
                self.under_way -= 1
                self._room.notify_all()

    async def _pause(self, wait: float) -> None:
        if wait <= 0:
            await self._room.wait()
            return
        self._room.release()
        try:
            await self.sleep(wait)  # type: ignore[misc]
        finally:
            await self._room.acquire()

    def answered(self) -> None:
        """An answer came: widen by one, and after the first overload by one for a whole window of answers."""
        step = 1.0 if self.reduced_at < 0 else 1.0 / max(self.size, 1.0)
        self.size = min(MOST, self.size + step)

    def overloaded(self, *, sent_at: float, retry_after: float | None) -> None:
        """
        The provider asked for less: halve, and hold back as long as it says.

        Requests sent before the last halving say nothing new, so they do not halve again.
        """
        if sent_at >= self.reduced_at:
            self.size = max(LEAST, self.size / 2)
            self.reduced_at = self.clock()
        if retry_after:
            self.held_until = max(self.held_until, self.clock() + retry_after)
