"""Batch trials from their start to a verdict that anyone can recompute."""

from __future__ import annotations

from typing import Any

import pytest

from execution.errors import TrialNotPossible, TrialRefused
from execution.models import ArmRun, Run, Trial, TrialLook, TrialPair
from execution.services import trial_facts, verifying
from execution.services.pairing import seed_of, world_of
from execution.services.trial_inputs import GivenInput
from execution.shadow.enrolment import commitment_of, first_arm
from execution.shadow.errors import ReportRefused
from execution.shadow.observation import Arm
from execution.shadow.recheck import recheck
from execution.shadow.verdict import Outcome
from tests.execution.factories import NOW, make_user
from tests.execution.trials import ASKING, PLAIN, carry_out, good_on, make_trial, make_version, numbers

pytestmark = pytest.mark.django_db(transaction=True)


class TestVerdict:
    def test_promotes_a_candidate_that_is_better(self) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))

        assert (trial.status, trial.outcome) == ("decided", "promote")
        assert trial.sentence.startswith("Adopt the candidate")

    def test_refuses_a_candidate_that_does_harm(self) -> None:
        trial = carry_out(make_trial(good_on(9), good_on(3)))

        assert trial.outcome == "reject_harm"

    def test_adopts_nothing_in_an_a_a_trial(self) -> None:
        version = make_version(ASKING, success_when="ok")
        trial = carry_out(make_trial(version, version, 30))

        assert trial.status == "decided"
        assert trial.outcome in {"inconclusive", "reject_futile"}

    def test_is_the_one_that_a_recheck_of_the_report_finds(self) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))

        found = recheck(bytes(trial.report.data))

        assert found.outcome is Outcome.PROMOTE
        assert (found.digest, found.pairs) == (trial.report.digest, trial.settled)
        assert found.sentence == trial.sentence

    def test_is_refused_when_one_byte_of_the_report_was_changed(self) -> None:
        data = bytes(carry_out(make_trial(good_on(4), good_on(9))).report.data)

        for place in range(0, len(data), max(len(data) // 40, 1)):
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            with pytest.raises(ReportRefused):
                recheck(changed)

    def test_judges_both_arms_by_the_words_of_the_control(self) -> None:
        """A candidate does not bring its own idea of success."""
        lenient = make_version("STATE n = 0\nRETURN {ok: false}", success_when="true")
        trial = carry_out(make_trial(good_on(9), lenient))

        assert trial.outcome == "reject_harm"

    def test_ends_inconclusive_when_the_inputs_of_real_agents_are_used_up(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        trial = make_trial(good_on(5), good_on(5), 12, backend="plain")

        carry_out(trial)

        assert (trial.enrolled, trial.settled) == (12, 12)
        assert trial.outcome in {"inconclusive", "reject_futile"}


class TestEnrolment:
    def test_gives_every_pair_its_place_before_the_first_run(self) -> None:
        trial = make_trial(good_on(5), good_on(5), 20)

        positions = list(trial.pairs.values_list("position", flat=True))
        assert positions == list(range(1, trial.plan["n_max"] + 1))
        assert not Run.objects.exists()
        assert trial.seed_commitment == commitment_of(bytes(trial.seed))

    def test_draws_the_order_of_the_arms_from_the_committed_seed(self) -> None:
        trial = carry_out(make_trial(good_on(5), good_on(5), 30))

        for pair in trial.pairs.filter(status="settled"):
            first = ArmRun.objects.filter(pair=pair).order_by("run_id").first()
            assert pair.first == first_arm(bytes(trial.seed), pair.position) == first.arm

    def test_counts_in_the_order_of_enrolment_and_not_as_pairs_finish(self) -> None:
        trial = make_trial(good_on(5), good_on(5), 30)
        slow = TrialPair.objects.get(trial=trial, position=3)
        TrialPair.objects.filter(pk=slow.pk).update(status="running")  # somebody has it, and takes his time
        run = Run.objects.create(
            version=trial.control,
            program_hash="",
            backend="simulated",
            seed=1,
            created_at=NOW,
            status="paused",
            queue="trials",
        )
        ArmRun.objects.create(pair=slow, arm=slow.first, run=run)

        carry_out(trial)

        assert trial.settled == 2
        assert TrialPair.objects.filter(trial=trial, position__gt=3, status="settled").exists()
        assert list(TrialLook.objects.filter(trial=trial).values_list("position", flat=True)) == [1, 2]

    def test_takes_an_input_that_is_given_twice_once(self) -> None:
        trial = make_trial(good_on(5), good_on(5), 1)

        names = list(trial.pairs.values_list("input_name", flat=True))
        assert len(set(names)) == len(names)  # drawn again by simulated agents, it is another input

    def test_averages_repeated_runs_of_one_input(self) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9), repeats=2))

        pair = trial.pairs.get(position=1)
        assert pair.control["runs"] == pair.candidate["runs"] == 2
        assert pair.arm_runs.count() == 4
        assert trial.outcome == "promote"

    def test_lets_both_arms_meet_the_same_simulated_people(self) -> None:
        trial = carry_out(make_trial(good_on(9), good_on(1), 20))

        worlds: dict[int, set[int]] = {}
        for one in ArmRun.objects.filter(pair__trial=trial).select_related("run", "pair"):
            worlds.setdefault(one.pair.position, set()).add(one.run.policy["shadow"]["world"])
        assert all(worlds[position] == {world_of(bytes(trial.seed), position)} for position in worlds)
        assert len(set.union(*worlds.values())) == len(worlds) >= 10

    def test_gives_each_arm_a_seed_of_its_own(self) -> None:
        seeds = {seed_of(b"s" * 32, n, arm, 0, 1) for n in range(1, 50) for arm in Arm}
        assert len(seeds) == 98


