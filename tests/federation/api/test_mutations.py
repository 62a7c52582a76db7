"""Every resource refuses every way of bending a signed request, each with its code, in a signed answer."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from unittest import mock

import pytest
from django.http import HttpResponse
from django.urls import resolve
from django.utils import timezone

from federation.api import longpoll, urls
from federation.protocol import messages, signing
from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request
from federation.protocol.signing import Parameters
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import identities, storing, trusting
from tests.federation import makers
from tests.federation.conftest import BASE, Remote, verify

# What a good request to each resource looks like, by the name it has in the URL conf: method, path, body. A body that
# is a function is made for the remote that asks.
EXAMPLES: dict[str, tuple[str, str, Any]] = {
    "changes": ("GET", "/fed/v1/changes?limit=5", b""),
    "statement": ("GET", "/fed/v1/statements/" + "0" * 64, b""),
    "statements": ("POST", "/fed/v1/statements", dumps({"ids": ["0" * 64]})),
    "have": ("POST", "/fed/v1/have", dumps({"ids": ["0" * 64]})),
    "push": ("PUT", "/fed/v1/push/transaction-number-1", b'{"k": "release"}\n'),
    "reconcile": ("POST", "/fed/v1/reconcile", b"\x61"),
    "segments": ("GET", "/fed/v1/segments", b""),
    "segment": ("GET", "/fed/v1/segments/" + "0" * 64, b""),
    "peer-requests": ("POST", "/fed/v1/peer-requests", lambda remote: introduction(remote)),
    "poke": ("POST", "/fed/v1/poke", dumps({"epoch": "0" * 32, "seq": 1})),
    "status": ("GET", "/fed/v1/status", b""),
    "bare": ("GET", "/fed/v1", b""),
    "top": ("GET", "/fed/v1/", b""),
    "nothing": ("GET", "/fed/v1/what-is-this", b""),
}
PUBLIC = {"well-known", "root"}  # answered to anybody, whoever signed
WAITING = "changes, held"  # the long poll stands beside the URL conf, in the ASGI dispatcher
# Generated from the URL conf: a resource without an example here fails the first test below, with its name.
ENDPOINTS = [pattern.name for pattern in urls.urlpatterns if pattern.name not in PUBLIC] + [WAITING]
WITH_BODY = [name for name in ENDPOINTS if EXAMPLES.get(name, ("", "", b""))[2]]
EVIL = makers.secret("a key nobody has seen")


def now() -> int:
    return int(timezone.now().timestamp())


def introduction(remote: Remote) -> bytes:
    """The body of a peer request."""
    roots = [each.envelope.to_json() for each in remote.identity.statements]
    return dumps({"base_url": "https://south.example", "roots": roots, "contact": "", "message": ""})


def a_request(remote: Remote, endpoint: str, **changes: Any) -> Request:
    """A good request to a resource."""
    if endpoint == WAITING:
        return remote.request("GET", "/fed/v1/changes?limit=5&wait=1", **changes)
    method, path, body = EXAMPLES[endpoint]
    return remote.request(method, path, body(remote) if callable(body) else body, **changes)


def sent(remote: Remote, endpoint: str, request: Request, **how: Any) -> Any:
    """The raw answer, from the code that carries this resource in production."""
    return hold(remote, request, **how) if endpoint == WAITING else remote.send(request, **how)


def hold(remote: Remote, request: Request, *, path: str = "", body: bytes | None = None) -> Any:
    """Put a request to the long poll as ``hub.asgi`` does; whoever waits goes away at once."""
    bare, _, query = (path or request.url.removeprefix(BASE)).partition("?")
    lines = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    scope = {
        "type": "http", "method": request.method, "path": bare, "raw_path": bare.encode(),
        "query_string": query.encode(), "headers": lines,
    }  # fmt: skip
    storing.number()  # so that there is something to give, and nobody has to wait
    received = messages_of(request.body if body is None else body)
    told: list[Any] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        told.append(message)

    assert longpoll.wants(scope)
    with_this_connection(longpoll.application(scope, receive, send))
    answer = HttpResponse(told[1]["body"], status=told[0]["status"])
    for name, value in told[0]["headers"]:
        answer[name.decode()] = value.decode()
    answer.json = lambda: json.loads(answer.content)  # type: ignore[attr-defined]
    return answer


def messages_of(body: bytes) -> Iterator[dict[str, Any]]:
    yield {"type": "http.request", "body": body, "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


def with_this_connection(work: Coroutine[Any, Any, None]) -> None:
    """
    Run it to its end in this thread, inside the transaction of the test.

    Nothing in it waits here, so it needs no event loop: a request that had to
    wait would show itself by a second step.
    """

    async def at_once(call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    with mock.patch.object(longpoll, "_in_thread", at_once), pytest.raises(StopIteration):
        work.send(None)


def without(request: Request, name: str) -> Request:
    return dataclasses.replace(request, headers=tuple(line for line in request.headers if line[0] != name))


def with_header(request: Request, name: str, value: str) -> Request:
    return dataclasses.replace(request, headers=(*without(request, name).headers, (name, value)))


def twice(request: Request, name: str) -> Request:
    value = messages.header(request.headers, name)
    return dataclasses.replace(request, headers=(*request.headers, (name, str(value))))


def resigned(
    remote: Remote, request: Request, components: tuple[str, ...], *, key: SecretKey | None = None, **changes: Any
) -> Request:
    """The same message under another signature."""
    key = key or remote.key
    bare = without(without(request, "signature"), "signature-input")
    given = {
        "created": now(),
        "expires": now() + 60,
        "nonce": "a-nonce-for-resigning-" + str(len(components)),
        "keyid": key.keyid,
    }
    lines = signing.sign(signing.RequestView(bare), components, Parameters(**(given | changes)), key)
    return dataclasses.replace(bare, headers=(*bare.headers, *lines))


def relabelled(request: Request, old: str, new: str) -> Request:
    lines = tuple(
        (name, value.replace(old, new)) if name.startswith("signature") else (name, value)
        for name, value in request.headers
    )
    return dataclasses.replace(request, headers=lines)


def by_hand(remote: Remote, request: Request, *, again: tuple[str, ...] = (), **changes: str | None) -> Request:
    """
    The same message signed as RFC 9421 says, without our code: what our signer would never write, and yet the signature holds.

    Args:
        again: components to cover once more.
        changes: parameters as they stand on the wire; None leaves one out.
    """
    bare = without(without(request, "signature"), "signature-input")
    values = {'"@method"': bare.method, '"@target-uri"': bare.url}
    values |= {f'"{name}"': value for name, value in bare.headers}
    components = (*covered(bare), *again)
    given: dict[str, str | None] = {
        "created": str(now()), "expires": str(now() + 60), "nonce": '"a-nonce-that-was-made-by-hand"',
        "keyid": f'"{remote.key.keyid}"', "alg": '"ed25519"', "tag": '"opl-fed-v1"',
    }  # fmt: skip
    told = "".join(f";{name}={value}" for name, value in (given | changes).items() if value is not None)
    listed = f"({' '.join(components)}){told}"
    lines = [f"{each}: {values[each]}" for each in components] + [f'"@signature-params": {listed}']
    signed = base64.b64encode(remote.key.sign("\n".join(lines).encode())).decode()
    added = (("signature-input", f"sig1={listed}"), ("signature", f"sig1=:{signed}:"))
    return dataclasses.replace(bare, headers=(*bare.headers, *added))


Move = Callable[[Remote, Request], Request]
FULL = ('"@method"', '"@target-uri"', '"content-digest"', '"opl-fed-version"')


def covered(request: Request) -> tuple[str, ...]:
    return messages.request_components(request.body)


MUTATIONS: dict[str, tuple[Move, str]] = {
    "unsigned": (lambda r, q: without(without(q, "signature"), "signature-input"), "bad-signature"),
    "without its signature": (lambda r, q: without(q, "signature"), "bad-signature"),
    "without its input": (lambda r, q: without(q, "signature-input"), "bad-signature"),
    "by another key under the same keyid": (
        lambda r, q: resigned(r, q, covered(q), key=EVIL, keyid=r.key.keyid),
        "bad-signature",
    ),
    "by a key never seen": (lambda r, q: resigned(r, q, covered(q), key=EVIL), "unknown-key"),
    "with another label": (lambda r, q: relabelled(q, "sig1=", "sig2="), "bad-signature"),
    "with another tag": (lambda r, q: relabelled(q, "opl-fed-v1", "opl-fed-v0"), "bad-signature"),
    "with another algorithm": (lambda r, q: relabelled(q, "ed25519", "hmac-sha256"), "bad-signature"),
    "expired": (lambda r, q: resigned(r, q, covered(q), created=now() - 400, expires=now() - 100), "clock-skew"),
    "from the future": (lambda r, q: resigned(r, q, covered(q), created=now() + 60, expires=now() + 120), "clock-skew"),
    "living too long": (lambda r, q: resigned(r, q, covered(q), expires=now() + 301), "bad-signature"),
    "dying before it is born": (lambda r, q: resigned(r, q, covered(q), expires=now() - 1), "bad-signature"),
    "with a short nonce": (lambda r, q: resigned(r, q, covered(q), nonce="short"), "bad-signature"),
    "with its version downgraded": (lambda r, q: with_header(q, "opl-fed-version", "0.9"), "bad-signature"),
    "in another version, well signed": (
        lambda r, q: resigned(r, with_header(q, "opl-fed-version", "2.0"), covered(q)),
        "unsupported-version",
    ),
    "with another digest": (
        lambda r, q: with_header(q, "content-digest", messages.content_digest(b"other")),
        "bad-signature",
    ),
    "with a false digest, well signed": (
        lambda r, q: resigned(r, with_header(q, "content-digest", messages.content_digest(b"other")), covered(q)),
        "digest-mismatch",
    ),
    "with two digests, well signed": (
        lambda r, q: resigned(
            r, with_header(q, "content-digest", f"{messages.content_digest(q.body)}, sha-512=:AAAA:"), covered(q)
        ),
        "digest-mismatch",
    ),
    "with its digest on two lines": (lambda r, q: twice(q, "content-digest"), "bad-signature"),
    "with its version on two lines": (lambda r, q: twice(q, "opl-fed-version"), "bad-signature"),
    # Signed as two lines are joined: only the rule that there is one refuses it.
    "with its digest on two lines, well signed": (
        lambda r, q: resigned(r, twice(q, "content-digest"), covered(q)),
        "bad-signature",
    ),
    "with its version on two lines, well signed": (
        lambda r, q: resigned(r, twice(q, "opl-fed-version"), covered(q)),
        "bad-signature",
    ),
    "with its signature on two lines": (lambda r, q: twice(q, "signature"), "bad-signature"),
    **{
        f"not covering {component}": (
            lambda r, q, component=component: resigned(r, q, tuple(c for c in covered(q) if c != component)),
            "bad-signature",
        )
        for component in FULL
    },
    "with another tag, well signed": (lambda r, q: by_hand(r, q, tag='"opl-fed-v0"'), "bad-signature"),
    "with another algorithm, well signed": (lambda r, q: by_hand(r, q, alg='"rsa-pss-sha512"'), "bad-signature"),
    "with a further parameter, well signed": (lambda r, q: by_hand(r, q, mood='"glad"'), "bad-signature"),
    "with a time that is a text, well signed": (lambda r, q: by_hand(r, q, created=f'"{now()}"'), "bad-signature"),
    "covering a component twice, well signed": (lambda r, q: by_hand(r, q, again=('"@method"',)), "bad-signature"),
    **{
        f"without its {name}, well signed": (lambda r, q, name=name: by_hand(r, q, **{name: None}), "bad-signature")
        for name in ("created", "expires", "nonce", "keyid", "alg", "tag")
    },
    "covering nothing": (lambda r, q: resigned(r, q, ()), "bad-signature"),
}


class TestTheMatrix:
    def test_knows_a_good_request_to_every_resource_of_the_url_conf(self) -> None:
        named = {pattern.name for pattern in urls.urlpatterns}

        assert named - PUBLIC == set(EXAMPLES), "add an example, so that the new resource is attacked too"
        assert named >= PUBLIC

    @pytest.mark.parametrize("endpoint", EXAMPLES)
    def test_asks_the_resource_it_names(self, endpoint: str) -> None:
        path = EXAMPLES[endpoint][1].partition("?")[0]

        assert resolve(path).url_name == endpoint

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_begins_with_requests_that_are_accepted(self, remote: Remote, endpoint: str) -> None:
        """Else every refusal below would prove nothing."""
        request = a_request(remote, endpoint)
        assert sent(remote, endpoint, by_hand(remote, request)).status_code != 401, "the signature by hand must hold"

        answer = sent(remote, endpoint, request)

        code = answer.json()["code"] if answer.status_code >= 400 else ""
        assert answer.status_code != 401, code
        assert code in ("", "not-found"), code
        verify(answer, request)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
class TestEveryResource:
    @pytest.mark.parametrize("mutation", MUTATIONS)
    def test_refuses_a_request(self, remote: Remote, endpoint: str, mutation: str) -> None:
        move, code = MUTATIONS[mutation]
        mutated = move(remote, a_request(remote, endpoint))

        answer = sent(remote, endpoint, mutated)

        assert answer.json()["code"] == code
        assert answer.headers["content-type"] == "application/problem+json"
        verify(answer, mutated)

    def test_refuses_a_replay(self, remote: Remote, endpoint: str) -> None:
        request = a_request(remote, endpoint)
        sent(remote, endpoint, request)

        answer = sent(remote, endpoint, request)

        assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (409, "replay", True)

    def test_refuses_a_replay_of_what_was_refused(self, remote: Remote, endpoint: str) -> None:
        """The nonce is burnt even when the request then fails."""
        peer = remote.row
        trusting.set_tier(peer, Tier.BLOCKED, now=timezone.now())
        request = a_request(remote, endpoint)
        assert sent(remote, endpoint, request).json()["code"] == "peer-blocked"
        trusting.set_tier(peer, Tier.OWN, now=timezone.now())

        assert sent(remote, endpoint, request).json()["code"] == "replay"

    def test_refuses_what_was_meant_for_another_node(self, remote: Remote, endpoint: str) -> None:
        good = a_request(remote, endpoint)
        path = good.url.removeprefix(BASE)
        elsewhere = a_request(remote, endpoint, url="https://elsewhere.example" + path)

        assert sent(remote, endpoint, elsewhere, path=path).json()["code"] == "bad-signature"

    def test_refuses_what_was_meant_for_another_resource(self, remote: Remote, endpoint: str) -> None:
        good = a_request(remote, endpoint)
        path = good.url.removeprefix(BASE)
        meant = a_request(remote, endpoint, url=BASE + "/fed/v1/another")

        assert sent(remote, endpoint, meant, path=path).json()["code"] == "bad-signature"

    def test_refuses_a_changed_query(self, remote: Remote, endpoint: str) -> None:
        request = a_request(remote, endpoint)
        path = request.url.removeprefix(BASE)

        answer = sent(remote, endpoint, request, path=path + ("&" if "?" in path else "?") + "x=1")

        assert answer.json()["code"] == "bad-signature"

    def test_refuses_a_body_that_was_added_or_changed(self, remote: Remote, endpoint: str) -> None:
        """A body where none was signed is not covered, one that was changed has another digest."""
        request = a_request(remote, endpoint)

        answer = sent(remote, endpoint, request, body=request.body + b" ")

        assert answer.json()["code"] == ("digest-mismatch" if request.body else "bad-signature")

    def test_refuses_another_method(self, remote: Remote, endpoint: str) -> None:
        request = dataclasses.replace(a_request(remote, endpoint), method="DELETE")

        assert sent(remote, endpoint, request).json()["code"] == "bad-signature"

    def test_does_not_answer_a_peer_that_is_blocked(self, make_remote: Any, endpoint: str) -> None:
        blocked = make_remote("blocked", tier=Tier.BLOCKED)
        request = a_request(blocked, endpoint)

        answer = sent(blocked, endpoint, request)

        assert (answer.status_code, answer.json()["code"]) == (403, "peer-blocked")
        verify(answer, request)

    def test_answers_nobody_while_the_kill_switch_is_on(self, remote: Remote, endpoint: str) -> None:
        trusting.kill_switch(is_on=True, reason="drill", now=timezone.now())

        assert sent(remote, endpoint, a_request(remote, endpoint)).json()["code"] == "quota-exceeded"

    def test_refuses_a_retired_key(self, remote: Remote, endpoint: str) -> None:
        old = remote.key
        remote.identity.rotate()
        trusting.receive(remote.identity.chain, {"base_url": "https://south.example"}, now=timezone.now())

        answer = sent(remote, endpoint, a_request(remote, endpoint, key=old))

        assert (answer.status_code, answer.json()["code"]) == (401, "unknown-key")


@pytest.mark.parametrize("endpoint", WITH_BODY)
class TestEveryResourceThatTakesABody:
    def test_refuses_a_signature_that_does_not_cover_its_type(self, remote: Remote, endpoint: str) -> None:
        request = a_request(remote, endpoint)
        weak = resigned(remote, request, tuple(c for c in covered(request) if c != '"content-type"'))

        assert sent(remote, endpoint, weak).json()["code"] == "bad-signature"

    def test_refuses_another_type_than_was_signed(self, remote: Remote, endpoint: str) -> None:
        request = with_header(a_request(remote, endpoint), "content-type", "text/plain")

        assert sent(remote, endpoint, request).json()["code"] == "bad-signature"

    def test_refuses_a_body_that_was_taken_away(self, remote: Remote, endpoint: str) -> None:
        answer = sent(remote, endpoint, a_request(remote, endpoint), body=b"")

        # The key of a peer request stands in its body: without it nothing can be verified, nor is.
        assert answer.json()["code"] == ("schema-invalid" if endpoint == "peer-requests" else "bad-signature")

    def test_refuses_a_content_coding(self, remote: Remote, endpoint: str) -> None:
        answer = remote.client.generic(
            "PUT" if endpoint == "push" else "POST",
            EXAMPLES[endpoint][1],
            b"packed",
            HTTP_CONTENT_ENCODING="gzip",
        )

        assert (answer.status_code, answer.json()["code"]) == (422, "schema-invalid")


@pytest.mark.parametrize("endpoint", [name for name in ENDPOINTS if name != "peer-requests"])
class TestEveryResourceForPeers:
    def test_does_not_answer_one_that_nobody_approved(self, make_remote: Any, endpoint: str) -> None:
        unknown = make_remote("unknown", tier=Tier.UNKNOWN)
        request = a_request(unknown, endpoint)

        answer = sent(unknown, endpoint, request)

        assert (answer.status_code, answer.json()["code"]) == (403, "tier-too-low")
        verify(answer, request)


class TestTheHostHeader:
    def test_plays_no_part(self, remote: Remote, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        request = remote.request("GET", "/fed/v1/status")

        answer = remote.client.generic(
            "GET", "/fed/v1/status", b"", SERVER_NAME="other.example",
            **{"asgi.scope": {"headers": [(n.encode(), v.encode()) for n, v in request.headers], "raw_path": b"/fed/v1/status", "path": "/fed/v1/status"}},
        )  # fmt: skip

        assert answer.status_code == 200


class TestASmallOrderKey:
    def test_is_refused_in_a_peer_request(self, node: Any) -> None:
        newcomer = Remote(makers.node("newcomer"))
        weak = "00" * 32
        document = newcomer.identity.document()
        document["version"] = 1
        roots = newcomer.identity.statements[0].envelope.to_json()
        import base64
        import json

        payload = json.loads(base64.b64decode(roots["payload"]))
        payload["predicate"]["roles"]["transport"] = [weak]
        roots["payload"] = base64.b64encode(dumps(payload)).decode()
        body = dumps({"base_url": "https://new.example", "roots": [roots]})

        answer = newcomer.ask("POST", "/fed/v1/peer-requests", body)

        assert (answer.status_code, answer.json()["code"]) == (422, "weak-key")


class TestThePublicResources:
    def test_are_answered_to_anybody_and_signed(self, node: Any) -> None:
        stranger = Remote(makers.node("stranger"))
        digest = ("content-digest", messages.content_digest(b""))
        for path in ("/.well-known/opl-federation", "/fed/v1/root/1", "/fed/v1/root/latest"):
            request = Request(method="GET", url=BASE + path, headers=(("opl-fed-version", "1.0"), digest))

            answer = stranger.send(request)

            assert answer.status_code == 200
            verify(answer, request)

    def test_say_who_this_is(self, node: Any) -> None:
        told = Remote(makers.node("stranger")).client.get("/.well-known/opl-federation").json()

        assert told["node_id"] == identities.node().node_id
        assert told["base_url"] == BASE
        assert told["limits"]["page_items"] == 500
