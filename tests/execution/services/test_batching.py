"""Trials in message batches, over the real SDK: half the price, within a day, through crashes."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from execution.agents.base import effect_digest
from execution.errors import TrialRefused
from execution.models import BatchedQuestion, Effect, MessageBatch, Run, Trial
from execution.services import batching, controlling, faults, hints, trial_facts, verifying
from execution.services.clock import to_datetime
from execution.services.preferring import Judge
from execution.shadow.recheck import recheck
from execution.worker import Worker, WorkerSettings
from registry.models import PatternVersion
from tests.execution import batches_api
from tests.execution.batches_api import BatchProvider
from tests.execution.conftest import forget
from tests.execution.factories import Clock, make_version
from tests.execution.test_crashes import crash_at
from tests.execution.trials import carry_out, make_trial

pytestmark = pytest.mark.django_db(transaction=True)

ASKS = """
STATE n = 0
EVENT completion:async {{agent_id: "solo", prompt: "{word} {{{{n}}}}", timeout: 5}} AS r
RETURN {{ok: r.success AND r.output != "bad"}}
"""
# An answer that is waited for no longer than a minute.
WAITS = """
STATE n = 0
EVENT completion:async {agent_id: "one", prompt: "first {{n}}"}
AWAIT got FROM "one" TIMEOUT 60:
  RETURN {ok: got.success}
TIMEOUT:
  RETURN {ok: false}
