"""Finding what two sets differ in: complete, bounded per frame, and safe against frames that are none."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol import reconcile
from federation.protocol.problems import Refused
from federation.protocol.reconcile import IdSet, Initiator, varint


def an_id(number: int) -> bytes:
    return sha256(number.to_bytes(8, "big")).digest()


def run(ours: set[bytes], theirs: set[bytes], *, frame_bytes: int = 65_536) -> tuple[Initiator, int, int]:
    """Reconcile two sets; answers the client, the number of round trips and of bytes."""
    client, server = Initiator(IdSet(ours), frame_bytes=frame_bytes), IdSet(theirs)
    frame, trips, size = client.first(), 0, 0
    while frame is not None:
        answer = reconcile.respond(server, frame, frame_bytes=frame_bytes)
        assert len(frame) <= frame_bytes
        assert len(answer) <= frame_bytes
        trips, size = trips + 1, size + len(frame) + len(answer)
        assert trips < 10_000
        frame = client.next(answer)
    return client, trips, size


class TestWire:
    @pytest.mark.parametrize(
        ("number", "written"), [(0, "00"), (127, "7f"), (128, "8100"), (300, "822c"), (2**32, "9080808000")]
    )
    def test_writes_varints_most_significant_digit_first(self, number, written):
        assert varint(number).hex() == written

    def test_fingerprints_the_little_endian_sum_and_the_count(self):
        one, two = an_id(1), an_id(2)
        total = (int.from_bytes(one, "little") + int.from_bytes(two, "little")) % 2**256

        assert IdSet([one, two]).fingerprint(0, 2) == sha256(total.to_bytes(32, "little") + b"\x02").digest()[:16]

    def test_of_nothing_is_an_empty_list_up_to_infinity(self):
        assert Initiator(IdSet([])).first() == bytes.fromhex("6100 000200")

    def test_of_one_id_lists_it(self):
        assert Initiator(IdSet([an_id(1)])).first() == bytes.fromhex("61000002 01") + an_id(1)

    def test_of_32_ids_sends_16_fingerprints_with_the_shortest_bounds(self):
        ids = [bytes([number * 8, *([7] * 31)]) for number in range(32)]

        frame = Initiator(IdSet(ids)).first()

        assert frame[:5] == bytes([0x61, 1, 1, 16, 1])  # time 0, prefix of one byte, the third id's first byte
        assert len(frame) == 1 + 15 * (3 + 1 + 16) + (2 + 1 + 16)

    def test_answers_an_equal_set_with_an_empty_frame(self):
        ids = IdSet(an_id(number) for number in range(100))

        assert reconcile.respond(ids, Initiator(ids).first()) == b"\x61"

    def test_answers_another_version_with_its_own(self):
        assert reconcile.respond(IdSet([]), b"\x62\x00") == b"\x61"

    def test_takes_bounds_beyond_time_zero_as_beyond_all_ids(self):
        frame = b"\x61" + bytes.fromhex("05 00 02 00")

        assert reconcile.respond(IdSet([an_id(1)]), frame).endswith(an_id(1))


class TestExchange:
    @settings(deadline=None, max_examples=150)
    @given(st.sets(st.integers(0, 400)), st.sets(st.integers(0, 400)), st.sampled_from([1_300, 4_096, 65_536]))
    def test_finds_exactly_the_differences(self, ours, theirs, frame_bytes):
        client, _, _ = run({an_id(n) for n in ours}, {an_id(n) for n in theirs}, frame_bytes=frame_bytes)

        assert client.need == {an_id(n) for n in theirs - ours}
        assert client.have == {an_id(n) for n in ours - theirs}

    @settings(deadline=None, max_examples=50)
    @given(st.sets(st.binary(min_size=1, max_size=1)), st.sets(st.binary(min_size=1, max_size=1)))
    def test_finds_them_among_ids_that_share_long_prefixes(self, ours, theirs):
        client, _, _ = run({b"\x00" * 31 + tail for tail in ours}, {b"\x00" * 31 + tail for tail in theirs})

        assert {each[-1:] for each in client.need} == theirs - ours

    def test_fetches_a_whole_set_through_small_frames(self):
        theirs = {an_id(number) for number in range(2_000)}

        client, _, _ = run(set(), theirs, frame_bytes=4_096)

        assert client.need == theirs

    def test_of_ten_thousand_with_a_hundred_differences_needs_few_trips_and_bytes(self):
        rng = random.Random(7)
        ours, theirs = {an_id(n) for n in range(10_000)}, {an_id(n) for n in range(10_000)}
        for number in rng.sample(range(10_000), 50):
            ours.discard(an_id(number))
        theirs |= {an_id(number) for number in range(20_000, 20_050)}

        client, trips, size = run(ours, theirs)

        assert len(client.need) == 100
        assert trips <= 5
        assert size < 200_000


class TestForeignFrame:
    @pytest.mark.parametrize(
        "frame",
        [
            b"",
            b"\x61\x00",
            b"\x61\x00\x00",
            b"\x61\x00\x00\x07",
            b"\x61\x00\x00\x01\x00",
            b"\x61\x00\x00\x02\x01",
            b"\x61\x01\x21" + b"x" * 33 + b"\x00",
            b"\x61" + b"\xff" * 12,
            b"\x61\x00\x00\x02\xff\xff\xff\xff\xff\xff\xff\x7f",
        ],
        ids=bytes.hex,
    )
    def test_that_is_malformed_is_refused(self, frame):
        with pytest.raises(Refused) as refusal:
            reconcile.respond(IdSet([an_id(1)]), frame)
        assert refusal.value.code == "schema-invalid"

    def test_above_64_kib_is_refused(self):
        with pytest.raises(Refused) as refusal:
            reconcile.respond(IdSet([]), b"\x61" + b"\x00" * 65_536)
        assert refusal.value.code == "page-too-large"

    def test_of_another_version_ends_the_client(self):
        with pytest.raises(Refused, match="another version"):
            Initiator(IdSet([])).next(b"\x60")

    @given(st.binary(max_size=300))
    def test_of_any_bytes_gives_an_answer_or_our_error(self, frame):
        ids = IdSet(an_id(number) for number in range(100))
        try:
            assert len(reconcile.respond(ids, b"\x61" + frame)) <= 65_536
        except Refused as refusal:
            assert refusal.code == "schema-invalid"
