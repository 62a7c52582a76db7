"""
The seam to ``http-message-signatures``: its RFC 9421, our keys and our strictness.

The library builds signature bases and parses structured fields. Ours are the
algorithm (libsodium through ``keys``), the label and tag, and what the
library leaves to its caller: one field line per covered header, one line per
signature header, which components must be covered. Window and nonce are
judged by ``messages`` with the clock that was passed in, before the library
is asked; its own clock is switched off.

Source: RFC 9421, sections 2 to 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import http_sf
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.digests import ContentDigest
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from federation.protocol import keys
from federation.protocol.keys import SecretKey
from federation.protocol.problems import Refused

if TYPE_CHECKING:
    from federation.protocol.messages import Request, Response

LABEL = "sig1"
TAG = "opl-fed-v1"
ALGORITHM = "ed25519"
MOST_COMPONENTS = 64
MOST_CHARACTERS = 8_192  # of one signature header

Headers = tuple[tuple[str, str], ...]
_parse: Any = http_sf.parse  # its own types are a union of everything
Component = tuple[str, frozenset[tuple[str, Any]]]  # name, parameters in no order


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters every signature of ours carries."""

    created: int  # seconds since the epoch
    expires: int  # likewise
    nonce: str
    keyid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The signature a message carries, parsed and not yet believed."""

    parameters: Parameters
    covered: frozenset[Component]
    once: frozenset[Component]  # covered header fields, each of which may stand on one line only


class Ed25519(HTTPSignatureAlgorithm):  # type: ignore[misc]
    """The library's algorithm seam over libsodium; private keys are ``SecretKey``, public ones 32 bytes."""

    algorithm_id = ALGORITHM

    def __init__(self, public_key: bytes | None = None, private_key: SecretKey | None = None) -> None:
        self.public_key, self.private_key = public_key, private_key

    def sign(self, message: bytes) -> bytes:
        """The signature of a signature base."""
        assert self.private_key is not None
        return self.private_key.sign(message)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise unless the signature is this key's."""
        if self.public_key is None or not keys.verify(self.public_key, message, signature):
            _bad("the signature does not match the message")


class Fields:
    """Header lines in the shape the library reads and writes: repeated lines stay apart."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self.lines = list(lines)

    def items(self) -> list[tuple[str, str]]:
        """Every line, in order."""
        return self.lines

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self.lines])

    def __contains__(self, name: str) -> bool:
        return any(each.lower() == name.lower() for each, _ in self.lines)

    def __setitem__(self, name: str, value: str) -> None:
        self.lines.append((name, value))

    def __delitem__(self, name: str) -> None:
        self.lines = [line for line in self.lines if line[0].lower() != name.lower()]


class RequestView:
    """A request as the library wants to see it."""

    def __init__(self, request: Request) -> None:
        self.method, self.url, self.headers = request.method, request.url, Fields(request.headers)


class ResponseView:
    """An answer as the library wants to see it."""

    def __init__(self, response: Response) -> None:
        self.status_code, self.headers = response.status, Fields(response.headers)
        self.request = RequestView(response.request)


View = RequestView | ResponseView


class _NoDigest(ContentDigest):  # type: ignore[misc]
    """The digest is made and judged by ``messages``; the library has no opinion on it."""

    @classmethod
    def prepare(cls, headers: Any, body: bytes | None, *, use_existing_digest: bool) -> None:
        """Leave the message as it is."""


class _Signer(HTTPMessageSigner):  # type: ignore[misc]
    content_digest_class = _NoDigest


class _Verifier(HTTPMessageVerifier):  # type: ignore[misc]
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Judged before, with the clock that was passed in; the library would read its own."""


class _OneKey(HTTPSignatureKeyResolver):  # type: ignore[misc]
    """Answers every keyid with the key that was resolved already."""

    def __init__(self, key: bytes | SecretKey) -> None:
        self.key = key

    def resolve_public_key(self, key_id: str) -> bytes | SecretKey:
        return self.key


def sign(view: View, components: Iterable[str], parameters: Parameters, key: SecretKey) -> Headers:
    """The two header lines that sign a message."""
    prepared = _Signer(signature_algorithm=Ed25519).prepare(
        view,
        key_id=parameters.keyid,
        created=datetime.fromtimestamp(parameters.created, tz=UTC),
        expires=datetime.fromtimestamp(parameters.expires, tz=UTC),
        nonce=parameters.nonce,
        label=LABEL,
        tag=TAG,
        covered_component_ids=tuple(components),
    )
    return (
        ("signature-input", f"{LABEL}={prepared.signature_params}"),
        ("signature", byte_sequence(LABEL, key.sign(prepared.signature_base))),
    )


