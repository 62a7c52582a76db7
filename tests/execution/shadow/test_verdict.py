"""Every row of the verdict table, from claims and from evidence."""

from dataclasses import replace

import pytest

from execution.shadow.assessment import Pair, assess
from execution.shadow.contrast import Metric
from execution.shadow.plan import Guardrail, TrialPlan
from execution.shadow.verdict import Claims, Health, Outcome, decide

from .builders import SUCCESS_ONLY, pairs_of

WORTHY = Claims(enough=True, noninferior=True, superior=True)


class TestDecide:
    """The table itself: the first row that holds."""

    @pytest.mark.parametrize(
        ("claims", "outcome"),
        [
            (Claims(), "needs_more"),
            (Claims(invalid="spoiled", harm=True), "invalid"),
            (replace(WORTHY, invalid="spoiled"), "invalid"),
            (Claims(harm=True, broken=("cost",)), "reject_harm"),
            (replace(WORTHY, harm=True), "reject_harm"),
            (replace(WORTHY, vetoes=("a", "b"), every_stratum=True), "reject_harm"),
            (replace(WORTHY, broken=("cost",)), "reject_guard"),
            (WORTHY, "promote"),
            (replace(WORTHY, exhausted=True, futile=True), "promote"),
            (replace(WORTHY, vetoes=("long",)), "promote_scoped"),
            (replace(WORTHY, enough=False), "needs_more"),
            (replace(WORTHY, noninferior=False), "needs_more"),
            (replace(WORTHY, superior=False), "needs_more"),
            (replace(WORTHY, kept=False), "needs_more"),
            (replace(WORTHY, kept=False, exhausted=True), "inconclusive"),
            (replace(WORTHY, same_version=True), "inconclusive"),
            (Claims(futile=True, enough=True, exhausted=True), "reject_futile"),
            (Claims(futile=True, enough=False), "needs_more"),
            (Claims(exhausted=True), "inconclusive"),
        ],
    )
    def test_reads_the_first_row_that_holds(self, claims, outcome):
        assert decide(claims) == outcome

    def test_ends_a_trial_with_everything_but_needs_more(self):
        assert [outcome for outcome in Outcome if not outcome.final] == ["needs_more"]

    def test_adopts_only_what_is_promoted(self):
        assert [outcome for outcome in Outcome if outcome.adopts] == ["promote", "promote_scoped"]


class TestFromEvidence:
    """Each outcome reached by a trial's pairs."""

    def test_promotes_a_candidate_that_wins(self):
        found = assess(SUCCESS_ONLY, pairs_of([1, 1, 0, 1] * 20)).verdict

        assert found.outcome == "promote"
        assert found.pairs == 20  # not before n_min, however clear it is

    def test_stops_harm_at_once(self):
        found = assess(SUCCESS_ONLY, pairs_of([-1] * 30)).verdict

        assert found.outcome == "reject_harm"
        assert found.pairs < SUCCESS_ONLY.n_min

    def test_promotes_what_is_as_good_and_cheaper(self):
        plan = TrialPlan.of_profile("standard", metrics=("success", "cost"))
        pairs = [Pair(position=n, contrasts={"success": 0.0, "cost": 0.3}) for n in range(1, 200)]

        assert assess(plan, pairs).verdict.outcome == "promote"

    def test_keeps_the_control_when_the_candidate_is_much_dearer(self):
        plan = TrialPlan.of_profile("standard", metrics=("success", "cost"))
        pairs = [Pair(position=n, contrasts={"success": n % 5 == 0, "cost": -0.4}) for n in range(1, 200)]

        found = assess(plan, pairs).verdict

        assert (found.outcome, found.broken) == ("reject_guard", ("cost",))

    def test_a_soft_guardrail_decides_nothing(self):
        rail = Guardrail(metric=Metric.LATENCY, margin=0.25, hard=False)
        plan = TrialPlan(metrics=("success", "latency"), primary=("success",), guardrails=(rail,))
        pairs = [Pair(position=n, contrasts={"success": 1.0, "latency": -0.5}) for n in range(1, 60)]

        assert assess(plan, pairs).verdict.outcome == "promote"

    def test_promotes_outside_of_a_stratum_that_is_harmed(self):
        plan = TrialPlan.of_profile("standard", metrics=("success",), strata=("short", "long", "other"))
        wins_but_for_long = pairs_of([1, -1, 1] * 60, strata=("short", "long", "other"))

        found = assess(plan, wins_but_for_long).verdict

        assert (found.outcome, found.excluded) == ("promote_scoped", ("long",))

    def test_gives_up_on_an_effect_that_is_not_there(self):
        found = assess(SUCCESS_ONLY, pairs_of([0] * 400)).verdict

        assert found.outcome == "reject_futile"
        assert found.pairs < 100

    def test_is_inconclusive_at_the_last_pair(self):
        plan = replace(SUCCESS_ONLY, n_max=40)

        found = assess(plan, pairs_of([1, 0, 0, 0, 0, -1, 0, 0, 0, 1] * 4)).verdict

        assert (found.outcome, found.pairs) == ("inconclusive", 40)
        assert found.pairs_needed and found.pairs_needed > 0
        assert str(found.pairs_needed) in found.sentence

    def test_needs_more_before_that(self):
        assert assess(SUCCESS_ONLY, pairs_of([1, 0, -1])).verdict.outcome == "needs_more"

    def test_is_invalid_with_more_than_one_pair_in_twenty_missing(self):
        lost = [replace(pair, contrasts={}, missing="worker lost") for pair in pairs_of([0, 0])]

        found = assess(SUCCESS_ONLY, lost).verdict

        assert (found.outcome, found.missing) == ("invalid", 2)

    def test_is_valid_with_exactly_one_pair_in_twenty_missing(self):
        pairs = pairs_of([1] * 21)
        pairs[3] = replace(pairs[3], contrasts={}, missing="worker lost")

        found = assess(SUCCESS_ONLY, pairs).verdict

        assert (found.outcome, found.pairs, found.missing) == ("promote", 20, 1)

    @pytest.mark.parametrize(
        "health",
        [
            Health(judge_qualified=False, judge_reason="it favours what is laid out first"),
            Health(replay_fidelity=0.94),
        ],
    )
    def test_is_invalid_when_what_it_rests_on_is(self, health):
        found = assess(SUCCESS_ONLY, pairs_of([1] * 40), health).verdict

        assert found.outcome == "invalid"
        assert "first" in found.sentence or "94.0%" in found.sentence

    def test_never_adopts_a_version_over_itself(self):
        found = assess(SUCCESS_ONLY, pairs_of([1] * 40), same_version=True).verdict

        assert found.outcome == "inconclusive"
        assert "noise floor" in found.sentence

    def test_superiority_is_the_mean_over_what_is_measured(self):
        """E = 20 on success alone would do; averaged with two metrics that do not differ, it does not."""
        contrasts = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0] * 40
        alone = assess(SUCCESS_ONLY, pairs_of(contrasts)).verdict.pairs
        three = TrialPlan.of_profile("standard")
        pairs = [
            Pair(position=n, contrasts={"success": float(c), "cost": 0.0, "tokens": 0.0, "latency": 0.0})
            for n, c in enumerate(contrasts, 1)
        ]

        assert assess(three, pairs).verdict.outcome == "promote"
        assert assess(three, pairs).verdict.pairs > alone
