"""The rows of the registry, by noun; import them from here."""

from registry.models.audit import AuditEntry
from registry.models.decision import Decision
from registry.models.evidence import DailyRollup, Outcome, Source
from registry.models.lineage import LineageEdge
from registry.models.pattern import Draft, Mode, Pattern, PatternTag
from registry.models.people import Membership, Owner, User
from registry.models.rating import Comment, Rating, Report
from registry.models.token import IdempotencyRecord, Scope, Token
from registry.models.version import (
    Channel,
    ChannelMove,
    Envelope,
    PatternVersion,
    Profile,
    StoredDocument,
    Via,
)
from registry.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "AuditEntry",
    "Channel",
    "ChannelMove",
    "Comment",
    "DailyRollup",
    "Decision",
    "Draft",
    "Envelope",
    "IdempotencyRecord",
    "LineageEdge",
    "Membership",
    "Mode",
    "Outcome",
    "Owner",
    "Pattern",
    "PatternTag",
    "PatternVersion",
    "Profile",
    "Rating",
    "Report",
    "Scope",
    "Source",
    "StoredDocument",
    "Token",
    "User",
    "Via",
    "Webhook",
    "WebhookDelivery",
]
