"""
A peer in memory: a node behind real signatures, edited by tests as data.

``PeerSimulator`` implements ``Transport``. Every fetch is a signed request
that the peer verifies and a signed answer that the client verifies, without
a socket. A test changes the peer (``publish``, ``fork_feed``, ``rewind``,
``truncate``, ``sign_with``, ``tamper``) and lets a real session run against it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from hashlib import sha256

from federation.protocol import messages
from federation.protocol.exchange import Answer, Ask
from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request, Response
from federation.protocol.problems import CONTENT_TYPE, Refused, TransportFailure
from federation.protocol.statement import Statement
from federation.protocol.strictjson import dumps
from tests.federation import makers
from tests.federation.makers import NOON, Identity
from tests.federation.memory import Held, Node, epoch_of

BASE_URL = "https://south.example"


class PeerSimulator:
    """A remote node and the wire to it."""

    def __init__(self, client: Identity, name: str = "south") -> None:
        self.client = client
        self.identity = makers.node(name)
        self.author = makers.author(f"author of {name}")
        self.node = Node(self.identity)
        self.node.publish(*self.author.statements)
        self.now = NOON  # the client's clock
        self.skew = 0  # how far the peer's clock is ahead
        self.key = self.identity.transport[0]
        self.requests: list[Request] = []  # as they went over the wire
        self.burnt: set[tuple[str, str]] = set()
        self._nonces = itertools.count()
        self._on_request: list[Callable[[Request], Request]] = []
        self._on_answer: list[Callable[[Answer], Answer]] = []
        self._on_response: list[Callable[[Response], Response]] = []
        self._published = itertools.count(1)

    @property
    def id(self) -> str:
        return self.identity.id

    # --- editing it ---

    def publish(self, **changes) -> Statement:
        """A new release of the peer's author."""
        number = next(self._published)
        changes = {"version": f"1.0.{number}", "source": makers.SOURCE + f"# {number}\n"} | changes
        made = makers.release(self.author, self.identity, **changes)
        self.node.publish(made)
        return made

    def add(self, statement: Statement) -> None:
        """Put a statement into the feed unjudged, as a dishonest peer would."""
        self.node.store.held[statement.id] = Held(statement, (self.id,))
        self.node.store.feed.append(statement.id)

    def fork_feed(self) -> None:
        """Continue under another epoch."""
        self.node.store.epoch = epoch_of("forked")

    def truncate(self, *, at: int) -> None:
        """Forget everything after that number, under the same epoch."""
        del self.node.store.feed[at:]

    def sign_with(self, key: SecretKey) -> None:
        """Sign answers with another key."""
        self.key = key

    def on_answer(self, change: Callable[[Answer], Answer]) -> None:
        """Change answers before they are signed: the peer itself misbehaves."""
        self._on_answer.append(change)

    def on_response(self, change: Callable[[Response], Response]) -> None:
        """Change signed answers: somebody on the way misbehaves."""
        self._on_response.append(change)

    def on_request(self, change: Callable[[Request], Request]) -> None:
        """Change signed requests on their way."""
        self._on_request.append(change)

    # --- Transport ---

    def fetch(self, ask: Ask) -> Answer:
        request = messages.sign_request(
            method=ask.method, url=BASE_URL + ask.path, body=ask.body, content_type=ask.content_type,
            key=self.client.transport[0], now=self.now, nonce=self._nonce(),
        )  # fmt: skip
        received = request
        for change in self._on_request:
            received = change(received)
        self.requests.append(received)
        response = dataclasses.replace(self.serve(received, ask), request=request)
        for move in self._on_response:
            response = move(response)
        trusted = self.identity.chain.latest.transport_keys
        messages.verify_response(response, now=self.now, resolve=trusted.get)
        headers = {name.lower(): value for name, value in response.headers}
        return Answer(status=response.status, headers=headers, body=response.body)

    def serve(self, request: Request, ask: Ask) -> Response:
        """The peer's side: verify, answer, sign."""
        try:
            known = self.client.chain.latest.transport_keys
            messages.verify_request(request, now=self.now + self.skew, resolve=known.get, burn=self._burn)
            answer = self.node.handle(ask, caller=self.client.id)
        except Refused as refusal:
            answer = Answer(
                status=refusal.status, headers={"content-type": CONTENT_TYPE}, body=dumps(refusal.to_json())
            )
        for change in self._on_answer:
            answer = change(answer)
        extra = [(name, value) for name, value in answer.headers.items() if name != "content-type"]
        return messages.sign_response(
            request=request, status=answer.status, body=answer.body, headers=extra, key=self.key,
            content_type=answer.headers.get("content-type"), now=self.now + self.skew, nonce=self._nonce(),
        )  # fmt: skip

    def _nonce(self) -> str:
        return sha256(str(next(self._nonces)).encode()).hexdigest()[:32]

    def _burn(self, keyid: str, nonce: str, until: int) -> bool:
        fresh = (keyid, nonce) not in self.burnt
        self.burnt.add((keyid, nonce))
        return fresh


class Offline:
    """A transport to nobody."""

    def fetch(self, ask: Ask) -> Answer:
        raise TransportFailure("the connection was refused")


def replace_line(answer: Answer, number: int, **changes) -> Answer:
    """The answer with members of one of its lines changed."""
    raws = answer.body.split(b"\n")
    raws[number] = dumps(json.loads(raws[number]) | changes)
    return dataclasses.replace(answer, body=b"\n".join(raws))
