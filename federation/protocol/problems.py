"""
What a node may answer when it refuses: a closed table of codes.

A code is part of the wire (RFC 9457 ``type`` and ``code``); its HTTP status
and whether trying again can help follow from it and from nothing else, so a
peer may act on the code alone. The same codes name why one item of a page or
of a push was refused.

    >>> Refused("replay", "this nonce was used before").status
    409

Source: OPL-Fed/1, "Requests and answers"; RFC 9457, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opl.errors import OplError

TYPE_PREFIX = "https://opl.dev/problems/"
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What follows from a code."""

    status: int  # HTTP status of a whole answer that carries it
    title: str  # one line for people, without a full stop
    retryable: bool = False  # the same thing, sent later, may be accepted


CODES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "digest-mismatch": Rule(status=400, title="The content does not have the digest it names"),
        "unsupported-version": Rule(status=400, title="This node does not speak that version"),
        "bad-signature": Rule(status=401, title="The signature does not cover or does not match this message"),
        "unknown-key": Rule(status=401, title="This node has never seen the signing key", retryable=True),
        "clock-skew": Rule(status=401, title="The message lies outside the time this node accepts", retryable=True),
        "peer-blocked": Rule(status=403, title="This node does not talk to the sender"),
        "tier-too-low": Rule(status=403, title="The sender is not trusted enough for this"),
        "not-found": Rule(status=404, title="There is nothing here that the sender may see"),
        "replay": Rule(status=409, title="This message was received before", retryable=True),
        "txn-conflict": Rule(status=409, title="The transaction number was used for other content"),
        "equivocation": Rule(status=409, title="Two signed statements contradict each other"),
        "root-rollback": Rule(status=409, title="The root document does not continue the pinned chain"),
        "cursor-reset": Rule(status=410, title="The cursor is not of this feed any more"),
        "page-too-large": Rule(status=413, title="The message holds more than a page may"),
        "statement-too-large": Rule(status=413, title="The statement is larger than this node accepts"),
        "schema-invalid": Rule(status=422, title="The message does not have the agreed form"),
        "unsafe-document": Rule(status=422, title="The document is not safe to read"),
        "weak-key": Rule(status=422, title="The key is not a valid Ed25519 key"),
        "lineage-cycle": Rule(status=422, title="The release would be its own ancestor"),
        "unknown-kind": Rule(status=422, title="This node does not know that kind of statement"),
        "quota-exceeded": Rule(status=429, title="The sender has used up its share for now", retryable=True),
        "internal-error": Rule(status=500, title="This node failed; the message was not at fault"),
    }
)


class FederationError(OplError):
    """Anything the federation raises on purpose."""

    code = "opl.federation"


class Refused(FederationError):
    """
    A message, or one item of it, is not accepted.

    Args:
        code: one of ``CODES``; anything else is a mistake of ours and raises
            ``KeyError`` at once.
        detail: what is wrong with this very message, and what to do.
        retry_after: seconds to wait before trying again, where known.
        extra: further members of the problem, for example ``server_time``.
    """

    def __init__(
        self, code: str, detail: str, retry_after: int | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code, detail, retry_after, extra)
        self.rule = CODES[code]
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.extra = extra or {}

    @property
    def status(self) -> int:
        """The HTTP status of an answer that carries this."""
        return self.rule.status

    @property
    def retryable(self) -> bool:
        """Whether the same thing may be accepted later."""
        return self.rule.retryable

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    def to_json(self) -> dict[str, Any]:
        """The body of the answer, RFC 9457 with the members of OPL-Fed/1."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.rule.title,
            "status": self.rule.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.rule.retryable,
            "retry_after": self.retry_after,
            **self.extra,
        }


class TransportFailure(FederationError):
    """
    No verified answer came: connection, time-out, or an answer that proves nothing.

    Whatever such an answer says is not acted on; the peer is tried again
    later. ``reason`` is for people.
    """

    code = "opl.federation.transport"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"no verified answer: {self.reason}"


class NotFederable(FederationError):
    """A document may be published here, yet no statement can carry it to other nodes."""

    code = "opl.federation.not-federable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not-federable: {self.reason}; it stays on this node"