def verify(view: View, found: Found, raw_public_key: bytes) -> None:
    """
    That this key signed what the message's own signature says it covers.

    Raises:
        Refused: ``bad-signature``.
    """
    _judge_single_lines(view, found)
    verifier = _Verifier(signature_algorithm=Ed25519, key_resolver=_OneKey(raw_public_key))
    try:
        verifier.verify(view, max_age=None, expect_tag=TAG, expect_label=LABEL)
    except (HTTPMessageSignaturesException, ValueError, TypeError, KeyError) as error:
        _bad(f"the signature does not hold: {str(error).removeprefix('bad-signature: ')}")


def found(headers: Headers) -> Found:
    """
    The signature ``sig1`` of a message.

    Raises:
        Refused: ``bad-signature`` where there is none, or not of our form.
    """
    member, given = _members(headers, "signature-input")[LABEL]
    if not isinstance(member, list) or len(member) > MOST_COMPONENTS:
        _bad(f"signature-input must list at most {MOST_COMPONENTS} components")
    value, _ = _members(headers, "signature")[LABEL]
    if not isinstance(value, bytes):
        _bad("the signature must be a byte sequence")
    covered = [_component(item) for item in member]
    if len(set(covered)) != len(covered):
        _bad("a component is covered twice")
    return Found(
        parameters=_parameters(given),
        covered=frozenset(covered),
        once=frozenset(component for component in covered if not component[0].startswith("@")),
    )


def judge_coverage(signature: Found, required: Iterable[str], *, absent: Iterable[str]) -> None:
    """
    That everything required is covered, and that ``absent`` is not.

    Raises:
        Refused: ``bad-signature``.
    """
    for text in required:
        member, _ = _parse(f"{LABEL}=({text})".encode(), tltype="dictionary")[LABEL]
        if _component(member[0]) not in signature.covered:
            _bad(f"the signature must cover {text}")
    for name in absent:
        if (name, frozenset()) in signature.covered:
            _bad(f"the signature covers {name} of a message that has no body")


def carries_signature(headers: Headers) -> bool:
    """Whether a request has a signature ``sig1`` that its answer can cover."""
    try:
        value, _ = _members(headers, "signature")[LABEL]
    except Refused:
        return False
    return isinstance(value, bytes)


def byte_sequence(member: str, value: bytes) -> str:
    """A structured dictionary with one byte sequence."""
    return str(http_sf.ser({member: (value, {})}))


def _members(headers: Headers, name: str) -> Mapping[str, Any]:
    """A signature header as a dictionary that has our label."""
    lines = [value for each, value in headers if each.lower() == name]
    if len(lines) != 1:
        _bad(f"a message has exactly one {name} header; this has {len(lines)}")
    if len(lines[0]) > MOST_CHARACTERS:
        _bad(f"{name} is longer than {MOST_CHARACTERS} characters")
    try:
        members = _parse(lines[0].encode("ascii"), tltype="dictionary", on_duplicate_key=_no_duplicates)
    except (ValueError, TypeError) as error:
        _bad(f"{name} is not a structured field: {error}")
    if LABEL not in members:
        _bad(f"{name} has no member {LABEL}")
    return dict(members)


def _no_duplicates(key: str, context: str) -> None:
    if context == "dictionary":
        _bad(f"the signature {key} stands twice")


def _parameters(given: Mapping[str, Any]) -> Parameters:
    expected = {"created": int, "expires": int, "nonce": str, "keyid": str, "alg": str, "tag": str}
    if given.keys() != expected.keys():
        _bad(f"a signature has exactly the parameters {', '.join(sorted(expected))}")
    for name, kind in expected.items():
        # exact types: a structured boolean is an int to Python, a token a str
        if type(given[name]) is not kind:
            _bad(f"the parameter {name} has the wrong type")
    if given["tag"] != TAG or given["alg"] != ALGORITHM:
        _bad(f'a signature here has tag="{TAG}" and alg="{ALGORITHM}"')
    return Parameters(created=given["created"], expires=given["expires"], nonce=given["nonce"], keyid=given["keyid"])


def _component(item: Any) -> Component:
    name, parameters = item
    if type(name) is not str:
        _bad("a component must be named by a string")
    return name, frozenset(parameters.items())


def _judge_single_lines(view: View, signature: Found) -> None:
    """Two lines of a covered header would be joined: two readers, two meanings."""
    for name, parameters in signature.once:
        of_request = ("req", True) in parameters
        source = view.request if of_request and isinstance(view, ResponseView) else view
        lines = sum(1 for each, _ in source.headers.items() if each.lower() == name)
        if lines > 1:
            _bad(f"the covered header {name} stands {lines} times")


def _bad(detail: str) -> NoReturn:
    raise Refused("bad-signature", detail) from None
