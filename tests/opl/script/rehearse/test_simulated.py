"""Agents that nobody wrote lines for."""

from __future__ import annotations

import pytest

from opl.script.chance import Chance
from opl.script.rehearse import simulated


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
