"""
Signed requests and answers: who sent this, to whom, when, and is it whole.

Every message is signed as RFC 9421 says, label ``sig1``, tag ``opl-fed-v1``.
An answer also covers its request, signature included, so it cannot be moved
to another question. What must be covered is fixed here and checked on every
message; the order of the components is free and further ones are allowed.

Nothing here reads a clock, a database or a socket: ``now``, the keys and the
store of used nonces are passed in.

    headers = sign_request(request, key=key, now=now, nonce=nonce)
    caller = verify_request(request, now=now, resolve=keys.get, burn=nonces.burn)

The checks run in the order of the protocol: size, parameters and window,
keyid, signature and coverage, digest, version, nonce. Tier, quota and the
handler come after, in the service.

Source: OPL-Fed/1, "Requests and answers"; RFC 9421; RFC 9530.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from federation.protocol import fields, limits, signing
from federation.protocol.fields import canonical_base64
from federation.protocol.keys import KeyId, SecretKey
from federation.protocol.problems import Refused, TransportFailure
from federation.protocol.signing import Headers, Parameters

VERSION = "1.0"
VERSION_HEADER = "opl-fed-version"
CURSOR_HEADER = "opl-cursor"
MORE_HEADER = "opl-more"
SUPPORTED = (VERSION,)
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,64}", re.ASCII)

# keyid → raw public key, or None for a key never seen
Resolve = Callable[[str], bytes | None]
# (keyid, nonce, keep until): False where the nonce was used before
Burn = Callable[[str, str, int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as bytes see it."""

    method: str  # upper case
    url: str  # the node's base URL, then path and query byte for byte as sent
    headers: Headers  # (name, value) of every line, in order
    body: bytes = b""  # as sent, no content coding


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer, as bytes see it, with the request it answers."""

    status: int
    headers: Headers
    body: bytes  # as sent: coded where Content-Encoding says so
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a good signature proves."""

    keyid: KeyId  # whose key signed
    nonce: str
    created: int  # seconds since the epoch
    expires: int  # likewise


def content_digest(body: bytes) -> str:
    """The value of Content-Digest for these bytes."""
    return signing.byte_sequence("sha-256", sha256(body).digest())


def sign_request(
    *,
    method: str,
    url: str,
    key: SecretKey,
    now: int,
    nonce: str,
    body: bytes = b"",
    content_type: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    life_seconds: int = limits.REQUEST_LIFE_SECONDS,
) -> Request:
    """A new request, signed. ``headers`` are sent but not covered."""
    own = [(VERSION_HEADER, VERSION), ("content-digest", content_digest(body))]
    if body:
        own.append(("content-type", content_type or "application/json"))
    request = Request(method=method, url=url, headers=(*own, *headers), body=body)
    parameters = Parameters(created=now, expires=now + life_seconds, nonce=nonce, keyid=key.keyid)
    signed = signing.sign(signing.RequestView(request), request_components(body), parameters, key)
    return Request(method=method, url=url, headers=(*request.headers, *signed), body=body)


