"""
What embedded workers do from time to time beside runs: calls that higher apps register.

    rounds.register("federation", every_seconds=5, call=tick)     # in an AppConfig.ready

Nothing here knows what is called. Each call has a thread of its own in every
worker process, so a slow one delays no run and no other call; what must happen
once in the whole hub takes a lease in the database itself. In scaled mode
Celery beat takes this place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import close_old_connections, connection
from django.utils import timezone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One call that repeats."""

    name: str
    every_seconds: float  # of pause between two calls
    call: Callable[[datetime], object]  # given the time


_registered: dict[str, Round] = {}


def register(name: str, *, every_seconds: float, call: Callable[[datetime], object]) -> None:
    """Add a call; the same name again replaces it."""
    _registered[name] = Round(name=name, every_seconds=every_seconds, call=call)


class Rounds:
    """Runs what is registered until it is told to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self._go_round, args=(each,), name=each.name, daemon=True)
            for each in _registered.values()
        ]

    def start(self) -> None:
        """Begin all rounds."""
        for thread in self.threads:
            thread.start()

    def stop(self, *, patience_seconds: float = 2.0) -> None:
        """End them; one that waits for somebody outside is left behind, a database keeps what it did."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=patience_seconds)

    def _go_round(self, each: Round) -> None:
        try:
            while not self.stopping.wait(each.every_seconds):
                close_old_connections()
                try:
                    each.call(timezone.now())
                except Exception:
                    log.exception("the round %s failed; trying again", each.name)
        finally:
            connection.close()
