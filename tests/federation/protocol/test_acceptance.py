"""Taking a line in: what a node believes, and what it knows better."""

from __future__ import annotations

import pytest

from federation.protocol import acceptance, equivocation, feed, statement
from federation.protocol.acceptance import Accepted, Duplicate
from federation.protocol.problems import Refused
from tests.federation.makers import NOON, SOURCE, author, fields, node, release, usage, withdrawal
from tests.federation.memory import Node

ADA, NORTH, SOUTH = author(), node(), node("south")
GOOD = release(ADA, NORTH)


@pytest.fixture
def us() -> Node:
    here = Node(node("here"))
    here.publish(*ADA.statements, *NORTH.statements, *SOUTH.statements)
    return here


def judge(made, us):
    return acceptance.judge(feed.line(made, via=[NORTH.id]), us)


def code_of(made, us) -> str:
    with pytest.raises(Refused) as refusal:
        judge(made, us)
    return refusal.value.code


class TestRelease:
    def test_of_a_known_author_is_believed(self, us):
        judged = judge(GOOD, us)

        assert isinstance(judged, Accepted)
        assert judged.keyid == ADA.publish[0].keyid

    def test_held_before_is_a_duplicate_whoever_relays_it(self, us):
        us.publish(GOOD)

        assert judge(GOOD, us) == Duplicate(GOOD.id)

    def test_of_an_unknown_author_waits(self, us):
        assert code_of(release(author("eve"), NORTH), us) == "unknown-key"

    def test_under_another_authors_name_is_refused(self, us):
        eve = author("eve")
        us.publish(*eve.statements)

        assert code_of(release(ADA, NORTH, signers=eve.publish), us) == "bad-signature"

    def test_with_a_second_digest_for_a_version_is_a_contradiction(self, us):
        us.publish(GOOD)

        judged = judge(release(ADA, NORTH, source=SOURCE + "#\n"), us)

        assert isinstance(judged, Accepted)
        assert judged.contradicts is not None
        assert judged.contradicts.id == GOOD.id

    def test_with_the_same_digest_for_a_version_is_none(self, us):
        us.publish(GOOD)

        judged = judge(release(ADA, NORTH, license="GPL-3.0"), us)

        assert isinstance(judged, Accepted)
        assert judged.contradicts is None

    def test_that_closes_a_ring_of_descent_is_refused_when_the_parent_arrives_late(self, us):
        late = release(ADA, NORTH, version="0.1.0", source=SOURCE + "# late\n")
        child = release(ADA, NORTH, lineage={"parents": [late.subject.sha256], "op": "fork"})
        us.publish(child)
        ring = release(
            ADA,
            NORTH,
            version="0.1.0",
            source=SOURCE + "# late\n",
            lineage={"parents": [child.subject.sha256], "op": "fork"},
        )

        assert isinstance(judge(late, us), Accepted)
        assert code_of(ring, us) == "lineage-cycle"


class TestRoot:
    def test_of_a_new_identity_is_pinned(self, us):
        judged = judge(author("eve").statements[0], us)

        assert isinstance(judged, Accepted)
        assert judged.chain is not None

    def test_that_continues_a_chain_replaces_its_keys(self, us):
        ada = author()
        judged = judge(ada.rotate(), us)

        assert isinstance(judged, Accepted)
        assert judged.chain.latest.version == 2

    def test_older_than_the_pinned_one_is_a_duplicate_if_it_is_the_same(self, us):
        ada = author()
        us.publish(ada.rotate())

        assert isinstance(judge(ada.statements[0], us), Duplicate)

    def test_that_rewrites_history_is_refused(self, us):
        ada = author()
        us.publish(ada.rotate())
        forked = author()
        rewritten = forked.signed(forked.document(domains=["evil.example"]), forked.root_keys)

        assert code_of(rewritten, us) == "root-rollback"


class TestRevocation:
    def test_of_a_stolen_key_distrusts_what_it_signed_since(self, us):
        ada = author()
        before = release(ADA, NORTH, version="1.0.1", created=fields.written(NOON - 10))
        after = release(ADA, NORTH, version="1.0.2", created=fields.written(NOON + 1))
        us.publish(ada.rotate(at=NOON + 100))
        us.publish(withdrawal("revoke", ada, ada.statements[0].id, compromised_since=fields.written(NOON)))

        assert isinstance(judge(before, us), Accepted)
        assert code_of(after, us) == "bad-signature"


class TestUsage:
    DIGEST = GOOD.subject.sha256

    def test_replaces_an_older_revision(self, us):
        us.publish(usage(NORTH, self.DIGEST))

        assert isinstance(judge(usage(NORTH, self.DIGEST, revision=2, runs=50), us), Accepted)

    def test_of_an_older_revision_is_refused_so_gossip_never_counts_twice(self, us):
        us.publish(usage(NORTH, self.DIGEST, revision=2))

        assert code_of(usage(NORTH, self.DIGEST, revision=1), us) == "replay"

    def test_of_the_same_revision_with_other_counts_is_equivocation(self, us):
        us.publish(usage(NORTH, self.DIGEST))

        assert code_of(usage(NORTH, self.DIGEST, runs=4_000), us) == "equivocation"

    def test_of_the_same_revision_in_other_words_is_a_duplicate(self, us):
        us.publish(usage(NORTH, self.DIGEST))

        assert isinstance(judge(usage(NORTH, self.DIGEST, mood="glad"), us), Duplicate)

    @pytest.mark.parametrize("changes", [{"period": 745}, {"cell": "other"}, {"cell": {"task": "review"}}], ids=repr)
    def test_of_another_cell_or_period_stands_beside(self, us, changes):
        us.publish(usage(NORTH, self.DIGEST))

        assert isinstance(judge(usage(NORTH, self.DIGEST, runs=90, **changes), us), Accepted)


class TestEquivocationProof:
    def proof(self, one, other):
        body, subject = equivocation.predicate(SOUTH.id, one, other)
        return statement.sign("equivocation", body, subject=subject, signers=SOUTH.publish)

    def test_is_believed_for_what_it_contains(self, us):
        other = release(ADA, NORTH, source=SOURCE + "#\n")

        judged = judge(self.proof(GOOD, other), us)

        assert isinstance(judged, Accepted)
        assert {each.id for each in judged.proven} == {GOOD.id, other.id}

    def test_against_an_unknown_author_waits(self, us):
        eve = author("eve")
        proof = self.proof(release(eve, NORTH), release(eve, NORTH, source=SOURCE + "#\n"))

        assert code_of(proof, us) == "unknown-key"


class TestAdvice:
    def test_is_whatever_neither_author_nor_origin_says(self):
        assert not acceptance.is_advice(withdrawal("yank", ADA, GOOD.id), GOOD)
        assert not acceptance.is_advice(withdrawal("erase", NORTH, GOOD.id), GOOD)
        assert acceptance.is_advice(withdrawal("yank", SOUTH, GOOD.id), GOOD)
