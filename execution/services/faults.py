"""
Named places between transactions where a test may end the process.

``reach("result-committed")`` does nothing unless a test installed ``hook``;
the crash tests raise there what no handler catches, and assert that whoever
comes next finds everything in order.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


class Crash(BaseException):
    """What a test raises in place of a power failure; derived so that nothing swallows it."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place

    def __str__(self) -> str:
        return f"crashed at {self.place}"


def reach(place: str) -> None:
    """Say that execution is at ``place``."""
    if hook is not None:
        hook(place)
