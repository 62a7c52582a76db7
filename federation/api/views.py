"""The resources of OPL-Fed/1: parse, one service call, answer. Verification and signing are the gate's."""

from __future__ import annotations

from federation.api.gate import SEGMENT_TYPE, Answer, Call
from federation.protocol import envelope, feed, messages, reconcile
from federation.protocol.feed import Cursor, Page
from federation.protocol.problems import Refused
from federation.protocol.strictjson import dumps
from federation.services import receiving, trusting


def well_known(call: Call) -> Answer:
    """GET /.well-known/opl-federation"""
    return Answer.json(receiving.well_known(call.node))


def root(call: Call) -> Answer:
    """GET /fed/v1/root/{n|latest}"""
    row = receiving.root_document(call.node, str(call.arguments["version"]))
    return _immutable(call, row.statement_id, dumps(row.to_json()))


def changes(call: Call) -> Answer:
    """GET /fed/v1/changes; waiting is done by ``longpoll``, which ends up here as well."""
    asked = receiving.judge_changes(call.query, call.caller, call.node)
    return page_answer(receiving.changes(asked, call.caller, call.node, now=call.now))


def page_answer(page: Page) -> Answer:
    """A page of the feed."""
    headers = ((messages.CURSOR_HEADER, str(page.cursor)), (messages.MORE_HEADER, f"?{int(page.more)}"))
    return Answer(body=page.body, content_type=feed.CONTENT_TYPE, headers=headers)


def statement(call: Call) -> Answer:
    """GET /fed/v1/statements/{id}"""
    row = receiving.one(call.caller, call.node, str(call.arguments["statement_id"]))
    receiving.note_egress(call.caller, "by-id", [row.statement_id], len(row.payload), now=call.now)
    return _immutable(call, row.statement_id, dumps(row.to_json()))


def statements(call: Call) -> Answer:
    """POST /fed/v1/statements"""
    lines = receiving.by_ids(call.caller, call.node, call.request.body, now=call.now)
    return Answer(body=lines, content_type=feed.CONTENT_TYPE)


def have(call: Call) -> Answer:
    """POST /fed/v1/have"""
    return Answer.json(receiving.have(call.caller, call.node, call.request.body))


def push(call: Call) -> Answer:
    """PUT /fed/v1/push/{txn}"""
    txn = str(call.arguments["txn"])
    return Answer(body=receiving.push(call.caller, call.node, txn, call.request.body, now=call.now))


def compare(call: Call) -> Answer:
    """POST /fed/v1/reconcile"""
    frame = receiving.compared(call.caller, call.node, call.request.body)
    cursor = (messages.CURSOR_HEADER, str(Cursor(call.node.epoch, call.node.head)))
    return Answer(body=frame, content_type=reconcile.CONTENT_TYPE, headers=(cursor,))


def peer_request(call: Call) -> Answer:
    """POST /fed/v1/peer-requests"""
    trusting.judge_rate(call.address, now=call.now)
    chain, members = trusting.chain_in(call.request.body)
    peer = trusting.receive(chain, members, now=call.now)
    approved = peer.tier >= 2
    told = {
        "state": "approved" if approved else "pending",
        "tier": peer.tier,
        "node_id": call.node.node_id,
        "root_version": receiving.well_known(call.node)["root_version"],
    }
    return Answer.json(told, status=200 if approved else 202)


def poke(call: Call) -> Answer:
    """POST /fed/v1/poke"""
    receiving.poked(call.caller, call.request.body)
    return Answer.json({}, status=202)


def status(call: Call) -> Answer:
    """GET /fed/v1/status"""
    return Answer.json(receiving.status(call.caller, call.node, now=call.now))


def segments(call: Call) -> Answer:
    """GET /fed/v1/segments"""
    return Answer.json(receiving.segments(call.node))


def segment(call: Call) -> Answer:
    """GET /fed/v1/segments/{sha256}"""
    data = receiving.segment(call.node, str(call.arguments["sha256"]))
    return Answer(body=data, content_type=SEGMENT_TYPE)


def nothing(call: Call) -> Answer:
    """Whatever else stands below /fed/v1."""
    raise Refused("not-found", "there is no such resource in OPL-Fed/1")


def _immutable(call: Call, identity: str, body: bytes) -> Answer:
    """A DSSE document that never changes; a reader that has it gets a signed 304."""
    tag = f'"{identity}"'
    known = messages.header(call.request.headers, "if-none-match") or ""
    # Weak comparison, as RFC 9110 (13.1.2) asks for If-None-Match.
    if known.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in known.split(",")}:
        return Answer(status=304, headers=(("etag", tag),))
    return Answer(body=body, content_type=envelope.CONTENT_TYPE, headers=(("etag", tag),))
