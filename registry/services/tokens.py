"""
API tokens: 32 random bytes, shown once, kept as their SHA-256.

A random secret of that size needs no slow hash, so a call costs one indexed
look-up. ``last_used_at`` is written at most once a minute.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from registry.errors import InvalidRequest, NotThere
from registry.models import Scope, Token, User
from registry.services import audit

SECRET_PREFIX = "oplt_"  # noqa: S105  marks a token in logs and for secret scanners; no secret itself
USE_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made; the only time that its secret is known."""

    token: Token  # the row
    secret: str  # what the client sends: "oplt_" and 43 characters


def create(
    *,
    user: User,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
    via: str = "",
) -> NewToken:
    """
    Make a token for ``user``.

    Raises:
        InvalidRequest: no name, an unknown scope, an expiry in the past, or
            ``admin`` for somebody who is no administrator of this hub.
    """
    _check(user=user, name=name, scopes=scopes, now=now, expires_at=expires_at)
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = Token.objects.create(
            user=user,
            name=name.strip(),
            prefix=secret[:12],
            digest=digest_of(secret),
            scopes=sorted(set(scopes)),
            created_at=now,
            expires_at=expires_at,
        )
        audit.record(
            actor=user,
            action="token.created",
            subject=str(token),
            now=now,
            via=via,
            detail={"scopes": token.scopes},
        )
    return NewToken(token=token, secret=secret)


def _check(*, user: User, name: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None) -> None:
    if not name.strip() or len(name) > 100:
        raise InvalidRequest("name", "give the token a name of up to 100 characters")
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown or not scopes:
        known = ", ".join(Scope.values)
        raise InvalidRequest("scopes", f"choose from {known}; not known: {', '.join(unknown) or 'none given'}")
    if Scope.ADMIN in scopes and not user.is_superuser:
        raise InvalidRequest("scopes", "only an administrator of this hub can have a token with admin")
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("expires_at", "the expiry lies in the past")


def digest_of(secret: str) -> str:
    """How a secret is stored: its sha256, hex."""
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def find(*, secret: str, now: datetime) -> Token | None:
    """
    The live token with this secret and its person, or None; one query.

    Its use is noted (to the minute) without holding up the request.
    """
    if not secret.startswith(SECRET_PREFIX) or len(secret) > 100:
        return None
    token = Token.objects.live(now).select_related("user").filter(digest=digest_of(secret)).first()
    if token is None or not token.user.is_active:
        return None
    if token.last_used_at is None or now - token.last_used_at >= USE_RESOLUTION:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke(*, user: User, token_id: int, now: datetime, via: str = "") -> Token:
    """
    Make a token useless from now on; revoking twice is no error.

    Raises:
        NotThere: no such token of this person (an administrator may revoke any).
    """
    tokens = Token.objects.all() if user.is_superuser else Token.objects.filter(user=user)
    token = tokens.filter(pk=token_id).first()
    if token is None:
        raise NotThere(f"token {token_id}")
    if token.revoked_at is None:
        with transaction.atomic():
            token.revoked_at = now
            token.save(update_fields=["revoked_at"])
            audit.record(actor=user, action="token.revoked", subject=str(token), now=now, via=via)
    return token
