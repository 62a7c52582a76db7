"""
When to try a silent peer again, and when to call it dead.

One minute, doubled with every failure up to a day, with jitter so that a
restarted network does not beat in step. A peer that has failed for seven days
is dead: it is probed once a day and revived by any valid request of its own.
The state is two numbers per peer, so a dead peer costs a live one nothing.

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FIRST_SECONDS = 60
LONGEST_SECONDS = 86_400
DEAD_AFTER_SECONDS = 7 * 86_400
JITTER = 0.25  # a delay is drawn from the quarter below its full length


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a peer has answered lately. Times are seconds since the epoch."""

    failures: int = 0  # in a row
    failing_since: int | None = None  # the first of them; None while it answers
    next_try_at: int = 0

    def is_dead(self, now: int) -> bool:
        """Whether it has failed for seven days."""
        return self.failing_since is not None and now - self.failing_since >= DEAD_AFTER_SECONDS

    def is_due(self, now: int) -> bool:
        """Whether it may be asked again."""
        return now >= self.next_try_at

    def after_failure(self, *, now: int, chance: float, retry_after: int | None = None) -> Health:
        """
        After one more failure.

        Args:
            chance: uniform in [0, 1), for the jitter.
            retry_after: seconds the peer asked for, where it did; a longer
                wish than a day is not granted.
        """
        since = now if self.failing_since is None else self.failing_since
        failed = replace(self, failures=self.failures + 1, failing_since=since)
        full = (
            LONGEST_SECONDS
            if failed.is_dead(now)
            else min(FIRST_SECONDS * 2 ** min(self.failures, 20), LONGEST_SECONDS)
        )
        delay = max(full * (1 - JITTER * chance), min(retry_after or 0, LONGEST_SECONDS))
        return replace(failed, next_try_at=now + round(delay))

    def after_success(self, *, now: int) -> Health:
        """After an answer, or a valid request of the peer's own."""
        return Health(next_try_at=now)
