"""Drafts: texts that only their author sees until they are published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from registry.errors import InvalidRequest, NotAllowed, NotThere, RowMoved
from registry.models import Draft, Owner, User
from registry.services import publishing

MAX_BYTES = 1024 * 1024
MAX_DRAFTS = 200


def find(*, draft_id: int, user: Any) -> Draft:
    """The person's own draft; raises NotThere for anybody else's."""
    draft = Draft.objects.select_related("owner").filter(pk=draft_id, user_id=user.pk).first()
    if draft is None:
        raise NotThere(f"draft {draft_id}")
    return draft


def save(
    *,
    user: User,
    owner: Owner,
    source: bytes,
    now: datetime,
    draft: Draft | None = None,
    title: str = "",
    file_name: str = "",
    parent_digest: str = "",
    parent_op: str = "",
    expected_revision: int | None = None,
) -> Draft:
    """
    Keep a text, as a new draft or in the place of ``draft``.

    Raises:
        RowMoved: the draft was saved elsewhere since ``expected_revision``.
        InvalidRequest: more than 1 MiB, or too many drafts.
    """
    if not owner.can_publish(user):
        raise NotAllowed(f"you may not publish as {owner}")
    if len(source) > MAX_BYTES:
        raise InvalidRequest("source", f"a draft may have {MAX_BYTES // 1024} KiB")
    if draft is None:
        if Draft.objects.filter(user=user).count() >= MAX_DRAFTS:
            raise InvalidRequest("", f"you have {MAX_DRAFTS} drafts; publish or delete some first")
        return Draft.objects.create(
            user=user,
            owner=owner,
            title=title[:200],
            source=source,
            file_name=file_name[:200],
            parent_digest=parent_digest,
            parent_op=parent_op,
            created_at=now,
            updated_at=now,
        )
    revision = draft.revision if expected_revision is None else expected_revision
    changed = Draft.objects.filter(pk=draft.pk, user=user, revision=revision).update(
        owner=owner, title=title[:200], source=source, updated_at=now, revision=revision + 1
    )
    if not changed:
        raise RowMoved(f"draft {draft.pk}")
    draft.refresh_from_db()
    return draft


def publish(*, draft: Draft, user: User, now: datetime, via: str, **options: Any) -> publishing.Published:
    """Publish a draft and remove it; nothing is lost when publishing is refused."""
    parents = ((draft.parent_digest, draft.parent_op),) if draft.parent_digest else ()
    with transaction.atomic():
        published = publishing.publish(
            owner=draft.owner,
            user=user,
            source=bytes(draft.source),
            via=via,
            now=now,
            file_name=draft.file_name,
            parents=parents,
            **options,
        )
        draft.delete()
    return published


def delete(*, draft: Draft, user: User) -> None:
    """Throw a draft away; raises NotThere for somebody else's."""
    deleted, _ = Draft.objects.filter(pk=draft.pk, user=user).delete()
    if not deleted:
        raise NotThere(f"draft {draft.pk}")
