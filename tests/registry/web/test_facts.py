"""What a pattern's page says about a version, from documents that may say anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.models import PatternVersion
from registry.web import facts


def version(**value: Any) -> PatternVersion:
    return PatternVersion(value=value)


class TestCostSeen:
    def test_names_what_was_measured_and_with_whom(self) -> None:
        seen = {"completions": 26, "tokens": 1832, "runs": 20, "agents": "simulated", "formula": "panel x rounds"}

        told = facts.cost_seen(version(cost_seen=seen))

        assert told == (
            "26 completions, 1,832 tokens a run, the mean of 20 runs with simulated agents; in general panel x rounds"
        )

    def test_shows_what_is_no_measurement_as_it_stands(self) -> None:
        assert "about 20" in facts.cost_seen(version(cost_seen={"completions": "about 20"}))

    @pytest.mark.parametrize("value", [{}, {"cost_seen": None}, {"cost_seen": "much"}])
    def test_says_nothing_where_the_document_does_not(self, value: dict[str, Any]) -> None:
        assert facts.cost_seen(version(**value)) == ""

    @given(
        st.dictionaries(
            st.sampled_from(["completions", "tokens", "runs", "agents", "formula"]),
            st.none() | st.floats() | st.text() | st.lists(st.integers()),
        )
    )
    def test_is_text_whatever_the_document_says(self, seen: dict[str, Any]) -> None:
        assert isinstance(facts.cost_seen(version(cost_seen=seen)), str)
