"""Who may speak for an identity: what a thief of a key, or of a domain, cannot do."""

from __future__ import annotations

import pytest

from federation.protocol import keys, root
from federation.protocol.problems import Refused
from federation.protocol.root import Chain
from tests.federation.makers import NOON, author, node, release, secret
from tests.federation.protocol.test_keys import SMALL_ORDER


def code_of(call, *args):
    with pytest.raises(Refused) as refusal:
        call(*args)
    return refusal.value.code


class TestBegin:
    def test_pins_the_first_version(self):
        north = node()

        chain = Chain.begin(north.statements[0])

        assert chain.id == north.id
        assert chain.latest.version == 1
        assert list(chain.latest.transport_keys) == [north.transport[0].keyid]

    def test_names_authors_by_their_root_keys_too(self):
        assert author().chain.id.startswith("opla1")

    def test_refuses_somebody_elses_id_on_own_keys(self):
        north, thief = node(), node("thief")

        stolen = thief.signed(thief.document(version=1, prev_root_sha256=None, node_id=north.id), thief.root_keys)

        assert code_of(Chain.begin, stolen) == "digest-mismatch"

    def test_refuses_a_threshold_lowered_on_the_same_keys(self):
        north = node(roots=3, threshold=2)

        lowered = north.signed(north.document(version=1, prev_root_sha256=None, threshold=1), north.root_keys)

        assert code_of(Chain.begin, lowered) == "digest-mismatch"

    def test_refuses_fewer_signatures_than_the_threshold(self):
        north = node(roots=3, threshold=2)

        alone = north.signed(north.document(version=1, prev_root_sha256=None), north.root_keys[:1])

        assert code_of(Chain.begin, alone) == "bad-signature"

    def test_counts_a_key_that_signed_twice_once(self):
        north = node(roots=3, threshold=2)
        key = north.root_keys[0]

        twice = north.signed(north.document(version=1, prev_root_sha256=None), [key, key])

        assert code_of(Chain.begin, twice) == "bad-signature"

    def test_refuses_to_begin_in_the_middle(self):
        north = node()

        assert code_of(Chain.begin, north.rotate()) == "root-rollback"

    @pytest.mark.parametrize("place", ["root_keys", "publish", "transport"])
    def test_refuses_a_small_order_key_anywhere(self, place):
        north, weak = node(), SMALL_ORDER["order eight"]
        document = north.document(version=1, prev_root_sha256=None)
        (document if place == "root_keys" else document["roles"])[place] = [weak]

        assert code_of(Chain.begin, north.signed(document, north.root_keys)) == "weak-key"

    @pytest.mark.parametrize(
        "changes",
        [
            {"version": 0},
            {"version": True},
            {"version": "1"},
            {"threshold": 0},
            {"threshold": 2},
            {"root_keys": []},
            {"root_keys": "x"},
            {"root_keys": [None]},
            {"roles": None},
            {"roles": {"publish": {}}},
            {"domains": "x"},
            {"not_after": "soon"},
            {"not_after": "2027-02-30T00:00:00Z"},
            {"prev_root_sha256": "x"},
            {"retired": []},
        ],
        ids=repr,
    )
    def test_refuses_a_document_of_another_form(self, changes):
        north = node()

        statement = north.signed(north.document(version=1, prev_root_sha256=None) | changes, north.root_keys)

        assert code_of(Chain.begin, statement) == "schema-invalid"

    def test_refuses_transport_keys_in_an_author_document(self):
        ada = author()
        document = ada.document(version=1, prev_root_sha256=None)
        document["roles"]["transport"] = [secret("x").public]

        assert code_of(Chain.begin, ada.signed(document, ada.root_keys)) == "schema-invalid"

    def test_refuses_a_statement_that_is_no_root_document(self):
        north, ada = node(), author()

        assert code_of(Chain.begin, release(ada, north)) == "schema-invalid"

    def test_refuses_a_document_that_names_two_identities(self):
        north = node()

        with pytest.raises(Refused, match="either node_id or author_id"):
            north.signed(north.document(author_id=author().id), north.root_keys)


class TestRotation:
    def test_follows_new_keys_signed_by_the_old_and_the_new(self):
        north = node(roots=3, threshold=2)
        pinned = north.chain

        chain = pinned.extended(north.rotate())

        assert chain.latest.version == 2
        assert chain.id == north.id
        assert chain.fingerprint == pinned.fingerprint

    def test_replaces_the_transport_keys(self):
        north = node()
        old = north.transport[0]
        north.rotate()

        assert old.keyid not in north.chain.latest.transport_keys

    def test_refuses_new_keys_without_the_signature_of_the_old(self):
        north = node()
        pinned = north.chain
        north.rotate()

        stolen = north.signed(north.chain.latest.statement.predicate, north.root_keys)

        assert code_of(pinned.extended, stolen) == "bad-signature"

    def test_refuses_new_keys_that_did_not_sign_themselves(self):
        north = node()
        pinned, old = north.chain, north.root_keys
        north.rotate()

        unowned = north.signed(north.chain.latest.statement.predicate, old)

        assert code_of(pinned.extended, unowned) == "bad-signature"

    def test_refuses_to_skip_a_version(self):
        north = node()
        pinned = north.chain
        north.rotate()

        assert code_of(pinned.extended, north.rotate()) == "root-rollback"

    def test_refuses_a_version_that_names_another_predecessor(self):
        north = node()
        pinned = north.chain

        astray = north.signed(north.document(prev_root_sha256="0" * 64), north.root_keys)

        assert code_of(pinned.extended, astray) == "root-rollback"

    def test_refuses_another_document_for_a_version_it_has_seen(self):
        north = node()
        first = north.rotate()
        pinned = north.chain
        forked = north.signed(
            {**first.predicate, "domains": ["evil.example"]}, [secret("north root 0"), *north.root_keys]
        )

        assert code_of(pinned.extended, forked) == "root-rollback"

    def test_takes_a_version_again_without_moving(self):
        north = node()
        north.rotate()
        pinned = north.chain

        assert pinned.extended(north.statements[0]) is pinned

    def test_refuses_the_root_document_of_another_node(self):
        assert code_of(node().chain.extended, node("south").statements[0]) == "root-rollback"


class TestMerged:
    def test_continues_the_pinned_chain_by_a_longer_one(self):
        north = node()
        pinned = north.chain
        north.rotate()

        assert pinned.merged(north.chain).latest.version == 2

    def test_refuses_an_older_chain(self):
        north = node()
        old = north.chain
        north.rotate()

        assert code_of(north.chain.merged, old) == "root-rollback"


class TestRetired:
    def test_names_the_former_publish_keys_with_their_time(self):
        ada = author()
        old = ada.publish[0]
        ada.rotate(at=NOON)

        trusted = ada.chain.latest.publish_keys

        assert trusted.retired_at == {old.keyid: NOON}
        assert old.keyid not in trusted.current

    def test_cannot_be_in_use(self):
        ada = author()
        document = ada.document(retired={ada.publish[0].public: "2027-01-01T00:00:00Z"})

        with pytest.raises(Refused, match="retired key"):
            root.read(ada.signed(document, ada.root_keys))


class TestFingerprint:
    def test_is_that_of_the_first_version(self):
        north = node(roots=3, threshold=2)
        first = keys.fingerprint([key.public for key in north.root_keys], 2)
        north.rotate()

        assert north.chain.fingerprint == first
