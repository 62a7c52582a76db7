"""
Releases of this hub's own authors that come back from peers, after a restored database had lost them.

They come home: under their owner's own name, as announced as they were, and
are not signed a second time. One text may still have two releases, where its
author published it again before the first one was back; they are twins, and
what is said about one holds for both.

Source: docs/decisions/0135.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from federation.models import Author, SharedVersion, Statement
from registry.models import Owner, Pattern, PatternVersion

_VISIBILITY = {"public": Pattern.Visibility.PUBLIC, "peers": Pattern.Visibility.ORGANISATION}


def owner_at_home(author_id: str) -> Owner | None:
    """The owner here whose releases that author id signs; None for everybody else's."""
    row = Author.objects.filter(author_id=author_id).select_related("owner").first()
    return row.owner if row is not None else None


def visibility_of(release: Statement) -> str:
    """How widely a pattern is shown that comes home."""
    return str(_VISIBILITY.get(release.predicate["propagate"], Pattern.Visibility.PUBLIC))


def settle_in(version: PatternVersion, release: Statement, *, now: datetime) -> SharedVersion:
    """This version was announced by that release, unless it is known to have been by another."""
    signed = {"outcome": SharedVersion.Outcome.SIGNED, "statement": release, "decided_at": now}
    row, _ = SharedVersion.objects.get_or_create(pattern_version=version, defaults=signed)
    return row


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


def twins(release: Statement) -> QuerySet[Statement]:
    """Every release of the same text under the same name, this one included."""
    same = Q(signer=release.signer, name=release.name, version=release.version, subject_digest=release.subject_digest)
    return Statement.objects.filter(same, kind="release")
