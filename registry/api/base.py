"""
What every view of the API has in common: scopes, limits, repeated requests, conditional reads.

A view names the scope of its writes and calls one service; errors of the
registry become problem details in ``hub.problems``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from django.utils.http import parse_etags
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.throttles import Allowance, ScopeThrottle
from registry.models import Scope, Token, User
from registry.services import idempotency

SAFE = ("GET", "HEAD", "OPTIONS")
PINNED = "max-age=31536000, immutable"
MOVING = "no-cache"


class HasScope(BasePermission):
    """Writes need a person; a token also needs the view's scope."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or an exception that says which scope is missing."""
        scope = view.scope_for(request)
        if (scope != Scope.READ or view.needs_person) and not request.user.is_authenticated:
            raise NotAuthenticated("send `Authorization: Bearer <token>`; make a token on /settings/tokens/")
        token = request.auth
        if isinstance(token, Token) and not token.allows(scope):
            raise PermissionDenied(f"this token lacks the scope {scope}; it has {', '.join(token.scopes)}")
        return True


def person(request: Request) -> User:
    """Who is calling; a write has been refused before this to those who are not signed in."""
    if not isinstance(request.user, User):
        raise NotAuthenticated("send `Authorization: Bearer <token>`; make a token on /settings/tokens")
    return request.user


class HubView(APIView):
    """The base of all views below ``/api/v1``."""

    permission_classes = [HasScope]
    throttle_classes = [ScopeThrottle]
    write_scope: ClassVar[str] = Scope.PUBLISH  # that a token needs for anything but reading
    read_scope: ClassVar[str] = Scope.READ
    needs_person: ClassVar[bool] = False  # whether reading needs somebody signed in too
    throttle_name: ClassVar[str] = ""  # of ``throttles.LIMITS``; "" is read or write by method
    keeps_answers: ClassVar[bool] = True  # False where an answer holds a secret
    allowance: Allowance | None = None

    def scope_for(self, request: Request) -> str:
        """The scope that this request needs."""
        return self.read_scope if request.method in SAFE else self.write_scope

    def throttle_name_for(self, request: Request) -> str:
        """The limit that this request counts against."""
        return self.throttle_name or ("read" if request.method in SAFE else "write")

    @property
    def now(self) -> datetime:
        """The clock of the edge; services get it as an argument."""
        return timezone.now()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check scope and limit, then look whether this request was answered before."""
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method in SAFE or not self.keeps_answers:
            return
        name = str(request.method).lower()
        handler = getattr(self, name, None)
        if handler is not None:
            setattr(self, name, functools.partial(self._once, handler, key))

    def _once(self, handler: Callable[..., Response], key: str, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Answer as the first time, or do the work and keep its answer."""
        body = request._request.body
        digest = idempotency.request_digest(str(request.method).encode(), request.get_full_path().encode(), body)
        record = idempotency.begin(caller=f"user:{request.user.pk}", key=key, digest=digest, now=self.now)
        if record.status:
            data = json.loads(bytes(record.body)) if record.body else None
            return Response(data, status=record.status, headers={**record.headers, "Idempotency-Replayed": "true"})
        try:
            answer = handler(request, *args, **kwargs)
        except BaseException:
            idempotency.forget(record=record)
            raise
        kept = {name: value for name, value in answer.headers.items() if name in ("Location", "ETag")}
        rendered = b"" if answer.data is None else JSONRenderer().render(answer.data)
        idempotency.keep(record=record, status=answer.status_code, headers=kept, body=rendered)
        return answer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell the caller what is left of the limit."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.allowance is not None:
            for name, value in self.allowance.headers().items():
                response.headers[name] = value
        return response


def not_modified(request: Request, etag: str) -> bool:
    """Whether the caller has this text already (If-None-Match, weak comparison as RFC 9110 asks)."""
    sent = request.headers.get("If-None-Match")
    if not sent:
        return False
    if sent.strip() == "*":
        return True
    return any(tag.removeprefix("W/") == etag for tag in parse_etags(sent))


def cached(response: HttpResponse, *, etag: str, pinned: bool, public: bool) -> HttpResponse:
    """Say how long an answer holds: for ever where a version number or digest was asked for."""
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = f"{'public' if public else 'private'}, {PINNED if pinned else MOVING}"
    response.headers["Vary"] = "Authorization, Cookie"
    return response


def unchanged(*, etag: str, pinned: bool, public: bool) -> HttpResponse:
    """The 304 without a body."""
    return cached(HttpResponse(status=304), etag=etag, pinned=pinned, public=public)