def sign_response(
    *,
    request: Request,
    status: int,
    key: SecretKey,
    now: int,
    nonce: str,
    body: bytes = b"",
    content_type: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """
    An answer, signed. ``Opl-Cursor`` and ``Opl-More`` among ``headers`` are covered; the rest is only sent.

    ``body`` is what goes over the wire, compressed where it is.
    """
    own = [(VERSION_HEADER, VERSION), ("content-digest", content_digest(body)), *headers]
    if body:
        own.append(("content-type", content_type or "application/json"))
    response = Response(status=status, headers=tuple(own), body=body, request=request)
    parameters = Parameters(created=now, expires=now + limits.REQUEST_LIFE_SECONDS, nonce=nonce, keyid=key.keyid)
    signed = signing.sign(signing.ResponseView(response), response_components(response), parameters, key)
    return Response(status=status, headers=(*own, *signed), body=body, request=request)


def verify_request(
    request: Request, *, now: int, resolve: Resolve, burn: Burn, largest: int = limits.PAGE_BYTES
) -> Verified:
    """
    Who sent this request, once everything about it holds.

    Args:
        now: seconds since the epoch, by this node's clock.
        resolve: keyid → raw public transport key of a peer.
        burn: remembers a nonce; called only for a good signature.
        largest: bytes a body may have.

    Raises:
        Refused: ``page-too-large``, ``bad-signature``, ``clock-skew``,
            ``unknown-key``, ``digest-mismatch``, ``unsupported-version``,
            ``replay``; the first that applies, in the protocol's order.
    """
    if len(request.body) > largest:
        raise Refused("page-too-large", f"the body has {len(request.body)} bytes; {largest} are the most")
    found = signing.found(request.headers)
    parameters = found.parameters
    _judge_parameters(parameters)
    _judge_window(parameters, now)
    raw = resolve(parameters.keyid)
    if raw is None:
        raise Refused("unknown-key", f"the key {parameters.keyid} was never seen here; send a peer request first")
    required = request_components(request.body)
    signing.judge_coverage(found, required, absent=() if request.body else ("content-type",))
    signing.verify(signing.RequestView(request), found, raw)
    _judge_digest(request.headers, request.body)
    _judge_version(request.headers)
    verified = _verified(parameters)
    if not burn(verified.keyid, verified.nonce, verified.expires + limits.NONCE_GRACE_SECONDS):
        raise Refused("replay", "this nonce was used before; sign the request anew")
    return verified


def verify_response(response: Response, *, now: int, resolve: Resolve) -> Verified:
    """
    That this answer is the peer's own, to this very request.

    Raises:
        TransportFailure: for whatever reason it proves nothing. Nothing it
            says, a refusal included, may then be acted on.
    """
    try:
        found = signing.found(response.headers)
        _judge_parameters(found.parameters)
        _judge_window(found.parameters, now)
        raw = resolve(found.parameters.keyid)
        if raw is None:
            raise TransportFailure(f"the answer is signed with the unknown key {found.parameters.keyid}")
        required = response_components(response)
        signing.judge_coverage(found, required, absent=() if response.body else ("content-type",))
        signing.verify(signing.ResponseView(response), found, raw)
        _judge_digest(response.headers, response.body)
        _judge_version(response.headers)
    except Refused as refusal:
        raise TransportFailure(str(refusal)) from refusal
    return _verified(found.parameters)


def request_components(body: bytes) -> tuple[str, ...]:
    """What the signature of a request must cover."""
    base = ('"@method"', '"@target-uri"', '"content-digest"', f'"{VERSION_HEADER}"')
    return (*base, '"content-type"') if body else base


def response_components(response: Response) -> tuple[str, ...]:
    """What the signature of an answer must cover."""
    names = {name.lower() for name, _ in response.headers}
    covered = ['"@status"', '"content-digest"', f'"{VERSION_HEADER}"', '"@method";req', '"@target-uri";req']
    covered += ['"content-type"'] if response.body else []
    covered += [f'"{name}"' for name in (CURSOR_HEADER, MORE_HEADER) if name in names]
    covered += ['"signature";req;key="sig1"'] if signing.carries_signature(response.request.headers) else []
    return tuple(covered)


def header(headers: Headers, name: str) -> str | None:
    """The value of a header that stands once, None where it does not stand at all."""
    values = [value for each, value in headers if each.lower() == name]
    return values[0] if len(values) == 1 else None


def _judge_parameters(parameters: Parameters) -> None:
    life = parameters.expires - parameters.created
    if not 0 < life <= limits.REQUEST_LIFE_SECONDS:
        raise Refused("bad-signature", f"a signature lives 1 to {limits.REQUEST_LIFE_SECONDS} seconds, not {life}")
    if not _NONCE.fullmatch(parameters.nonce):
        raise Refused("bad-signature", "a nonce has 22 to 64 characters A-Z a-z 0-9 _ -")
    try:
        fields.hex16(parameters.keyid, "keyid")
    except Refused as refusal:
        raise Refused("bad-signature", refusal.detail) from refusal


def _judge_window(parameters: Parameters, now: int) -> None:
    early = parameters.created > now + limits.CLOCK_TOLERANCE_SECONDS
    late = parameters.expires < now - limits.CLOCK_TOLERANCE_SECONDS
    if early or late:
        what = "was made in the future" if early else "has expired"
        detail = f"the signature {what} by the clock here; set your clock, then sign anew"
        raise Refused("clock-skew", detail, None, {"server_time": fields.written(now)})


def _judge_digest(headers: Headers, body: bytes) -> None:
    match = _DIGEST.fullmatch(header(headers, "content-digest") or "")
    if match is None:
        raise Refused("digest-mismatch", "Content-Digest must have exactly one member, sha-256")
    try:
        named = canonical_base64(match[1], "Content-Digest")
    except Refused as refusal:
        raise Refused("digest-mismatch", refusal.detail) from refusal
    if named != sha256(body).digest():
        raise Refused("digest-mismatch", "the body does not have the digest it names")


def _judge_version(headers: Headers) -> None:
    version = header(headers, VERSION_HEADER)
    if version not in SUPPORTED:
        supported: Mapping[str, Any] = {"supported": list(SUPPORTED)}
        raise Refused("unsupported-version", f"this node speaks {', '.join(SUPPORTED)}", None, dict(supported))


def _verified(parameters: Parameters) -> Verified:
    return Verified(
        keyid=KeyId(parameters.keyid),
        nonce=parameters.nonce,
        created=parameters.created,
        expires=parameters.expires,
    )
