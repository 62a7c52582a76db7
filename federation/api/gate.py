"""
The gate of ``/fed/v1``: no handler runs before the request is verified, and every answer is signed.

The order is the protocol's: size, parameters and window, keyid, signature and
coverage, digest, version, nonce, tier, quota, handler. Whatever fails becomes
a signed problem; a fault of ours becomes ``internal-error`` and a log entry.

    path("fed/v1/have", gated(views.have, "POST"))

Source: OPL-Fed/1, "Requests and answers".
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from federation.errors import NoIdentity
from federation.models import Nonce, Peer, ThisNode
from federation.protocol import limits, messages, tiers
from federation.protocol.messages import Request, Response, Verified
from federation.protocol.problems import CONTENT_TYPE as PROBLEM_TYPE
from federation.protocol.problems import Refused
from federation.protocol.root import Chain
from federation.protocol.strictjson import dumps
from federation.services import identities, quotas, receiving, remembering, trusting
from federation.transport import packed

log = logging.getLogger(__name__)

PACKED_FROM = 1_024  # bytes; smaller answers are not worth a frame
OFF_SECONDS = 3_600
_NO_WEIGHT = re.compile(r"q\s*=\s*0(\.0{0,3})?")
SEGMENT_TYPE = "application/zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler says; the gate packs, signs and sends it."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, value: Any, *, status: int = 200) -> Answer:
        """A JSON answer."""
        return cls(status=status, body=dumps(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verified request on its way to its handler."""

    request: Request
    query: Mapping[str, str]  # each name once
    node: ThisNode
    now: datetime
    peer: Peer | None  # None for the public resources
    address: str  # where it came from
    arguments: Mapping[str, Any] = field(default_factory=dict)  # out of the path

    @property
    def caller(self) -> Peer:
        """The verified peer."""
        assert self.peer is not None, "only public handlers run without a peer"
        return self.peer


Handler = Callable[[Call], Answer]
Verify = Callable[[Request, datetime], Peer | None]


def gated(handler: Handler, method: str, *, verify: Verify | None = None) -> Callable[..., HttpResponse]:
    """A Django view: verify the peer, then run the handler."""
    return _view(handler, method, verify or verify_peer)


def public(handler: Handler) -> Callable[..., HttpResponse]:
    """A Django view for one of the two public resources."""
    return _view(handler, "GET", lambda request, now: None)


def _view(handler: Handler, method: str, verify: Verify) -> Callable[..., HttpResponse]:
    @csrf_exempt
    def view(http: HttpRequest, **arguments: Any) -> HttpResponse:
        received = received_request(http)
        address = str(http.META.get("REMOTE_ADDR", ""))
        try:
            node = identities.node()
        except NoIdentity:
            return HttpResponse(status=404)
        answer = answered(handler, method, verify, received, read_body(http), address, arguments, node=node)
        return signed(received, answer)

    return view


def answered(
    handler: Handler, method: str, verify: Verify, received: Request, body: bytes | Refused, address: str,
    arguments: Mapping[str, Any], *, node: ThisNode | None = None,
) -> Answer:  # fmt: skip
    """The handler's answer, or the problem that stands in its way; ``node`` is this node's row, where it is at hand."""
    now = timezone.now()
    try:
        request = with_body(received, body)
        peer = verify(request, now)
        node = remembering.checked(node or identities.node())
        if peer is not None:
            admit(peer, node, request, now)
        if request.method != method:
            raise Refused("not-found", f"this resource answers {method}, not {request.method[:20]}")
        call = Call(
            request=request,
            query=query_of(request),
            node=node,
            now=now,
            peer=peer,
            address=address,
            arguments=arguments,
        )
        return handler(call)
    except Refused as refusal:
        return problem(refusal)
    except Exception:
        log.exception("a federation request failed")
        return problem(Refused("internal-error", "this node failed; the request was not at fault"))


def admit(peer: Peer, node: ThisNode, request: Request, now: datetime) -> None:
    """
    Tier, kill switch and quota of a verified peer.

    Raises:
        Refused: ``peer-blocked``, ``tier-too-low`` or ``quota-exceeded``.
    """
    is_handshake = request.url.endswith("/fed/v1/peer-requests")
    if not is_handshake:
        tiers.judge_access(peer.trust)
    if node.is_paused or peer.is_paused:
        raise Refused("quota-exceeded", "the exchange is switched off here for now", OFF_SECONDS)
    trusting.seen(peer, now=now)
    if not is_handshake and request.method == "PUT" and not receiving.is_repeated(peer, request.url, request.body):
        quotas.spend(
            peer, objects=sum(1 for line in request.body.split(b"\n") if line.strip()), size=len(request.body), now=now
        )


def verify_peer(request: Request, now: datetime) -> Peer | None:
    """Whose signature this is; every key that may speak was pinned before."""
    found: dict[str, Peer] = {}

    def resolve(keyid: str) -> bytes | None:
        known = trusting.key_of(keyid)
        if known is None:
            return None
        found[keyid] = known[1]
        return known[0]

    verified: Verified = messages.verify_request(request, now=int(now.timestamp()), resolve=resolve, burn=burn)
    return found[verified.keyid]


