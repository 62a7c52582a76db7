"""The feed: what a page may hold, where a reader stands, and how far a line travels."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import feed, limits
from federation.protocol.feed import BadLine, Cursor, Line, Row
from federation.protocol.problems import Refused
from tests.federation.makers import author, node, release, withdrawal

ADA, NORTH, SOUTH = author(), node(), node("south")
GOOD = release(ADA, NORTH)
WIRE = feed.line(GOOD, via=[NORTH.id], seq=7).to_bytes()
EPOCH = "0123456789abcdef" * 2


def code_of(call, *args, **kwargs):
    with pytest.raises(Refused) as refusal:
        call(*args, **kwargs)
    return refusal.value.code


def changed(**changes):
    return json.dumps(json.loads(WIRE) | changes).encode()


class TestLine:
    def test_carries_a_statement_byte_for_byte(self):
        line = feed.read_line(WIRE, numbered=True)

        assert line == feed.line(GOOD, via=[NORTH.id], seq=7)
        assert line.envelope.id == GOOD.id

    def test_has_the_members_of_the_protocol(self):
        assert set(json.loads(WIRE)) == {"seq", "k", "p", "sig", "via"}
        assert set(json.loads(feed.line(GOOD, via=[NORTH.id]).to_bytes())) == {"k", "p", "sig", "via"}

    def test_carries_text_beyond_ascii(self):
        spoken = release(ADA, NORTH, source="# é 😀\n")
        raw = feed.line(spoken, via=[NORTH.id], seq=1).to_bytes()

        assert feed.read_line(raw, numbered=True).envelope == spoken.envelope

    @pytest.mark.parametrize(
        "changes",
        [
            {"seq": 0}, {"seq": None}, {"seq": "7"}, {"k": 5}, {"p": None}, {"p": {"x": 1}}, {"sig": []}, {"via": []},
            {"via": ["opln1x"]}, {"via": [NORTH.id, NORTH.id]}, {"via": [node(str(n)).id for n in range(5)]}, {"via": None},
            {"p": "\ud800"},
        ],
        ids=repr,
    )  # fmt: skip
    def test_of_another_form_is_refused(self, changes):
        assert code_of(feed.read_line, changed(**changes), numbered=True) == "schema-invalid"

    def test_of_a_push_has_no_number(self):
        assert code_of(feed.read_line, WIRE, numbered=False) == "schema-invalid"

    def test_with_a_huge_payload_is_refused_before_it_is_parsed(self):
        huge = changed(p="x" * (limits.EQUIVOCATION_BYTES + 1))

        assert code_of(feed.read_line, huge, numbered=True) == "statement-too-large"

    @given(st.binary(max_size=200))
    def test_of_any_bytes_gives_our_error(self, raw):
        assert code_of(feed.read_line, raw, numbered=True) == "schema-invalid"


class TestReadLines:
    def test_goes_on_after_a_bad_line(self):
        body = b"\n".join([WIRE, b'{"seq": 8, "broken', changed(seq=9)]) + b"\n"

        first, bad, last = feed.read_lines(body, numbered=True, most=500)

        assert isinstance(bad, BadLine)
        assert (bad.seq, bad.code) == (8, "schema-invalid")
        assert isinstance(first, Line)
        assert isinstance(last, Line)

    def test_refuses_a_page_with_too_many_lines(self):
        assert code_of(lambda: list(feed.read_lines(WIRE + b"\n" + WIRE, numbered=True, most=1))) == "page-too-large"

    def test_refuses_a_page_above_4_mib_before_it_is_split(self):
        body = b"\n" * (limits.PAGE_BYTES + 1)

        assert code_of(lambda: list(feed.read_lines(body, numbered=True, most=500))) == "page-too-large"


class TestCursor:
    def test_is_written_as_epoch_and_number(self):
        assert str(Cursor.read(f"{EPOCH}:12")) == f"{EPOCH}:12"

    @pytest.mark.parametrize("text", ["", "12", f"{EPOCH}:", f"{EPOCH}:-1", f"{EPOCH}:01", f"{EPOCH.upper()}:1", f"{EPOCH}:1 ",
                                      f"{EPOCH}:1\n", f"{EPOCH}:" + "9" * 30, f"{EPOCH}:１"])  # fmt: skip
    def test_of_another_form_is_refused(self, text):
        assert code_of(Cursor.read, text) == "schema-invalid"

    def test_left_out_means_the_beginning(self):
        assert feed.judge_since(None, epoch=EPOCH, head=5) == Cursor(EPOCH, 0)

    def test_of_another_epoch_is_reset(self):
        assert code_of(feed.judge_since, f"{'0' * 32}:1", epoch=EPOCH, head=5) == "cursor-reset"

    def test_past_the_head_is_reset(self):
        assert feed.judge_since(f"{EPOCH}:5", epoch=EPOCH, head=5).seq == 5
        assert code_of(feed.judge_since, f"{EPOCH}:6", epoch=EPOCH, head=5) == "cursor-reset"


def rows(*given_rows):
    """Rows numbered from 1; each is (kind, topics, visible)."""
    for seq, (kind, topics, visible) in enumerate(given_rows, start=1):
        yield Row(seq=seq, kind=kind, topics=frozenset(topics), line=lambda seq=seq: b"%d" % seq, visible=visible)


RELEASE = ("release", ["voting"], True)
OTHER_TOPIC = ("release", ["debate"], True)
HIDDEN = ("release", ["voting"], False)


def page(*given_rows, limit=100, since=0, **filters):
    filters = {name: frozenset(value) for name, value in filters.items()}
    return feed.page(rows(*given_rows), since=Cursor(EPOCH, since), limit=limit, **filters)


class TestPage:
    def test_of_nothing_stays_where_the_reader_is(self):
        built = page(since=9)

        assert (built.body, built.cursor.seq, built.more) == (b"", 9, False)

    def test_looks_past_what_it_filters_out(self):
        built = page(RELEASE, OTHER_TOPIC, HIDDEN, topics=["voting"])

        assert (built.lines, built.cursor.seq, built.more) == ((b"1",), 3, False)

    def test_stops_at_its_limit_and_says_there_is_more(self):
        built = page(RELEASE, RELEASE, RELEASE, limit=2)

        assert (built.lines, built.cursor.seq, built.more) == ((b"1", b"2"), 2, True)

    def test_with_only_hidden_lines_after_its_limit_is_the_last(self):
        built = page(RELEASE, HIDDEN, limit=1)

        assert (built.cursor.seq, built.more) == (2, False)

    @pytest.mark.parametrize("kind", ["root", "yank", "revoke", "erase", "equivocation"])
    def test_never_filters_out_what_warns(self, kind):
        built = page((kind, [], True), topics=["voting"], wanted=["release"])

        assert built.lines == (b"1",)

    def test_filters_by_kind(self):
        assert page(RELEASE, ("usage", [], True), wanted=["usage"]).lines == (b"2",)

    def test_stops_below_4_mib(self):
        big = [
            Row(seq=seq, kind="release", topics=frozenset(), line=lambda: b"x" * 2**20, visible=True)
            for seq in range(1, 7)
        ]

        built = feed.page(big, since=Cursor(EPOCH, 0), limit=100)

        assert (len(built.lines), built.cursor.seq, built.more) == (3, 3, True)
        assert len(built.body) <= limits.PAGE_BYTES

    @given(
        st.lists(st.sampled_from([RELEASE, OTHER_TOPIC, HIDDEN, ("yank", [], True)]), max_size=30),
        st.integers(1, 5),
        st.sampled_from([[], ["voting"]]),
    )
    def test_after_page_gives_every_line_once(self, given_rows, limit, topics):
        """Reading to the end in pages of any size gives what one big page gives."""
        everything, seen, cursor, more = list(rows(*given_rows)), [], Cursor(EPOCH, 0), True
        while more:
            built = feed.page(everything[cursor.seq :], since=cursor, limit=limit, topics=frozenset(topics))
            assert built.cursor.seq > cursor.seq or not built.more
            seen, cursor, more = seen + list(built.lines), built.cursor, built.more

        assert seen == list(feed.page(everything, since=Cursor(EPOCH, 0), limit=500, topics=frozenset(topics)).lines)
        assert cursor.seq == len(everything)


class TestReach:
    @pytest.mark.parametrize(
        ("propagate", "nodes"), [("none", 0), ("peers", 1), ("hops:1", 1), ("hops:3", 3), ("hops:99", 4), ("public", 4)]
    )
    def test_follows_what_the_author_allows(self, propagate, nodes):
        assert feed.reach(release(ADA, NORTH, propagate=propagate)) == nodes

    def test_of_a_withdrawal_is_as_far_as_any(self):
        assert feed.reach(withdrawal("yank", ADA, GOOD.id)) == 4

    def test_ends_after_the_allowed_nodes(self):
        assert feed.may_send(allowed_hops=1, via=[NORTH.id], to=SOUTH.id)
        assert not feed.may_send(allowed_hops=1, via=[NORTH.id, SOUTH.id], to=node("east").id)
        assert not feed.may_send(allowed_hops=0, via=[NORTH.id], to=SOUTH.id)

    def test_never_leads_back(self):
        assert not feed.may_send(allowed_hops=4, via=[NORTH.id, SOUTH.id], to=NORTH.id)


class TestReturning:
    VIA = (NORTH.id, SOUTH.id, node("east").id)

    @pytest.mark.parametrize(
        ("to", "is_giver", "is_via_believed", "may"),
        [
            (SOUTH.id, True, False, True),  # it gave it to us
            (NORTH.id, False, True, True),  # it passed through there, says one we believe
            (NORTH.id, False, False, False),  # so says a stranger
            (node("west").id, False, True, False),  # it never was there
            (node("west").id, True, True, False),
        ],
    )
    def test_goes_back_to_whom_it_came_through(self, to, is_giver, is_via_believed, may):
        found = feed.may_return(via=self.VIA, to=to, is_giver=is_giver, is_via_believed=is_via_believed)

        assert found is may


class TestVia:
    def test_ends_with_the_sender(self):
        feed.judge_via([NORTH.id, SOUTH.id], sender=SOUTH.id, own=node("east").id)

        assert code_of(feed.judge_via, [SOUTH.id, NORTH.id], sender=SOUTH.id, own=node("east").id) == "schema-invalid"

    def test_refuses_what_was_here_before(self):
        assert code_of(feed.judge_via, [NORTH.id, SOUTH.id], sender=SOUTH.id, own=NORTH.id) == "schema-invalid"
