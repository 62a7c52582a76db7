"""Signed statements: what a relay, a liar or a broken disk cannot pass on."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol import envelope, fields, limits, statement, strictjson
from federation.protocol.kinds import Subject
from federation.protocol.problems import NotFederable, Refused
from tests.federation.makers import NOON, SOURCE, author, node, release, release_predicate, secret, usage, withdrawal

ADA, NORTH, SOUTH = author(), node(), node("south")
GOOD = release(ADA, NORTH)
KEYS = ADA.chain.latest.publish_keys


def code_of(call, *args, **kwargs):
    with pytest.raises(Refused) as refusal:
        call(*args, **kwargs)
    return refusal.value.code


def read_raw(payload: bytes, **kwargs):
    """Read a payload of any form, well signed by Ada."""
    return statement.read(envelope.seal(payload, ADA.publish), **kwargs)


def reread(**changes):
    """Read a release whose predicate says something else."""
    body = json.loads(GOOD.envelope.payload)
    body["predicate"] |= changes
    body["subject"] = [{"name": body["predicate"]["name"], "digest": {"sha256": body["predicate"]["source_digest"]}}]
    return read_raw(strictjson.dumps(body))


class TestPae:
    def test_agrees_with_the_example_of_the_specification(self):
        assert envelope.pae(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"

    def test_counts_bytes_not_characters(self):
        assert envelope.pae("é".encode()).endswith(b" 2 \xc3\xa9")


class TestRead:
    def test_gives_back_what_was_written(self):
        assert statement.read(GOOD.envelope, kind="release").predicate["source"] == SOURCE
        assert statement.check(GOOD, KEYS) == ADA.publish[0].keyid

    def test_keeps_unknown_fields_byte_for_byte(self):
        read = reread(mood="glad", zeta={"b": 1, "a": [2.50]})

        assert read.predicate["mood"] == "glad"
        assert envelope.opened(json.loads(json.dumps(read.envelope.to_json()))) == read.envelope

    def test_refuses_another_kind_than_the_feed_says(self):
        assert code_of(statement.read, GOOD.envelope, kind="yank") == "schema-invalid"

    @pytest.mark.parametrize(
        "predicate_type",
        ["https://opl.dev/predicate/gossip/v1", "https://opl.dev/predicate/release/v2", "release", "", "gossip"],
    )
    def test_names_an_unknown_kind(self, predicate_type):
        body = json.loads(GOOD.envelope.payload) | {"predicateType": predicate_type}

        assert code_of(read_raw, strictjson.dumps(body)) == "unknown-kind"

    def test_refuses_a_payload_above_512_kib(self):
        assert code_of(reread, padding="x" * limits.STATEMENT_BYTES) == "statement-too-large"

    def test_judges_the_size_before_it_parses(self):
        raw = b"[" * (limits.STATEMENT_BYTES + 1)

        assert code_of(read_raw, raw, kind="release") == "statement-too-large"

    @pytest.mark.parametrize(
        "changes",
        [
            {"_type": "https://in-toto.io/Statement/v0.1"},
            {"subject": []},
            {"subject": [{}, {}]},
            {"subject": None},
            {"subject": [{"name": "ada/echo", "digest": {"sha256": "0" * 64}}]},
            {"predicate": []},
            {"subject": [{"name": "eve/echo", "digest": {"sha256": GOOD.subject.sha256}}]},
            {"predicateType": 5},
        ],
        ids=repr,
    )
    def test_refuses_a_statement_of_another_form(self, changes):
        assert code_of(read_raw, strictjson.dumps(json.loads(GOOD.envelope.payload) | changes)) == "schema-invalid"

    @pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"\xff", GOOD.envelope.payload + b"x"])
    def test_refuses_bytes_that_hold_no_statement(self, raw):
        assert code_of(read_raw, raw) == "schema-invalid"

    def test_refuses_a_key_that_stands_twice(self):
        twice = GOOD.envelope.payload.replace(b'"license":"MIT"', b'"license":"MIT","license":"GPL"')

        assert code_of(read_raw, twice) == "schema-invalid"

    @given(st.binary(max_size=300))
    def test_gives_a_statement_or_our_error_for_any_bytes(self, raw):
        try:
            read_raw(raw)
        except Refused as refusal:
            assert refusal.code == "schema-invalid"


class TestRelease:
    @pytest.mark.parametrize(
        "changes",
        [
            {"author": "opla1x"},
            {"author": NORTH.id},
            {"origin": ADA.id},
            {"origin": None},
            {"name": "echo"},
            {"name": "Ada/echo"},
            {"name": "ada/echo\n"},
            {"name": "ада/echo"},
            {"version": "1.0"},
            {"version": "01.0.0"},
            {"source": None},
            {"source_digest": GOOD.subject.sha256.upper()},
            {"semantic_digest": "x"},
            {"requires": {}},
            {"requires": {"events": [""], "roles": [], "functions": []}},
            {"lineage": {"parents": []}},
            {"lineage": {"parents": ["x"], "op": "fork"}},
            {"lineage": {"parents": ["0" * 64] * 17, "op": "merge"}},
            {"lineage": {"parents": [], "op": "steal"}},
            {"license": ""},
            {"license": 5},
            {"topics": "voting"},
            {"topics": [1]},
            {"propagate": "hops:0"},
            {"propagate": "everywhere"},
            {"propagate": None},
            {"created": "2027-01-15"},
            {"created": "2027-01-15T08:00:00+00:00"},
            {"created": NOON},
        ],
        ids=repr,
    )
    def test_refuses_a_predicate_of_another_form(self, changes):
        assert code_of(reread, **changes) == "schema-invalid"

    def test_refuses_a_source_that_does_not_have_its_digest(self):
        assert code_of(reread, source=SOURCE + "# more\n") == "digest-mismatch"

    def test_refuses_to_be_its_own_parent(self):
        lineage = {"parents": [GOOD.subject.sha256], "op": "fork"}

        assert code_of(reread, lineage=lineage) == "lineage-cycle"

    def test_refuses_a_source_above_256_kib(self):
        assert code_of(release, ADA, NORTH, source="x" * (limits.SOURCE_BYTES + 1)) == "statement-too-large"

    def test_says_at_publish_that_a_source_of_control_characters_cannot_travel(self):
        predicate = release_predicate(ADA, NORTH, source="\x01" * (limits.SOURCE_BYTES - 1))
        subject = Subject(predicate["name"], predicate["source_digest"])

        with pytest.raises(NotFederable, match="stays on this node"):
            statement.write("release", predicate, subject=subject)

    def test_is_unique_by_author_name_without_handle_and_version(self):
        renamed = release(ADA, NORTH, name="ada2/echo")

        assert renamed.release_key == GOOD.release_key == (ADA.id, "echo", "1.0.0")


class TestOtherKinds:
    @pytest.mark.parametrize("kind", ["yank", "revoke", "erase"])
    def test_a_withdrawal_is_signed_by_an_author_or_a_node(self, kind):
        assert withdrawal(kind, ADA, GOOD.id).signer == ADA.id
        assert withdrawal(kind, NORTH, GOOD.id).signer == NORTH.id

    @pytest.mark.parametrize(
        "changes",
        [
            {"target": "x"},
            {"reason": None},
            {"successor": "x"},
            {"created": None},
            {"node": NORTH.id},
            {"author": None},
        ],
        ids=repr,
    )
    def test_a_withdrawal_of_another_form_is_refused(self, changes):
        assert code_of(withdrawal, "yank", ADA, GOOD.id, **changes) == "schema-invalid"

    def test_a_revocation_may_date_the_theft_of_a_key(self):
        stolen = withdrawal("revoke", ADA, GOOD.id, compromised_since="2027-01-01T00:00:00Z")

        assert stolen.predicate["compromised_since"] == "2027-01-01T00:00:00Z"
        assert code_of(withdrawal, "revoke", ADA, GOOD.id, compromised_since="soon") == "schema-invalid"

    @pytest.mark.parametrize(
        "changes",
        [
            {"success": 41},
            {"runs": -1},
            {"runs": 1.5},
            {"runs": True},
            {"period": None},
            {"profile": "secret"},
            {"epsilon": -1},
            {"cell": None},
            {"node": ADA.id},
        ],
        ids=repr,
    )
    def test_a_usage_claim_of_another_form_is_refused(self, changes):
        assert code_of(usage, NORTH, GOOD.subject.sha256, **changes) == "schema-invalid"


class TestCheck:
    def test_refuses_the_signature_of_another_author(self):
        forged = release(ADA, NORTH, signers=author("eve").publish)

        assert code_of(statement.check, forged, KEYS) == "bad-signature"

    def test_refuses_the_signature_of_the_authors_root_key(self):
        assert code_of(statement.check, release(ADA, NORTH, signers=ADA.root_keys), KEYS) == "bad-signature"

    def test_passes_over_signatures_of_unknown_keys(self):
        both = release(ADA, NORTH, signers=[secret("unknown"), *ADA.publish])

        assert statement.check(both, KEYS) == ADA.publish[0].keyid

    def test_refuses_another_key_under_the_right_keyid(self):
        lying = envelope.Signature(ADA.publish[0].keyid, secret("eve").sign(envelope.pae(GOOD.envelope.payload)))

        forged = statement.read(envelope.sealed(GOOD.envelope.payload, (lying,)))

        assert code_of(statement.check, forged, KEYS) == "bad-signature"

    def test_refuses_a_signature_over_the_bare_payload(self):
        key = ADA.publish[0]
        bare = envelope.sealed(GOOD.envelope.payload, (envelope.Signature(key.keyid, key.sign(GOOD.envelope.payload)),))

        assert code_of(statement.check, statement.read(bare), KEYS) == "bad-signature"

    @settings(deadline=None, max_examples=300)
    @given(st.integers(min_value=0), st.integers(0, 7))
    def test_refuses_a_bit_flipped_anywhere(self, place, bit):
        wire = bytearray(json.dumps(GOOD.envelope.to_json(), separators=(",", ":")).encode())
        wire[place % len(wire)] ^= 1 << bit

        with pytest.raises(Refused):
            statement.check(statement.read(envelope.opened(strictjson.loads(bytes(wire)))), KEYS)

    @settings(deadline=None, max_examples=300)
    @given(st.integers(min_value=0), st.integers(0, 7))
    def test_refuses_a_bit_flipped_anywhere_in_the_payload(self, place, bit):
        payload = bytearray(GOOD.envelope.payload)
        payload[place % len(payload)] ^= 1 << bit

        with pytest.raises(Refused):
            statement.check(statement.read(envelope.sealed(bytes(payload), GOOD.envelope.signatures)), KEYS)


class TestRetiredKey:
    @pytest.fixture
    def rotated(self):
        ada = author("rotating")
        before = release(ada, NORTH, created=fields.written(NOON))
        after = release(ada, NORTH, version="2.0.0", created=fields.written(NOON + 1))
        ada.rotate(at=NOON)
        return before, after, ada.chain.latest.publish_keys

    def test_still_vouches_for_what_it_signed_in_time(self, rotated):
        before, _, trusted = rotated

        assert statement.check(before, trusted)

    def test_does_not_vouch_for_anything_later(self, rotated):
        _, after, trusted = rotated

        assert code_of(statement.check, after, trusted) == "bad-signature"

    def test_still_vouches_for_what_is_held_already(self, rotated):
        _, after, trusted = rotated

        assert statement.check(after, trusted, held=True)

    def test_vouches_for_nothing_since_it_was_compromised(self, rotated):
        before, _, trusted = rotated

        assert code_of(statement.check, before, trusted, held=True, compromised_since=NOON) == "bad-signature"
        assert statement.check(before, trusted, compromised_since=NOON + 1)


class TestOpened:
    GOOD_JSON = GOOD.envelope.to_json()

    @pytest.mark.parametrize(
        "changes",
        [
            {"payloadType": "application/json"},
            {"payload": None},
            {"payload": "é"},
            {"signatures": []},
            {"signatures": None},
            {"signatures": [GOOD_JSON["signatures"][0]] * 17},
            {"signatures": [{"keyid": "x", "sig": "AAAA"}]},
            {"signatures": [{"keyid": "0" * 32, "sig": "AAAA"}]},
            {"signatures": ["x"]},
            {"payload": GOOD_JSON["payload"] + "\n"},
        ],
        ids=lambda changes: str(changes)[:60],
    )
    def test_refuses_an_envelope_of_another_form(self, changes):
        assert code_of(envelope.opened, self.GOOD_JSON | changes) == "schema-invalid"

    def test_refuses_a_second_spelling_of_the_same_signature(self):
        spelled = self.GOOD_JSON["signatures"][0]["sig"]  # 64 bytes: the last digit before == holds four unused bits
        other = spelled[:-3] + chr(ord(spelled[-3]) + 1) + "=="
        assert base64.b64decode(other) == base64.b64decode(spelled)

        changed = self.GOOD_JSON | {"signatures": [self.GOOD_JSON["signatures"][0] | {"sig": other}]}

        assert code_of(envelope.opened, changed) == "schema-invalid"

    def test_refuses_base64_without_padding(self):
        bare = self.GOOD_JSON["signatures"][0] | {"sig": self.GOOD_JSON["signatures"][0]["sig"].rstrip("=")}

        assert code_of(envelope.opened, self.GOOD_JSON | {"signatures": [bare]}) == "schema-invalid"
