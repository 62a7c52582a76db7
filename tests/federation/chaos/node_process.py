"""
A node that can be killed: the program that a chaos test runs, once for each node.

    python -m tests.federation.chaos.node_process PORT

It loads the hub once and forks a fresh node for every ``start`` on its
standard input, so that a start costs a tenth of a second; the node is the
real web application with the real rounds of ``ticking``. What a test wants of
a running node it posts to ``/control/…`` of the real port, past every proxy.

Three things differ from a node in the field, all of them here and none in the
product: rounds come every tenth of a second, waits after failures
and leases are short, and the clock can be set wrong.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any

ROUND_PAUSE_SECONDS = 0.1
LEASE_SECONDS = 2.0
Scope = MutableMapping[str, Any]


def main(port: int) -> None:
    """Fork a node for every line ``start``, reap it at ``reap``; ends with its input, and its node with it."""
    _load()
    _say(ready=True)
    child = 0
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "start":
            child = os.fork()
            if child == 0:
                _die_with_parent()
                run_node(port, was_restored=command["was_restored"])
                os._exit(0)
            _say(pid=child)
        elif command["do"] == "reap":
            os.waitpid(child, 0)
            child = 0
            _say(reaped=True)
    if child:
        os.kill(child, signal.SIGKILL)


def _load() -> None:
    """Everything a node needs, before the first fork: nothing here opens a database or starts a thread."""
    import uvicorn.protocols.http.h11_impl  # noqa: F401
    from anyio._backends import _asyncio  # noqa: F401  else imported at the first request
    from django.urls import get_resolver
    from django.utils import timezone

    import hub.asgi  # noqa: F401  sets Django up and imports the application
    from federation import transport
    from federation.protocol import backoff
    from federation.services import screening, standing, ticking, trying

    assert get_resolver().url_patterns  # imports every view
    transport._certificates()
    standing.EVERY_SECONDS = backoff.FIRST_SECONDS = 0
    standing.LEASE = ticking.LEASE = timedelta(seconds=LEASE_SECONDS)
    screening.LEFT_AFTER = trying.LEFT_AFTER = timedelta(seconds=LEASE_SECONDS)
    timezone.now = Clock(timezone.now)
    gc.freeze()


class Clock:
    """The one clock of this process, as wrong as a test wants it."""

    offset = timedelta(0)

    def __init__(self, right: Callable[[], datetime]) -> None:
        self.right = right

    def __call__(self) -> datetime:
        return self.right() + Clock.offset


def run_node(port: int, *, was_restored: bool) -> None:
    """Serve and do rounds until somebody kills us."""
    import uvicorn
    from django.utils import timezone

    from federation.services import identities

    if was_restored:
        identities.restored(now=timezone.now())
    threading.Thread(target=_rounds, daemon=True).start()
    uvicorn.run(application, host="127.0.0.1", port=port, http="h11", log_level="error", access_log=False)


def _rounds() -> None:
    from django.utils import timezone

    from federation.services import ticking

    while True:
        try:
            ticking.tick(timezone.now())
        except Exception as error:
            print(f"a round failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        time.sleep(ROUND_PAUSE_SECONDS)


async def application(
    scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """The hub's own application; ``/control/`` beside it."""
    import hub.asgi

    if scope["type"] != "http" or not scope["path"].startswith("/control/"):
        await hub.asgi.application(scope, receive, send)
        return
    message = await receive()
    act = CONTROLS[scope["path"].removeprefix("/control/")]
    try:
        told = await asyncio.to_thread(act, **json.loads(message.get("body") or b"{}"))
        status, body = 200, json.dumps(told).encode()
    except Exception as error:
        status, body = 500, f"{type(error).__name__}: {error}".encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# ---------------------------------------------------------------- what a test may ask of a running node


def found(name: str, has_author: bool) -> dict[str, str]:
    """The first person and the identity of this node; an author without a key yet loses it with a later backup."""
    from django.utils import timezone

    from federation.services import identities
    from registry.models import User

    keeper = User.objects.create_user(f"{name}-keeper")
    node = identities.create_node(now=timezone.now())
    if has_author:
        identities.author_of(keeper.own_owner, now=timezone.now())
    return {"node_id": node.node_id, "keyid": identities.transport_key().keyid}


def meet(url: str, label: str) -> None:
    """Know another node and trust it as one of the own organisation."""
    from django.utils import timezone

    from federation.protocol.tiers import Tier
    from federation.services import trusting

    trusting.add(url=url, now=timezone.now(), label=label, tier=Tier.OWN)


def publish(name: str, version: str, source: str) -> str:
    """A person of this node publishes."""
    from django.utils import timezone

    from registry.models import User
    from registry.services import publishing

    user = User.objects.get()
    made = publishing.publish(
        owner=user.own_owner,
        user=user,
        source=source.encode(),
        via="api",
        now=timezone.now(),
        version=version,
        name=name,
    )
    return str(made.versions[0].version.digest)


def yank(name: str, version: str) -> bool:
    """A person of this node withdraws a version of hers, where she has it."""
    from django.utils import timezone

    from registry.models import PatternVersion, User
    from registry.services import yanking

    user = User.objects.get()
    row = PatternVersion.objects.filter(pattern__owner=user.own_owner, pattern__name=name, version=version).first()
    if row is not None:
        yanking.yank(version=row, user=user, reason="it loops", now=timezone.now())
    return row is not None


def push(peer: str) -> str:
    """Offer a peer everything that stands in our feed, apart from its own reading of it."""
    from django.utils import timezone

    from federation.errors import FederationError
    from federation.models import Peer, Statement
    from federation.services import offering

    row = Peer.objects.get(label=peer)
    rows = [each for each in Statement.objects.filter(is_announced=True) if row.node_id not in each.via]
    try:
        return str(offering.push(row, rows, now=timezone.now()).accepted)
    except FederationError as error:
        return str(error)


def clock(seconds: int) -> None:
    """How far ahead this node's clock is from now on."""
    Clock.offset = timedelta(seconds=seconds)


def hasten() -> None:
    """What an administrator does who does not want to wait: make every peer due."""
    from django.utils import timezone

    from federation.models import Peer
    from federation.services import hastening

    for peer in Peer.objects.all():
        hastening.hasten(peer, now=timezone.now())


CONTROLS: dict[str, Callable[..., Any]] = {
    "found": found, "meet": meet, "publish": publish, "yank": yank, "push": push, "clock": clock,
    "hasten": hasten,
}  # fmt: skip


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _die_with_parent() -> None:
    """A node never outlives the process that a test can see."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    sys.stdin.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
