"""
The wire as an outside tester reads it off the page: exact codes, members, headers and limits, over signed requests.

Every answer here was verified as this node's own before anything about it is
asserted; ``Remote.ask`` fails otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from federation.models import Nonce, Peer, PushReceipt, ThisNode, day_of
from federation.protocol import feed, limits
from federation.protocol.messages import Request
from federation.protocol.problems import CODES
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import storing
from tests.federation import makers
from tests.federation.conftest import BASE, Remote, verify
from tests.federation.services.test_exchange import lines_of, publish, share

PROBLEM = {"type", "title", "status", "detail", "code", "retryable", "retry_after"}
PROTECTED = [
    ("GET", "/fed/v1/changes", b""),
    ("GET", f"/fed/v1/statements/{'a' * 64}", b""),
    ("POST", "/fed/v1/statements", b'{"ids":[]}'),
    ("POST", "/fed/v1/have", b'{"ids":[]}'),
    ("PUT", "/fed/v1/push/txn-0000000000000000", b""),
    ("POST", "/fed/v1/reconcile", b"\x61"),
    ("GET", "/fed/v1/segments", b""),
    ("GET", f"/fed/v1/segments/{'a' * 64}", b""),
    ("POST", "/fed/v1/poke", b"{}"),
    ("GET", "/fed/v1/status", b""),
    ("GET", "/fed/v1/nothing/here", b""),
    ("GET", "/fed/v1/", b""),
]


def refused(answer: Any, code: str) -> dict[str, Any]:
    """The problem in an answer, its form checked."""
    told = answer.json()
    assert (answer.status_code, told["code"]) == (CODES[code].status, code), told
    assert answer["content-type"] == "application/problem+json"
    assert set(told) - {"server_time", "supported"} == PROBLEM
    assert told["type"] == f"https://opl.dev/problems/{code}"
    assert (told["status"], told["retryable"]) == (answer.status_code, code in {
        "clock-skew", "replay", "quota-exceeded", "unknown-key",
    })  # fmt: skip
    return dict(told)


def public(client: Client, path: str, **headers: str) -> Any:
    """A public resource without a signature; the answer is verified."""
    lines = (("opl-fed-version", "1.0"), *((name.replace("_", "-"), value) for name, value in headers.items()))
    request = Request(method="GET", url=BASE + path, headers=lines)
    answer = client.get(path, headers=dict(lines))
    verify(answer, request)
    return answer


def conditional(remote: Remote, path: str, tag: str) -> Any:
    """A signed request that knows a version already."""
    return remote.ask("GET", path, headers=[("if-none-match", tag)])


class TestEveryProtectedResource:
    @pytest.mark.parametrize(("method", "path", "body"), PROTECTED)
    def test_answers_the_unsigned_with_401_before_anything_else(
        self, remote: Remote, method: str, path: str, body: bytes
    ) -> None:
        request = Request(method=method, url=BASE + path, headers=(("opl-fed-version", "1.0"),), body=body)
        answer = remote.send(request)
        verify(answer, request)

        refused(answer, "bad-signature")

    @pytest.mark.parametrize(("method", "path", "body"), PROTECTED)
    @pytest.mark.parametrize(("tier", "code"), [(Tier.BLOCKED, "peer-blocked"), (Tier.UNKNOWN, "tier-too-low")])
    def test_refuses_a_low_tier(
        self, make_remote: Callable[..., Remote], method: str, path: str, body: bytes, tier: Tier, code: str
    ) -> None:
        remote = make_remote(tier=Tier.APPROVED)
        Peer.objects.update(tier=int(tier))

        refused(remote.ask(method, path, body), code)

    @pytest.mark.parametrize(("method", "path", "body"), PROTECTED)
    def test_refuses_a_key_never_seen(self, node: ThisNode, method: str, path: str, body: bytes) -> None:
        stranger = Remote(makers.node("nobody knows"))

        refused(stranger.ask(method, path, body), "unknown-key")

    @pytest.mark.parametrize(("method", "path", "body"), PROTECTED)
    def test_tells_the_version_it_speaks(self, remote: Remote, method: str, path: str, body: bytes) -> None:
        assert remote.ask(method, path, body)["opl-fed-version"] == "1.0"

    @pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST", "PUT"])
    def test_has_one_method(self, remote: Remote, method: str) -> None:
        refused(remote.ask(method, "/fed/v1/status"), "not-found")


class TestTheOrderOfChecks:
    def test_a_burnt_nonce_stays_burnt_though_the_request_failed(self, remote: Remote) -> None:
        request = remote.request("GET", "/fed/v1/changes?limit=0")
        refused(remote.send(request), "schema-invalid")

        refused(remote.send(request), "replay")

    def test_the_tier_is_judged_after_the_nonce(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.UNKNOWN)
        request = remote.request("GET", "/fed/v1/status")
        refused(remote.send(request), "tier-too-low")

        refused(remote.send(request), "replay")
        assert Nonce.objects.count() == 1

    def test_size_comes_before_the_signature(self, remote: Remote) -> None:
        body = b"x" * (limits.PAGE_BYTES + 1)
        request = Request(method="PUT", url=f"{BASE}/fed/v1/push/{'t' * 16}", headers=(), body=body)

        refused(remote.send(request), "page-too-large")

    def test_a_clock_beyond_the_tolerance_is_told_the_time(self, remote: Remote) -> None:
        now = int(timezone.now().timestamp())
        for skew in (-400, 40):
            told = refused(remote.ask("GET", "/fed/v1/status", now=now + skew), "clock-skew")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["server_time"])
        assert remote.ask("GET", "/fed/v1/status", now=now + 20).status_code == 200

    def test_a_longer_life_than_five_minutes_is_no_signature(self, remote: Remote) -> None:
        refused(remote.ask("GET", "/fed/v1/status", life_seconds=301), "bad-signature")
        assert remote.ask("GET", "/fed/v1/status", life_seconds=300).status_code == 200

    def test_the_quota_comes_before_the_handler(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.PROBATION)
        day = day_of(remote.row, timezone.now())
        day.objects_in = 1_000
        day.save()

        told = refused(remote.ask("PUT", "/fed/v1/push/short", b"{}\n"), "quota-exceeded")

        assert 0 < told["retry_after"] <= 86_400


class TestThePublicResources:
    def test_the_well_known_document_has_exactly_these_members(self, node: ThisNode, client: Client) -> None:
        told = public(client, "/.well-known/opl-federation").json()

        assert set(told) == {"protocol", "node_id", "root_version", "api", "base_url", "epoch", "limits", "features",
                             "public_topics", "contact", "software"}  # fmt: skip
        assert told["protocol"] == ["1.0"]
        assert told["limits"] == {
            "source_bytes": 262_144, "yaml_depth": 32, "yaml_nodes": 20_000, "statement_bytes": 524_288,
            "page_items": 500, "page_bytes": 4_194_304, "push_items": 100, "have_ids": 1_000, "wait_seconds": 30,
        }  # fmt: skip
        assert (told["base_url"], told["node_id"], told["root_version"]) == (BASE, node.node_id, 1)
        assert re.fullmatch(r"[0-9a-f]{32}", told["epoch"])

    @pytest.mark.parametrize("wanted", ["1", "latest"])
    def test_a_root_document_is_dsse_with_a_tag(self, node: ThisNode, client: Client, wanted: str) -> None:
        answer = public(client, f"/fed/v1/root/{wanted}")

        assert set(answer.json()) == {"payloadType", "payload", "signatures"}
        assert answer["content-type"] == "application/vnd.dsse.envelope.v1+json"
        assert re.fullmatch(r'"[0-9a-f]{64}"', answer["etag"])

    @pytest.mark.parametrize("wanted", ["0", "2", "-1", "01", "x", "latest2", "1.0", "9" * 40])
    def test_a_root_document_that_is_not_there_is_a_signed_404(
        self, node: ThisNode, client: Client, wanted: str
    ) -> None:
        refused(public(client, f"/fed/v1/root/{wanted}"), "not-found")

    def test_no_cache_on_the_way_keeps_a_signed_answer(self, node: ThisNode, client: Client) -> None:
        """It would give it to others after its signature has expired, and they would take this node for dead."""
        for path in ("/.well-known/opl-federation", "/fed/v1/root/1", "/fed/v1/root/latest"):
            assert public(client, path)["cache-control"] == "no-store", path

    def test_a_root_document_that_is_known_is_a_signed_304(self, node: ThisNode, client: Client) -> None:
        tag = public(client, "/fed/v1/root/latest")["etag"]

        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = public(client, "/fed/v1/root/latest", if_none_match=known)
            assert (answer.status_code, answer.content, answer["etag"]) == (304, b"", tag), known
        assert public(client, "/fed/v1/root/latest", if_none_match='"other"').status_code == 200


class TestChanges:
    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("limit=0", "schema-invalid"), ("limit=-1", "schema-invalid"), ("limit=x", "schema-invalid"),
            ("limit=1.0", "schema-invalid"), ("limit=501", "page-too-large"), ("limit=", "schema-invalid"),
            ("limit=1&limit=2", "schema-invalid"),
            ("wait=31", "schema-invalid"), ("wait=-1", "schema-invalid"), ("wait=soon", "schema-invalid"),
            ("since=", "schema-invalid"), ("since=7", "schema-invalid"), (f"since={'a' * 32}", "schema-invalid"),
            (f"since={'A' * 32}:1", "schema-invalid"), (f"since={'a' * 32}:-1", "schema-invalid"),
            (f"since={'a' * 32}:01", "schema-invalid"), (f"since={'a' * 32}:0", "cursor-reset"),
        ],
    )  # fmt: skip
    def test_refuses(self, remote: Remote, query: str, code: str) -> None:
        refused(remote.ask("GET", f"/fed/v1/changes?{query}"), code)

    def test_past_the_head_is_a_reset(self, remote: Remote, node: ThisNode) -> None:
        storing.number()
        refused(remote.ask("GET", f"/fed/v1/changes?since={node.epoch}:2"), "cursor-reset")

    def test_gives_lines_of_exactly_these_members(self, remote: Remote, node: ThisNode) -> None:
        share(publish("one"))
        answer = remote.ask("GET", "/fed/v1/changes")

        lines = lines_of(answer)
        assert [set(line) for line in lines] == [{"seq", "k", "p", "sig", "via"}] * len(lines)
        assert [line["seq"] for line in lines] == [1, 2, 3]
        assert all(line["via"][-1] == node.node_id for line in lines)
        assert answer["content-type"] == "application/x-ndjson"
        assert (answer["opl-cursor"], answer["opl-more"]) == (f"{node.epoch}:3", "?0")

    def test_of_nothing_is_an_empty_200_without_a_type(self, remote: Remote, node: ThisNode) -> None:
        storing.number()
        answer = remote.ask("GET", f"/fed/v1/changes?since={node.epoch}:1")

        assert (answer.status_code, answer.content) == (200, b"")
        assert "content-type" not in {name.lower() for name in answer.headers}
        assert answer["content-digest"] == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

    def test_filters_leave_warnings_in_and_the_cursor_passes_what_was_left_out(
        self, remote: Remote, node: ThisNode
    ) -> None:
        share(publish("one"))

        answer = remote.ask("GET", "/fed/v1/changes?kinds=usage&topics=nothing")

        assert {line["k"] for line in lines_of(answer)} == {"root"}
        assert answer["opl-cursor"] == f"{node.epoch}:3"
        assert Peer.objects.get().acked_seq == 0

    @pytest.mark.parametrize(
        ("accepts", "coding"),
        [("zstd", "zstd"), ("gzip, zstd;q=0.5", "zstd"), ("ZSTD", "zstd"), ("zstd;q=0", None), ("gzip", None),
         ("zstd; q=0.0, gzip", None), ("", None)],
    )  # fmt: skip
    def test_is_packed_only_where_that_is_accepted(self, remote: Remote, accepts: str, coding: str | None) -> None:
        share(publish("one"))
        answer = remote.ask("GET", "/fed/v1/changes", headers=[("accept-encoding", accepts)] if accepts else [])

        assert answer.headers.get("content-encoding") == coding


class TestStatements:
    def test_one_is_dsse_with_its_id_as_tag_and_304_when_known(self, remote: Remote) -> None:
        (row,) = share(publish("one"))
        path = f"/fed/v1/statements/{row.statement_id}"

        answer = remote.ask("GET", path)

        assert answer["etag"] == f'"{row.statement_id}"'
        assert set(answer.json()) == {"payloadType", "payload", "signatures"}
        known = conditional(remote, path, answer["etag"])
        assert (known.status_code, known.content) == (304, b"")
        assert conditional(remote, path, "*").status_code == 304

    @pytest.mark.parametrize("wanted", ["a" * 64, "A" * 64, "x", "%00", "a" * 63])
    def test_one_that_is_not_there_is_404(self, remote: Remote, wanted: str) -> None:
        refused(remote.ask("GET", f"/fed/v1/statements/{wanted}"), "not-found")

    def test_many_come_as_feed_lines(self, remote: Remote) -> None:
        (row,) = share(publish("one"))
        answer = remote.ask("POST", "/fed/v1/statements", dumps({"ids": [row.statement_id, "b" * 64]}))

        (line,) = lines_of(answer)
        assert (line["k"], line["seq"]) == ("release", row.seq or line["seq"])
        assert answer["content-type"] == "application/x-ndjson"

    @pytest.mark.parametrize(("path", "most"), [("/fed/v1/statements", 500), ("/fed/v1/have", 1_000)])
    def test_lists_are_bounded(self, remote: Remote, path: str, most: int) -> None:
        ids = [f"{number:064x}" for number in range(most + 1)]

        assert remote.ask("POST", path, dumps({"ids": ids[:most]})).status_code == 200
        refused(remote.ask("POST", path, dumps({"ids": ids})), "page-too-large")

    @pytest.mark.parametrize("path", ["/fed/v1/statements", "/fed/v1/have"])
    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"ids":7}', b'{"ids":["x"]}', b'{"ids":[null]}', b'{"ids":[],"ids":[]}', b"\xff", b"{",
         b'{"ids":["' + b"A" * 64 + b'"]}', b"[" * 20_000],
    )  # fmt: skip
    def test_a_body_of_another_form_is_422(self, remote: Remote, path: str, body: bytes) -> None:
        refused(remote.ask("POST", path, body), "schema-invalid")


class TestPushing:
    def push(self, remote: Remote, txn: str, body: bytes) -> Any:
        return remote.ask("PUT", f"/fed/v1/push/{txn}", body, content_type=feed.CONTENT_TYPE)

    @pytest.mark.parametrize(
        "txn", ["short", "x" * 65, "dots.are.not.allowed", "spaces%20are%20not%20ok", "ümlaut" * 4]
    )
    def test_refuses_a_txn_of_another_form(self, remote: Remote, txn: str) -> None:
        from urllib.parse import quote

        refused(self.push(remote, quote(txn, safe="%"), b""), "schema-invalid")

    def test_takes_a_hundred_lines_and_no_more(self, remote: Remote) -> None:
        assert len(self.push(remote, "a" * 16, b"{}\n" * 100).json()["results"]) == 100
        refused(self.push(remote, "b" * 16, b"{}\n" * 101), "page-too-large")

    def test_answers_each_line_in_order(self, remote: Remote) -> None:
        good = remote.lines(*remote.introduced())
        answer = self.push(remote, "c" * 64, b"nonsense\n" + good + good).json()

        assert set(answer) == {"txn", "results"}
        assert [each["status"] for each in answer["results"]] == [
            "rejected", "accepted", "accepted", "duplicate", "duplicate",
        ]  # fmt: skip
        assert answer["results"][0]["id"] is None
        assert answer["results"][0]["code"] == "schema-invalid"
        assert set(answer["results"][1]) == {"id", "status"}

    def test_again_is_the_stored_answer_and_other_content_a_conflict(self, remote: Remote) -> None:
        body = remote.lines(*remote.introduced())
        first = self.push(remote, "d" * 20, body)

        assert self.push(remote, "d" * 20, body).content == first.content
        refused(self.push(remote, "d" * 20, body + body), "txn-conflict")
        assert PushReceipt.objects.count() == 1

    def test_again_costs_no_second_share_of_the_day(self, remote: Remote) -> None:
        body = remote.lines(*remote.introduced())
        for _ in range(3):
            self.push(remote, "e" * 20, body)

        assert remote.ask("GET", "/fed/v1/status").json()["quota"]["objects"]["used"] == 2

    def test_a_number_of_one_peer_is_free_for_another(self, make_remote: Callable[..., Remote]) -> None:
        one, other = make_remote(), make_remote("west")

        assert self.push(one, "f" * 20, one.lines(*one.introduced())).status_code == 200
        assert self.push(other, "f" * 20, other.lines(*other.introduced())).status_code == 200


class TestTheRest:
    def test_a_status_has_exactly_these_members(self, remote: Remote, node: ThisNode) -> None:
        told = remote.ask("GET", "/fed/v1/status").json()

        assert set(told) == {"node_id", "tier", "root_version", "acked", "head", "lag", "quota", "rejected"}
        assert told["quota"] == {
            "objects": {"used": 0, "limit": 10_000}, "bytes": {"used": 0, "limit": 512 * 1024 * 1024},
        }  # fmt: skip
        assert (told["node_id"], told["tier"]) == (node.node_id, 3)

    def test_a_status_of_the_own_organisation_has_no_limit(self, make_remote: Callable[..., Remote]) -> None:
        told = make_remote(tier=Tier.OWN).ask("GET", "/fed/v1/status").json()

        assert told["quota"]["objects"]["limit"] is None

    def test_a_poke_is_taken_with_202(self, remote: Remote) -> None:
        answer = remote.ask("POST", "/fed/v1/poke", dumps({"epoch": "a" * 32, "seq": 7}))

        assert (answer.status_code, answer.json()) == (202, {})
        assert remote.row.is_poked

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b'{"epoch":"x","seq":1}', b'{"epoch":"' + b"a" * 32 + b'","seq":"1"}']
    )
    def test_a_poke_of_another_form_is_422(self, remote: Remote, body: bytes) -> None:
        refused(remote.ask("POST", "/fed/v1/poke", body), "schema-invalid")

    @pytest.mark.parametrize("frame", [b"", b"\x61\xff\xff\xff", b"{}"])
    def test_a_frame_of_another_form_is_422(self, remote: Remote, frame: bytes) -> None:
        refused(
            remote.ask("POST", "/fed/v1/reconcile", frame, content_type="application/octet-stream"), "schema-invalid"
        )

    def test_a_frame_of_another_version_of_negentropy_is_told_which_is_spoken(self, remote: Remote) -> None:
        answer = remote.ask("POST", "/fed/v1/reconcile", b"\x60", content_type="application/octet-stream")

        assert (answer.status_code, answer.content) == (200, b"\x61")

    def test_a_frame_beyond_its_size_is_413(self, remote: Remote) -> None:
        frame = b"\x61" + b"\0" * limits.FRAME_BYTES
        refused(
            remote.ask("POST", "/fed/v1/reconcile", frame, content_type="application/octet-stream"), "page-too-large"
        )

    def test_a_frame_is_answered_with_a_frame_and_the_cursor_to_go_on_from(
        self, remote: Remote, node: ThisNode
    ) -> None:
        from federation.protocol import reconcile

        frame = reconcile.Initiator(reconcile.IdSet([])).first()
        answer = remote.ask("POST", "/fed/v1/reconcile", frame, content_type="application/octet-stream")

        assert answer["content-type"] == "application/octet-stream"
        assert answer.content[:1] == b"\x61"
        assert answer["opl-cursor"].startswith(f"{node.epoch}:")
        assert '"opl-cursor"' in answer["signature-input"]

    def test_segments_list_and_a_missing_one(self, remote: Remote) -> None:
        assert remote.ask("GET", "/fed/v1/segments").json() == {"segments": []}
        refused(remote.ask("GET", f"/fed/v1/segments/{'a' * 64}"), "not-found")

    def test_a_path_below_is_a_signed_404(self, remote: Remote) -> None:
        for path in ("/fed/v1/changes/", "/fed/v1/changes/x", "/fed/v1/peer-requests/x", "/fed/v1/%2e%2e/x"):
            refused(remote.ask("GET", path), "not-found")

    def test_extra_covered_components_are_allowed(self, remote: Remote) -> None:
        assert '"@target-uri";req' in remote.ask("GET", "/fed/v1/status")["signature-input"]


class TestPeerRequests:
    def body(self, who: Remote, **changes: Any) -> bytes:
        told = {
            "base_url": "https://new.example", "contact": "ops", "message": "hello",
            "roots": [each.envelope.to_json() for each in who.identity.statements],
        }  # fmt: skip
        return dumps(told | changes)

    def test_of_a_stranger_wait_with_202(self, node: ThisNode) -> None:
        who = Remote(makers.node("a newcomer"))
        answer = who.ask("POST", "/fed/v1/peer-requests", self.body(who))

        assert (answer.status_code, answer.json()) == (
            202, {"state": "pending", "tier": 1, "node_id": node.node_id, "root_version": 1},
        )  # fmt: skip

    def test_of_an_approved_peer_are_answered_200(self, remote: Remote, node: ThisNode) -> None:
        answer = remote.ask("POST", "/fed/v1/peer-requests", self.body(remote))

        assert (answer.status_code, answer.json()["state"], answer.json()["tier"]) == (200, "approved", 3)

    def test_of_a_blocked_peer_are_403(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote()
        Peer.objects.update(tier=0)

        refused(remote.ask("POST", "/fed/v1/peer-requests", self.body(remote)), "peer-blocked")

    def test_are_five_an_hour_and_address(self, node: ThisNode) -> None:
        answers = []
        for number in range(6):
            who = Remote(makers.node(f"newcomer {number}"))
            answers.append(who.ask("POST", "/fed/v1/peer-requests", self.body(who)))

        assert [each.status_code for each in answers] == [202] * 5 + [429]
        assert refused(answers[5], "quota-exceeded")["retry_after"] == 3_600

    def test_with_a_key_from_outside_their_chain_are_unknown(self, node: ThisNode) -> None:
        who, other = Remote(makers.node("a newcomer")), Remote(makers.node("another"))

        refused(who.ask("POST", "/fed/v1/peer-requests", self.body(other)), "unknown-key")

    def test_that_roll_back_are_409(self, remote: Remote) -> None:
        old = list(remote.identity.statements)
        remote.identity.rotate(at=int(timezone.now().timestamp()))
        assert remote.ask("POST", "/fed/v1/peer-requests", self.body(remote)).status_code == 200
        roots = [each.envelope.to_json() for each in old]

        refused(
            remote.ask("POST", "/fed/v1/peer-requests", self.body(remote, roots=roots),
                       key=makers.secret(f"{remote.identity.name} transport")), "root-rollback",
        )  # fmt: skip

    @pytest.mark.parametrize(
        "changes",
        [{"roots": []}, {"roots": 7}, {"roots": [{}]}, {"base_url": ""}, {"base_url": "ftp://x"},
         {"base_url": "https://u@x/"}, {"base_url": "https://x/?q"}, {"base_url": None}],
    )  # fmt: skip
    def test_of_another_form_are_422(self, remote: Remote, changes: dict[str, Any]) -> None:
        refused(remote.ask("POST", "/fed/v1/peer-requests", self.body(remote, **changes)), "schema-invalid")
