"""What pages say of peers and objects, without a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from federation.models import Peer, Statement
from federation.protocol.quarantine import Event, State
from federation.protocol.tiers import Tier
from federation.web import peer_facts, quarantine_facts
from federation.web.views import records
from tests.federation import makers

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


def peer(**changes: object) -> Peer:
    values = {"node_id": "opln1x", "base_url": "https://north.example", "tier": 3, "next_try_at": NOON}
    return Peer(**(values | changes))


class TestWordsOf:
    @pytest.mark.parametrize(
        "identity", [makers.node("north"), makers.node("many", roots=3, threshold=2), makers.author()]
    )
    def test_an_identity_are_its_fingerprint(self, identity: makers.Identity) -> None:
        assert " ".join(peer_facts.words_of(identity.id)) == identity.chain.fingerprint

    @pytest.mark.parametrize("foreign", ["", "opln1", "opln1!!", "opln1aaaa", "é" * 37])
    def test_anything_else_are_none(self, foreign: str) -> None:
        assert peer_facts.words_of(foreign) == ()


class TestHealth:
    @pytest.mark.parametrize(
        ("changes", "key"),
        [
            ({"tier": 0, "failures": 9}, "peer-blocked"),
            ({"is_paused": True, "failures": 9}, "paused"),
            ({"tier": 1, "asked_us_at": NOON}, "peer-asks"),
            ({"failures": 2, "failing_since": NOON - timedelta(hours=1)}, "peer-failing"),
            ({"failures": 90, "failing_since": NOON - timedelta(days=8)}, "dead"),
            ({"base_url": ""}, "peer-quiet"),
            ({}, "peer-waits"),
            ({"approved_there": True, "last_sync_at": NOON}, "ok"),
        ],
    )
    def test_names_what_matters_most(self, changes: dict[str, object], key: str) -> None:
        assert peer_facts.health_of(peer(**changes), NOON)[0] == key


class TestSizeWords:
    @pytest.mark.parametrize(
        ("size", "words"),
        [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (3_500, "3.4 KiB"),
            (64 * 2**20, "64 MiB"),
            (9_000_000, "8.6 MiB"),
        ],
    )
    def test_carry_their_unit(self, size: int, words: str) -> None:
        assert peer_facts.size_words(size) == words


class TestConsequences:
    def test_of_every_move_say_what_changes_and_of_none_nothing(self) -> None:
        for before in Tier:
            for after in Tier:
                changes = [one for one in peer_facts.consequences(before, after) if one.changes]
                assert bool(changes) == (before is not after), (before, after)


class TestWords:
    def test_exist_for_every_state_and_event(self) -> None:
        assert all(quarantine_facts.state_words(state) != str(state) or "_" not in state for state in State)
        assert all(quarantine_facts.event_words(event) != str(event) for event in Event)


class TestForeignName:
    def test_says_who_and_where(self) -> None:
        statement = Statement(subject_name="ada/echo", via=["opln1north"])

        assert quarantine_facts.foreign_name(statement, {"opln1north": "north"}) == "ada@north/echo"
        assert quarantine_facts.foreign_name(statement, {}) == "ada@opln1north/echo"

    def test_cannot_reorder_what_follows(self) -> None:
        statement = Statement(subject_name="ada/echo", via=["opln1north"])

        assert quarantine_facts.foreign_name(statement, {"opln1north": "a"}).isprintable()
        assert quarantine_facts.legible("nor\u202eth\x00\u200b") == "north"


class TestAsProblems:
    @pytest.mark.parametrize(
        "findings", [None, "text", [1, None], [{"line": -1}], [{"line": "x", "severity": "?"}], [{"line": 2**40}]]
    )
    def test_takes_whatever_is_stored(self, findings: object) -> None:
        assert all(one.line == 0 for one in quarantine_facts.as_problems(findings, "a\nb"))

    def test_points_at_the_place(self) -> None:
        found = quarantine_facts.as_problems([{"line": 2, "column": 3, "message": "m", "severity": "error"}], "ab\nabc")

        assert found[0].shown == ("abc", "  ^")


class TestNamed:
    @pytest.mark.parametrize(
        ("asked", "name", "version"),
        [
            ("echo", "echo", ""),
            ("ada/echo@1.0.0", "ada/echo", "1.0.0"),
            ("ada@north/echo@1.0.0", "ada/echo", "1.0.0"),
            ("echo@2", "echo", "2"),
        ],
    )
    def test_reads_names_as_people_write_them(self, asked: str, name: str, version: str) -> None:
        assert records._named(asked) == (name, version)
