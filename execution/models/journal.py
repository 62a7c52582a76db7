"""
The history of a run: what went in, what was said, where it can be gone back to.

The journal is the truth and the snapshot a cache: ticks, answers and the seed
reproduce the state exactly. History is never rewritten; a branch shares the
ticks of its origin up to where it left.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from execution.models.fields import JsonText
from execution.models.run import Run
from execution.models.stored import load


class Tick(models.Model):
    """
    One advance: the inputs of the machine, in rounds, in order.

    ``inputs`` is a stored value ``[[input, …], …]``. A reply of an agent, a
    person or a child run stands as ``{"kind": "reply", "seq": n, "at": ms}``
    without its value, which is the effect's answer; other replies carry theirs.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="ticks", db_index=False)
    number = models.PositiveIntegerField(help_text="Counts from 1; a branch goes on from its origin's.")
    at = models.BigIntegerField(help_text="Milliseconds: the clock the machine was given.")
    inputs = models.TextField()
    last_event = models.PositiveIntegerField(default=0, help_text="The sequence of the last event told up to here.")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="execution_tick_twice")]

    def __str__(self) -> str:
        return f"tick {self.number} of run {self.run_id}"

    def rounds(self) -> list[list[dict[str, Any]]]:
        """The inputs."""
        value: list[list[dict[str, Any]]] = load(self.inputs)
        return value


class Snapshot(models.Model):
    """The state after a tick; only the newest of a run is kept."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="snapshot", primary_key=True)
    tick = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField(help_text="Of the state's JSON text.")
    data = models.BinaryField(help_text="The text, compressed with zstandard.")

    def __str__(self) -> str:
        return f"snapshot of run {self.run_id} at tick {self.tick}"


class Timer(models.Model):
    """A time at which the run goes on; gone once it has fired."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="timers", db_index=False)
    number = models.PositiveIntegerField()
    due_at = models.BigIntegerField(help_text="Milliseconds.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="execution_timer_twice")]
        indexes = [models.Index(fields=["due_at"], name="execution_timer_due")]

    def __str__(self) -> str:
        return f"timer {self.number} of run {self.run_id}"


class Event(models.Model):
    """
    What an observer of the run is told; ``sequence`` has no gaps.

    ``kind`` is ``event`` (the script emitted it), ``reply`` (an answer came),
    ``track``, ``rule``, ``decision`` or ``status``.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    sequence = models.PositiveIntegerField(help_text="Counts from 1 in its run.")
    at = models.BigIntegerField(help_text="Milliseconds.")
    kind = models.CharField(max_length=16)
    name = models.CharField(max_length=200)
    data = models.TextField(help_text="A stored value.")
    branch = models.CharField(max_length=200, blank=True, help_text="Path: `main`, `main/2/1`.")
    line = models.PositiveIntegerField(default=0)
    seq = models.PositiveIntegerField(null=True, help_text="The machine's number of the event it belongs to.")

    class Meta:
        ordering = ["sequence"]
        constraints = [models.UniqueConstraint(fields=["run", "sequence"], name="execution_event_twice")]

    def __str__(self) -> str:
        return f"event {self.sequence} of run {self.run_id}"

    def value(self) -> Any:
        """What it says."""
        return load(self.data)


class Checkpoint(models.Model):
    """A place in the journal that somebody named, to come back to."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="checkpoints")
    tick = models.PositiveIntegerField()
    label = models.CharField(max_length=200, blank=True)
    note = JsonText(null=True, blank=True, help_text="What the script or the person wrote down with it.")
    entities = models.TextField(blank=True, help_text="A stored value: the entities then, where a script made it.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["tick", "id"]

    def __str__(self) -> str:
        return f"checkpoint {self.pk} of run {self.run_id}"