def verify_handshake(request: Request, now: datetime) -> Peer | None:
    """A peer request is signed with a key out of the chain in its own body."""
    chain: Chain | None = None

    def resolve(keyid: str) -> bytes | None:
        nonlocal chain
        chain, _ = trusting.chain_in(request.body)
        return chain.latest.transport_keys.get(keyid)

    messages.verify_request(request, now=int(now.timestamp()), resolve=resolve, burn=burn)
    assert chain is not None, "a verified handshake was resolved"
    return Peer.objects.filter(node_id=chain.id).first()


def burn(keyid: str, nonce: str, keep_until: int) -> bool:
    """Use a nonce up; False where it was used before. The unique row decides, also between processes."""
    try:
        with transaction.atomic():
            Nonce.objects.create(keyid=keyid, nonce=nonce, keep_until=keep_until)
    except IntegrityError:
        return False
    return True


# ---------------------------------------------------------------- messages


def received_request(http: HttpRequest) -> Request:
    """The request as it came, without its body: target and headers as the wire had them where the server kept them."""
    scope = http.META.get("asgi.scope")
    if isinstance(scope, Mapping) and "headers" in scope:
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        path = bytes(raw_path).split(b"?", 1)[0].decode("ascii", "replace")
    else:
        headers = tuple(_headers(http.META))
        path = quote(http.META.get("PATH_INFO", "").encode("latin-1", "replace"), safe="/~:@!$&'()*+,;=-._")
    query = http.META.get("QUERY_STRING", "")
    url = settings.PUBLIC_URL.rstrip("/") + path + (f"?{query}" if query else "")
    return Request(method=http.method or "", url=url, headers=headers)


def _headers(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (name[5:].replace("_", "-").lower(), str(value)) for name, value in meta.items() if name.startswith("HTTP_")
    ]
    outside = [name for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if meta.get(name)]
    return found + [(name.replace("_", "-").lower(), str(meta[name])) for name in outside]


def read_body(http: HttpRequest) -> bytes | Refused:
    """The body, or why it is not read: too long, coded, or of unknown length."""
    length = http.META.get("CONTENT_LENGTH") or "0"
    refused = judge_length(str(length), http.META.get("HTTP_CONTENT_ENCODING"), http.META.get("HTTP_TRANSFER_ENCODING"))
    return refused if refused is not None else http.body


def judge_length(length: str, coding: str | None, transfer: str | None) -> Refused | None:
    """What forbids reading a body, None where nothing does."""
    if not length.isdecimal() or transfer:
        return Refused("schema-invalid", "a request states its Content-Length and is not sent in chunks")
    if int(length) > limits.PAGE_BYTES:
        return Refused("page-too-large", f"the body has {length} bytes; {limits.PAGE_BYTES} are the most")
    if coding and coding != "identity":
        return Refused("schema-invalid", "a request carries no content coding")
    return None


def with_body(received: Request, body: bytes | Refused) -> Request:
    """The whole request; raises what forbade reading it."""
    if isinstance(body, Refused):
        raise body
    headers = received.headers
    if not body:
        # A test client or proxy may add a type to nothing; what was not sent cannot be covered.
        headers = tuple(line for line in headers if line[0] != "content-length")
    return Request(method=received.method, url=received.url, headers=headers, body=body)


def query_of(request: Request) -> dict[str, str]:
    """The query, each name once; raises ``schema-invalid`` for one that stands twice."""
    from urllib.parse import parse_qsl, urlsplit

    pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=20)
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("schema-invalid", "a parameter stands twice in the query")
    return dict(pairs)


def problem(refusal: Refused) -> Answer:
    """The answer that says why not."""
    headers = (("retry-after", str(refusal.retry_after)),) if refusal.retry_after is not None else ()
    return Answer(status=refusal.status, body=dumps(refusal.to_json()), content_type=PROBLEM_TYPE, headers=headers)


def signed(request: Request, answer: Answer) -> HttpResponse:
    """The answer on the wire."""
    response = sign(request, answer)
    http = HttpResponse(response.body, status=response.status)
    del http["Content-Type"]
    for name, value in response.headers:
        http[name] = value
    http["content-length"] = str(len(response.body))
    # Also for what never changes: a copy out of a cache carries a signature that has expired, under another request.
    http["cache-control"] = "no-store"
    return http


def sign(request: Request, answer: Answer) -> Response:
    """Pack where the caller takes zstd, then sign what goes over the wire."""
    body, headers = answer.body, answer.headers
    accepts = messages.header(request.headers, "accept-encoding") or ""
    is_packed = answer.content_type == SEGMENT_TYPE  # already, and better
    if len(body) >= PACKED_FROM and not is_packed and any(_takes_zstd(each) for each in accepts.split(",")):
        body, headers = packed(body), (*headers, ("content-encoding", "zstd"))
    return messages.sign_response(
        request=request,
        status=answer.status,
        key=identities.transport_key(),
        now=int(timezone.now().timestamp()),
        nonce=secrets.token_urlsafe(24),
        body=body,
        content_type=answer.content_type if body else None,
        headers=headers,
    )


def _takes_zstd(coding: str) -> bool:
    """Whether one entry of Accept-Encoding asks for zstd; ``q=0`` says that it is not wanted (RFC 9110, 12.4.2)."""
    name, _, weight = coding.partition(";")
    return name.strip().lower() == "zstd" and not _NO_WEIGHT.fullmatch(weight.strip().lower())
