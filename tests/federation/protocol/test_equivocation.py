"""One version, two sources: the proof that needs nobody's word, and false proofs."""

from __future__ import annotations

import pytest

from federation.protocol import equivocation, statement
from federation.protocol.kinds import Subject
from federation.protocol.problems import Refused
from tests.federation.makers import SOURCE, author, node, release, withdrawal

ADA, NORTH = author(), node()
ONE = release(ADA, NORTH)
TWO = release(ADA, NORTH, source=SOURCE + "# changed\n")
KEYS = {ADA.id: ADA.chain.latest.publish_keys}


def proof(one, other):
    body = {"node": NORTH.id, "envelopes": [one.envelope.to_json(), other.envelope.to_json()]}
    return statement.sign("equivocation", body, subject=Subject("ada/echo", one.id), signers=NORTH.publish)


class TestJudge:
    def test_believes_two_signed_sources_of_one_version(self):
        body, subject = equivocation.predicate(NORTH.id, ONE, TWO)
        made = statement.sign("equivocation", body, subject=subject, signers=NORTH.publish)

        assert {found.id for found in equivocation.judge(made, KEYS)} == {ONE.id, TWO.id}

    def test_is_the_same_proof_whoever_came_first(self):
        assert equivocation.predicate(NORTH.id, ONE, TWO) == equivocation.predicate(NORTH.id, TWO, ONE)

    def test_finds_a_contradiction_under_another_handle(self):
        renamed = release(ADA, NORTH, name="ada-l/echo", source=SOURCE + "# changed\n")

        assert equivocation.contradicts(ONE, renamed)

    @pytest.mark.parametrize(
        "other",
        [
            ONE,
            release(ADA, NORTH, version="1.0.1", source=SOURCE + "#\n"),
            release(ADA, NORTH, name="ada/other", source=SOURCE + "#\n"),
            release(ADA, NORTH, license="GPL-3.0"),
            release(author("eve"), NORTH, source=SOURCE + "#\n"),
        ],
        ids=["the same", "another version", "another name", "the same source", "another author"],
    )
    def test_refuses_two_releases_that_agree(self, other):
        with pytest.raises(Refused) as refusal:
            equivocation.judge(proof(ONE, other), KEYS)
        assert refusal.value.code == "schema-invalid"

    def test_refuses_a_contradiction_that_the_author_did_not_sign(self):
        framed = release(ADA, NORTH, source=SOURCE + "# framed\n", signers=NORTH.publish)

        with pytest.raises(Refused) as refusal:
            equivocation.judge(proof(ONE, framed), KEYS)
        assert refusal.value.code == "bad-signature"

    def test_refuses_statements_of_another_kind(self):
        with pytest.raises(Refused) as refusal:
            equivocation.judge(proof(ONE, withdrawal("yank", ADA, ONE.id)), KEYS)
        assert refusal.value.code == "schema-invalid"

    def test_waits_for_an_author_it_does_not_know(self):
        with pytest.raises(Refused) as refusal:
            equivocation.judge(proof(ONE, TWO), {})
        assert refusal.value.code == "unknown-key"

    def test_carries_two_statements_of_full_size(self):
        big = [release(ADA, NORTH, learned_from="x" * 510_000, source=SOURCE + end) for end in ("#1\n", "#2\n")]

        assert equivocation.judge(proof(*big), KEYS)
