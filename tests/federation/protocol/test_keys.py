"""Keys and the names that hang on them: the published vector, and keys nobody may register."""

from __future__ import annotations

import pytest

from federation.protocol import keys
from federation.protocol.keys import SecretKey
from federation.protocol.problems import Refused
from tests.federation.makers import secret

VECTOR_KEY = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

SMALL_ORDER = {
    "the identity": "0100000000000000000000000000000000000000000000000000000000000000",
    "order two": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order four": "0000000000000000000000000000000000000000000000000000000000000000",
    "order eight": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
}
NOT_CANONICAL = {
    "p itself for zero": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "p plus one for one": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}


class TestIdentity:
    def test_agrees_with_the_vector_of_the_protocol(self):
        assert keys.node_id([VECTOR_KEY], 1) == "opln1yrmbe2l5lgh56f3irx4co7v56xn2rqvs"
        assert keys.keyid(bytes.fromhex(VECTOR_KEY)) == "139e3940e64b5491722088d9a0d74162"

    def test_spells_authors_alike_under_another_prefix(self):
        assert keys.author_id([VECTOR_KEY], 1) == "opla1yrmbe2l5lgh56f3irx4co7v56xn2rqvs"

    def test_does_not_depend_on_the_order_of_the_root_keys(self):
        one, two = secret("one").public, secret("two").public

        assert keys.node_id([one, two], 2) == keys.node_id([two, one], 2)

    def test_changes_with_the_threshold(self):
        one, two = secret("one").public, secret("two").public

        assert keys.node_id([one, two], 1) != keys.node_id([one, two], 2)

    def test_has_a_fingerprint_of_eight_words_that_carry_88_bits(self):
        words = keys.fingerprint([VECTOR_KEY], 1).split()

        assert words == ["session", "scene", "olympic", "wide", "ocean", "usage", "frozen", "balance"]
        number = 0
        for word in words:
            number = number << 11 | keys._words().index(word)
        assert number.to_bytes(11, "big") == keys.identity_hash([VECTOR_KEY], 1)[:11]


class TestPublicKey:
    @pytest.mark.parametrize("hex_key", SMALL_ORDER.values(), ids=SMALL_ORDER)
    def test_refuses_a_small_order_point(self, hex_key):
        with pytest.raises(Refused) as refusal:
            keys.public_key(hex_key)
        assert refusal.value.code == "weak-key"

    @pytest.mark.parametrize("hex_key", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
    def test_refuses_a_second_spelling_of_a_point(self, hex_key):
        with pytest.raises(Refused) as refusal:
            keys.public_key(hex_key)
        assert refusal.value.code == "weak-key"

    @pytest.mark.parametrize(
        "text", ["", "3B" + VECTOR_KEY[2:], VECTOR_KEY[:-2], "zz" + VECTOR_KEY[2:], VECTOR_KEY + "\n"]
    )
    def test_refuses_anything_but_64_lowercase_hex_digits(self, text):
        with pytest.raises(Refused) as refusal:
            keys.public_key(text)
        assert refusal.value.code == "schema-invalid"


class TestSignature:
    # RFC 8032, section 7.1, TEST 2
    SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    SIGNATURE = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )

    def test_agrees_with_rfc_8032(self):
        key = SecretKey.from_seed(bytes.fromhex(self.SEED))

        assert key.sign(b"\x72").hex() == self.SIGNATURE
        assert keys.verify(bytes.fromhex(key.public), b"\x72", bytes.fromhex(self.SIGNATURE))

    def test_refuses_the_same_signature_with_s_plus_the_group_order(self):
        key = SecretKey.from_seed(bytes.fromhex(self.SEED))
        raw = bytes.fromhex(self.SIGNATURE)
        malleated = raw[:32] + (int.from_bytes(raw[32:], "little") + GROUP_ORDER).to_bytes(32, "little")

        assert not keys.verify(bytes.fromhex(key.public), b"\x72", malleated)

    @pytest.mark.parametrize("length", [0, 63, 65])
    def test_refuses_another_length(self, length):
        assert not keys.verify(bytes.fromhex(secret("one").public), b"", b"\0" * length)

    def test_never_shows_the_secret_half(self):
        assert "_expanded" not in repr(secret("one"))

    def test_wants_a_seed_of_32_bytes(self):
        with pytest.raises(ValueError, match="32 bytes"):
            SecretKey.from_seed(b"short")
