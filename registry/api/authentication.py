"""
Who is calling: ``Authorization: Bearer oplt_…`` (or ``Token oplt_…``), or the session of a page.

``request.auth`` is the ``Token`` row, or None for a session; a session may do
what its person may, a token also needs the scope.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from registry.models import Token, User
from registry.services import tokens


class TokenAuthentication(BaseAuthentication):
    """Reads the Authorization header; any other scheme than ours is somebody else's business."""

    keywords = ("bearer", "token")

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """The person and their token, or None without a header of ours."""
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() not in self.keywords:
            return None
        token = tokens.find(secret=secret.strip(), now=timezone.now())
        if token is None:
            raise AuthenticationFailed("this token is unknown, expired or revoked; make a new one on /settings/tokens/")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="hub"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI description names it."""

    target_class = "registry.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token from /settings/tokens/, with the scope needed.",
        }
