"""The operators of the language on its values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.errors import DivisionByZero, LimitExceeded, NumberOutOfRange, TypeMismatch
from opl.script import printing, values
from opl.script.effects import completion_result

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def reply(**fields: object) -> dict[str, object]:
    return completion_result(agent_id="a", answer=fields)


class TestNumberText:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (25.0, "25"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (123456.789, "123456.789"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.23e-18, "1.23e-18"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (float(2**53), "9007199254740992"),
        ],
    )
    def test_prints_as_ecmascript_does(self, number: float, text: str) -> None:
        assert values.number_text(number) == text

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_reads_back_as_the_same_number(self, number: float) -> None:
        assert float(values.number_text(number)) == number

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_has_an_exponent_only_where_ecmascript_has(self, number: float) -> None:
        has_exponent = "e" in values.number_text(number)

        assert has_exponent == (number != 0 and not 1e-6 <= abs(number) < 1e21)


class TestStringify:
    @given(JSON_VALUES)
    def test_writes_json_that_says_the_same(self, value: object) -> None:
        assert values.equal(values.parse_json(values.stringify(value)), values.normalise(value))

    @given(JSON_VALUES)
    def test_writes_the_same_fast_and_carefully(self, value: object) -> None:
        normal = values.normalise(value)
        pieces: list[str] = []
        printing._write(normal, pieces, "", "", 64)

        assert values.stringify(normal) == "".join(pieces)

    def test_keeps_the_order_of_keys(self) -> None:
        assert values.stringify({"b": 1, "a": [2.5, None, True]}) == '{"b":1,"a":[2.5,null,true]}'

    def test_indents(self) -> None:
        assert values.stringify({"a": [1], "b": {}}, 2) == '{\n  "a": [\n    1\n  ],\n  "b": {}\n}'

    def test_indents_with_a_string(self) -> None:
        assert values.stringify([1], "--") == "[\n--1\n]"

    def test_escapes_a_lone_surrogate(self) -> None:
        assert values.stringify("\ud800é") == '"\\ud800é"'

    def test_refuses_a_value_that_shares_itself_into_gigabytes(self) -> None:
        value: object = ["x" * 1000]
        for _ in range(30):
            value = [value, value]

        with pytest.raises(LimitExceeded):
            values.stringify(value)


class TestToText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [("as it is", "as it is"), (None, ""), (25, "25"), (0.5, "0.5"), (True, "true"), ({"a": 1}, '{"a":1}')],
    )
    def test_prints(self, value: object, text: str) -> None:
        assert values.to_text(value) == text


class TestArithmetic:
    def test_an_integral_quotient_has_no_fraction(self) -> None:
        result = values.divide(50, 2)

        assert (result, type(result)) == (25, int)

    def test_a_large_integer_becomes_a_double(self) -> None:
        result = values.add(2**53 - 1, 1)

        assert (result, type(result)) == (2.0**53, float)

    def test_rounds_like_doubles(self) -> None:
        assert values.add(0.1, 0.2) == 0.30000000000000004
        assert values.multiply(2**53 - 1, 3) == float((2**53 - 1) * 3)

    @pytest.mark.parametrize(("a", "b", "rest"), [(-1, 3, 2), (1, -3, -2), (7, 3, 1), (5.5, 2, 1.5)])
    def test_a_remainder_has_the_divisors_sign(self, a: float, b: float, rest: float) -> None:
        assert values.modulo(a, b) == rest

    def test_floors(self) -> None:
        assert values.floor_divide(-7, 2) == -4

    @pytest.mark.parametrize("operator", [values.divide, values.floor_divide, values.modulo])
    def test_refuses_zero_as_divisor(self, operator) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(DivisionByZero, match="test the divisor"):
            operator(1, 0)

    def test_refuses_a_result_without_end(self) -> None:
        with pytest.raises(NumberOutOfRange):
            values.multiply(1e308, 10)

    @pytest.mark.parametrize(
        "operator",
        [values.subtract, values.multiply, values.divide, values.floor_divide, values.modulo, values.add],
    )
    @pytest.mark.parametrize("other", [None, True, []])
    def test_refuses_what_is_no_number(self, operator, other: object) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(TypeMismatch):
            operator(1, other)

    def test_says_that_null_is_the_trouble(self) -> None:
        with pytest.raises(TypeMismatch, match="test for null first"):
            values.subtract(1, None)

    def test_takes_a_reply_for_its_number(self) -> None:
        assert values.subtract(reply(score=0.75), 0.25) == 0.5
        assert values.add(reply(value=2), 1) == 3
        assert values.less(completion_result(agent_id="a", answer=3), 4)

    def test_negates(self) -> None:
        assert values.negate(3) == -3
        with pytest.raises(TypeMismatch):
            values.negate("3")

    @given(st.integers(-(2**53) + 1, 2**53 - 1), st.integers(-(2**53) + 1, 2**53 - 1))
    def test_agrees_with_doubles(self, a: int, b: int) -> None:
        assert values.add(a, b) == float(a) + float(b)
        assert values.subtract(a, b) == float(a) - float(b)
        assert values.multiply(a, b) == float(a) * float(b)


class TestAdd:
    def test_joins_a_string_with_anything(self) -> None:
        assert values.add("n = ", 25.0) == "n = 25"
        assert values.add([1], " item") == "[1] item"
        assert values.add("x", None) == "x"

    def test_joins_lists_into_a_new_one(self) -> None:
        first = [1]

        assert values.add(first, [2]) == [1, 2]
        assert first == [1]

    @pytest.mark.parametrize(("a", "b"), [([1], 2), ({}, {}), (None, 1), (True, True)])
    def test_refuses_other_pairs(self, a: object, b: object) -> None:
        with pytest.raises(TypeMismatch):
            values.add(a, b)

    def test_refuses_a_string_beyond_the_limit(self) -> None:
        half = "é" * (300 * 1024)

        with pytest.raises(LimitExceeded) as caught:
            values.add(half, half)

        assert caught.value.code == "opl.limit.string-bytes"


class TestEqual:
    @pytest.mark.parametrize(
        ("a", "b"),
        [(1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1, [2]], [1.0, [2]]), (None, None)],
    )
    def test_is_deep(self, a: object, b: object) -> None:
        assert values.equal(a, b)

    @pytest.mark.parametrize(
        ("a", "b"), [(True, 1), (False, 0), ("1", 1), (None, False), ([True], [1]), ({"a": None}, {}), ([], {})]
    )
    def test_never_coerces(self, a: object, b: object) -> None:
        assert not values.equal(a, b)


class TestOrder:
    def test_orders_numbers_and_strings(self) -> None:
        assert values.less(1, 1.5)
        assert values.less("Z", "a")
        assert values.greater_equal(2, 2)
        assert values.less_equal("a", "a")
        assert values.greater("b", "a")

    @pytest.mark.parametrize(("a", "b"), [(1, "1"), (None, 1), (True, False), ([1], [2])])
    def test_refuses_other_pairs(self, a: object, b: object) -> None:
        with pytest.raises(TypeMismatch, match="no order"):
            values.less(a, b)


class TestContains:
    def test_looks_into_lists_objects_and_strings(self) -> None:
        assert values.contains({"a": 1}, [{"a": 1.0}])
        assert values.contains("a", {"a": None})
        assert values.contains("bc", "abcd")
        assert not values.contains(True, [1])
        assert not values.contains("a", None)

    @pytest.mark.parametrize(("item", "container"), [(1, "1"), (1, 5), ("a", True)])
    def test_refuses_what_has_no_members(self, item: object, container: object) -> None:
        with pytest.raises(TypeMismatch):
            values.contains(item, container)


class TestReading:
    def test_gives_null_for_what_is_missing(self) -> None:
        assert values.get_field({}, "a") is None
        assert values.get_field([], "a") is None
        assert values.get_field(None, "a") is None
        assert values.get_index([1], 5) is None
        assert values.get_index([1], 0.5) is None
        assert values.get_index(None, "a") is None
        assert values.get_index("abc", 3) is None

    def test_counts_from_the_end(self) -> None:
        assert values.get_index([1, 2, 3], -1) == 3
        assert values.get_index([1], -2) is None
        assert values.get_index("abc", -1) == "c"

    def test_knows_the_length(self) -> None:
        assert [values.get_field(value, "length") for value in ("ab", [1], {}, None)] == [2, 1, 0, None]
        assert values.get_field({"length": "own"}, "length") == "own"

    def test_looks_numbers_up_as_they_print(self) -> None:
        assert values.get_index({"1": "one"}, 1) == "one"

    def test_refuses_fields_of_scalars(self) -> None:
        with pytest.raises(TypeMismatch, match="'score'"):
            values.get_field("text", "score")
        with pytest.raises(TypeMismatch):
            values.get_index(3, 0)


class TestCopy:
    @given(JSON_VALUES)
    def test_is_equal(self, value: object) -> None:
        assert values.equal(values.copy(value), value)

    def test_shares_nothing(self) -> None:
        inner = [1]
        copied = values.copy({"a": inner})

        copied["a"].append(2)

        assert inner == [1]

    def test_refuses_a_value_that_nests_too_deeply(self) -> None:
        value: object = 1
        for _ in range(5000):
            value = [value]

        with pytest.raises(LimitExceeded, match="nesting"):
            values.copy(value)

    def test_refuses_a_value_that_doubles_itself(self) -> None:
        value: object = 1
        for _ in range(40):
            value = [value, value]

        with pytest.raises(LimitExceeded):
            values.copy(value)


class TestNormalise:
    def test_makes_values_of_the_language(self) -> None:
        result = values.normalise({"a": (1.0, 2**60), 3: None})

        assert result == {"a": [1, float(2**60)], "3": None}
        assert [type(item) for item in result["a"]] == [int, float]

    @pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
    def test_refuses_what_is_no_finite_number(self, value: float) -> None:
        with pytest.raises(NumberOutOfRange):
            values.normalise([value])

    def test_refuses_what_json_cannot_say(self) -> None:
        with pytest.raises(TypeMismatch):
            values.normalise({"a": object()})


class TestParseJson:
    @given(st.text())
    def test_gives_a_value_or_says_that_it_is_none(self, text: str) -> None:
        try:
            value = values.parse_json(text)
        except ValueError:
            return

        assert values.equal(values.parse_json(values.stringify(value)), value)

    @pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", "{'a': 1}", ""])
    def test_refuses(self, text: str) -> None:
        with pytest.raises(ValueError):
            values.parse_json(text)

    def test_refuses_deep_nesting(self) -> None:
        with pytest.raises(LimitExceeded):
            values.parse_json("[" * 100_000)


class TestWeight:
    def test_grows_with_the_value(self) -> None:
        assert values.weight({"a": "x" * 1000}) >= 1000

    def test_stops_beyond_the_limit(self) -> None:
        value: object = ["x" * 100]
        for _ in range(60):
            value = [value, value]

        assert values.weight(value, 10_000) > 10_000


class TestNames:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (None, "null"),
            (True, "boolean"),
            (1, "number"),
            (1.5, "number"),
            ("", "string"),
            ([], "list"),
            ({}, "object"),
            (values.Function(1, lambda x: x), "function"),
        ],
    )
    def test_has_a_word_for_each_type(self, value: object, name: str) -> None:
        assert values.type_name(value) == name

    @pytest.mark.parametrize("value", [None, False, 0, "", [], {}, 0.0])
    def test_knows_what_is_false(self, value: object) -> None:
        assert not values.truthy(value)
