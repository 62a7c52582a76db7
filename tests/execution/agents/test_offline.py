"""Agents without a model: simulated, scripted, recorded, and the roster of all."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.agents import roster
from execution.agents.base import Answer, Profile, Request, parse_answer
from execution.agents.recorded import RecordedAgents
from execution.agents.scripted import ScriptedAgents
from execution.agents.simulated import Persona, SimulatedAgents
from execution.errors import AgentError, BackendUnknown

SHAPE = {
    "type": "object",
    "properties": {
        "vote": {"type": "string", "description": 'compared with "approve", "reject"'},
        "score": {"type": "number"},
        "ready": {"type": "boolean"},
        "steps": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    },
    "required": ["vote", "score", "ready", "steps"],
    "additionalProperties": False,
}


def request(prompt: str = "x", agent: str = "a", key: str = "k", **fields: Any) -> Request:
    return Request(run_id=1, key=key, agent_id=agent, prompt=prompt, **fields)


def ask(backend: Any, asked: Request) -> Answer:
    return asyncio.run(backend.complete(asked))


def strange() -> st.SearchStrategy[Any]:
    """JSON of any kind, numbers that overflow among it."""
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    return st.recursive(plain, lambda s: st.lists(s) | st.dictionaries(st.sampled_from(["mean", "deviation"]), s))


class TestSimulated:
    def test_answers_the_shape(self) -> None:
        value = ask(SimulatedAgents(), request(shape=SHAPE)).value

        jsonschema.validate(value, SHAPE)
        assert value["vote"] in ("approve", "reject") and 0 <= value["score"] <= 1

    def test_gives_the_same_answer_to_the_same_question(self) -> None:
        one = ask(SimulatedAgents(), request(shape=SHAPE, seed=3))

        assert one == ask(SimulatedAgents(), request(shape=SHAPE, seed=3))
        assert one != ask(SimulatedAgents(), request(shape=SHAPE, seed=4))

    def test_fails_as_often_as_its_persona_says(self) -> None:
        profile = Profile(settings={"simulation": {"success_rate": 0.5, "failure": "refused"}})
        failed = 0
        for n in range(200):
            try:
                ask(SimulatedAgents(), request(key=str(n), profile=profile))
            except AgentError as error:
                failed += error.kind == "refused"

        assert 70 < failed < 130

    def test_has_the_quality_of_its_persona(self) -> None:
        def mean(quality: float) -> float:
            profile = Profile(settings={"simulation": {"quality": quality}})
            asked = (request(key=str(n), shape=SHAPE, profile=profile) for n in range(100))
            return sum(ask(SimulatedAgents(), one).value["score"] for one in asked) / 100

        assert mean(0.9) > 0.8 and mean(0.3) < 0.4

    def test_meets_the_same_people_in_runs_of_one_world(self) -> None:
        def persona(agent: str, **fields: Any) -> Persona:
            return Persona.of(request(agent=agent, **fields))

        assert persona("a", seed=3, world=7) == persona("a", seed=4, world=7)
        assert persona("a", seed=3, world=7) != persona("a", seed=3, world=8)
        assert persona("a", seed=3) == persona("a", seed=9, world=3)
        assert persona("a", world=7) != persona("b", world=7)

    def test_answers_a_test_of_a_difficulty_as_its_ability_lets_it(self) -> None:
        profile = Profile(settings={"simulation": {"ability": 1.0, "items": 4}})

        def scores(difficulty: float) -> list[float]:
            asked = (
                request(key=str(n), shape=SHAPE, profile=profile, data={"difficulty": difficulty}) for n in range(300)
            )
            return [ask(SimulatedAgents(), one).value["score"] for one in asked]

        easy, hard = scores(0.5), scores(0.5 + 2 / 6)

        assert set(easy) <= {0, 0.25, 0.5, 0.75, 1}
        assert sum(easy) / 300 == pytest.approx(0.731, abs=0.04)  # 1 / (1 + exp(-1))
        assert sum(hard) / 300 == pytest.approx(0.269, abs=0.04)

    def test_draws_each_agent_its_own_from_a_distribution(self) -> None:
        profile = Profile(settings={"simulation": {"ability": {"mean": -1, "deviation": 0.5}}})
        drawn = [Persona.of(request(agent=str(n), profile=profile)).examinee.ability for n in range(400)]

        assert sum(drawn) / 400 == pytest.approx(-1, abs=0.1)
        assert 0.4 < statistics.pstdev(drawn) < 0.6

    def test_runs_out_of_time_in_a_test_that_takes_longer_than_its_limit(self) -> None:
        profile = Profile(settings={"simulation": {"latency": 50}})

        def late(limit: float) -> int:
            count = 0
            for n in range(100):
                try:
                    asked = request(key=str(n), profile=profile, data={"difficulty": 0.5}, timeout_seconds=limit)
                    assert ask(SimulatedAgents(), asked).duration_seconds <= limit
                except AgentError as error:
                    count += error.kind == "timeout"
            return count

        assert late(500) == 0 and 35 < late(50) < 65 and late(5) == 100

    @given(st.dictionaries(st.sampled_from(["ability", "quality", "items", "latency", "answers"]), strange()))
    @settings(max_examples=60)
    def test_takes_what_a_profile_should_not_say_for_not_said(self, told: dict[str, Any]) -> None:
        asked = request(shape=SHAPE, profile=Profile(settings={"simulation": told}), data={"difficulty": 0.7})

        with contextlib.suppress(AgentError):
            ask(SimulatedAgents(), asked)

    def test_waits_by_the_clock_it_is_given(self) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        profile = Profile(settings={"simulation": {"latency": 10}})
        backend = SimulatedAgents(scale=0.5, sleep=sleep)

        answer = ask(backend, request(profile=profile))

        assert not backend.capabilities.immediate
        assert slept == [pytest.approx(answer.duration_seconds / 2, abs=0.001)] and 2.5 <= slept[0] <= 7.5

    def test_optimizes_within_the_shape_it_was_given(self) -> None:
        data = {"parameters": {"parallelism": 4, "timeout": 30.0, "mode": "fast", "on": True}}

        value = ask(SimulatedAgents(), request(purpose="optimization", data=data)).value

        assert value["success"] is True
        better = value["optimized_params"]
        assert better["mode"] == "fast" and better["on"] is True
        assert better["parallelism"] in (3, 5) and 22 <= better["timeout"] <= 38

    @given(
        st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "anyOf", "minItems", "minimum"]),
            st.none() | st.sampled_from(["object", "array", "integer"]) | st.just({}) | st.just([]) | st.integers(0, 3),
        )
    )
    @settings(max_examples=60)
    def test_never_breaks_on_a_strange_shape(self, shape: dict[str, Any]) -> None:
        with contextlib.suppress(AgentError):
            ask(SimulatedAgents(), request(shape=shape))


class TestScripted:
    def test_replies_in_order_and_repeats_the_last(self) -> None:
        agents = ScriptedAgents({"a": [{"reply": 1}, {"reply": 2}]})

        assert [ask(agents, request(key=str(n))).value for n in range(3)] == [1, 2, 2]

    def test_prefers_a_matching_condition(self) -> None:
        agents = ScriptedAgents({"a": [{"reply": "always"}, {"when": "Round 2", "reply": "seen"}]})

        assert ask(agents, request("Round 2", key="1")).value == "seen"
        assert ask(agents, request("Round 3", key="2")).value == "always"

    def test_counts_the_star_per_agent(self) -> None:
        agents = ScriptedAgents({"*": [{"reply": 1}, {"reply": 2}]})

        asked = [request(agent="a", key="1"), request(agent="b", key="2"), request(agent="a", key="3")]
        assert [ask(agents, one).value for one in asked] == [1, 1, 2]

    def test_raises_the_error_it_is_told(self) -> None:
        agents = ScriptedAgents({"a": [{"error": {"type": "overloaded", "message": "later", "retryable": True}}]})

        with pytest.raises(AgentError, match="later") as caught:
            ask(agents, request())
        assert caught.value.retryable

    def test_leaves_others_to_the_simulation(self) -> None:
        assert "simulated" in ask(ScriptedAgents({}), request()).value


class TestRecorded:
    def test_gives_what_was_recorded(self) -> None:
        agents = RecordedAgents(lambda asked: Answer(value=asked.key))

        assert ask(agents, request(key="k9")).value == "k9"

    def test_refuses_what_was_never_asked(self) -> None:
        with pytest.raises(AgentError, match="never asked"):
            ask(RecordedAgents(lambda asked: None), request())


class TestParse:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('{"a": 1}', {"a": 1}),
            ("42", 42),
            ("```json\n[1, 2]\n```", [1, 2]),
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            ("no JSON", "no JSON"),
            ("[" * 100_000, "[" * 100_000),
            ("", ""),
        ],
    )
    def test_reads_json_and_leaves_the_rest(self, text: str, value: Any) -> None:
        assert parse_answer(text) == value


class TestRoster:
    def test_refuses_a_name_that_is_no_backend(self) -> None:
        with pytest.raises(BackendUnknown, match="simulated"):
            roster.backend("os.path.join")

    def test_never_imports_what_a_run_asks_for(self) -> None:
        made = roster.backend("scripted", {"backend": "os.system", "agents": {}})

        assert isinstance(made, ScriptedAgents)

    def test_makes_each_once(self) -> None:
        assert roster.backend("simulated") is roster.backend("simulated")

    def test_takes_aliases_from_the_settings(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = {"slow": {"backend": "simulated", "scale": 2}}

        assert roster.backend("slow").scale == 2 and "slow" in roster.aliases()


class TestPace:
    """The same answers, slowly enough to be watched, without holding anything while they wait."""

    def test_answers_what_the_instant_backend_answers(self, settings: Any) -> None:
        settings.SIMULATED_PACE = 0.001
        request = Request(run_id=1, key="k", agent_id="ann", prompt="Say", seed=3)
        quick, slow = roster.backend("simulated"), roster.backend("watchable")

        assert asyncio.run(slow.complete(request)) == asyncio.run(quick.complete(request))
        assert quick.capabilities.immediate and not slow.capabilities.immediate and slow.capabilities.simulated

    def test_waits_in_the_lane_and_holds_no_thread(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        agents = SimulatedAgents(scale=0.6, sleep=sleep)
        for number in range(20):
            request = Request(run_id=1, key=f"k{number}", agent_id=f"ann{number}", prompt="Say", seed=3)
            asyncio.run(agents.complete(request))

        assert min(waited) > 0.05 and max(waited) < 1.2 and 0.2 < sum(waited) / 20 < 0.8

    def test_of_zero_answers_at_once(self, settings: Any) -> None:
        settings.SIMULATED_PACE = 0.0
        roster.forget()

        assert roster.backend("watchable").capabilities.immediate
