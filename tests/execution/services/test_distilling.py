"""What guided runs did, as a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from execution.errors import NotDistillable
from execution.models import Run
from execution.services import distilling, trial_inputs
from execution.services.generalising import Move, Trace, script_of
from execution.worker import run_until_idle
from opl.script.compiler import compile_script
from opl.script.rehearse import rehearse
from registry.models import LineageEdge
from tests.execution import messages_api
from tests.execution.factories import NOW, Clock, make_run, make_user
from tests.execution.messages_api import Provider, use
from tests.execution.services.test_guiding import PROSE, publish, start

READERS = ["reader", "reader_2", "reader_3"]


def move(name: str, /, answer: Any = None, **given: Any) -> Move:
    return Move(name=name, input=given, answer=answer)


def written(*moves: Move, result: Any = "done", more: tuple[Trace, ...] = ()) -> str:
    text = script_of([Trace(task="weigh the options", moves=moves, result=result), *more], title="Made of runs")
    compiled = compile_script(text)
    assert compiled.ok, "\n".join(map(str, compiled.problems)) + "\n" + text
    assert rehearse(text.encode()).exit_status == 0, text
    return text


class TestScript:
    def test_folds_a_fan_out_of_spawns_into_a_loop(self) -> None:
        text = written(*(move("spawn_agent", answer=name, profile="reader", purpose="to read") for name in READERS))

        assert "LOOP round FROM 1 TO 3:\n  APPEND agents spawn_agent(" in text

    def test_loops_over_what_varied(self) -> None:
        text = written(*(move("spawn_agent", answer=n, profile=n, purpose="p") for n in ("poet", "critic")))

        assert 'FOREACH item IN ["poet", "critic"]:' in text

    def test_delegations_run_in_parallel(self) -> None:
        text = written(
            *(move("spawn_agent", answer=name, profile="reader", purpose="p") for name in READERS),
            *(move("delegate_subtask", agent_id=name, task="Read: weigh the options") for name in READERS),
        )

        assert "PARALLEL:\n  FOREACH item IN [agents[0], agents[1], agents[2]]:" in text
        assert 'delegate_subtask(item, "Read: {{task}}")' in text

    def test_rounds_that_count_become_a_loop(self) -> None:
        rounds = [
            one
            for n in (1, 2, 3)
            for one in (
                move("broadcast_task", task_description=f"Round {n}: vote", target_agents=["a", "b"]),
                move("await_responses", agents=["a", "b"], timeout=30),
            )
        ]
        text = written(*rounds)

        assert 'LOOP round FROM 1 TO 3:\n  broadcast_task("Round {{round}}: vote", ["a", "b"])' in text

    def test_what_differs_between_runs_becomes_an_input(self) -> None:
        other = Trace(
            task="weigh the options", moves=[move("delegate_subtask", agent_id="a", task="Be bold")], result="x"
        )
        text = written(move("delegate_subtask", agent_id="a", task="Be careful"), more=(other,))

        assert 'STATE task_1 = "Be careful"' in text and 'delegate_subtask("a", task_1)' in text

    def test_asks_for_the_fields_that_the_result_had(self) -> None:
        assert "RETURN {winner: written.winner, why: written.why}" in written(result={"winner": "a", "why": "b"})

    def test_leaves_out_what_only_looked_or_failed(self) -> None:
        text = written(move("list_agents"), move("terminate_agent", answer={"error": "no"}, agent_id="a"))

        assert "list_agents" not in text and "terminate" not in text

    def test_takes_foreign_braces_as_words(self) -> None:
        assert "{{secret}}" not in written(move("delegate_subtask", agent_id="a", task="Say {{secret}}"))


@pytest.fixture
def speak(settings: Any) -> Iterator[Any]:
    settings.AGENT_BACKENDS = messages_api.ALIAS

    def put(*turns: Any, **options: Any) -> Provider:
        messages_api.provider = Provider(*turns, **options)
        return messages_api.provider

    yield put
    messages_api.provider = None


@pytest.mark.django_db(transaction=True)
class TestDistil:
    def test_proposes_a_version_that_needs_no_orchestrator(self, speak: Any, clock: Clock) -> None:
        provider = speak(
            [use("spawn_agent", profile="reader", purpose="to read") for _ in range(2)],
            [
                use("broadcast_task", task_description="Read it", target_agents=["reader", "reader_2"]),
                use("await_responses", agents=["reader", "reader_2"], timeout=30),
            ],
            [use("evaluate_results", criteria="they agree"), use("list_agents")],
            '{"agreed": true}',
            others='{"met": true, "score": 0.8, "reason": "so", "agreed": true}',
        )
        user = make_user()
        version = publish(PROSE, user)
        run = start(version, user=user, backend="claude-test")
        run_until_idle(clock=clock)

        made = distilling.distil(runs=[Run.objects.get(pk=run.pk)], user=user, now=NOW)

        assert made.version is not None and made.version.mode == "executable"
        assert made.version.pattern == version.pattern and made.version.version != version.version
        assert made.version.value["learned_from"][0]["run_ids"] == [str(run.pk)]
        edges = LineageEdge.objects.filter(child_digest=made.version.digest, parent_digest=version.digest)
        assert LineageEdge.Op.LEARNED_FROM in edges.values_list("op", flat=True)
        provider.sent.clear()
        again = start(made.version, user=user, backend="claude-test")
        run_until_idle(clock=clock)
        again = Run.objects.get(pk=again.pk)
        assert again.result_value() == {"agreed": True}, again.error
        assert provider.turns_sent == []

    def test_of_simulated_runs_says_so(self, clock: Clock) -> None:
        user = make_user()
        run = start(publish(PROSE, user), user=user)
        run_until_idle(clock=clock)

        made = distilling.distil(runs=[Run.objects.get(pk=run.pk)], user=user, now=NOW)

        assert made.version is not None and made.version.value["learned_from"][0]["simulated"] is True

    def test_refuses_a_run_of_a_script(self, clock: Clock) -> None:
        run = make_run("RETURN 1")
        run_until_idle(clock=clock)

        with pytest.raises(NotDistillable, match="script already"):
            distilling.distil(runs=[Run.objects.get(pk=run.pk)], user=None, now=NOW)

    def test_refuses_a_run_that_has_not_succeeded(self) -> None:
        user = make_user()

        with pytest.raises(NotDistillable, match="no success"):
            distilling.distil(runs=[start(publish(PROSE, user), user=user)], user=user, now=NOW)

    def test_fits_the_inputs_of_a_trial_against_the_guided_one(self, clock: Clock) -> None:
        user = make_user()
        guided = publish(PROSE, user)
        run = start(guided, user=user, inputs={"task": "read", "context": {"for": "school"}})
        run_until_idle(clock=clock)
        made = distilling.distil(runs=[Run.objects.get(pk=run.pk)], user=user, now=NOW)
        assert made.version is not None

        recorded = trial_inputs.recorded(version=guided, user=user)

        assert recorded and set(recorded[0].values) == {"task", "context", "readers", "depth"}
        trial_inputs.check_fit(
            (guided, made.version), [trial_inputs.GivenInput(values={"task": "x", "context": {}}), *recorded]
        )
