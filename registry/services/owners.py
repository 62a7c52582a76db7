"""Organisations and who belongs to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from registry.errors import Conflict, InvalidRequest, NameTaken, NotAllowed, NotThere
from registry.models import Membership, Owner, User
from registry.models.names import is_name
from registry.services import audit

RESERVED = frozenset({"library", "admin", "api", "new", "search", "me", "static", "hub", "none"})


def create_organisation(*, name: str, user: User, now: datetime, title: str = "") -> Owner:
    """
    Make an organisation that ``user`` administers.

    Raises:
        InvalidRequest: a name that cannot be one.
        NameTaken: a person or an organisation has it, or it is kept back.
    """
    if not is_name(name):
        raise InvalidRequest("name", "use 2 to 64 of a-z, 0-9, _ and -, beginning with a letter")
    if name in RESERVED or User.objects.filter(username=name).exists():
        raise NameTaken(f"the name {name} is taken")
    try:
        with transaction.atomic():
            owner = Owner.objects.create(name=name, kind=Owner.Kind.ORGANISATION, title=title[:200])
    except IntegrityError as error:
        raise NameTaken(f"the name {name} is taken") from error
    with transaction.atomic():
        Membership.objects.create(owner=owner, user=user, role=Membership.Role.ADMIN)
        audit.record(actor=user, action="owner.created", subject=name, owner=name, now=now)
    return owner


def set_member(*, owner: Owner, username: str, role: str, user: User, now: datetime) -> Membership:
    """
    Give a person a role; for administrators of the organisation.

    Raises:
        NotAllowed, NotThere: the caller, or the person.
        Conflict: it would leave the organisation without an administrator.
    """
    _check(owner, user)
    person = User.objects.filter(username=username).first() if username.isprintable() else None
    if person is None:
        raise NotThere(f"person {username}"[:200])
    if role not in Membership.Role.values:
        raise InvalidRequest("role", f"choose from {', '.join(Membership.Role.values)}")
    with transaction.atomic():
        membership, _ = Membership.objects.update_or_create(owner=owner, user=person, defaults={"role": role})
        _keep_an_administrator(owner)
        audit.record(
            actor=user,
            action="owner.member-set",
            subject=f"{owner}: {username}",
            owner=owner.name,
            now=now,
            detail={"role": role},
        )
    return membership


def remove_member(*, owner: Owner, username: str, user: User, now: datetime) -> None:
    """Take a person out; they may leave by themselves. Raises as ``set_member``."""
    if user.get_username() != username:
        _check(owner, user)
    with transaction.atomic():
        name = username if username.isprintable() else ""
        deleted, _ = Membership.objects.filter(owner=owner, user__username=name).delete()
        if not deleted:
            raise NotThere(f"member {username}"[:200])
        _keep_an_administrator(owner)
        audit.record(
            actor=user, action="owner.member-removed", subject=f"{owner}: {username}", owner=owner.name, now=now
        )


def _check(owner: Owner, user: Any) -> None:
    if owner.kind != Owner.Kind.ORGANISATION:
        raise NotAllowed(f"{owner} is a person and has no members")
    if not owner.can_administer(user):
        raise NotAllowed(f"only administrators of {owner} may change its members")


def _keep_an_administrator(owner: Owner) -> None:
    if not owner.memberships.filter(role=Membership.Role.ADMIN).exists():
        raise Conflict(f"{owner} would be left without an administrator; make somebody else one first")
