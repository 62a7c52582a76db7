"""Plausible values of a shape."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.script.chance import Chance
from opl.script.rehearse import plausible
from opl.script.rehearse.plausible import Manner
from opl.script.values import normalise

SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {"type": "number"},
            {"type": "number", "minimum": 5, "maximum": 7},
            {"type": "integer", "minimum": -3, "maximum": 3},
            {"type": "boolean"},
            {"type": "string"},
            {"type": ["string", "null"]},
            {"enum": ["x", "y"]},
            {"const": 3},
            {},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda a: {"anyOf": [{"type": "null"}, a]}, inner),
        st.dictionaries(st.sampled_from(["score", "count", "name", "failed"]), inner).map(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)}
        ),
    ),
    max_leaves=6,
)


class TestFill:
    @given(SCHEMAS, st.integers())
    def test_answers_the_shape(self, schema: dict[str, object], seed: int) -> None:
        value = plausible.fill(schema, Chance(seed))

        jsonschema.validate(value, schema)
        assert normalise(value) == value

    @pytest.mark.parametrize("name", ["score", "quality_score", "confidence", "success_rate"])
    def test_scores_lie_between_0_and_1(self, name: str) -> None:
        drawn = [plausible.fill({"type": "number"}, Chance(seed), name) for seed in range(50)]

        assert all(0 <= value <= 1 for value in drawn)
        assert len(set(drawn)) > 10

    def test_chooses_among_the_words_it_is_compared_with(self) -> None:
        schema = {"type": "string", "description": 'compared with "approve", "reject"'}
        drawn = [plausible.fill(schema, Chance(seed), "vote") for seed in range(60)]

        assert set(drawn) == {"approve", "reject"}
        assert drawn.count("approve") > drawn.count("reject")


class TestOptimization:
    def test_moves_the_numbers_it_is_given(self) -> None:
        found = plausible.optimization({"parameters": {"parallelism": 4, "rate": 0.5, "name": "x"}}, None, Chance(1))

        assert found["success"] is True
        assert found["optimized_params"]["parallelism"] in (3, 5)
        assert 0.3 < found["optimized_params"]["rate"] < 0.7
        assert found["optimized_params"]["name"] == "x"

    def test_has_nothing_to_move_without_parameters(self) -> None:
        assert plausible.optimization({}, None, Chance(1))["optimized_params"] == {}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
        )
    )
    def test_nudges_any_json_into_the_same_structure(self, value: Any) -> None:
        moved = plausible.nudged(value, Chance(1))

        assert type(moved) is type(value)
        if isinstance(value, dict):
            assert list(moved) == list(value)


class TestManner:
    def test_chooses_among_the_answers_it_is_given(self) -> None:
        manner = Manner(answers={"vote": ["never"]})
        schema = {"type": "object", "properties": {"vote": {"enum": ["yes", "no"]}}}

        assert plausible.fill(schema, Chance(1), manner=manner) == {"vote": "never"}

    def test_of_one_who_is_always_good_is_hopeful(self) -> None:
        manner = Manner(good=1.0, spread=0.0)
        schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in ("done", "failed")}}

        assert plausible.fill(schema, Chance(1), manner=manner) == {"done": True, "failed": False}

    def test_scores_a_test_as_it_is_told(self) -> None:
        assert plausible.fill({"type": "number"}, Chance(1), "score", Manner(score=lambda draw: 0.4)) == 0.4


class TestStrangeShapes:
    @given(
        st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "anyOf", "minItems", "maxItems", "minimum"]),
            st.none()
            | st.sampled_from(["object", "array", "integer", {}, []])
            | st.integers(0, 3)
            | st.lists(st.none() | st.just({"type": "null"})),
        )
    )
    def test_are_answered_with_some_value(self, schema: dict[str, Any]) -> None:
        assert normalise(plausible.fill(schema, Chance(1))) is not Ellipsis

    def test_that_contain_themselves_come_to_an_end(self) -> None:
        schema: dict[str, Any] = {"type": "array"}
        schema["items"] = schema

        assert isinstance(plausible.fill(schema, Chance(1)), list)
