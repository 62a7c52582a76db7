"""What a run keeps beside its script."""

from __future__ import annotations

import pytest

from opl.script.world import LOCAL_EVENTS, World


@pytest.fixture
def world() -> World:
    return World()


def answer(world: World, name: str, **data: object) -> object:
    return world.answer(name, data, at=5)


class TestAgents:
    def test_names_a_second_agent_of_a_role(self, world: World) -> None:
        first = answer(world, "agent:spawn", profile="judge")
        second = answer(world, "agent:spawn", profile="judge", purpose="second opinion")

        assert first == {"agent_id": "judge", "profile": "judge"}
        assert second["agent_id"] == "judge_2"  # type: ignore[index]
        assert second["purpose"] == "second opinion"  # type: ignore[index]

    def test_lists_the_active_ones(self, world: World) -> None:
        answer(world, "agent:spawn", agent_id="a", profile="p")
        answer(world, "agent:spawn", agent_id="b", profile="q")
        answer(world, "agent:terminate", agent_id="a")

        assert [each["agent_id"] for each in answer(world, "agent:list")] == ["b"]  # type: ignore[attr-defined]
        assert answer(world, "agent:list", profile="p") == []

    def test_terminates_all(self, world: World) -> None:
        world.meet("a")
        world.meet("b")

        answer(world, "agent:terminate", agent_id="ALL")

        assert answer(world, "agent:list") == []

    def test_does_not_know_a_stranger(self, world: World) -> None:
        assert answer(world, "agent:terminate", agent_id="x") == {"agent_id": "x", "status": "unknown"}
        assert answer(world, "primitive:query_agent_status", agent_id="x")["status"] == "unknown"  # type: ignore[index]

    def test_counts_questions(self, world: World) -> None:
        world.meet("a")
        world.meet("a")

        assert answer(world, "primitive:query_agent_status", agent_id="a")["asked"] == 2  # type: ignore[index]


class TestEntities:
    def test_an_update_creates_and_merges(self, world: World) -> None:
        answer(world, "state:entity:update", id="p", properties={"a": 1, "b": 1})

        merged = answer(world, "state:entity:update", id="p", properties={"b": 2})

        assert merged == {"type": None, "id": "p", "properties": {"a": 1, "b": 2}}
        assert answer(world, "state:entity:get", id="p") == merged

    def test_keeps_types_apart_and_finds_an_id_without_one(self, world: World) -> None:
        answer(world, "state:entity:create", type="x", id="1", properties={"n": 1})
        answer(world, "state:entity:create", type="y", id="1", properties={"n": 2})

        assert answer(world, "state:entity:get", type="y", id="1")["properties"] == {"n": 2}  # type: ignore[index]
        assert answer(world, "state:entity:get", id="1")["type"] == "x"  # type: ignore[index]

    def test_queries(self, world: World) -> None:
        for n in range(3):
            answer(world, "state:entity:create", type="x", id=f"{n}", properties={"even": n % 2 == 0})

        found = answer(world, "state:entity:query", type="x", where={"even": True})

        assert [each["id"] for each in found] == ["0", "2"]  # type: ignore[attr-defined]
        assert answer(world, "state:entity:query", type="y") == []

    def test_deletes(self, world: World) -> None:
        answer(world, "state:entity:create", id="1", properties={})

        assert answer(world, "state:entity:delete", id="1") is not None
        assert answer(world, "state:entity:delete", id="1") is None
        assert answer(world, "state:entity:get", id="1") is None

    def test_hands_out_copies(self, world: World) -> None:
        properties = {"list": [1]}
        answer(world, "state:entity:create", id="1", properties=properties)
        properties["list"].append(2)

        seen = answer(world, "state:entity:get", id="1")
        seen["properties"]["list"].append(3)  # type: ignore[index]

        assert answer(world, "state:entity:get", id="1")["properties"] == {"list": [1]}  # type: ignore[index]


class TestPrimitives:
    def test_saves_and_restores_a_state(self, world: World) -> None:
        name = answer(world, "primitive:create_checkpoint", state={"n": 1})

        assert answer(world, "primitive:rollback_to_checkpoint", checkpoint_id=name) == {"n": 1}
        assert answer(world, "primitive:rollback_to_checkpoint", checkpoint_id="other") is None

    def test_observes_by_pattern(self, world: World) -> None:
        world.note("agent:status", {"n": 1})
        world.note("state:entity:get", {})

        seen = answer(world, "primitive:observe_events", patterns=["agent:*"])

        assert seen["events"] == [{"name": "agent:status", "data": {"n": 1}}]  # type: ignore[index]

    def test_reads_metrics(self, world: World) -> None:
        world.track({"score": 0.5, "phase": "one"})
        world.track({"score": 0.75})

        assert answer(world, "primitive:track_metrics", metric_names=["score", "x"]) == {"score": 0.75, "x": None}
        assert answer(world, "primitive:track_metrics") == {"score": 0.75}

    def test_logs_decisions(self, world: World) -> None:
        answer(world, "orchestrator:decision", decision_type="stop", rationale="done")
        answer(world, "primitive:record_decision", decision="go", outcome="fine")
        answer(world, "primitive:modify_strategy", new_approach="slower")

        assert [each["decision_type"] for each in world.decisions] == ["stop", "go", "modify_strategy"]
        assert world.decisions[0] == {"at": 5, "decision_type": "stop", "rationale": "done"}

    def test_exports_what_was_learned(self, world: World) -> None:
        answer(world, "primitive:spawn_agent", profile="judge", purpose="p")
        answer(world, "primitive:record_decision", decision="go")

        exported = answer(world, "primitive:export_pattern")

        assert [each["agent_id"] for each in exported["agents"]] == ["judge"]  # type: ignore[index]
        assert len(exported["decisions"]) == 1  # type: ignore[index]

    @pytest.mark.parametrize("name", sorted(LOCAL_EVENTS))
    def test_answers_without_any_data(self, world: World, name: str) -> None:
        answer(world, name)
