"""A node of this database, and whole remote peers in memory that talk to it with real signatures."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from federation.models import Peer, ThisNode
from federation.protocol import feed, messages
from federation.protocol.exchange import Answer, Ask
from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request, Response
from federation.protocol.statement import Statement
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import identities, trusting
from tests.federation import makers
from tests.federation.makers import Identity

BASE = "http://testserver"
_numbers = itertools.count(1)


@pytest.fixture
def node(db: Any, settings: Any) -> ThisNode:
    """This node, with an identity."""
    settings.PUBLIC_URL = BASE
    settings.ALLOWED_HOSTS = ["testserver"]
    return identities.create_node(now=timezone.now())


@dataclass
class Remote:
    """A peer that speaks to this node over Django's test client, every message signed and verified."""

    identity: Identity
    client: Client = field(default_factory=Client)
    author: Identity = field(default_factory=lambda: makers.author(f"author {next(_numbers)}"))

    @property
    def row(self) -> Peer:
        return Peer.objects.get(node_id=self.identity.id)

    @property
    def key(self) -> SecretKey:
        return self.identity.transport[0]

    def request(self, method: str, path: str, body: bytes = b"", **changes: Any) -> Request:
        """A signed request; keywords change how it is signed."""
        given: dict[str, Any] = {
            "method": method,
            "url": BASE + path,
            "key": self.key,
            "now": int(timezone.now().timestamp()),
            "nonce": f"nonce-{next(_numbers):020}",
            "body": body,
        }
        return messages.sign_request(**(given | changes))

    def send(self, request: Request, *, path: str = "", body: bytes | None = None) -> Any:
        """Put a request on the wire as it is; the raw answer."""
        target = path or request.url.removeprefix(BASE)
        lines = tuple((name.encode(), value.encode()) for name, value in request.headers)
        bare, _, query = target.partition("?")
        sent = request.body if body is None else body
        scope = {"headers": lines, "raw_path": bare.encode(), "path": bare}
        kind = messages.header(request.headers, "content-type") or "application/octet-stream"
        return self.client.generic(
            request.method,
            bare,
            sent,
            content_type=kind if sent else "",
            **{"QUERY_STRING": query, "asgi.scope": scope},
        )

    def ask(self, method: str, path: str, body: bytes = b"", **changes: Any) -> Any:
        """A signed request and its answer, whose signature was verified."""
        request = self.request(method, path, body, **changes)
        answer = self.send(request)
        verify(answer, request)
        return answer

    def fetch(self, ask: Ask) -> Answer:
        """``Transport``: what this remote would send, verified."""
        answer = self.ask(ask.method, ask.path, ask.body, content_type=ask.content_type)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status_code, headers=headers, body=answer.content)

    def lines(self, *statements: Statement) -> bytes:
        """A push body."""
        return b"".join(feed.line(each, via=[self.identity.id]).to_bytes() + b"\n" for each in statements)

    def push(self, *statements: Statement, txn: str = "") -> list[dict[str, Any]]:
        """Push statements; the results."""
        txn = txn or f"txn-{next(_numbers):020}"
        answer = self.ask("PUT", f"/fed/v1/push/{txn}", self.lines(*statements), content_type=feed.CONTENT_TYPE)
        assert answer.status_code == 200, answer.content
        return list(answer.json()["results"])

    def release(self, **changes: Any) -> Statement:
        """A release of the remote's author whose digests are those of its document."""
        return honest_release(self.author, self.identity, **changes)

    def introduced(self) -> list[Statement]:
        """Root statements that must come first."""
        return [*self.identity.statements, *self.author.statements]


def honest_release(by: Identity, origin: Identity, *, source: str = makers.SOURCE, **changes: Any) -> Statement:
    """A release with the true semantic digest."""
    from opl.document.envelopes import read

    document = read(source.encode()).document
    semantic = document.semantic_digest if document is not None else "0" * 64
    return makers.release(by, origin, **({"source": source, "semantic_digest": semantic} | changes))


def verify(answer: Any, request: Request) -> None:
    """That the answer is this node's, to this very request."""
    chain = identities.chain_of(identities.node().node_id)
    assert chain is not None
    headers = tuple((name.lower(), value) for name, value in answer.headers.items())
    response = Response(status=answer.status_code, headers=headers, body=answer.content, request=request)
    messages.verify_response(response, now=int(timezone.now().timestamp()), resolve=chain.latest.transport_keys.get)


@pytest.fixture
def make_remote(node: ThisNode) -> Callable[..., Remote]:
    """``make_remote("south", tier=Tier.APPROVED)``: a peer this node knows."""

    def make(name: str = "south", *, tier: Tier = Tier.APPROVED) -> Remote:
        remote = Remote(makers.node(f"{name} {next(_numbers)}"))
        now = datetime.now(tz=UTC) - timedelta(minutes=5)
        peer = trusting.receive(remote.identity.chain, {"base_url": f"https://{name}.example"}, now=now)
        if tier is not Tier.UNKNOWN:
            trusting.set_tier(peer, tier, now=now)
        return remote

    return make


@pytest.fixture
def remote(make_remote: Callable[..., Remote]) -> Remote:
    """An approved peer."""
    return make_remote()


def ids(*statements: Statement) -> bytes:
    """A body that names statements."""
    return dumps({"ids": [each.id for each in statements]})
