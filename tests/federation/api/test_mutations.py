"""Every resource refuses every way of bending a signed request, each with its code, in a signed answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from federation.protocol import messages, signing
from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request
from federation.protocol.signing import Parameters
from federation.protocol.strictjson import dumps
from federation.services import identities
from tests.federation import makers
from tests.federation.conftest import BASE, Remote, verify

ENDPOINTS = {
    "changes": ("GET", "/fed/v1/changes?limit=5", b""),
    "statement": ("GET", "/fed/v1/statements/" + "0" * 64, b""),
    "statements": ("POST", "/fed/v1/statements", dumps({"ids": ["0" * 64]})),
    "have": ("POST", "/fed/v1/have", dumps({"ids": ["0" * 64]})),
    "push": ("PUT", "/fed/v1/push/transaction-number-1", b'{"k": "release"}\n'),
    "reconcile": ("POST", "/fed/v1/reconcile", b"\x61"),
    "segments": ("GET", "/fed/v1/segments", b""),
    "segment": ("GET", "/fed/v1/segments/" + "0" * 64, b""),
    "poke": ("POST", "/fed/v1/poke", dumps({"epoch": "0" * 32, "seq": 1})),
    "status": ("GET", "/fed/v1/status", b""),
    "nothing": ("GET", "/fed/v1/what-is-this", b""),
}
EVIL = makers.secret("a key nobody has seen")


def now() -> int:
    return int(timezone.now().timestamp())


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
    "with its signature on two lines": (lambda r, q: twice(q, "signature"), "bad-signature"),
    **{
        f"not covering {component}": (
            lambda r, q, component=component: resigned(r, q, tuple(c for c in covered(q) if c != component)),
            "bad-signature",
        )
        for component in FULL
    },
    "covering nothing": (lambda r, q: resigned(r, q, ()), "bad-signature"),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
class TestEveryResource:
    @pytest.mark.parametrize("mutation", MUTATIONS)
    def test_refuses_a_request(self, remote: Remote, endpoint: str, mutation: str) -> None:
        move, code = MUTATIONS[mutation]
        mutated = move(remote, remote.request(*ENDPOINTS[endpoint]))

        answer = remote.send(mutated)

        assert answer.json()["code"] == code
        assert answer.headers["content-type"] == "application/problem+json"
        verify(answer, mutated)

    def test_refuses_a_replay(self, remote: Remote, endpoint: str) -> None:
        request = remote.request(*ENDPOINTS[endpoint])
        remote.send(request)

        answer = remote.send(request)

        assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (409, "replay", True)

    def test_refuses_another_target(self, remote: Remote, endpoint: str) -> None:
        method, path, body = ENDPOINTS[endpoint]
        elsewhere = remote.request(method, path, body, url="https://elsewhere.example" + path)

        assert remote.send(elsewhere, path=path).json()["code"] == "bad-signature"

    def test_refuses_a_changed_query(self, remote: Remote, endpoint: str) -> None:
        request = remote.request(*ENDPOINTS[endpoint])
        path = request.url.removeprefix(BASE)

        answer = remote.send(request, path=path + ("&" if "?" in path else "?") + "x=1")

        assert answer.json()["code"] == "bad-signature"

    def test_refuses_a_changed_body(self, remote: Remote, endpoint: str) -> None:
        method, path, body = ENDPOINTS[endpoint]
        if not body:
            pytest.skip("it has no body")

        answer = remote.send(remote.request(method, path, body), body=body + b" ")

        assert answer.json()["code"] == "digest-mismatch"

    def test_refuses_another_method(self, remote: Remote, endpoint: str) -> None:
        method, path, body = ENDPOINTS[endpoint]
        request = dataclasses.replace(remote.request(method, path, body), method="DELETE")

        assert remote.send(request).json()["code"] == "bad-signature"

    def test_refuses_a_retired_key(self, remote: Remote, endpoint: str) -> None:
        old = remote.key
        remote.identity.rotate()
        from federation.services import trusting

        trusting.receive(remote.identity.chain, {"base_url": "https://south.example"}, now=timezone.now())

        answer = remote.send(remote.request(*ENDPOINTS[endpoint], key=old))

        assert answer.json()["code"] == "unknown-key"

    def test_does_not_answer_a_peer_that_is_blocked(self, make_remote: Any, endpoint: str) -> None:
        from federation.protocol.tiers import Tier

        blocked = make_remote("blocked", tier=Tier.BLOCKED)

        assert blocked.ask(*ENDPOINTS[endpoint]).json()["code"] == "peer-blocked"

    def test_does_not_answer_a_peer_that_nobody_approved(self, make_remote: Any, endpoint: str) -> None:
        from federation.protocol.tiers import Tier

        unknown = make_remote("unknown", tier=Tier.UNKNOWN)

        assert unknown.ask(*ENDPOINTS[endpoint]).json()["code"] == "tier-too-low"

    def test_answers_nobody_while_the_kill_switch_is_on(self, remote: Remote, endpoint: str) -> None:
        from federation.services import trusting

        trusting.kill_switch(is_on=True, reason="drill", now=timezone.now())

        assert remote.ask(*ENDPOINTS[endpoint]).json()["code"] == "quota-exceeded"


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
