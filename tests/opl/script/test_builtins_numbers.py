"""Numbers, votes and tournaments."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.errors import BadArgument, NumberOutOfRange, TypeMismatch
from tests.opl.script.bench import Bench, failure, reply


def call(name: str, *arguments: object) -> object:
    return Bench().call(name, *arguments)


class TestAggregates:
    @pytest.mark.parametrize(
        ("name", "empty", "only_nulls"),
        [
            ("SUM", 0, 0),
            ("AVERAGE", None, 0),
            ("MEAN", None, 0),
            ("MEDIAN", None, None),
            ("VARIANCE", None, None),
            ("STDEV", None, None),
            ("MIN", None, None),
            ("MAX", None, None),
            ("WEIGHTED_MEAN", None, None),
            ("TRIMMED_MEAN", None, None),
        ],
    )
    def test_says_what_nothing_adds_up_to(self, name: str, empty: object, only_nulls: object) -> None:
        assert call(name, []) == empty
        assert call(name, [None, None]) == only_nulls

    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("SUM", 10),
            ("AVERAGE", 2.5),
            ("MEDIAN", 2.5),
            ("VARIANCE", 1.25),
            ("STDEV", math.sqrt(1.25)),
            ("MIN", 1),
            ("MAX", 4),
        ],
    )
    def test_computes_and_skips_nulls_with_a_warning(self, name: str, result: float) -> None:
        bench = Bench()

        assert bench.call(name, [4, 1, None, 3, 2]) == result
        assert bench.warnings == ["opl.run.null-skipped"]

    @pytest.mark.parametrize("name", ["SUM", "AVERAGE", "MEDIAN", "VARIANCE", "STDEV", "MAX", "MIN"])
    @pytest.mark.parametrize("value", ["3", True, {}, [1]])
    def test_refuses_what_is_neither_number_nor_null(self, name: str, value: object) -> None:
        with pytest.raises(TypeMismatch, match=f"{name}|AVERAGE"):
            call(name, [1, value])

    def test_takes_replies_for_their_numbers(self) -> None:
        replies = [reply(score=0.5), reply(value=1), reply("text", agent_id="b") | {"output": 0}, failure()]

        assert call("AVERAGE", replies) == 0.5

    def test_reads_by_a_key(self) -> None:
        assert call("AVERAGE", [{"q": 1}, {"q": 2}, {}], "q") == 1.5
        assert call("SUM", {"a": {"q": 1}, "b": {"q": 2}}, lambda v: v["q"]) == 3

    def test_sums_exactly(self) -> None:
        assert call("SUM", [0.1, 0.2, 0.3]) == 0.6

    def test_gives_integers_where_it_can(self) -> None:
        assert type(call("AVERAGE", [1, 3])) is int
        assert type(call("VARIANCE", [1, 3])) is int

    def test_refuses_a_sum_without_end(self) -> None:
        with pytest.raises(NumberOutOfRange):
            call("SUM", [1e308, 1e308])


class TestExtremes:
    ROWS = [{"s": 1}, {"s": 3}, {"s": None}]

    def test_with_a_key_gives_the_element(self) -> None:
        assert call("MAX", self.ROWS, lambda row: row["s"]) == {"s": 3}
        assert call("MIN", self.ROWS, "s") == {"s": 1}

    def test_of_several_values_gives_the_value(self) -> None:
        assert call("MAX", 1, 2) == 2
        assert call("MIN", 3, 2, 1) == 1
        assert call("MAX", "a", "b") == "b"
        assert call("MAX", 5) == 5

    def test_of_objects_without_a_key_is_an_error(self) -> None:
        with pytest.raises(TypeMismatch):
            call("MAX", [{"s": 1}])


class TestWeightedMean:
    def test_reads_the_usual_fields(self) -> None:
        rows = [{"value": 1, "weight": 3}, {"score": 5, "confidence": 1}, {"score": 2}]

        assert call("WEIGHTED_MEAN", rows) == 2
        assert call("WEIGHTED_MEAN", [1, 3]) == 2

    def test_reads_replies(self) -> None:
        replies = [reply(score=1, confidence=0.5), reply(score=0, confidence=0.5), failure()]

        assert call("WEIGHTED_MEAN", replies) == 0.5

    def test_takes_keys(self) -> None:
        rows = [{"x": 1, "w": 1}, {"x": 4, "w": 2}]

        assert call("WEIGHTED_MEAN", rows, "x", lambda row: row["w"]) == 3

    def test_of_no_weight_is_null(self) -> None:
        assert call("WEIGHTED_MEAN", [{"value": 1, "weight": 0}]) is None

    def test_refuses_strings(self) -> None:
        with pytest.raises(TypeMismatch):
            call("WEIGHTED_MEAN", ["a"])


class TestPercentile:
    @pytest.mark.parametrize(("p", "value"), [(0, 10), (25, 17.5), (50, 25), (100, 40)])
    def test_is_linear(self, p: int, value: float) -> None:
        assert call("PERCENTILE", [40, 10, 30, 20], p) == value

    def test_refuses_what_is_no_percentage(self) -> None:
        with pytest.raises(BadArgument):
            call("PERCENTILE", [1], 101)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
    def test_lies_between_the_extremes(self, numbers: list[float], p: float) -> None:
        value = call("PERCENTILE", numbers, p)

        assert min(numbers) - 1e-9 <= value <= max(numbers) + 1e-9  # type: ignore[operator]


class TestRounding:
    @pytest.mark.parametrize(
        ("arguments", "result"),
        [
            ((0.5,), 1),
            ((-0.5,), -1),
            ((2.5,), 3),
            ((1.005, 2), 1.01),
            ((1234, -2), 1200),
            ((1e300, 2), 1e300),
            ((2.4,), 2),
            ((0.1, 400), 0.1),
        ],
    )
    def test_goes_half_away_from_zero(self, arguments: tuple[float, ...], result: float) -> None:
        assert call("ROUND", *arguments) == result

    def test_gives_integers(self) -> None:
        assert [type(call(name, 1.5)) for name in ("ROUND", "FLOOR", "CEIL")] == [int] * 3

    def test_floors_and_ceils(self) -> None:
        assert (call("FLOOR", -1.5), call("CEIL", -1.5), call("ABS", -1.5)) == (-2, -1, 1.5)

    def test_clamps(self) -> None:
        assert [call("CLAMP", n, 0, 1) for n in (-1, 0.5, 2)] == [0, 0.5, 1]


class TestFunctions:
    def test_computes(self) -> None:
        assert call("SQRT", 9) == 3
        assert call("LOG", 8, 2) == 3
        assert call("LOG", 100, 10) == 2
        assert call("EXP", 0) == 1
        assert call("POW", 2, 10) == 1024

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("SQRT", (-1,)), ("LOG", (0,)), ("EXP", (1000,)), ("POW", (0, -1)), ("POW", (-8, 0.5))],
    )
    def test_refuses_what_is_not_defined(self, name: str, arguments: tuple[float, ...]) -> None:
        with pytest.raises(NumberOutOfRange):
            call(name, *arguments)


class TestVote:
    def test_counts(self) -> None:
        assert call("VOTE", ["a", "b", "a"]) == {
            "winner": "a",
            "counts": {"a": 2, "b": 1},
            "share": pytest.approx(2 / 3),
            "tie": False,
        }

    def test_names_a_tie(self) -> None:
        result = call("VOTE", [True, False])

        assert (result["winner"], result["tie"]) == (True, True)  # type: ignore[index]

    def test_reads_votes_of_replies(self) -> None:
        bench = Bench()

        result = bench.call("VOTE", {"x": reply(vote="yes"), "y": reply(vote="yes"), "z": failure()})

        assert (result["winner"], result["share"]) == ("yes", 1)
        assert bench.warnings == ["opl.run.null-skipped"]

    def test_of_nothing_has_no_winner(self) -> None:
        assert call("VOTE", []) == {"winner": None, "counts": {}, "share": 0, "tie": False}

    def test_reaches_consensus_at_the_threshold(self) -> None:
        assert call("CONSENSUS", ["a", "a", "b", "a"], 0.75) == {"reached": True, "value": "a", "share": 0.75}
        assert call("CONSENSUS", ["a", "b"], 0.75)["reached"] is False  # type: ignore[index]
        assert call("CONSENSUS", [], 0)["reached"] is False  # type: ignore[index]


class TestRankedChoice:
    def test_transfers_ballots(self) -> None:
        ballots = [["a", "b"], ["a", "b"], ["b", "a"], ["b", "a"], ["c", "b"]]

        result = call("RANKED_CHOICE", ballots)

        assert result == {
            "winner": "b",
            "rounds": [
                {"counts": {"a": 2, "b": 2, "c": 1}, "eliminated": "c"},
                {"counts": {"a": 2, "b": 3}, "eliminated": None},
            ],
        }

    def test_of_nothing_has_no_winner(self) -> None:
        assert call("RANKED_CHOICE", []) == {"winner": None, "rounds": []}

    def test_refuses_what_is_no_ballot(self) -> None:
        with pytest.raises(TypeMismatch, match="list of choices"):
            call("RANKED_CHOICE", ["a"])


class TestTrimmedMean:
    def test_leaves_out_both_ends(self) -> None:
        assert call("TRIMMED_MEAN", [100, 1, 2, 3, -100], 0.2) == 2
        assert call("TRIMMED_MEAN", [1, 2, 30], 0) == 11


class TestTournament:
    @given(st.integers(0, 12))
    def test_round_robin_pairs_everyone_once(self, count: int) -> None:
        players = [f"p{n}" for n in range(count)]

        matches = call("ROUND_ROBIN", players)

        met = {frozenset(match) for match in matches}  # type: ignore[attr-defined]
        assert len(met) == len(matches) == count * (count - 1) // 2  # type: ignore[arg-type]

    def test_round_robin_goes_round_by_round(self) -> None:
        matches = call("ROUND_ROBIN", ["a", "b", "c", "d"])

        for one, other in pairwise(matches[:2]):  # type: ignore[index]
            assert not set(one) & set(other)

    def test_swiss_pairs_neighbours_who_have_not_met(self) -> None:
        standings = {
            "a": {"points": 2, "opponents": ["b"]},
            "b": {"points": 2, "opponents": ["a"]},
            "c": {"points": 1, "opponents": []},
            "d": {"points": 0, "opponents": []},
        }

        assert call("SWISS_PAIRING", ["d", "c", "b", "a"], standings) == [["b", "c"], ["a", "d"]]

    def test_swiss_gives_the_last_a_bye(self) -> None:
        assert call("SWISS_PAIRING", ["a", "b", "c"], {"a": 0, "b": 1, "c": 2}) == [["c", "b"]]

    def test_swiss_spreads_byes(self) -> None:
        rows = [{"player": "a", "points": 1, "opponents": ["b"]}, {"player": "b", "opponents": ["a"]}]

        assert call("SWISS_PAIRING", ["a", "b", "c"], rows) == [["a", "c"]]

    def test_elo_moves_points(self) -> None:
        assert call("ELO", {"a": 1500, "b": 1500}, {"winner": "a", "loser": "b"}) == {"a": 1516, "b": 1484}
        assert call("ELO", None, {"a": "x", "b": "y", "score": 0.5}) == {"x": 1500, "y": 1500}

    def test_elo_keeps_the_sum(self) -> None:
        result = call("ELO", {"a": 1800, "b": 1200}, [{"winner": "b", "loser": "a"}] * 3)

        assert sum(result.values()) == pytest.approx(3000)  # type: ignore[attr-defined]

    def test_bradley_terry_orders_players(self) -> None:
        games = [{"winner": "a", "loser": "b"}, {"winner": "b", "loser": "c"}, {"winner": "a", "loser": "c"}]

        strengths = call("BRADLEY_TERRY", games)

        assert strengths["a"] > strengths["b"] > strengths["c"] > 0  # type: ignore[index]
        assert sum(strengths.values()) == pytest.approx(1)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("game", [3, {}, {"winner": "a", "loser": "a"}, {"a": 1, "b": 2, "score": 2}])
    def test_refuses_what_is_no_game(self, game: object) -> None:
        with pytest.raises((BadArgument, TypeMismatch)):
            call("ELO", {}, game)
