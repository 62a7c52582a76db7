"""Live trials: a share of real runs also runs the candidate, and nobody's run notices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from execution.models import ArmRun, Run, Trial
from execution.services import verifying
from execution.services.clock import now_ms
from execution.services.verifying import Budget
from execution.shadow.enrolment import sampled
from execution.worker import WorkerSettings, run_until_idle
from tests.execution.factories import make_run
from tests.execution.trials import ASKING, PLAIN, carry_out, good_on, make_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    settings.AGENT_BACKENDS = PLAIN


def live(control: Any, candidate: Any, **options: Any) -> Trial:
    known: dict[str, Any] = {"user": None, "now": timezone.now(), "mode": "live", "share": 1.0, "profile": "quick"}
    return verifying.start_trial(control=control, candidate=candidate, **{**known, **options})


def real_runs(version: Any, count: int, start: int = 0) -> list[int]:
    runs = [
        make_run(version=version, inputs={"n": n}, backend="plain", now=timezone.now()).pk
        for n in range(start, start + count)
    ]
    run_until_idle()
    return runs


class TestLiveTrial:
    def test_runs_the_candidate_on_the_inputs_of_real_runs(self) -> None:
        control, candidate = good_on(4), good_on(9)
        trial = live(control, candidate)
        runs = real_runs(control, 5)

        carry_out(trial)

        assert trial.settled == 5
        arms = ArmRun.objects.filter(pair__trial=trial)
        assert list(arms.filter(arm="control").order_by("pair__position").values_list("run_id", flat=True)) == runs
        for arm in arms.filter(arm="candidate").select_related("run", "pair"):
            real = ArmRun.objects.get(pair=arm.pair, arm="control").run
            assert arm.run.input_values() == real.input_values()
            assert (arm.run.queue, arm.run.owner) == ("trials", None)

    def test_comes_to_a_verdict(self) -> None:
        control = good_on(9)
        trial = live(control, good_on(1))
        real_runs(control, 40)

        carry_out(trial)

        assert trial.outcome == "reject_harm"

    def test_shadows_the_runs_that_the_seed_draws(self) -> None:
        control = good_on(5)
        trial = live(control, good_on(5), share=0.3)
        runs = real_runs(control, 40)

        carry_out(trial)

        drawn = [run for run in runs if sampled(bytes(trial.seed), str(run), 0.3)]
        enrolled = ArmRun.objects.filter(pair__trial=trial, arm="control").values_list("run_id", flat=True)
        assert sorted(enrolled) == drawn
        assert 0 < len(drawn) < 40

    def test_leaves_the_control_s_answer_and_statistics_to_the_caller(self) -> None:
        control = good_on(5)
        live(control, make_version("STATE n = 0\nSTATE x = 1 / 0\nRETURN x"))
        (run,) = real_runs(control, 1)
        before = Run.objects.filter(pk=run).values().get()

        run_until_idle(settings=WorkerSettings(queue="trials"))

        assert Run.objects.filter(pk=run).values().get() == before

    def test_does_not_touch_a_real_run_when_it_is_cancelled(self) -> None:
        control = make_version("STATE n = 0\nWAIT 1000\nRETURN 1")
        trial = live(control, good_on(5))
        make_run(version=control, backend="plain", now=timezone.now())
        run_until_idle()
        carry_out(trial)

        verifying.cancel(trial=trial, now=timezone.now())

        assert Run.objects.of_callers().get().status == "waiting"

    def test_enrols_nothing_when_the_budget_of_the_day_is_used_up(self) -> None:
        control = make_version(ASKING)
        trial = live(control, make_version(ASKING + "\n# other"), budget=Budget(daily_tokens=12))
        for start in range(8):
            real_runs(control, 1, start)
            carry_out(trial)

        assert trial.enrolled == 3  # 5 tokens each: the third one reaches the limit

        tomorrow = now_ms() + int(timedelta(days=1).total_seconds() * 1000)
        real_runs(control, 1, 9)
        carry_out(trial, clock=lambda: tomorrow)

        assert trial.enrolled == 4

    def test_waits_for_the_control_in_the_order_of_enrolment(self) -> None:
        control = make_version("STATE n = 0\nIF n == 0:\n  WAIT 1000\nRETURN {ok: true}", success_when="ok")
        trial = live(control, good_on(5))
        real_runs(control, 4)

        carry_out(trial)

        assert (trial.enrolled, trial.settled) == (4, 0)
        assert trial.pairs.filter(status="settled").count() == 3


class TestOwnQueue:
    def test_ordinary_workers_leave_the_runs_of_trials_alone(self) -> None:
        control = good_on(5)
        trial = live(control, good_on(5))
        real_runs(control, 2)
        carry_out(trial)
        trial2 = live(control, make_version(ASKING))
        real_runs(control, 2, 5)
        from execution.services import observing

        for _ in range(3):
            observing.observe(now_ms())
        queued = Run.objects.filter(queue="trials", status="queued").count()

        run_until_idle()

        assert queued > 0
        assert Run.objects.filter(queue="trials", status="queued").count() == queued
        carry_out(trial2)
        assert not Run.objects.filter(queue="trials", status="queued").exists()

    def test_workers_of_trials_leave_people_s_runs_alone(self) -> None:
        make_run(version=good_on(5), backend="plain", now=timezone.now())

        run_until_idle(settings=WorkerSettings(queue="trials"))

        assert Run.objects.get().status == "queued"


class TestOneCriterion:
    def test_judges_a_real_run_again_where_the_trial_has_other_words(self) -> None:
        control = make_version("STATE n = 0\nSTATE twice = 2 * n\nRETURN {ok: false}", success_when="ok")
        trial = live(control, good_on(5), success_when="twice == 8", score="0.25")
        real_runs(control, 1, 4)

        carry_out(trial)

        told = trial.pairs.get().control
        assert (told["success"], told["quality"]) == (1.0, 0.25)
        assert Run.objects.of_callers().get().succeeded is False  # its own statistics stay its own


ASKS_A_PERSON = """
STATE n = 0
IF n == 0:
  EVENT human:ask {question: "Go on?", choices: ["yes", "no"]} AS said
