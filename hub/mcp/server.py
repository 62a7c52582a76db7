"""
The MCP endpoint at ``/mcp``: streamable HTTP by the official SDK.

Stateless, with plain JSON answers, so that any web process can serve any
request. The hub's own tokens are the bearer tokens; their scopes are what the
tools ask for.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette

from hub.mcp.tools import TOOLS
from registry.services import tokens

INSTRUCTIONS = (
    "A registry of orchestration patterns for teams of agents. Search or ask for a recommendation, load a pattern, "
    "run it here or carry it out yourself, record your decisions with their outcome, and export what you learned."
)


class HubTokens:
    """Checks the hub's own tokens; implements the SDK's ``TokenVerifier``."""

    async def verify_token(self, token: str) -> AccessToken | None:
        """The token's person and scopes, or None for one that is unknown, expired or revoked."""
        found = await sync_to_async(tokens.find, thread_sensitive=False)(secret=token, now=timezone.now())
        if found is None:
            return None
        return AccessToken(
            token=token, client_id=str(found.pk), scopes=list(found.scopes), resource=f"{settings.PUBLIC_URL}/mcp"
        )


def make_server() -> MCPServer:
    """A server with every tool."""
    server = MCPServer(
        "opl-hub",
        title="OPL hub",
        instructions=INSTRUCTIONS,
        token_verifier=HubTokens(),
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(settings.PUBLIC_URL),
            resource_server_url=AnyHttpUrl(f"{settings.PUBLIC_URL}/mcp"),
            validate_token_resource=True,
        ),
        log_level="WARNING",
    )
    for tool in TOOLS:
        server.add_tool(tool)
    return server


def make_application(server: MCPServer) -> Starlette:
    """The ASGI application below ``/mcp``; only hosts that this hub answers for are let in."""
    host = urlsplit(settings.PUBLIC_URL).netloc
    allowed = [host, *settings.ALLOWED_HOSTS, *(f"{name}:*" for name in settings.ALLOWED_HOSTS)]
    security = TransportSecuritySettings(allowed_hosts=allowed, allowed_origins=[settings.PUBLIC_URL])
    return server.streamable_http_app(json_response=True, stateless_http=True, transport_security=security)