"""


@pytest.fixture(autouse=True)
def provider(settings: Any, clock: Clock) -> BatchProvider:
    """The other end; the candidate's prompts are answered well, every third of the control's badly."""
    settings.AGENT_BACKENDS = batches_api.ALIAS
    made = BatchProvider(clock, answer=lambda prompt: "bad" if "old" in prompt and int(prompt[4:]) % 3 == 0 else "fine")
    batches_api.provider = made
    return made


def asks(word: str, **fields: Any) -> PatternVersion:
    return make_version(ASKS.format(word=word), success_when="ok", **fields)


def batched(clock: Clock, count: int = 6, **options: Any) -> Trial:
    known: dict[str, Any] = {"backend": "claude-batches", "in_batches": True, "now": to_datetime(clock.now), **options}
    return make_trial(asks("old"), asks("new"), count, **known)


def turns(trial: Trial, clock: Clock, times: int = 1, seconds: float = 70) -> Trial:
    """So many looks of the workers, that far apart."""
    for _ in range(times):
        carry_out(trial, clock=clock)
        clock.forward(seconds)
    return trial


def finished(trial: Trial, clock: Clock, most: int = 40) -> Trial:
    """Look until the trial has ended."""
    for _ in range(most):
        if turns(trial, clock).has_ended:
            return trial
    raise AssertionError(f"{trial.status} after {trial.settled} pairs: {trial.note}")


class TestTrial:
    def test_sends_all_questions_in_batches_and_comes_to_a_verdict(self, provider: BatchProvider, clock: Clock) -> None:
        trial = finished(batched(clock), clock)

        assert (trial.status, trial.settled, provider.single) == ("decided", 6, 0)
        assert [len(batch) for batch in provider.sent] == [12]  # both arms of all pairs together
        assert recheck(bytes(trial.report.data)).pairs == 6
        assert not MessageBatch.objects.exclude(status="ended").exists()

    def test_names_each_request_after_its_effect(self, provider: BatchProvider, clock: Clock) -> None:
        finished(batched(clock), clock)

        names = {request["custom_id"] for request in provider.sent[0]}
        assert names == {effect_digest(effect.run_id, effect.key) for effect in Effect.objects.all()}

    def test_pays_half(self, provider: BatchProvider, clock: Clock) -> None:
        finished(batched(clock), clock)

        effect = Effect.objects.first()
        assert effect is not None
        # 1000 fresh and 100 generated tokens at 2 and 10 dollars a million, halved.
        assert effect.cost == 1500 and effect.usage["price"].endswith("/batch")
        assert set(Run.objects.values_list("cost_used", "cost_reserved")) == {(1500, 0)}

    def test_holds_back_no_more_than_half(self, provider: BatchProvider, clock: Clock) -> None:
        provider.hold = True
        turns(batched(clock, 1), clock, 2)

        effect = Effect.objects.filter(status="sent").first()
        assert effect is not None
        run = Run.objects.get(pk=effect.run_id)
        whole = batches_api.make_backend().reserve(_request(provider.sent[0][0]))
        assert 0 < effect.reserved_cost == run.cost_reserved <= whole.cost_micros // 2 + 1

    def test_does_not_measure_latency(self, provider: BatchProvider, clock: Clock) -> None:
        trial = batched(clock)

        assert "latency" not in trial.plan["metrics"] + trial.plan["primary"]

    def test_waits_as_long_as_a_batch_takes_whatever_the_script_says(
        self, provider: BatchProvider, clock: Clock
    ) -> None:
        provider.hold = True
        version = make_version(WAITS, success_when="ok")
        options: dict[str, Any] = {"backend": "claude-batches", "in_batches": True, "now": to_datetime(clock.now)}
        trial = make_trial(version, version, 2, **options)
        turns(trial, clock, 3)
        turns(trial, clock, 3, seconds=6 * 3600)
        assert Effect.objects.filter(status="sent").count() == 4

        provider.hold = False
        finished(trial, clock)

        assert all(pair.control["success"] == pair.candidate["success"] == 1.0 for pair in trial.pairs.all())

    def test_gives_up_on_a_provider_that_never_answers(self, provider: BatchProvider, clock: Clock) -> None:
        provider.hold = True
        trial = batched(clock, 1)
        turns(trial, clock, 2)
        clock.forward(27 * 3600)

        finished(trial, clock)

        assert trial.pairs.get().control["error"]
        assert set(Effect.objects.values_list("error_kind", flat=True)) == {"timeout"}

    def test_asks_its_judge_in_batches_too(self, provider: BatchProvider, clock: Clock) -> None:
        said = json.dumps({"better": "tie", "first_score": 0.5, "second_score": 0.5})
        provider.answer = lambda prompt: said if prompt.startswith("CRITERIA") else "fine"
        trial = finished(batched(clock, judge=Judge(criteria="Which is better?")), clock)

        assert trial.judge["examination"]["pairs"] == 30
        assert (provider.single, trial.status) == (0, "decided")

    def test_carries_child_runs_out_in_batches(self, provider: BatchProvider, clock: Clock) -> None:
        child = asks("new")
        parent = make_version(
            f'STATE n = 0\nEVENT orchestration:start {{pattern: "{child.pattern}", inputs: {{n: n}}}} AS r\n'
            "RETURN {ok: r.success}",
            success_when="ok",
            owner=child.pattern.owner,
        )
        type(child.pattern).objects.update(visibility="public")
        options: dict[str, Any] = {"backend": "claude-batches", "in_batches": True, "now": to_datetime(clock.now)}
        trial = finished(make_trial(parent, parent, 1, **options), clock)

        assert provider.single == 0 and sum(map(len, provider.sent)) == 2
        assert trial.pairs.get().control["success"] == 1.0

    def test_says_what_is_out(self, provider: BatchProvider, clock: Clock) -> None:
        provider.hold = True
        trial = batched(clock)

        turns(trial, clock)
        assert trial_facts.trial_detail(trial)["batches"] == {"waiting": 12, "out": 0}
        turns(trial, clock)
        assert trial_facts.trial_detail(trial)["batches"] == {"waiting": 0, "out": 12}


def _request(sent: dict[str, Any]) -> Any:
    from execution.agents.base import Request

    return Request(run_id=1, key="k", agent_id="solo", prompt=sent["params"]["messages"][0]["content"])


class TestRefusals:
    def test_of_agents_that_take_no_batches(self, clock: Clock) -> None:
        with pytest.raises(TrialRefused, match="take no message batches"):
            batched(clock, backend="simulated")

    def test_of_live_trials(self, clock: Clock) -> None:
        with pytest.raises(TrialRefused, match="up to a day"):
            batched(clock, mode="live")

    def test_of_runs_that_end_before_a_batch_does(self, clock: Clock) -> None:
        with pytest.raises(TrialRefused, match="at least 93600 seconds"):
            batched(clock, caps={"seconds": 3600})


class TestProvider:
    def test_that_is_overloaded_gets_the_same_batch_again(self, provider: BatchProvider, clock: Clock) -> None:
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
        provider.refusals = [httpx2.Response(429, json=body, headers={"retry-after": "90"})]
        trial = batched(clock)
        turns(trial, clock, 2)
        assert MessageBatch.objects.get().status == "queued"

        finished(trial, clock)

        assert len(provider.sent) == 1 and MessageBatch.objects.get().tries == 2

    def test_that_refuses_for_good_loses_the_pairs_to_the_infrastructure(
        self, provider: BatchProvider, clock: Clock
    ) -> None:
        body = {"type": "error", "error": {"type": "authentication_error", "message": "no such key"}}
        provider.refusals = [httpx2.Response(401, json=body) for _ in range(100)]

        trial = finished(batched(clock, 2), clock)

        assert trial.outcome == "invalid" and provider.sent == []

    def test_whose_batch_expired_is_asked_again_in_another(self, provider: BatchProvider, clock: Clock) -> None:
        provider.result_type = "expired"
        trial = batched(clock, 2)
        turns(trial, clock, 3)
        provider.result_type = "succeeded"

        finished(trial, clock)

        first, second = (sorted(request["custom_id"] for request in batch) for batch in provider.sent)
        assert first == second and trial.settled == 2
        assert set(Effect.objects.values_list("attempts", flat=True)) == {2}
        assert set(Run.objects.values_list("cost_reserved", flat=True)) == {0}


class TestSteering:
    def test_cancel_tells_the_provider_and_counts_what_was_paid(self, provider: BatchProvider, clock: Clock) -> None:
        provider.hold = True
        trial = batched(clock, 3)
        turns(trial, clock, 2)
        verifying.cancel(trial=trial, now=to_datetime(clock.now))
        turns(trial, clock, 1)
        assert provider.cancelled == ["msgbatch_1"]

        provider.hold = False
        turns(trial, clock, 3)

        assert provider.cancelled == ["msgbatch_1"] and len(provider.sent) == 1
        assert set(Effect.objects.values_list("status", flat=True)) == {"late"}
        assert set(Run.objects.values_list("cost_used", "cost_reserved", "status")) == {(1500, 0, "cancelled")}
        assert MessageBatch.objects.get().status == "ended"

    def test_cancel_before_the_batch_went_out_sends_nothing(self, provider: BatchProvider, clock: Clock) -> None:
        trial = batched(clock, 3)
        turns(trial, clock, 1)
        verifying.cancel(trial=trial, now=to_datetime(clock.now))

        turns(trial, clock, 3)

        assert provider.sent == []

    def test_pause_keeps_answers_that_come_meanwhile(self, provider: BatchProvider, clock: Clock) -> None:
        trial = batched(clock, 3)
        turns(trial, clock, 2)
        verifying.pause(trial=trial, now=to_datetime(clock.now))
        turns(trial, clock, 3)
        assert trial.settled == 0 and set(Effect.objects.values_list("status", flat=True)) == {"done"}

        verifying.resume(trial=trial, now=to_datetime(clock.now))

        assert finished(trial, clock).settled == 3 and len(provider.sent) == 1

    def test_a_budget_that_does_not_cover_it_ends_the_run(self, provider: BatchProvider, clock: Clock) -> None:
        trial = finished(batched(clock, 1, caps={"cost_usd": 0.0001}), clock)

        assert provider.sent == []
        codes = [run.error["code"] for run in Run.objects.all()]
        assert codes == ["opl.limit.money"] * 2 and trial.pairs.get().control["success"] == 0.0

    def test_a_run_cancelled_alone_leaves_the_others_in_their_batch(
        self, provider: BatchProvider, clock: Clock
    ) -> None:
        provider.hold = True
        trial = batched(clock, 40)
        turns(trial, clock, 2)
        run = Run.objects.order_by("pk").first()
        assert run is not None
        controlling.cancel(run_id=run.pk, now=clock.now)
        provider.hold = False

        finished(trial, clock)

        assert provider.cancelled == [] and trial.missing == 1


def killed(trial: Trial, clock: Clock, place: str, time: int = 1) -> None:
    """A worker that dies at a place; its heart stops, and nothing is given back."""
    crash_at(place, time)
    worker = Worker(WorkerSettings(queue="trials"), clock=clock)
    worker.start()
    try:
        with pytest.raises(faults.Crash):
            for _ in range(40):
                if not worker.claim_and_run():
                    worker._wait()
                    clock.forward(30)
    finally:
        faults.hook = None
        worker._ended.set()
        worker.lane.stop()
        hints.forget(worker.hint)
        forget()


class TestCrash:
    @pytest.mark.parametrize("place", ["before-batch-commits", "batch-sending", "batch-answered", "result-committed"])
    def test_pays_nothing_twice(self, place: str, provider: BatchProvider, clock: Clock) -> None:
        trial = batched(clock)

        killed(trial, clock, place)
        clock.forward(600)
        finished(trial, clock)

        assert len(provider.sent) == 1 and (trial.status, trial.settled) == ("decided", 6)
        assert set(Run.objects.values_list("cost_used", "cost_reserved")) == {(1500, 0)}
        assert BatchedQuestion.objects.count() == 12

    def test_after_the_provider_took_it_finds_it_again(self, provider: BatchProvider, clock: Clock) -> None:
        provider.broken = True
        trial = batched(clock)

        finished(trial, clock)

        batch = MessageBatch.objects.get()
        assert (len(provider.sent), batch.note, batch.name) == (1, "found again after a crash", "")
        assert set(Run.objects.values_list("cost_used", flat=True)) == {1500}

    def test_leaves_a_batch_in_doubt_until_the_candidates_have_ended(
        self, provider: BatchProvider, clock: Clock
    ) -> None:
        provider.broken = provider.hold = True
        trial = batched(clock)
        turns(trial, clock, 8)
        assert MessageBatch.objects.get().status == "doubt" and len(provider.sent) == 1

        provider.hold = False

        assert finished(trial, clock).settled == 6 and len(provider.sent) == 1

    def test_before_the_provider_took_it_sends_it_again(self, provider: BatchProvider, clock: Clock) -> None:
        error = {"type": "error", "error": {"type": "api_error", "message": "broke"}}
        provider.refusals = [httpx2.Response(500, json=error)]
        trial = batched(clock)

        finished(trial, clock)

        assert len(provider.sent) == 1 and MessageBatch.objects.get().tries == 2

    def test_lets_two_workers_take_each_step_once(self, provider: BatchProvider, clock: Clock) -> None:
        turns(batched(clock), clock)

        assert batching.begin(clock.now) == 12 and batching.begin(clock.now) == 0
        assert len(batching.errands(clock.now)) == 1 and batching.errands(clock.now) == []
