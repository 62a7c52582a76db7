"""What the federation stores."""

from federation.models.attested import AttestedVerdict, SharedReport
from federation.models.blocked import BlockedAuthor
from federation.models.identity import Author, RootDocument, SigningKey, ThisNode
from federation.models.peer import DayUse, Handshake, Peer, PeerKey, day_of
from federation.models.quarantine import QuarantineItem, QuarantineStep
from federation.models.receipt import Nonce, PushReceipt
from federation.models.statement import (
    Audience,
    DeadLetter,
    EgressEntry,
    ReleaseParent,
    Segment,
    SharedVersion,
    Statement,
)
from federation.models.usage import PublishedPeriod, UsageClaim

__all__ = [
    "AttestedVerdict",
    "Audience",
    "Author",
    "BlockedAuthor",
    "DayUse",
    "DeadLetter",
    "EgressEntry",
    "Handshake",
    "Nonce",
    "Peer",
    "PeerKey",
    "PublishedPeriod",
    "PushReceipt",
    "QuarantineItem",
    "QuarantineStep",
    "ReleaseParent",
    "RootDocument",
    "Segment",
    "SharedReport",
    "SharedVersion",
    "SigningKey",
    "Statement",
    "ThisNode",
    "UsageClaim",
    "day_of",
]
