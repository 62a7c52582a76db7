"""
Foreign releases on their way in, and every step they took.

The states and what leads from one to the next stand in
``federation.protocol.quarantine``; a row here moves only by compare-and-swap
along that table, and each step is a row that is never changed.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from federation.models.peer import Peer
from federation.models.statement import Statement
from federation.protocol.quarantine import TERMINAL, State
from registry.models import PatternVersion

_STATES = [(str(state), str(state).replace("_", " ")) for state in State]


class QuarantineItem(models.Model):
    """One foreign release."""

    statement = models.OneToOneField(Statement, on_delete=models.CASCADE, related_name="item")
    peer = models.ForeignKey(Peer, null=True, on_delete=models.SET_NULL, related_name="items")
    state = models.CharField(max_length=16, choices=_STATES, default=str(State.RECEIVED))
    reason = models.TextField(blank=True, help_text="Of the last step.")
    findings = models.JSONField(default=list, help_text="[{code, severity, message, line, column}], redacted.")
    capabilities = models.JSONField(default=list, help_text="What the document asks to be allowed.")
    fit = models.CharField(max_length=16, blank=True, help_text="runnable, needs-lens or incompatible.")
    missing = models.JSONField(default=dict, help_text="{sort: [names]} that a lens must supply.")
    lenses = models.JSONField(default=list, help_text="Known lenses that supply them.")
    trial = models.CharField(max_length=64, blank=True, help_text="Key of the trial that judges it.")
    tokens_budget = models.PositiveBigIntegerField(default=0)
    has_passed_here = models.BooleanField(default=False, help_text="A trial of this node confirmed it.")
    admitted_as = models.ForeignKey(
        PatternVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="admitted_from"
    )
    received_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["state", "id"], name="federation_item_state"),
            models.Index(fields=["peer", "state"], name="federation_item_peer"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="admitted") | Q(admitted_as__isnull=False),
                name="federation_item_admitted_as_something",
            )
        ]

    def __str__(self) -> str:
        return f"{self.statement.subject_name}@{self.statement.version} {self.state}"

    @property
    def current(self) -> State:
        """Its state as the protocol knows it."""
        return State(self.state)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.current in TERMINAL


class QuarantineStep(models.Model):
    """One step of one item: what happened, why, by whom."""

    item = models.ForeignKey(QuarantineItem, on_delete=models.CASCADE, related_name="steps")
    event = models.CharField(max_length=24)
    before = models.CharField(max_length=16)
    after = models.CharField(max_length=16)
    reason = models.TextField(blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
