"""The asyncio lane of a worker: hundreds of questions wait here without holding a thread or a database connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from execution.services import batching, delivering
from execution.services.asking import Delivery, Reply


class Lane:
    """One asyncio loop in a thread: where questions wait for their answers."""

    def __init__(self, answered: Callable[[Reply], None], clock: Callable[[], int]) -> None:
        self.answered, self.clock = answered, clock
        self.in_flight = 0
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="agents", daemon=True)
            self._thread.start()

    def submit(self, delivery: Delivery) -> None:
        """Send it; the answer comes through ``answered``."""
        self.start()
        assert self._loop is not None
        with self._guard:
            self.in_flight += 1
        asyncio.run_coroutine_threadsafe(self._ask(delivery), self._loop)

    async def _ask(self, delivery: Delivery) -> None:
        try:
            # The answer is in the queue before it stops counting as under way: at no time is it in neither.
            self.answered(await delivering.send(delivery, self.clock))
        finally:
            with self._guard:
                self.in_flight -= 1

    def carry(self, errand: batching.Errand, then: Callable[[batching.Heard], None]) -> None:
        """Ask the provider about a batch; what it says comes through ``then``."""
        self.start()
        assert self._loop is not None
        with self._guard:
            self.in_flight += 1
        asyncio.run_coroutine_threadsafe(self._carry(errand, then), self._loop)

    async def _carry(self, errand: batching.Errand, then: Callable[[batching.Heard], None]) -> None:
        try:
            then(await batching.run(errand))
        finally:
            with self._guard:
                self.in_flight -= 1

    def stop(self) -> None:
        """End the loop; what still waits is in doubt, and others will ask it again."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._shut_down)
            self._thread.join(timeout=5)
            if not self._thread.is_alive():
                self._loop.close()
            self._loop = self._thread = None

    def _shut_down(self) -> None:
        assert self._loop is not None
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.create_task(self._stop_after(pending))

    async def _stop_after(self, pending: set[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*pending, return_exceptions=True)
        asyncio.get_running_loop().stop()
