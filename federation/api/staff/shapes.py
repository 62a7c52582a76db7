"""What the staff API of the federation takes and answers: the source of its OpenAPI description."""

# mypy: disable-error-code="assignment"

from __future__ import annotations

from rest_framework import serializers

from federation.protocol.tiers import Tier
from registry.api.bodies import Body
from registry.api.shapes import Described, ProblemDetails, optional

__all__ = ["ProblemDetails"]

REASON = 1_000  # characters


class PeerShape(Described):
    """One peer."""

    label = serializers.CharField(allow_blank=True)
    node_id = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    tier = serializers.IntegerField(help_text="0 blocked to 4 own organisation")
    tier_name = serializers.CharField()
    fingerprint = serializers.CharField(allow_blank=True, help_text="eight words")
    asked_us = serializers.DateTimeField(allow_null=True)
    approved_there = serializers.BooleanField()
    paused = serializers.BooleanField()
    cursor = serializers.CharField(allow_blank=True, help_text="where we stand in its feed")
    lag = serializers.IntegerField(help_text="statements of ours that it has not read")
    failures = serializers.IntegerField()
    dead = serializers.BooleanField(help_text="it has failed for seven days")
    next_try_at = serializers.DateTimeField()
    last_sync_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)


class PeerPage(Described):
    """A page of peers."""

    results = PeerShape(many=True)
    next = serializers.CharField(allow_null=True)


class PeerBody(Body):
    """A decision about a peer; what is left out stays."""

    tier = serializers.ChoiceField([int(tier) for tier in Tier], required=False)
    paused = serializers.BooleanField(required=False)
    reason = optional(max_length=500)


class PairsShape(Described):
    """How far a trial is."""

    settled = serializers.IntegerField()
    planned = serializers.IntegerField()


class ItemShape(Described):
    """One foreign object."""

    id = serializers.IntegerField()
    name = serializers.CharField(help_text="handle/name at its author's node")
    version = serializers.CharField()
    author = serializers.CharField()
    digest = serializers.CharField()
    statement = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField(allow_blank=True, help_text="of the last step")
    fit = serializers.CharField(allow_blank=True, help_text="runnable, needs-lens or incompatible")
    missing = serializers.DictField()
    lenses = serializers.ListField(child=serializers.CharField())
    findings = serializers.ListField(child=serializers.DictField(), help_text="of the scan, redacted")
    capabilities = serializers.ListField(child=serializers.CharField())
    trial = serializers.CharField(allow_blank=True)
    pairs = PairsShape()
    admitted_as = serializers.CharField(allow_blank=True)
    yanked = serializers.CharField(allow_blank=True)


class ItemPage(Described):
    """A page of foreign objects."""

    results = ItemShape(many=True)
    next = serializers.CharField(allow_null=True)


class DecideBody(Body):
    """What becomes of a foreign object."""

    decision = serializers.ChoiceField(["approve", "reject", "try", "block"])
    reason = optional(max_length=REASON, help_text="needed to reject and to block")


class BlockedShape(Described):
    """A blocked author."""

    author_id = serializers.CharField()
    name = serializers.CharField(allow_blank=True, help_text="how it was called when it was blocked")
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    refused = serializers.IntegerField(help_text="statements refused since; they are looked at again when unblocked")


class BlockedPage(Described):
    """A page of blocked authors."""

    results = BlockedShape(many=True)
    next = serializers.CharField(allow_null=True)


class BlockBody(Body):
    """Whom to block."""

    author_id = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=REASON)


class BlockAnswer(Described):
    """What blocking did."""

    author_id = serializers.CharField()
    refused = serializers.IntegerField(help_text="objects that waited here and are refused now")


class UnblockAnswer(Described):
    """What unblocking did."""

    author_id = serializers.CharField()
    accepted = serializers.IntegerField(help_text="statements that were refused meanwhile and are accepted now")
