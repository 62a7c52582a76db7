"""Signed requests and answers: one move per way of forging, replaying, moving or weakening a message."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol import messages, signing
from federation.protocol.messages import Request, Response
from federation.protocol.problems import Refused, TransportFailure
from federation.protocol.signing import Parameters
from tests.federation.makers import NOON, secret
from tests.federation.protocol.test_keys import SMALL_ORDER

KEY, OTHER = secret("north transport"), secret("eve transport")
KEYS = {KEY.keyid: bytes.fromhex(KEY.public)}
URL = "https://south.example/fed/v1/have?x=%2F"
NONCE = "n" * 22
BODY = b'{"ids":[]}'


def signed(*, body: bytes = BODY, key=KEY, now: int = NOON, nonce: str = NONCE, **changes: Any) -> Request:
    return messages.sign_request(
        method=changes.pop("method", "POST"),
        url=changes.pop("url", URL),
        key=key,
        now=now,
        nonce=nonce,
        body=body,
        **changes,
    )


def answered(
    request: Request, *, body: bytes = b'{"missing":[]}', key=KEY, now: int = NOON, **changes: Any
) -> Response:
    return messages.sign_response(
        request=request, status=changes.pop("status", 200), key=key, now=now, nonce="r" * 22, body=body, **changes
    )


def check(request: Request, *, now: int = NOON, keys=None, burnt: set | None = None) -> messages.Verified:
    burnt = set() if burnt is None else burnt

    def burn(keyid: str, nonce: str, until: int) -> bool:
        fresh = (keyid, nonce) not in burnt
        burnt.add((keyid, nonce))
        return fresh

    return messages.verify_request(request, now=now, resolve=(KEYS if keys is None else keys).get, burn=burn)


def code_of(request: Request, **kwargs: Any) -> str:
    with pytest.raises(Refused) as refusal:
        check(request, **kwargs)
    return refusal.value.code


def with_header(message, name: str, value: str | None):
    """The message with one header replaced, or taken away."""
    kept = [line for line in message.headers if line[0] != name]
    return dataclasses.replace(message, headers=(*kept, *([(name, value)] if value is not None else [])))


def edit_input(message, old: str, new: str):
    """The message with a change in its Signature-Input, its signature left as it is."""
    value = messages.header(message.headers, "signature-input")
    assert old in value
    return with_header(message, "signature-input", value.replace(old, new))


def resigned(request: Request, components: tuple[str, ...], key=KEY, **changes: Any) -> Request:
    """The request, truly signed by ``key``, over components of our choice."""
    bare = with_header(with_header(request, "signature", None), "signature-input", None)
    parameters = Parameters(
        created=changes.get("created", NOON),
        expires=changes.get("expires", NOON + 300),
        nonce=changes.get("nonce", NONCE),
        keyid=changes.get("keyid", key.keyid),
    )
    lines = signing.sign(signing.RequestView(bare), components, parameters, key)
    return dataclasses.replace(bare, headers=(*bare.headers, *lines))


FULL = messages.request_components(BODY)
GOOD = signed()


def without(name: str) -> tuple[str, ...]:
    return tuple(component for component in FULL if component != f'"{name}"')


class TestGoodRequest:
    def test_names_its_sender(self):
        assert check(GOOD).keyid == KEY.keyid

    def test_covers_no_content_type_without_a_body(self):
        request = signed(method="GET", body=b"")

        assert check(request)
        assert "content-type" not in messages.header(request.headers, "signature-input")
        digest = messages.header(request.headers, "content-digest")
        assert digest == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

    def test_may_order_its_components_freely(self):
        assert check(resigned(GOOD, tuple(reversed(FULL))))

    def test_may_cover_more(self):
        request = dataclasses.replace(GOOD, headers=(*GOOD.headers, ("date", "today")))

        assert check(resigned(request, (*FULL, '"date"', '"@authority"')))

    def test_may_send_headers_that_it_does_not_cover(self):
        assert check(dataclasses.replace(GOOD, headers=(*GOOD.headers, ("via", "a"), ("via", "b"))))

    @pytest.mark.parametrize("shift", [-30, 30, 330])
    def test_may_be_off_by_the_tolerance(self, shift):
        assert check(GOOD, now=NOON + shift)

    @pytest.mark.parametrize("life", [1, 300])
    def test_may_live_up_to_300_seconds(self, life):
        assert check(signed(life_seconds=life))


# What an attacker does, and the code that answers it.
MATRIX = {
    "unsigned": (lambda: with_header(with_header(GOOD, "signature", None), "signature-input", None), "bad-signature"),
    "signature without its input": (lambda: with_header(GOOD, "signature-input", None), "bad-signature"),
    "input without its signature": (lambda: with_header(GOOD, "signature", None), "bad-signature"),
    "signed by a key never seen": (lambda: signed(key=OTHER), "unknown-key"),
    "signed by another key under a known keyid": (
        lambda: resigned(GOOD, FULL, key=OTHER, keyid=KEY.keyid), "bad-signature"),
    "no @method covered": (lambda: resigned(GOOD, without("@method")), "bad-signature"),
    "no @target-uri covered": (lambda: resigned(GOOD, without("@target-uri")), "bad-signature"),
    "no content-digest covered": (lambda: resigned(GOOD, without("content-digest")), "bad-signature"),
    "no version covered": (lambda: resigned(GOOD, without("opl-fed-version")), "bad-signature"),
    "no content-type covered": (lambda: resigned(GOOD, without("content-type")), "bad-signature"),
    "nothing covered": (lambda: resigned(GOOD, ()), "bad-signature"),
    "digest covered by one member only": (
        lambda: resigned(GOOD, (*without("content-digest"), '"content-digest";key="sha-256"')), "bad-signature"),
    "digest covered as a structured field only": (
        lambda: resigned(GOOD, (*without("content-digest"), '"content-digest";sf')), "bad-signature"),
    "path and authority instead of the target": (
        lambda: resigned(GOOD, (*without("@target-uri"), '"@path"', '"@authority"', '"@scheme"')), "bad-signature"),
    "content-type covered without a body": (
        lambda: resigned(
            dataclasses.replace(signed(body=b""), headers=(*signed(body=b"").headers, ("content-type", "x/y"))), FULL),
        "bad-signature"),
    "a component dropped after signing": (lambda: edit_input(GOOD, '"@method" ', ""), "bad-signature"),
    "two components swapped after signing": (
        lambda: edit_input(GOOD, '"@method" "@target-uri"', '"@target-uri" "@method"'), "bad-signature"),
    "a component covered twice": (lambda: edit_input(GOOD, '"@method"', '"@method" "@method"'), "bad-signature"),
    "another body": (lambda: dataclasses.replace(GOOD, body=b'{"ids":[1]}'), "digest-mismatch"),
    "another body with its digest": (
        lambda: with_header(
            dataclasses.replace(GOOD, body=b"{}"), "content-digest", messages.content_digest(b"{}")), "bad-signature"),
    "a body where none was signed": (lambda: dataclasses.replace(signed(body=b""), body=b"{}"), "bad-signature"),
    "the body taken away": (lambda: dataclasses.replace(GOOD, body=b""), "bad-signature"),
    "another content-type": (lambda: with_header(GOOD, "content-type", "text/plain"), "bad-signature"),
    "another method": (lambda: dataclasses.replace(GOOD, method="PUT"), "bad-signature"),
    "another path": (lambda: dataclasses.replace(GOOD, url=URL.replace("have", "push")), "bad-signature"),
    "another query": (lambda: dataclasses.replace(GOOD, url=URL + "&y=1"), "bad-signature"),
    "the same query spelled otherwise": (lambda: dataclasses.replace(GOOD, url=URL.replace("%2F", "/")), "bad-signature"),
    "another host": (lambda: dataclasses.replace(GOOD, url=URL.replace("south", "north")), "bad-signature"),
    "plain http instead of https": (lambda: dataclasses.replace(GOOD, url=URL.replace("https", "http")), "bad-signature"),
    "a target that is no URL": (lambda: dataclasses.replace(GOOD, url="https://south.example/fed v1"), "bad-signature"),
    "expired": (lambda: signed(now=NOON - 331), "clock-skew"),
    "of the future": (lambda: signed(now=NOON + 31), "clock-skew"),
    "living longer than 300 seconds": (lambda: signed(life_seconds=301), "bad-signature"),
    "expiring as it is made": (lambda: signed(life_seconds=0), "bad-signature"),
    "expiring before it is made": (lambda: signed(life_seconds=-1), "bad-signature"),
    "its life prolonged after signing": (lambda: edit_input(signed(life_seconds=10), f"{NOON + 10}", f"{NOON + 300}"),
                                         "bad-signature"),
    "a short nonce": (lambda: signed(nonce="n" * 21), "bad-signature"),
    "a long nonce": (lambda: signed(nonce="n" * 65), "bad-signature"),
    "a nonce of other characters": (lambda: signed(nonce="n" * 21 + "="), "bad-signature"),
    "another nonce after signing": (lambda: edit_input(GOOD, NONCE, "m" * 22), "bad-signature"),
    "no nonce": (lambda: edit_input(GOOD, f';nonce="{NONCE}"', ""), "bad-signature"),
    "no expiry": (lambda: edit_input(GOOD, f";expires={NOON + 300}", ""), "bad-signature"),
    "no creation time": (lambda: edit_input(GOOD, f";created={NOON}", ""), "bad-signature"),
    "a creation time that is no integer": (lambda: edit_input(GOOD, f"created={NOON}", f"created={NOON}.0"), "bad-signature"),
    "a boolean creation time": (lambda: edit_input(GOOD, f"created={NOON}", "created=?1"), "bad-signature"),
    "no keyid": (lambda: edit_input(GOOD, f';keyid="{KEY.keyid}"', ""), "bad-signature"),
    "a keyid of another form": (lambda: edit_input(GOOD, KEY.keyid, "north"), "bad-signature"),
    "another algorithm named": (lambda: edit_input(GOOD, "ed25519", "hmac-sha256"), "bad-signature"),
    "no algorithm named": (lambda: edit_input(GOOD, ';alg="ed25519"', ""), "bad-signature"),
    "another tag": (lambda: edit_input(GOOD, "opl-fed-v1", "opl-fed-v2"), "bad-signature"),
    "no tag": (lambda: edit_input(GOOD, ';tag="opl-fed-v1"', ""), "bad-signature"),
    "a parameter of its own": (lambda: edit_input(GOOD, ";alg=", ";mood=1;alg="), "bad-signature"),
    "another label": (
        lambda: with_header(
            edit_input(GOOD, "sig1=", "sig2="), "signature",
            messages.header(GOOD.headers, "signature").replace("sig1", "sig2")), "bad-signature"),
    "the label twice": (
        lambda: with_header(GOOD, "signature-input", ", ".join([messages.header(GOOD.headers, "signature-input")] * 2)),
        "bad-signature"),
    "a signature that is no byte sequence": (lambda: with_header(GOOD, "signature", 'sig1="x"'), "bad-signature"),
    "a signature of 63 bytes": (lambda: with_header(GOOD, "signature", signing.byte_sequence("sig1", b"x" * 63)),
                                "bad-signature"),
    "input that is no structured field": (lambda: with_header(GOOD, "signature-input", "sig1=("), "bad-signature"),
    "input that is not ASCII": (lambda: with_header(GOOD, "signature-input", "sig1=é"), "bad-signature"),
    "input that is a huge list": (lambda: edit_input(GOOD, '"@method"', '"@method" ' + '"x" ' * 2000), "bad-signature"),
    "a covered component that is no string": (lambda: edit_input(GOOD, '"@method"', "method"), "bad-signature"),
    "a covered header that is not there": (lambda: edit_input(GOOD, '"@method"', '"@method" "date"'), "bad-signature"),
    "a component of a request's request": (lambda: edit_input(GOOD, '"@method"', '"@method";req "@method"'), "bad-signature"),
    "a newer version, well signed": (
        lambda: resigned(with_header(GOOD, "opl-fed-version", "2.0"), FULL), "unsupported-version"),
    "an older version, well signed": (
        lambda: resigned(with_header(GOOD, "opl-fed-version", "0.9"), FULL), "unsupported-version"),
    "another version, after signing": (lambda: with_header(GOOD, "opl-fed-version", "0.9"), "bad-signature"),
    "a digest of another algorithm": (
        lambda: resigned(with_header(GOOD, "content-digest", signing.byte_sequence("sha-512", b"x" * 64)), FULL),
        "digest-mismatch"),
    "a second digest member": (
        lambda: resigned(with_header(GOOD, "content-digest", messages.content_digest(BODY) + ", md5=:AAAA:"), FULL),
        "digest-mismatch"),
    "a digest of something else, well signed": (
        lambda: resigned(with_header(GOOD, "content-digest", messages.content_digest(b"x")), FULL), "digest-mismatch"),
    "no digest at all": (lambda: with_header(GOOD, "content-digest", None), "bad-signature"),
}  # fmt: skip

COVERED_HEADERS = ["content-digest", "content-type", "opl-fed-version", "signature", "signature-input"]


class TestForgedRequest:
    @pytest.mark.parametrize(("move", "code"), MATRIX.values(), ids=MATRIX)
    def test_is_refused(self, move, code):
        assert code_of(move()) == code

    @pytest.mark.parametrize("name", COVERED_HEADERS)
    @pytest.mark.parametrize("spelled", [str, str.upper])
    def test_with_a_covered_header_sent_twice_is_refused(self, name, spelled):
        line = (spelled(name), messages.header(GOOD.headers, name))

        assert code_of(dataclasses.replace(GOOD, headers=(*GOOD.headers, line))) == "bad-signature"

    def test_with_an_extra_covered_header_sent_twice_is_refused(self):
        request = dataclasses.replace(GOOD, headers=(*GOOD.headers, ("date", "a"), ("date", "b")))

        assert code_of(resigned(request, (*FULL, '"date"'))) == "bad-signature"

    def test_sent_again_is_a_replay(self):
        burnt: set = set()
        check(GOOD, burnt=burnt)

        assert code_of(GOOD, burnt=burnt) == "replay"

    def test_under_a_small_order_key_is_refused(self):
        # such a key accepts one signature for many messages; it can never be registered, and even if it were:
        weak = {KEY.keyid: bytes.fromhex(SMALL_ORDER["order eight"])}

        assert (
            code_of(with_header(GOOD, "signature", signing.byte_sequence("sig1", b"\0" * 64)), keys=weak)
            == "bad-signature"
        )

    def test_above_the_size_limit_is_refused_before_anything_is_computed(self):
        with pytest.raises(Refused) as refusal:
            messages.verify_request(GOOD, now=NOON, resolve=KEYS.get, burn=lambda *_: True, largest=len(BODY) - 1)
        assert refusal.value.code == "page-too-large"

    @settings(deadline=None, max_examples=200)
    @given(st.integers(min_value=0), st.integers(0, 7))
    def test_with_a_bit_flipped_in_its_body_is_refused(self, place, bit):
        body = bytearray(BODY)
        body[place % len(body)] ^= 1 << bit

        assert code_of(dataclasses.replace(GOOD, body=bytes(body))) == "digest-mismatch"

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=200), st.text(max_size=100))
    def test_of_any_text_gives_our_error(self, given_input, signature):
        request = with_header(with_header(GOOD, "signature-input", given_input), "signature", signature)

        assert code_of(request) in {"bad-signature", "clock-skew", "unknown-key"}


class TestRefusal:
    def test_of_a_wrong_clock_tells_the_time_here(self):
        with pytest.raises(Refused) as refusal:
            check(signed(now=NOON + 3_600))
        assert refusal.value.to_json()["server_time"] == "2027-01-15T08:00:00Z"
        assert refusal.value.to_json()["retryable"] is True

    def test_of_a_version_tells_which_are_spoken(self):
        with pytest.raises(Refused) as refusal:
            check(resigned(with_header(GOOD, "opl-fed-version", "2.0"), FULL))
        assert refusal.value.to_json()["supported"] == ["1.0"]

    def test_follows_the_order_of_checks(self):
        """Everything is wrong at once; mending the first fault uncovers the next."""
        seen: list[str] = []
        burnt = {(KEY.keyid, NONCE)}
        wrong_version = with_header(signed(now=NOON - 1_000), "opl-fed-version", "0.9")
        wrong_digest = with_header(wrong_version, "content-digest", messages.content_digest(b"x"))
        seen.append(code_of(wrong_digest, keys={}, burnt=burnt))
        seen.append(code_of(resigned(wrong_digest, ()), keys={}, burnt=burnt))
        seen.append(code_of(resigned(wrong_digest, ()), burnt=burnt))
        seen.append(code_of(resigned(wrong_digest, FULL), burnt=burnt))
        seen.append(code_of(resigned(wrong_version, FULL), burnt=burnt))
        seen.append(code_of(signed(), burnt=burnt))

        assert seen == [
            "clock-skew",
            "unknown-key",
            "bad-signature",
            "digest-mismatch",
            "unsupported-version",
            "replay",
        ]

    def test_before_the_signature_holds_burns_no_nonce(self):
        burnt: set = set()
        code_of(dataclasses.replace(GOOD, method="PUT"), burnt=burnt)

        assert check(GOOD, burnt=burnt)


def failure_of(response: Response, *, now: int = NOON, keys=None) -> str:
    with pytest.raises(TransportFailure) as failure:
        messages.verify_response(response, now=now, resolve=(KEYS if keys is None else keys).get)
    return str(failure.value)


class TestAnswer:
    def test_is_bound_to_its_request(self):
        assert messages.verify_response(answered(GOOD), now=NOON, resolve=KEYS.get).keyid == KEY.keyid

    def test_without_a_body_covers_no_content_type(self):
        answer = answered(GOOD, body=b"", status=304)

        assert messages.verify_response(answer, now=NOON, resolve=KEYS.get)
        assert '"content-type"' not in messages.header(answer.headers, "signature-input")

    def test_to_an_unsigned_request_covers_no_signature_of_it(self):
        public = Request(method="GET", url="https://south.example/.well-known/opl-federation", headers=())
        answer = answered(public)

        assert messages.verify_response(answer, now=NOON, resolve=KEYS.get)
        assert '"signature";req' not in messages.header(answer.headers, "signature-input")

    def test_covers_cursor_and_more(self):
        answer = answered(GOOD, headers=[("opl-cursor", "0" * 32 + ":7"), ("opl-more", "?0")])

        assert messages.verify_response(answer, now=NOON, resolve=KEYS.get)
        assert "does not match" in failure_of(with_header(answer, "opl-cursor", "0" * 32 + ":8"))
        assert "does not match" in failure_of(with_header(answer, "opl-more", "?1"))

    def test_with_a_cursor_added_later_proves_nothing(self):
        assert "must cover" in failure_of(with_header(answered(GOOD), "opl-cursor", "0" * 32 + ":8"))

    def test_to_another_request_proves_nothing(self):
        other = signed(nonce="o" * 22)

        assert "does not match" in failure_of(dataclasses.replace(answered(GOOD), request=other))

    def test_to_the_same_question_at_another_place_proves_nothing(self):
        public = Request(method="GET", url="https://south.example/fed/v1/root/1", headers=())
        moved = dataclasses.replace(
            answered(public), request=dataclasses.replace(public, url="https://a.example/fed/v1/root/1")
        )

        assert "does not match" in failure_of(moved)

    @pytest.mark.parametrize(
        ("move", "reason"),
        [
            (lambda answer: dataclasses.replace(answer, status=410), "does not match"),
            (lambda answer: dataclasses.replace(answer, body=b"{}"), "digest"),
            (lambda answer: dataclasses.replace(answer, body=b""), "body"),
            (lambda answer: with_header(answer, "content-type", "text/html"), "does not match"),
            (lambda answer: with_header(answer, "signature", None), "exactly one signature"),
            (lambda answer: edit_input(answer, '"@status" ', ""), "must cover"),
            (lambda answer: edit_input(answer, ' "signature";req;key="sig1"', ""), "must cover"),
            (lambda answer: edit_input(answer, ' "@target-uri";req', ""), "must cover"),
            (lambda answer: edit_input(answer, ' "@method";req', ""), "must cover"),
        ],
    )  # fmt: skip
    def test_that_was_changed_proves_nothing(self, move, reason):
        assert reason in failure_of(move(answered(GOOD)))

    def test_of_an_unknown_key_proves_nothing(self):
        assert "unknown key" in failure_of(answered(GOOD, key=OTHER))

    def test_of_a_clock_far_off_proves_nothing(self):
        assert "clock" in failure_of(answered(GOOD, now=NOON - 3_600))

    def test_kept_and_shown_again_later_proves_nothing(self):
        assert "expired" in failure_of(answered(GOOD), now=NOON + 331)
