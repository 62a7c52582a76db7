"""
Hints: messages that make work prompt. What is lost is found again by the reaper.

A process that carries runs out registers who listens (the embedded worker in
its own process, the Celery tasks in scaled mode); without a listener a hint is
nothing, and the next poll finds the row.
"""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str, int], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Call ``listener(kind, run_id)`` for every hint of this process; ``kind`` is ``advance`` or ``deliver``."""
    if listener not in _listeners:
        _listeners.append(listener)


def forget(listener: Listener) -> None:
    """Stop calling it."""
    if listener in _listeners:
        _listeners.remove(listener)


def run_ready(run_id: int) -> None:
    """Something of this run is ready for the machine."""
    for listener in _listeners:
        listener("advance", run_id)


def effects_queued(run_id: int) -> None:
    """Questions of this run may be claimed."""
    for listener in _listeners:
        listener("deliver", run_id)


def trial_ready(trial_id: int) -> None:
    """A trial has something to do: its workers look at once."""
    for listener in _listeners:
        listener("trial", 0)
