"""The lines of scripted agents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.script.rehearse.agents import Cast, Script, read_agents


def script(text: str) -> Script:
    found, problems = read_agents(text.encode(), file="agents.yaml")
    assert found is not None, problems
    return found


def said(cast: Cast, agent: str, prompt: str) -> object:
    line = cast.line(agent, prompt)
    return line and line.reply


class TestReadAgents:
    def test_reads_replies_errors_and_latency(self) -> None:
        found = script(
            """
            agents:
              expert:
                - reply: {vote: approve}
                  latency: 2.5
                - error: {type: refused, message: no}
            events:
              human:ask:
                - reply: "42"
            """
        )

        first, second = found.agents["expert"]
        assert (first.reply, first.latency_seconds) == ({"vote": "approve"}, 2.5)
        assert (second.error, second.latency_seconds) == ({"type": "refused", "message": "no"}, 1)
        assert found.events["human:ask"][0].reply == 42

    @pytest.mark.parametrize(
        ("text", "message", "line"),
        [
            ("[]", "no mapping", 1),
            ("agents: 3", "'agents' is a number", 1),
            ("agents:\n  a:\n    - replay: x", "no field 'replay'", 3),
            ("agents:\n  a:\n    - {}", "either a reply or an error", 3),
            ("agents:\n  a:\n    - {reply: 1, error: x}", "either a reply or an error", 3),
            ("agents:\n  a:\n    - {reply: 1, latency: -1}", "seconds", 3),
            ("agents:\n  a: hello", "list of replies", 2),
            ("people: {}", "neither 'agents' nor 'events'", 1),
        ],
    )
    def test_says_what_is_wrong_and_where(self, text: str, message: str, line: int) -> None:
        found, problems = read_agents(text.encode(), file="agents.yaml")

        assert found is None
        assert message in problems[0].message
        assert (problems[0].file, problems[0].line) == ("agents.yaml", line)

    @given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_gives_a_script_or_problems_for_any_bytes(self, data: bytes) -> None:
        found, problems = read_agents(data)

        assert (found is None) == bool([p for p in problems if p.severity == "error"])


class TestCast:
    def test_says_lines_in_order_and_repeats_the_last(self) -> None:
        cast = Cast(script("agents: {a: [{reply: one}, {reply: two}]}"))

        assert [said(cast, "a", "") for _ in range(3)] == ["one", "two", "two"]

    def test_prefers_what_fits_the_prompt(self) -> None:
        cast = Cast(
            script("agents: {a: [{reply: any}, {when: Round 2, reply: first}, {when: Round 2, reply: second}]}")
        )

        prompts = ["Round 1", "Round 2", "Round 2", "Round 2", "Round 1"]

        assert [said(cast, "a", prompt) for prompt in prompts] == ["any", "first", "second", "second", "any"]

    def test_counts_the_lines_for_all_for_each_agent(self) -> None:
        cast = Cast(script('agents: {"*": [{reply: one}, {reply: two}]}'))

        assert [said(cast, agent, "") for agent in "aba"] == ["one", "one", "two"]

    def test_falls_back_where_no_entry_applies(self) -> None:
        cast = Cast(script('agents: {a: [{when: x, reply: own}], "*": [{reply: all}]}'))

        assert said(cast, "a", "y") == "all"
        assert said(cast, "a", "x") == "own"

    def test_is_silent_for_agents_without_lines(self) -> None:
        assert Cast(script("agents: {a: [{reply: x}]}")).line("b", "") is None

    def test_answers_events(self) -> None:
        cast = Cast(script("events: {my:event: [{reply: 1}]}"))

        assert cast.event("my:event", "{}").reply == 1  # type: ignore[union-attr]
        assert cast.event("other", "{}") is None
