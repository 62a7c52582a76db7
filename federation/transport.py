"""
Signed requests to one peer, through the registry's outgoing door, and answers that were verified.

An answer that does not verify proves nothing: it is a ``TransportFailure``,
whatever its status says, and no session ever sees it.

    transport = PeerTransport.to(peer, now=clock)
    drive(session.pull(...), transport, take=...)

Source: OPL-Fed/1, "Requests and answers" and "Limits".
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx2
import zstandard
from django.conf import settings
from django.utils import timezone

from federation.errors import SwitchedOff, TransportFailure
from federation.protocol import limits, messages
from federation.protocol.exchange import Answer, Ask, Transport
from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request, Response
from registry import outgoing
from registry.errors import OutgoingFailed, OutgoingRefused
from registry.outgoing import Door

_PART = 256 * limits.KIB  # unpacked at once
_SPARE = 64 * limits.KIB  # a body may exceed a page by its last line's frame

Fetch = Callable[[str, str, bytes, Mapping[str, str], outgoing.Limits], outgoing.Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTransport:
    """Carries asks to one peer (``protocol.exchange.Transport``)."""

    base_url: str  # of the peer, no trailing slash
    key: SecretKey  # of this node
    peer_keys: Mapping[str, bytes]  # keyid → raw key of who may answer
    door: Door
    clock: Callable[[], float] = field(default=lambda: timezone.now().timestamp())  # seconds since the epoch

    def fetch(self, ask: Ask) -> Answer:
        """
        The verified answer to a signed request.

        Raises:
            TransportFailure: none came, or one that proves nothing.
        """
        request = messages.sign_request(
            method=ask.method,
            url=self.base_url + ask.path,
            key=self.key,
            now=int(self.clock()),
            nonce=secrets.token_urlsafe(24),
            body=ask.body,
            content_type=ask.content_type,
            headers=(("Accept-Encoding", "zstd"),),
        )
        read = ask.wait_seconds + limits.WAIT_GRACE_SECONDS if ask.wait_seconds else limits.READ_SECONDS
        read_seconds = max(read, limits.READ_SECONDS)
        answer = send(self.door, request, read_seconds=read_seconds, body_bytes=ask.answer_bytes)
        return verified(answer, request, self.peer_keys, now=int(self.clock()))


class ReadingAhead:
    """
    Fetches the next page while the last one is stored: one thread, one answer in hand.

    Whatever happens to an answer that is fetched ahead shows when it is asked
    for; one that is never asked for is dropped.

        with ReadingAhead(PeerTransport(…)) as through:
            drive(session, through, take=…, ahead=through)
    """

    def __init__(self, through: Transport) -> None:
        self._through = through
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._next: tuple[Ask, Future[Answer]] | None = None

    def __enter__(self) -> ReadingAhead:
        return self

    def __exit__(self, *_: object) -> None:
        # A request under way ends by its own timeout; nobody waits for it here.
        self._thread.shutdown(wait=False, cancel_futures=True)

    def begin(self, ask: Ask) -> None:
        """Fetch this now; ``fetch`` will be asked for it."""
        self._next = ask, self._thread.submit(self._through.fetch, ask)

    def fetch(self, ask: Ask) -> Answer:
        """The verified answer, fetched ahead or now; see ``PeerTransport.fetch``."""
        begun, self._next = self._next, None
        if begun is not None and begun[0] == ask:
            return begun[1].result()
        return self._through.fetch(ask)


def door(*, hosts: Callable[[str], bool]) -> Door:
    """The one door, as the federation uses it."""
    return Door(
        approves=hosts,
        allow_loopback=settings.FEDERATION_ALLOW_LOOPBACK,
        limits=outgoing.Limits(body_bytes=limits.PAGE_BYTES + _SPARE),
        ssl_context=_certificates(),
    )


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """The usual certificate authorities, read once: loading them costs more than a page."""
    return httpx2.create_ssl_context(trust_env=False)


def send(
    through: Door,
    request: Request,
    *,
    read_seconds: float = limits.READ_SECONDS,
    body_bytes: int = limits.PAGE_BYTES,
) -> outgoing.Answer:
    """
    One request as it was signed, byte for byte.

    Raises:
        TransportFailure: the door refuses, or no answer came.
    """
    bounds = outgoing.Limits(
        connect_seconds=limits.CONNECT_SECONDS,
        read_seconds=read_seconds,
        total_seconds=limits.TOTAL_SECONDS,
        body_bytes=body_bytes + _SPARE,
    )
    try:
        return through.request(
            request.method, request.url, content=request.body, headers=dict(request.headers), limits=bounds
        )
    except (OutgoingRefused, OutgoingFailed) as error:
        raise TransportFailure(str(error)) from error


def verified(answer: outgoing.Answer, request: Request, peer_keys: Mapping[str, bytes], *, now: int) -> Answer:
    """The answer as a session reads it, once its signature holds."""
    headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
    response = Response(status=answer.status, headers=headers, body=answer.body, request=request)
    messages.verify_response(response, now=now, resolve=peer_keys.get)
    coding = messages.header(headers, "content-encoding")
    body = answer.body if coding in (None, "identity") else unpacked(answer.body, coding)
    return Answer(status=answer.status, headers=dict(headers), body=body)


def unpacked(body: bytes, coding: str | None = "zstd") -> bytes:
    """
    What zstd packed into a page.

    Raises:
        TransportFailure: another coding, a broken frame, or more than a page.
    """
    if coding != "zstd":
        raise TransportFailure(f"the answer is coded as {coding}, which was not asked for")
    return b"".join(unpacking(body, largest=limits.PAGE_BYTES))


def unpacking(body: bytes, *, largest: int) -> Iterator[bytes]:
    """
    The same part by part, counted while it streams: a frame that says how large it is may lie.

    Raises:
        TransportFailure: a broken frame, or more than ``largest`` bytes.
    """
    size = 0
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(body, read_across_frames=False) as reader:
            while part := reader.read(_PART):
                size += len(part)
                if size > largest:
                    raise TransportFailure(f"the answer unpacks to more than {largest} bytes")
                yield part
    except zstandard.ZstdError as error:
        raise TransportFailure(f"the answer is not zstd: {error}") from error


def packed(body: bytes, *, level: int = 3) -> bytes:
    """The body in one zstd frame."""
    return zstandard.ZstdCompressor(level=level).compress(body)


def public(through: Door, base_url: str, path: str) -> tuple[Request, outgoing.Answer]:
    """A public resource, asked without a signature; the caller verifies the answer with the chain it finds."""
    digest = ("content-digest", messages.content_digest(b""))
    request = Request(method="GET", url=base_url + path, headers=((messages.VERSION_HEADER, messages.VERSION), digest))
    return request, send(through, request)


def refuse_when_off(node: Any) -> None:
    """Nothing goes out while the kill switch is on; raises SwitchedOff."""
    if node.is_paused:
        raise SwitchedOff(node.paused_reason)
