"""
Every bit of a statement of every kind, flipped on its way: nothing bent is believed.

Two forms travel: the line of a feed or a push, and the complete DSSE object.
Both hold payload, key ids, signatures; the object its payload type, the line
its kind, number and way. All of it is bent here, one bit at a time, as bytes:
structure, names and white space of the JSON too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from federation.protocol import acceptance, envelope, equivocation, feed, fields, statement, strictjson
from federation.protocol.acceptance import Accepted
from federation.protocol.feed import BadLine, Line
from federation.protocol.kinds import KINDS, Subject
from federation.protocol.problems import Refused
from federation.protocol.root import Chain
from federation.protocol.statement import Statement
from tests.federation import makers
from tests.federation.makers import NOON, author, node, release, usage, withdrawal
from tests.federation.memory import Node

ADA, NORTH, SOUTH = author(), node(), node("south")
FIRST, OTHER = release(ADA, NORTH), release(ADA, NORTH, source=makers.SOURCE + "# another\n")
LENS = {"name": "ksi", "version": "1.0.0", "from": "orchestration", "to": "opl", "losses": []}


def signed(kind: str, subject: str, **predicate: object) -> Statement:
    return statement.sign(kind, {"node": NORTH.id, **predicate}, subject=Subject(kind, subject), signers=NORTH.publish)


def proof() -> Statement:
    predicate, subject = equivocation.predicate(NORTH.id, FIRST, OTHER)
    return statement.sign("equivocation", predicate, subject=subject, signers=NORTH.publish)


STATEMENTS: dict[str, Callable[[], Statement]] = {
    "release": lambda: FIRST,
    "verification": lambda: signed("verification", "0" * 64, report={"body": {"pairs": 12}}),
    "usage": lambda: usage(NORTH, FIRST.subject.sha256),
    "yank": lambda: withdrawal("yank", ADA, FIRST.id),
    "revoke": lambda: withdrawal("revoke", ADA, FIRST.id, compromised_since=fields.written(NOON)),
    "erase": lambda: withdrawal("erase", ADA, FIRST.id),
    "translation": lambda: signed("translation", "0" * 64, lens=LENS, created=fields.written(NOON)),
    "root": lambda: SOUTH.statements[0],
    "equivocation": proof,
}


@pytest.fixture(scope="module")
def reader() -> Node:
    """A node that knows everybody's keys but the south's, and none of the statements."""
    knows = Node(node("reader"))
    knows.publish(*NORTH.statements, *ADA.statements)
    return knows


def bent(whole: bytes) -> Iterator[bytes]:
    """The bytes with each of their bits flipped in turn."""
    for position in range(len(whole)):
        for bit in range(8):
            copy = bytearray(whole)
            copy[position] ^= 1 << bit
            yield bytes(copy)


class TestEveryBit:
    def test_is_bent_for_every_kind(self) -> None:
        assert set(STATEMENTS) == set(KINDS)
        assert all(make().kind == kind for kind, make in STATEMENTS.items())

    @pytest.mark.parametrize("kind", STATEMENTS)
    def test_is_believed_unbent(self, reader: Node, kind: str) -> None:
        line = feed.line(STATEMENTS[kind](), via=[NORTH.id])

        assert isinstance(acceptance.judge(line, reader), Accepted)

    @pytest.mark.parametrize("kind", STATEMENTS)
    def test_of_a_pushed_line_is_refused(self, reader: Node, kind: str) -> None:
        whole = feed.line(STATEMENTS[kind](), via=[NORTH.id]).to_bytes()

        believed = [changed for changed in bent(whole) if pushed(changed, reader)]

        assert believed == []

    @pytest.mark.parametrize("kind", STATEMENTS)
    def test_of_a_complete_envelope_is_refused(self, reader: Node, kind: str) -> None:
        whole = strictjson.dumps(STATEMENTS[kind]().envelope.to_json())

        believed = [changed for changed in bent(whole) if opened(changed, reader)]

        assert believed == []

    def test_of_a_feed_line_changes_at_most_its_number(self, reader: Node) -> None:
        """The number is the sender's own word: the page says in which range it must lie."""
        made = FIRST
        whole = feed.line(made, via=[NORTH.id], seq=7).to_bytes()

        read = [line for changed in bent(whole) if (line := numbered(changed, reader)) is not None]

        assert {line.envelope for line in read} == {made.envelope}
        assert {line.via for line in read} == {(NORTH.id,)}
        assert {line.seq for line in read} == {3, 5, 6}


def pushed(raw: bytes, reader: Node) -> bool:
    """Whether a body of the north brings anything that is believed; a flip may have made two lines of one."""
    return any(believed(line, reader) for line in feed.read_lines(raw, numbered=False, most=10))


def believed(line: Line | BadLine, reader: Node) -> bool:
    """Whether a line that the north sends is taken in."""
    if isinstance(line, BadLine):
        return False
    try:
        feed.judge_via(line.via, sender=NORTH.id, own=reader.id)
        acceptance.judge(line, reader)
    except Refused:
        return False
    return True


def numbered(raw: bytes, reader: Node) -> Line | None:
    """A numbered line that is believed."""
    line = feed.read_raw(raw, numbered=True)
    return line if isinstance(line, Line) and believed(line, reader) else None


def opened(raw: bytes, reader: Node) -> bool:
    """Whether a complete envelope is believed."""
    try:
        found = statement.read(envelope.opened(strictjson.loads(raw)))
        if found.kind == "root":
            Chain.begin(found)
        else:
            acceptance.judge(feed.line(found, via=[NORTH.id]), reader, read=found)
    except Refused:
        return False
    return True


def test_what_a_flip_cannot_reach_is_nothing() -> None:
    """The members of both forms, so that one that is added is bent as well."""
    assert set(json.loads(feed.line(FIRST, via=[NORTH.id]).to_bytes())) == {"k", "p", "sig", "via"}
    assert set(FIRST.envelope.to_json()) == {"payloadType", "payload", "signatures"}
