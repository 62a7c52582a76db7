"""
The web server's entry: streams go to async code, everything else to Django's WSGI application.

Measured beside 200 open streams by the project's owner: threads of gunicorn
serve nothing, Django's own ASGI handler loses two thirds of its speed, this
dispatcher loses none. Four threads a process carry the pages; a stream holds
no thread.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django_application = get_wsgi_application()  # sets the apps up, which the modules below need

from federation.api import longpoll  # noqa: E402
from hub import live  # noqa: E402
from hub.mcp.server import make_application, make_server  # noqa: E402

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WSGI_THREADS = 4
MCP_METADATA = "/.well-known/oauth-protected-resource"  # where a client learns which tokens the endpoint takes

_ = get_resolver().url_patterns  # imports every view now: some seconds that the first visitor does not wait

pages = WSGIMiddleware(django_application, workers=WSGI_THREADS)
mcp_server = make_server()
mcp = make_application(mcp_server)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One request: pick the code that carries it best."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/live/"):
        await live.application(scope, receive, send)
    elif scope["type"] == "http" and (scope["path"] == "/mcp" or scope["path"].startswith(MCP_METADATA)):
        await mcp(scope, receive, send)
    elif scope["type"] == "http" and longpoll.wants(scope):
        await longpoll.application(scope, receive, send)
    elif scope["type"] == "http":
        await pages(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    async with mcp_server.session_manager.run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await live.close()
    await send({"type": "lifespan.shutdown.complete"})
