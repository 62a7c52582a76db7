"""
Authors this node takes nothing from, whichever peer or bundle brings it.

A peer is blocked by its tier; an author is blocked here. Releases and lenses
of a blocked author are refused when they arrive and are not admitted where
they wait. Withdrawals and keys of that author are still taken: they warn.
What was admitted before stays until somebody yanks it.

    block(author_id, reason="…", now=now, actor=user); unblock(author_id, …)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Count

from federation.errors import NotFound, Unable
from federation.models import BlockedAuthor, DeadLetter, QuarantineItem, Statement
from federation.protocol import fields
from federation.protocol.problems import Refused
from federation.protocol.quarantine import TRANSITIONS, Event
from registry.models import Owner, User
from registry.services import audit

REFUSED_KINDS = frozenset({"release", "translation"})  # of a blocked author; the rest warns or proves
CODE = "peer-blocked"  # of the closed table


def blocked() -> frozenset[str]:
    """The ids of all blocked authors."""
    return frozenset(BlockedAuthor.objects.values_list("author_id", flat=True))


def is_blocked(author_id: str) -> bool:
    """Whether this author is on the list."""
    return BlockedAuthor.objects.filter(author_id=author_id).exists()


def refused_since(author_ids: Iterable[str]) -> dict[str, int]:
    """How many statements of each of these authors were refused because it is blocked; they wait as dead letters."""
    letters = DeadLetter.objects.filter(code=CODE, waits_for__in=set(author_ids))
    return dict(letters.order_by().values_list("waits_for").annotate(Count("pk")))


def refusal(author_id: str) -> Refused:
    """What a statement of a blocked author is answered."""
    return Refused(CODE, f"this node takes nothing from the author {author_id}")


@transaction.atomic
def block(author_id: str, *, reason: str, now: datetime, actor: User | None = None) -> int:
    """
    Put an author on the list and refuse everything of it that waits; answers how much that was.

    Raises:
        Unable: that is no author id, or an author of this node.
    """
    from federation.services import quarantining

    _judge(author_id)
    row, is_new = BlockedAuthor.objects.get_or_create(
        author_id=author_id,
        defaults={"reason": reason[:2_000], "name": _name_of(author_id), "blocked_by": actor, "blocked_at": now},
    )
    told = reason or row.reason or "the author is blocked here"
    refused = 0
    for item in QuarantineItem.objects.filter(statement__signer=author_id).select_related("statement"):
        if Event.REFUSED in TRANSITIONS[item.current]:
            quarantining.step(item, Event.REFUSED, reason=told, now=now, actor=actor)
            refused += 1
    if is_new:
        audit.record(
            actor=actor, action="federation.author-blocked", subject=author_id, now=now, detail={"reason": told[:500]}
        )
    return refused


@transaction.atomic
def unblock(author_id: str, *, now: datetime, actor: User | None = None) -> int:
    """
    Take an author off the list; what was refused meanwhile is looked at again. Answers how much is accepted now.

    Raises:
        NotFound: it does not stand on the list.
    """
    from federation.services import accepting

    if not BlockedAuthor.objects.filter(author_id=author_id).delete()[0]:
        raise NotFound(f"the author {author_id}", "`manage.py author blocked` lists who is blocked")
    audit.record(actor=actor, action="federation.author-unblocked", subject=author_id, now=now)
    outcomes = accepting.retry_waiting([author_id], now=now, code=CODE)
    return sum(outcome.status == "accepted" for outcome in outcomes)


def _judge(author_id: str) -> None:
    from federation.models import Author

    try:
        fields.author(author_id, "the author")
    except Refused as refused:
        raise Unable(refused.detail) from refused
    if Author.objects.filter(author_id=author_id).exists():
        raise Unable(f"{author_id} is an author of this node; yank what should not be used")


def _name_of(author_id: str) -> str:
    owner = Owner.objects.filter(authority=author_id).first()
    if owner is not None:
        return str(owner.title or owner.name)[:300]
    row = Statement.objects.filter(kind="release", signer=author_id).order_by("-pk").first()
    return row.subject_name.partition("/")[0] if row is not None else ""
