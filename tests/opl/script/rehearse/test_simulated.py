"""Agents that nobody wrote lines for."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.script.chance import Chance
from opl.script.rehearse import simulated
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
        value = simulated.fill(schema, Chance(seed))

        jsonschema.validate(value, schema)
        assert normalise(value) == value

    @pytest.mark.parametrize("name", ["score", "quality_score", "confidence", "success_rate"])
    def test_scores_lie_between_0_and_1(self, name: str) -> None:
        drawn = [simulated.fill({"type": "number"}, Chance(seed), name) for seed in range(50)]

        assert all(0 <= value <= 1 for value in drawn)
        assert len(set(drawn)) > 10

    def test_chooses_among_the_words_it_is_compared_with(self) -> None:
        schema = {"type": "string", "description": 'compared with "approve", "reject"'}
        drawn = [simulated.fill(schema, Chance(seed), "vote") for seed in range(60)]

        assert set(drawn) == {"approve", "reject"}
        assert drawn.count("approve") > drawn.count("reject")


class TestOptimization:
    def test_moves_the_numbers_it_is_given(self) -> None:
        found = simulated.optimization({"parameters": {"parallelism": 4, "rate": 0.5, "name": "x"}}, None, Chance(1))

        assert found["success"] is True
        assert found["optimized_params"]["parallelism"] in (3, 5)
        assert 0.3 < found["optimized_params"]["rate"] < 0.7
        assert found["optimized_params"]["name"] == "x"

    def test_has_nothing_to_move_without_parameters(self) -> None:
        assert simulated.optimization({}, None, Chance(1))["optimized_params"] == {}


class TestJudgement:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [("CALCULATE_RATE", (int, float)), ("EXTRACT_IDS", list), ("SHOULD_STOP", bool), ("DETERMINE_X", str)],
    )
    def test_is_of_the_kind_its_name_suggests(self, name: str, kind: type) -> None:
        assert isinstance(simulated.judgement(name, None, Chance(1)), kind)

    def test_selects_from_what_it_is_given(self) -> None:
        assert simulated.judgement("SELECT_FOR_FINAL", None, Chance(1), [["a", "b", "c"], 2]) == ["a", "b"]
        assert simulated.judgement("UPDATE_RATINGS", None, Chance(1), [{"a": 1}]) == {"a": 1}

    def test_answers_the_shape_first(self) -> None:
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}

        assert set(simulated.judgement("CALCULATE_RATE", schema, Chance(1))) == {"ok"}


class TestHuman:
    def test_takes_one_of_the_choices(self) -> None:
        assert simulated.human({"choices": ["a", "b"]}, None, Chance(1)) in ("a", "b")

    def test_answers_what_the_script_reads(self) -> None:
        assert simulated.human({}, {"type": "boolean"}, Chance(1)) in (True, False)

    def test_answers_a_schema(self) -> None:
        assert simulated.human({"schema": {"type": "boolean"}}, None, Chance(1)) in (True, False)