class TestBrokenArms:
    def test_counts_a_crashing_candidate_as_failed_and_never_as_missing(self) -> None:
        crashing = make_version("STATE n = 0\nSTATE x = 1 / 0\nRETURN {ok: true}")
        trial = carry_out(make_trial(good_on(9), crashing))

        assert (trial.outcome, trial.missing) == ("reject_harm", 0)
        assert "division" in trial.pairs.get(position=1).candidate["error"]

    def test_counts_a_capped_candidate_as_failed(self) -> None:
        looping = make_version("STATE n = 0\nLOOP i FROM 1 TO 1000000:\n  UPDATE n = n + 1\nRETURN {ok: true}")
        trial = carry_out(make_trial(good_on(9), looping, caps={"statements": 500}))

        assert (trial.outcome, trial.missing) == ("reject_harm", 0)

    def test_tries_a_run_again_that_the_hub_itself_lost(self) -> None:
        trial = make_trial(good_on(9), good_on(9), 3, backend="scripted")
        _lose(trial, attempts=1)

        carry_out(trial)

        pair = trial.pairs.get(position=1)
        assert pair.missing == ""
        assert pair.arm_runs.filter(arm=pair.first, attempt=2).exists()

    def test_is_invalid_when_too_many_pairs_are_missing(self) -> None:
        trial = make_trial(good_on(9), good_on(9), 40, backend="scripted")
        for position in (1, 2):
            _lose(trial, attempts=3, position=position)

        carry_out(trial)

        assert trial.outcome == "invalid"
        assert "missing" in trial.sentence
        assert recheck(bytes(trial.report.data)).missing == 2


def _lose(trial: Trial, *, attempts: int, position: int = 1) -> None:
    """The first arm of a pair, failed by a fault of the hub."""
    pair = trial.pairs.get(position=position)
    for attempt in range(1, attempts + 1):
        run = Run.objects.create(
            version=trial.control,
            program_hash="",
            backend="scripted",
            seed=1,
            created_at=NOW,
            ended_at=NOW,
            status="failed",
            succeeded=False,
            queue="trials",
            error={"code": "execution.machine", "message": "a fault of the hub"},
        )
        ArmRun.objects.create(pair=pair, arm=pair.first, attempt=attempt, run=run)
    TrialPair.objects.filter(pk=pair.pk).update(status="running", epoch=attempts)


