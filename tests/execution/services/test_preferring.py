"""Judges in trials: examined on the control against itself, asked in both orders, heard only if they may serve."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from execution.agents.base import AgentBackend, Answer, Capabilities, Request, Reservation, Usage
from execution.errors import AgentError, TrialRefused
from execution.models import ArmRun, Effect, Trial
from execution.services import examining, faults, hints, trial_facts, verifying
from execution.services.preferring import JUDGE, Judge
from execution.shadow.recheck import recheck
from execution.worker import Worker, WorkerSettings
from registry.models import PatternVersion
from tests.execution.conftest import forget
from tests.execution.factories import Clock, make_run, make_user, make_version
from tests.execution.test_crashes import crash_at
from tests.execution.trials import carry_out, make_trial, numbers

pytestmark = pytest.mark.django_db(transaction=True)

# Both arms succeed always; what they answer has a worth that only a judge sees.
ANSWERS = "STATE n = 0\nRETURN {{worth: {worth}, n: n}}"


class Bench:
    """Judges of different characters, as agents that count as real."""

    name = "bench"
    capabilities = Capabilities(immediate=True, structured=True)

    def __init__(self, character: str = "fair") -> None:
        self.character = character

    def reserve(self, request: Request) -> Reservation:
        return Reservation(tokens=10)

    async def complete(self, request: Request) -> Answer:
        told = request.data["compares"]
        return Answer(value=getattr(self, self.character)(told, request), usage=Usage(input_tokens=5, cost_micros=100))

    def fair(self, told: Any, request: Request) -> Any:
        """Judges by the worth alone."""
        first, second = (json.loads(told[place]).get("worth", 0) for place in ("first", "second"))
        better = "tie" if first == second else "first" if first > second else "second"
        return {"better": better, "first_score": first / 10, "second_score": second / 10}

    def first(self, told: Any, request: Request) -> Any:
        """Likes whatever lies first."""
        return {"better": "first", "first_score": 0.9, "second_score": 0.1}

    def fickle(self, told: Any, request: Request) -> Any:
        """Contradicts itself by turns, leaning to neither side."""
        place = ("first", "second")[request.seed % 2]
        return {"better": place, "first_score": 0.5, "second_score": 0.5}

    def mumbling(self, told: Any, request: Request) -> Any:
        """Says nothing that can be read."""
        return {"better": "hm", "first_score": 0.5, "second_score": 0.5}

    def silent(self, told: Any, request: Request) -> Any:
        """Does not answer."""
        raise AgentError("agent_error", "no answer", retryable=False)


def bench(character: str = "fair") -> AgentBackend:
    """For ``settings.AGENT_BACKENDS``."""
    return Bench(character)


CHARACTERS = ("fair", "first", "fickle", "mumbling", "silent")
PATH = "tests.execution.services.test_preferring.bench"


@pytest.fixture(autouse=True)
def _benches(settings: Any) -> None:
    settings.AGENT_BACKENDS = {name: {"backend": PATH, "character": name} for name in CHARACTERS}


def worth(value: int | str, **fields: Any) -> PatternVersion:
    return make_version(ANSWERS.format(worth=value), **fields)


def judged(
    control: PatternVersion, candidate: PatternVersion, count: int = 60, *, quality: bool | None = False, **options: Any
) -> Trial:
    """A trial with a judge."""
    judge = Judge(criteria="Which is worth more?", quality=quality)
    return make_trial(control, candidate, count, **{"backend": "fair", "judge": judge, **options})


class TestJudge:
    def test_serves_once_it_was_examined_on_the_control_against_itself(self) -> None:
        control = worth(3)
        trial = carry_out(judged(control, worth(7)))

        exam = examining.exam_of(trial)
        assert exam is not None and (exam.mode, exam.status, exam.settled) == ("exam", "decided", 30)
        assert {exam.control_id, exam.candidate_id} == {control.pk}
        assert trial.judge["examination"]["pairs"] == 30
        assert trial.judge["examination"]["consistency"] == 1.0
        assert trial.status == "decided" and trial.outcome != "invalid"

    def test_is_asked_in_both_orders_about_each_pair(self) -> None:
        trial = carry_out(judged(worth(3), worth(7)))

        pair = trial.pairs.get(position=1)
        asked = ArmRun.objects.get(pair=pair, arm=JUDGE)
        orders = [effect.data()["compares"] for effect in Effect.objects.filter(run=asked.run)]
        assert [json.loads(order["first"])["worth"] for order in orders] == [3, 7]
        assert [json.loads(order["second"])["worth"] for order in orders] == [7, 3]
        assert pair.judged == [
            {
                "control_first": "second",
                "candidate_first": "first",
                "control_score": 0.3,
                "candidate_score": 0.7,
                "asked": True,
            }
        ]
        assert pair.contrasts["preference"] == 1.0

    def test_whose_preference_does_not_survive_the_swap_prefers_nobody(self) -> None:
        trial = carry_out(judged(worth(3), worth(7), judge=Judge(criteria="?", backend="fickle")))

        # It contradicts itself in every pair, so it is not even admitted.
        assert (trial.outcome, trial.settled) == ("invalid", 0)
        assert "agrees with itself" in trial.sentence

    def test_that_likes_a_position_makes_the_trial_invalid_before_its_first_pair(self) -> None:
        trial = carry_out(judged(worth("n % 7"), worth(7), judge=Judge(criteria="?", backend="first")))

        assert (trial.status, trial.outcome, trial.settled) == ("decided", "invalid", 0)
        assert not ArmRun.objects.filter(pair__trial=trial).exists()
        report = json.loads(bytes(trial.report.data))
        assert report["body"]["health"]["judge_qualified"] is False
        assert report["body"]["health"]["judge"] == {
            "pairs": 30,
            "consistency": 0.0,
            "leans_first": 30,
            "leans_second": 0,
        }
        assert recheck(bytes(trial.report.data)).outcome == "invalid"

    @pytest.mark.parametrize("character", ["mumbling", "silent"])
    def test_that_cannot_be_heard_never_serves(self, character: str) -> None:
        trial = carry_out(judged(worth(3), worth(7), judge=Judge(criteria="?", backend=character)))

        exam = examining.exam_of(trial)
        assert trial.outcome == "invalid" and "examined on 0 pairs" in trial.sentence
        assert exam is not None and exam.missing == exam.settled == 60
        attempts = ArmRun.objects.filter(pair__trial=exam, pair__position=1, arm=JUDGE)
        assert [one.attempt for one in attempts] == [1, 2, 3]

    def test_leaves_no_text_in_the_report(self) -> None:
        trial = carry_out(judged(worth(3), worth(7)))

        text = bytes(trial.report.data).decode()
        assert '"worth"' not in text and "worth more" not in text
        assert '"preference":1' in text and recheck(text).pairs == trial.settled

    def test_gives_the_quality_of_both_arms_where_that_is_asked(self) -> None:
        trial = carry_out(judged(worth(3), worth(7), quality=None))

        assert trial.pairs.get(position=1).contrasts["quality"] == 0.4
        assert trial.outcome == "promote"
        assert "quality" in trial.plan["primary"]

    def test_prefers_an_answer_to_none_without_being_asked(self) -> None:
        broken = make_version("STATE n = 0\nIF n % 2 == 1:\n  ASSERT false\nRETURN {worth: 3, n: n}")
        trial = carry_out(judged(worth(3), broken, 40))

        lost = trial.pairs.filter(position__lte=trial.settled, contrasts__contains='"success":-1')
        assert lost.exists()
        for pair in lost:
            assert pair.judged[0]["asked"] is False and pair.contrasts["preference"] == -1.0
            assert not ArmRun.objects.filter(pair=pair, arm=JUDGE).exists()

    def test_costs_what_the_trial_may_spend(self) -> None:
        limit = verifying.Budget(cost_usd=0.002)  # twenty questions of 100 millionths
        trial = carry_out(judged(worth(3), worth(7), budget=limit))

        assert trial.status == "cancelled" and "used up" in trial.note

    def test_is_told_by_the_control_s_own_section(self) -> None:
        section = {"method": "shadow_execution", "judge": "Which is worth more?"}
        control = worth(3, verification=section)
        trial = make_trial(control, worth(7), 40, backend="fair")

        assert trial.judge["criteria"] == "Which is worth more?"
        assert "preference" in trial.plan["metrics"]

    def test_may_be_wanted_of_repeated_runs(self) -> None:
        trial = carry_out(judged(worth(3), worth(7), 40, repeats=2))

        assert len(trial.pairs.get(position=1).judged) == 2
        assert trial.pairs.get(position=1).contrasts["preference"] == 1.0


class TestRefusals:
    def test_of_a_judge_without_criteria(self) -> None:
        with pytest.raises(TrialRefused, match="what makes an answer better"):
            judged(worth(3), worth(7), judge=Judge(criteria=" "))

    def test_of_two_sources_of_quality(self) -> None:
        with pytest.raises(TrialRefused, match="not from both"):
            judged(worth(3), worth(7), quality=True, score="worth / 10")

    def test_of_a_live_trial_whose_control_never_ran(self) -> None:
        control = worth(3)
        with pytest.raises(TrialRefused, match="inputs of earlier runs"):
            judged(control, worth(7), mode="live", user=None)
        assert not Trial.objects.exists()


class TestSteering:
    def test_cancels_the_examination_with_its_trial(self) -> None:
        trial = judged(worth(3), worth(7))
        verifying.cancel(trial=trial, now=timezone.now(), kill=True)

        exam = examining.exam_of(trial)
        assert exam is not None and exam.status == "cancelled" and exam.killed_at is not None

    def test_ends_the_trial_whose_examination_was_cancelled(self) -> None:
        trial = judged(worth(3), worth(7))
        exam = examining.exam_of(trial)
        assert exam is not None
        verifying.cancel(trial=exam, now=timezone.now(), reason="too dear")

        assert (carry_out(trial).status, trial.note) == ("cancelled", "its judge was not examined: too dear")

    def test_lets_the_examination_wait_while_the_trial_is_paused(self) -> None:
        trial = judged(worth(3), worth(7))
        verifying.pause(trial=trial, now=timezone.now())

        carry_out(trial)

        assert not ArmRun.objects.exists()
        verifying.resume(trial=trial, now=timezone.now())
        assert carry_out(trial).status == "decided"

    def test_shows_how_far_the_examination_is(self) -> None:
        trial = judged(worth(3), worth(7))

        facts = trial_facts.trial_detail(trial)["judge"]
        assert (facts["asked"], facts["needed"], facts["qualified"]) == (0, 30, None)
        facts = trial_facts.trial_detail(carry_out(trial))["judge"]
        assert (facts["asked"], facts["qualified"], facts["reason"]) == (30, True, "")


class TestLive:
    def test_asks_about_real_runs_once_the_judge_is_examined(self) -> None:
        owner = make_user()
        control = worth(3, owner=owner.own_owner)
        earlier = make_run(version=control, inputs={"n": 1}, backend="fair", now=timezone.now(), user=owner)
        carry_all()
        trial = judged(control, worth(7, owner=owner.own_owner), 0, mode="live", share=1.0, user=owner)
        assert earlier.pk <= trial.last_run
        during = make_run(version=control, inputs={"n": 2}, backend="fair", now=timezone.now())
        carry_all()
        assert trial_facts.trial_detail(reload(trial))["judge"]["qualified"] is True

        after = make_run(version=control, inputs={"n": 3}, backend="fair", now=timezone.now())
        carry_all()

        shadowed = set(ArmRun.objects.filter(pair__trial=trial, arm="control").values_list("run_id", flat=True))
        assert shadowed == {after.pk} and during.pk not in shadowed
        assert reload(trial).pairs.get().contrasts["preference"] == 1.0


def carry_all() -> None:
    """Runs of callers, then what trials do about them."""
    from execution.worker import run_until_idle

    run_until_idle()
    run_until_idle(settings=WorkerSettings(queue="trials"))


def reload(trial: Trial) -> Trial:
    trial.refresh_from_db()
    return trial


class TestCrash:
    @pytest.mark.parametrize("place", ["pair-stepped", "before-count-commits", "before-result-commits", "advanced"])
    def test_changes_nothing_about_what_the_judge_said(
        self, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verifying.secrets, "token_bytes", lambda count: b"7" * count)
        clock.now = int(timezone.now().timestamp() * 1000)
        control, candidate = worth("n % 7"), worth("n % 5")
        undisturbed = told(carry_out(judged(control, candidate, 40), clock=clock))

        trial, crashes = judged(control, candidate, 40), 0
        for time in (1, 3, 20):
            crash_at(place, time)
            worker = Worker(WorkerSettings(queue="trials"), clock=clock)
            worker.start()
            try:
                while worker.claim_and_run():
                    pass
            except faults.Crash:
                crashes += 1
            finally:
                faults.hook = None
                worker._ended.set()  # its heart stops; nothing is given back
                hints.forget(worker.hint)
                forget()
            clock.now += 10_000

        assert crashes >= 2
        assert told(carry_out(trial, clock=clock)) == undisturbed


def told(trial: Trial) -> Any:
    """Whatever a crash must not change."""
    rows = trial.pairs.order_by("position").values_list("position", "status", "contrasts", "judged", "missing")
    return trial.outcome, trial.settled, trial.judge, list(rows)


def test_inputs_of_an_examination_are_drawn_again_where_there_are_few() -> None:
    trial = judged(worth(3), worth(7), 5)

    exam = examining.exam_of(trial)
    assert exam is not None and exam.inputs.count() == len(numbers(5)) and exam.pairs.count() == 60
