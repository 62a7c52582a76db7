"""
What this hub's own keys signed and peers give back, after a restored database had lost it.

It comes home: announced as it was, to those it was for, whoever brings it and
however far that peer is trusted; releases under their owner's own name, and
not signed a second time. One text may still have two releases, where its
author published it again before the first one was back; they are twins, and
what is said about one holds for both.

Source: docs/decisions/0135 and 0136.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from federation.models import Audience, Author, SharedVersion, Statement, ThisNode
from federation.protocol import statement as statements
from federation.protocol.kinds import WITHDRAWALS
from federation.services import bulk
from registry.models import Owner, Pattern, PatternVersion

_VISIBILITY = {"public": Pattern.Visibility.PUBLIC, "peers": Pattern.Visibility.ORGANISATION}


def owner_at_home(author_id: str) -> Owner | None:
    """The owner here whose releases that author id signs; None for everybody else's."""
    row = Author.objects.filter(author_id=author_id).select_related("owner").first()
    return row.owner if row is not None else None


def ours_among(signers: Iterable[str]) -> frozenset[str]:
    """Those that are this node, or authors of this hub."""
    wanted = set(signers)
    authors = Author.objects.filter(author_id__in=bulk.among(wanted)).values_list("author_id", flat=True)
    return frozenset(authors) | (wanted & set(ThisNode.objects.values_list("node_id", flat=True)))


def is_ours(signer: str) -> bool:
    """Whether this node, or an author of this hub, signs so."""
    return signer in ours_among([signer])


def audience_of(returned: statements.Statement, *, is_from_organisation: bool) -> str:
    """
    To whom a statement of ours that comes home may be announced again.

    A release and a usage claim say it. A verdict or a withdrawal does not:
    what a stranger brings was public, and what a node of the own organisation
    brings stays there, a withdrawal until its target is known.
    """
    if returned.kind == "release":
        is_public = returned.predicate["propagate"] not in ("none", "peers")
    elif returned.kind == "usage":
        is_public = returned.predicate["profile"] != "org"
    elif returned.kind == "verification" or returned.kind in WITHDRAWALS:
        is_public = not is_from_organisation
    else:
        is_public = True
    return str(Audience.PUBLIC if is_public else Audience.ORGANISATION)


def visibility_of(release: Statement) -> str:
    """How widely a pattern is shown that comes home."""
    return str(_VISIBILITY.get(release.predicate["propagate"], Pattern.Visibility.PUBLIC))


def settle_in(version: PatternVersion, release: Statement, *, now: datetime) -> SharedVersion:
    """This version was announced by that release, unless it is known to have been by another."""
    signed = {"outcome": SharedVersion.Outcome.SIGNED, "statement": release, "decided_at": now}
    row, _ = SharedVersion.objects.get_or_create(pattern_version=version, defaults=signed)
    return row


def withdrawal_of(release: Statement) -> Statement | None:
    """A yank, revocation or erasure of this release that acts and is held here."""
    found = Statement.objects.filter(kind__in=WITHDRAWALS, target=release.statement_id, is_advice=False)
    return found.order_by("pk").first()


def release_of(version: PatternVersion, author_id: str) -> Statement | None:
    """A release of this very text that its author has signed before."""
    found = Statement.objects.filter(
        kind="release",
        signer=author_id,
        name=version.pattern.name,
        version=version.version,
        subject_digest=version.digest,
        shared__isnull=True,
    )
    return found.first()


def is_contradicted(version: PatternVersion, author_id: str) -> bool:
    """Whether its author has released this very number with another text."""
    same = Statement.objects.filter(
        kind="release", signer=author_id, name=version.pattern.name, version=version.version
    )
    return same.exclude(subject_digest=version.digest).exists()


def twins(release: Statement) -> QuerySet[Statement]:
    """Every release of the same text under the same name, this one included."""
    same = Q(signer=release.signer, name=release.name, version=release.version, subject_digest=release.subject_digest)
    return Statement.objects.filter(same, kind="release")