class TestSteering:
    def test_pauses_and_goes_on_where_it_was(self) -> None:
        trial = make_trial(good_on(4), good_on(9))
        verifying.pause(trial=trial, now=NOW)
        carry_out(trial)
        assert (trial.status, trial.settled) == ("paused", 0)

        verifying.resume(trial=trial, now=NOW)
        carry_out(trial)

        assert trial.outcome == "promote"

    def test_cancels_what_runs_and_decides_nothing(self) -> None:
        waiting = make_version("STATE n = 0\nWAIT 1000\nRETURN {ok: true}")
        trial = carry_out(make_trial(good_on(9), waiting, 5))
        assert Run.objects.alive().exists()

        verifying.cancel(trial=trial, now=NOW, kill=True)

        assert not Run.objects.alive().exists()
        assert (trial.status, trial.outcome) == ("cancelled", "needs_more")
        assert trial.killed_at == NOW
        with pytest.raises(TrialNotPossible):
            verifying.resume(trial=trial, now=NOW)

    def test_ends_without_a_verdict_when_its_whole_budget_is_used_up(self) -> None:
        asking = make_version(ASKING, success_when="ok")
        trial = carry_out(make_trial(asking, asking, at_once=1, budget=verifying.Budget(tokens=200)))

        assert (trial.status, trial.outcome) == ("cancelled", "needs_more")
        assert "budget of the trial" in trial.note
        assert 0 < trial.settled < 100

    def test_ends_every_trial_by_the_kill_switch(self) -> None:
        make_trial(good_on(4), good_on(9))
        make_trial(good_on(4), good_on(9))

        assert verifying.kill_all(now=NOW, reason="the provider's bill") == 2
        assert set(Trial.objects.values_list("status", flat=True)) == {"cancelled"}


class TestRefusals:
    def test_names_the_input_that_does_not_fit(self) -> None:
        with pytest.raises(TrialRefused, match="item 1 does not fit"):
            verifying.start_trial(
                control=good_on(5),
                candidate=good_on(5),
                inputs=[GivenInput(values={"unknown": 1})],
                user=None,
                now=NOW,
                backend="simulated",
            )

    @pytest.mark.parametrize(
        ("field", "options"),
        [
            ("mode", {"mode": "sideways"}),
            ("repeats", {"repeats": 0}),
            ("at_once", {"at_once": 1000}),
            ("share", {"mode": "live", "share": 0.0}),
            ("profile", {"profile": "sloppy"}),
            ("success_when", {"success_when": "1 +"}),
            ("backend", {"backend": "recorded"}),
        ],
    )
    def test_names_the_field(self, field: str, options: dict[str, object]) -> None:
        with pytest.raises(TrialRefused) as refused:
            make_trial(good_on(5), good_on(5), 2, **options)
        assert refused.value.field == field

    def test_lets_only_publishers_shadow_real_runs(self) -> None:
        with pytest.raises(TrialRefused, match="only publishers"):
            make_trial(good_on(5), good_on(5), mode="live", share=0.5, user=make_user())


class TestFacts:
    def test_say_all_that_a_page_shows(self) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))

        page = trial_facts.trial_page(trial)

        assert page.outcome == "promote" and page.progress == 1.0
        assert page.wins > page.losses == 0
        assert page.curve[-1]["n"] == trial.settled
        assert page.curve[-1]["noninferior"] >= page.thresholds["noninferior"]
        assert {row.metric for row in page.metrics} == set(trial.plan["metrics"])
        # The winner is of another pattern: adopting it publishes its text as the control's next version.
        assert page.adoption_obstacle == ""
        assert page.adoption is not None and page.adoption.kind == "publish"

    def test_keep_the_seed_until_the_end(self) -> None:
        trial = make_trial(good_on(4), good_on(9))
        assert trial_facts.seed_of(trial) is None
        assert trial_facts.seed_of(carry_out(trial)) == bytes(trial.seed).hex()


def test_recorded_inputs_come_from_runs_that_the_person_may_see() -> None:
    from execution.services.trial_inputs import recorded
    from execution.worker import run_until_idle
    from tests.execution.factories import make_run

    user, version = make_user(), good_on(5)
    for n in (1, 2, 2):
        make_run(version=version, inputs={"n": n}, user=user)
    make_run(version=version, inputs={"n": 3})
    run_until_idle()

    assert [one.values for one in recorded(version=version, user=user)] == [{"n": 2}, {"n": 1}]
    assert numbers(1)[0].source_run is None
