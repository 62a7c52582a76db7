"""Lists and objects, and choosing among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.errors import BadArgument, LimitExceeded, TypeMismatch
from tests.opl.script.bench import Bench, failure, reply

ROWS = [{"n": "a", "score": 2}, {"n": "b", "score": 3}, {"n": "c", "score": 2}, {"n": "d", "score": None}]


def call(name: str, *arguments: object) -> object:
    return Bench().call(name, *arguments)


def names(rows: object) -> str:
    return "".join(row["n"] for row in rows)  # type: ignore[attr-defined]


class TestRange:
    @pytest.mark.parametrize(
        ("arguments", "numbers"),
        [
            ((3,), [0, 1, 2]),
            ((0,), []),
            ((1, 4), [1, 2, 3]),
            ((5, 0, -2), [5, 3, 1]),
            ((0, 1, 0.25), [0, 0.25, 0.5, 0.75]),
            ((3, 1), []),
        ],
    )
    def test_stops_before_its_end(self, arguments: tuple[float, ...], numbers: list[float]) -> None:
        assert call("RANGE", *arguments) == numbers

    def test_refuses_to_build_too_long_a_list(self) -> None:
        with pytest.raises(LimitExceeded) as caught:
            call("RANGE", 1e300)

        assert caught.value.code == "opl.limit.list-length"

    def test_refuses_a_step_of_nothing(self) -> None:
        with pytest.raises(BadArgument):
            call("RANGE", 0, 5, 0)


class TestNullAndOthers:
    @pytest.mark.parametrize("name", ["FILTER", "MAP", "SORT", "COUNT", "SUM", "UNIQUE"])
    def test_null_is_an_empty_list_with_a_warning(self, name: str) -> None:
        bench = Bench()

        result = bench.call(name, None, *([lambda x: x] if name in ("FILTER", "MAP") else []))

        assert result in ([], 0)
        assert bench.warnings == ["opl.run.null-collection"]

    @pytest.mark.parametrize("value", [3, True, "text"])
    def test_refuses_what_has_no_members(self, value: object) -> None:
        with pytest.raises(TypeMismatch, match="FILTER needs a list or an object"):
            call("FILTER", value, lambda x: x)


class TestFilter:
    def test_filters_a_list(self) -> None:
        assert call("FILTER", [1, 2, 3], lambda x: x > 1) == [2, 3]

    def test_gives_an_object_of_an_object(self) -> None:
        assert call("FILTER", {"a": 1, "b": 2}, lambda k, v: k != "a") == {"b": 2}

    def test_shows_a_list_element_and_index(self) -> None:
        assert call("FILTER", ["x", "y"], lambda element, index: index == 1) == ["y"]

    def test_takes_a_field_name(self) -> None:
        assert names(call("FILTER", ROWS, "score")) == "abc"


class TestExtract:
    def test_filters_by_booleans(self) -> None:
        assert call("EXTRACT", [1, 2, 3], lambda x: x > 1) == [2, 3]

    def test_maps_otherwise(self) -> None:
        assert call("EXTRACT", ROWS, "n") == ["a", "b", "c", "d"]

    def test_of_an_empty_list_is_empty(self) -> None:
        assert call("EXTRACT", [], "n") == []


class TestSort:
    def test_is_stable_in_both_directions_with_nulls_last(self) -> None:
        assert names(call("SORT", ROWS, "score")) == "acbd"
        assert names(call("SORT", ROWS, "score", "DESC")) == "bacd"

    def test_sorts_values(self) -> None:
        assert call("SORT", [3, 1, 2]) == [1, 2, 3]
        assert call("SORT", ["b", "a"], "DESC") == ["b", "a"]

    def test_knows_descending_as_a_flag(self) -> None:
        assert call("SORT", [1, 3, 2], None, None, True) == [3, 2, 1]
        assert call("SORT", [1, 3, 2], None, None, False) == [1, 2, 3]

    def test_orders_the_fields_of_an_object(self) -> None:
        assert list(call("SORT", {"a": 1, "b": 3, "c": 2}, "DESC")) == ["b", "c", "a"]  # type: ignore[call-overload]

    @pytest.mark.parametrize("values", [[1, "a"], [{}, {}], [[1], [2]]])
    def test_refuses_what_has_no_order(self, values: list[object]) -> None:
        with pytest.raises(TypeMismatch):
            call("SORT", values)

    def test_refuses_another_direction(self) -> None:
        with pytest.raises(BadArgument, match='"ASC" or "DESC"'):
            call("SORT", ROWS, "score", "DOWN")

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers())))
    def test_agrees_with_a_stable_sort(self, pairs: list[tuple[int, int]]) -> None:
        rows = [{"k": key, "v": value} for key, value in pairs]

        assert call("SORT", rows, "k", "DESC") == sorted(rows, key=lambda row: -row["k"])


class TestChoosing:
    def test_takes_the_first_of_the_largest(self) -> None:
        rows = [{"n": "a", "s": 1}, {"n": "b", "s": 2}, {"n": "c", "s": 2}]

        assert call("SELECT_MAX", rows, "s") == rows[1]
        assert call("SELECT_BEST", rows, lambda row: row["s"]) == rows[1]
        assert call("SELECT_MIN", rows, "s") == rows[0]
        assert call("SELECT_TOP", rows, 2, "s") == [rows[1], rows[2]]

    def test_of_nothing_is_null(self) -> None:
        assert call("SELECT_MAX", [], "s") is None

    def test_takes_replies_for_their_numbers(self) -> None:
        better = reply(score=0.9)

        assert call("SELECT_MAX", [reply(score=0.1), better, failure()]) == better

    def test_finds_the_most_common(self) -> None:
        assert call("MOST_COMMON", ["b", "a", "a", "b"]) == "b"
        assert call("MOST_COMMON", []) is None


class TestGroups:
    SALES = [{"r": "n", "v": 1}, {"r": "s", "v": 2}, {"r": "n", "v": 3}]

    def test_groups(self) -> None:
        assert call("GROUP_BY", self.SALES, "r") == {
            "n": [self.SALES[0], self.SALES[2]],
            "s": [self.SALES[1]],
        }

    def test_aggregates_each_group(self) -> None:
        result = call("GROUP_BY", self.SALES, "r", lambda group: sum(row["v"] for row in group))

        assert result == {"n": 4, "s": 2}

    def test_counts_by_key(self) -> None:
        assert call("COUNT_BY", self.SALES, "r") == {"n": 2, "s": 1}
        assert call("COUNT_BY", [None, True, True]) == {"null": 1, "true": 2}


class TestMembers:
    def test_knows_each_member_once(self) -> None:
        assert call("UNIQUE", [1, 1.0, True, "1", {"a": 1, "b": 2}, {"b": 2, "a": 1}]) == [
            1,
            True,
            "1",
            {"a": 1, "b": 2},
        ]
        assert names(call("UNIQUE", ROWS, "score")) == "abd"
        assert call("DISTINCT", ROWS, "score") == [2, 3, None]

    def test_intersects_and_subtracts(self) -> None:
        assert call("INTERSECTION", [1, 2, 2, 3], [2, 3], [3, 2]) == [2, 3]
        assert call("DIFFERENCE", [1, 2, 2, 3], [3], [1]) == [2]

    def test_finds_places(self) -> None:
        assert call("INDEX", ["a", {"b": 1}], {"b": 1.0}) == 1
        assert call("INDEX", [], 1) == -1
        assert call("CONTAINS", "abc", "b") is True

    def test_counts(self) -> None:
        assert call("COUNT", {"a": {"vote": "yes"}, "b": {"vote": "no"}}, lambda v: v["vote"] == "yes") == 1
        assert call("COUNT", [1, None]) == 2
        assert call("ANY", {"a": "busy"}, lambda v: v == "busy") is True
        assert call("ALL", [], lambda v: False) is True

    def test_picks_the_ends(self) -> None:
        assert (call("FIRST", [1, 2]), call("LAST", [1, 2]), call("FIRST", [])) == (1, 2, None)
        assert call("LAST", [1, 2, 3, 4], lambda n: n % 2 == 1) == 3


class TestShapes:
    def test_cuts_and_joins(self) -> None:
        assert call("CHUNK", [1, 2, 3], 2) == [[1, 2], [3]]
        assert call("ZIP", [1, 2, 3], ["a", "b"]) == [[1, "a"], [2, "b"]]
        assert call("FLATTEN", [1, [2, [3]]]) == [1, 2, [3]]
        assert call("FLATTEN", [1, [2, [3]]], 2) == [1, 2, 3]
        assert call("SLICE", [1, 2, 3], -2) == [2, 3]
        assert call("SLICE", "abc", 0, 2) == "ab"
        assert call("REVERSE", [1, 2]) == [2, 1]
        assert call("APPEND", [1], 2) == [1, 2]

    def test_merges(self) -> None:
        assert call("MERGE", {"a": 1, "b": 1}, None, {"b": 2}) == {"a": 1, "b": 2}
        assert call("MERGE", [1], [2]) == [1, 2]
        with pytest.raises(TypeMismatch):
            call("MERGE", {}, [])

    def test_takes_objects_apart(self) -> None:
        assert call("KEYS", {"b": 1, "a": 2}) == ["b", "a"]
        assert call("VALUES", {"b": 1, "a": 2}) == [1, 2]
        assert call("ENTRIES", {"b": 1}) == [["b", 1]]
        assert call("LENGTH", "abc") == 3

    def test_combines(self) -> None:
        assert call("COMBINATIONS", ["a", "b", "c"], 2) == [["a", "b"], ["a", "c"], ["b", "c"]]
        assert call("COMBINATIONS", [1], 2) == []

    def test_refuses_too_many_combinations(self) -> None:
        with pytest.raises(LimitExceeded):
            call("COMBINATIONS", list(range(1000)), 500)

    def test_refuses_to_flatten_into_too_long_a_list(self) -> None:
        with pytest.raises(LimitExceeded):
            call("FLATTEN", [[0] * 10_000] * 101)

    def test_chooses_by_a_condition(self) -> None:
        assert call("CONDITIONAL", [], "yes", "no") == "no"
        assert call("IF", "x", 1, 2) == 1