RETURN {ok: true}
"""


class TestHangingRun:
    def test_holds_the_pairs_behind_it_up_for_three_days_at_most(self, clock: Any) -> None:
        clock.now = now_ms()
        control = make_version(ASKS_A_PERSON, success_when="ok")
        trial = live(control, good_on(10))
        known: dict[str, Any] = {"version": control, "backend": "plain", "policy": {"limits": {"seconds": 864_000}}}
        runs = [make_run(inputs={"n": n}, now=timezone.now(), **known) for n in range(3)]
        run_until_idle(clock=clock)
        carry_out(trial, clock=clock)
        assert trial.settled == 0 and trial.pairs.count() == 3

        clock.forward(timedelta(days=3).total_seconds() + 1)
        carry_out(trial, clock=clock)

        # Missing is said of the pair; the real run itself is nobody's here.
        lost = trial.pairs.get(position=1)
        assert "did not end within 3 days" in lost.missing
        assert not Run.objects.get(pk=runs[0].pk).has_ended
        assert (trial.missing, trial.settled, trial.outcome) == (1, 3, "needs_more")
        assert not Run.objects.alive().filter(queue="trials").exists()


class TestPause:
    def test_lets_what_callers_run_meanwhile_pass_unshadowed(self) -> None:
        control = good_on(5)
        trial = live(control, good_on(5))
        verifying.pause(trial=trial, now=timezone.now())
        real_runs(control, 4)
        carry_out(trial)

        verifying.resume(trial=trial, now=timezone.now())
        after = real_runs(control, 2, start=4)
        carry_out(trial)

        enrolled = ArmRun.objects.filter(pair__trial=trial, arm="control").order_by("run_id")
        assert list(enrolled.values_list("run_id", flat=True)) == after
