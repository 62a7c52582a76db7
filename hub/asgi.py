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

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

from hub import live
from hub.wsgi import application as django_application

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WSGI_THREADS = 4

pages = WSGIMiddleware(django_application, workers=WSGI_THREADS)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One request: pick the code that carries it best."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/live/"):
        await live.application(scope, receive, send)
    elif scope["type"] == "http":
        await pages(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await live.close()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
