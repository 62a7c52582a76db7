"""Outcomes become rates; sources are never added together; nobody counts for too much."""

from __future__ import annotations

import math
from datetime import date, timedelta

import pytest

from registry.models import DailyRollup, Decision, Outcome, Pattern, PatternVersion, Source, User
from registry.ranking.context import cell_of
from registry.services import analytics, deriving, learning
from tests.registry.factories import NOW, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PatternVersion:
    return make_version(user=make_user("ada"))


@pytest.fixture
def bob() -> User:
    return make_user("bob")


class TestRecordOutcome:
    def test_counts_a_run_once(self, version: PatternVersion) -> None:
        for _ in range(2):
            analytics.record_outcome(
                run_key="r1", version=version, source=Source.MEASURED, succeeded=True, ended_at=NOW
            )

        assert Outcome.objects.count() == 1
        assert analytics.evidence_of(version).measured.runs == 1

    def test_keeps_simulated_runs_apart(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 3, reporter=bob, source=Source.SIMULATED)
        record_runs(version, 1, 1, reporter=bob)

        found = analytics.evidence_of(version)
        pattern = Pattern.objects.get()
        assert (found.measured.runs, found.simulated.runs, found.attested.runs) == (2, 3, 0)
        assert (pattern.measured_runs, pattern.measured_successes, pattern.simulated_runs) == (2, 1, 3)
        assert pattern.ranked_runs == 2

    def test_sums_a_day_per_context_and_reporter(self, version: PatternVersion, bob: User) -> None:
        cell = cell_of({"task": "Review", "model": "opus", "tags": ["b", "a"]})
        record_runs(version, 2, 1, reporter=bob, cell=cell, duration_seconds=2.0, cost_usd=0.5, tokens=10)

        row = DailyRollup.objects.get()
        assert (row.cell, row.runs, row.successes) == ("task=review;model=opus;tags=a,b", 3, 2)
        assert (row.duration_seconds_sum, row.duration_seconds_max, row.cost_usd_sum, row.tokens_sum) == (6, 2, 1.5, 30)
        assert row.failures == {"failed": 1}

    def test_names_failures(self, version: PatternVersion) -> None:
        record_runs(version, 0, 2, failure_type="opl.limit.tokens")
        record_runs(version, 0, 1, failure_type="timeout")

        assert analytics.failures_of(version) == [("opl.limit.tokens", 2), ("timeout", 1)]

    def test_settles_the_decisions_of_the_run(self, version: PatternVersion) -> None:
        learning.record_decision(version=version, decision_type="retry", run_key="r1", now=NOW)

        analytics.record_outcome(run_key="r1", version=version, source=Source.MEASURED, succeeded=True, ended_at=NOW)

        assert Decision.objects.get().succeeded is True


class TestRanking:
    def test_leaves_out_the_owner_s_own_runs(self, version: PatternVersion) -> None:
        record_runs(version, 30, reporter=version.published_by)

        pattern = Pattern.objects.get()
        assert (pattern.measured_runs, pattern.ranked_runs, pattern.success_floor) == (30, 0, 0.0)

    def test_caps_what_one_reporter_counts_for(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 60, reporter=bob)
        record_runs(version, 0, 10, reporter=make_user("eve"))

        pattern = Pattern.objects.get()
        assert (pattern.ranked_runs, pattern.ranked_successes) == (30, 20)

    def test_puts_certainty_above_luck(self, bob: User) -> None:
        lucky, proven = make_version("lucky"), make_version("proven")
        record_runs(lucky, 1, reporter=bob)
        for number in range(5):
            record_runs(proven, 19, 1, reporter=make_user(f"u{number}"))

        floors = dict(Pattern.objects.values_list("name", "success_floor"))
        assert floors["proven"] > floors["lucky"]


class TestEvidence:
    def test_has_an_interval_and_says_when_it_is_not_rated(self, version: PatternVersion) -> None:
        record_runs(version, 3, 1)
        few = analytics.evidence_of(version).measured
        record_runs(version, 3, 1)
        enough = analytics.evidence_of(version).measured

        assert (few.is_rated, enough.is_rated) == (False, True)
        assert enough.rate == 0.75
        assert (enough.low, enough.high) == pytest.approx((0.409, 0.929), abs=1e-3)

    def test_shows_claims_without_adding_them(self) -> None:
        source = opl(learned_from=[{"tournament_runs": 15}, {"success_rate": 0.85}])
        version = make_version(source=source)

        found = analytics.evidence_of(version)

        assert found.claimed == {"runs": 15.0, "success_rate": 0.85}
        assert found.claim_flags
        assert found.measured.runs == 0

    def test_of_a_new_version_starts_from_its_parent_at_a_quarter(self, version: PatternVersion) -> None:
        record_runs(version, 30, 10)
        newer = make_version(user=version.published_by, version="1.1.0")

        counts = analytics.current_rate(newer)

        # A quarter of what its parent weighs now: 40 runs, of which the older ones have faded a little.
        assert counts.runs == pytest.approx(sum(0.5 ** (place / 100) for place in range(40)) / 4)
        assert analytics.evidence_of(newer).measured.runs == 0

    def test_by_version_and_by_context(self, version: PatternVersion) -> None:
        newer = make_version(user=version.published_by, version="1.1.0")
        record_runs(version, 2, cell="task=a")
        record_runs(newer, 1, 2, cell="task=b")

        rates = analytics.rates_by_version(version.pattern)
        contexts = analytics.rates_by_context(version.pattern)

        assert {pk: rate["measured"].runs for pk, rate in rates.items()} == {version.pk: 2, newer.pk: 3}
        assert [(cell, rate.successes, rate.runs) for cell, rate in contexts] == [("task=b", 1, 3), ("task=a", 2, 2)]


class TestSeries:
    def test_gives_the_days_that_have_runs(self, version: PatternVersion) -> None:
        record_runs(version, 1, at=NOW, duration_seconds=4.0)
        record_runs(version, 1, 1, at=NOW + timedelta(days=2), duration_seconds=1.0)

        days = analytics.series(version, since=date(2026, 3, 1), until=date(2026, 3, 31))

        assert [(day.day.day, day.rate.runs, day.duration_seconds) for day in days] == [(2, 1, 4.0), (4, 2, 1.0)]

    def test_becomes_a_table_without_people_in_it(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 1, reporter=bob)

        rows = list(analytics.csv_rows(version.pattern, since=date(2026, 3, 1), until=date(2026, 3, 31)))

        assert rows[0][:4] == ["day", "version", "context", "source"]
        assert rows[1][:6] == ["2026-03-02", "1.0.0", "", "measured", 1, 1]
        assert not any("bob" in str(cell) or "user:" in str(cell) for row in rows for cell in row)

    def test_adds_what_several_people_reported_of_one_day(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 1, reporter=bob, duration_seconds=0.1)
        record_runs(version, 1, 1, duration_seconds=0.2, failure_type="timeout")

        rows = list(analytics.csv_rows(version.pattern, since=date(2026, 3, 1), until=date(2026, 3, 31)))

        assert [row[4:7] + row[9:] for row in rows[1:]] == [[3, 2, 0.5, 1]]


class TestCell:
    @pytest.mark.parametrize(
        ("context", "cell"),
        [
            ({}, ""),
            ({"task": "a;b=c"}, "task=a b c"),
            ({"tags": ["d", "c", "b", "a"]}, "tags=a,b,c"),
            ({"tags": "text"}, ""),
            ({"task_type": " X ", "model_family": "Opus"}, "task=x;model=opus"),
        ],
    )
    def test_is_one_normal_form(self, context: dict[str, object], cell: str) -> None:
        assert cell_of(context) == cell


class TestCurrentRate:
    """A version starts from what the one before has become, not from all that it ever was."""

    def test_hands_a_quarter_of_the_current_weight_down_the_line(self, version: PatternVersion) -> None:
        record_runs(version, 40, 40)
        second = make_version(user=version.published_by, source=opl("vote", version="1.1.0"))
        third = make_version(user=version.published_by, source=opl("vote", version="1.2.0"))

        # Independently: a run's weight halves with each hundred after it; successes came first.
        ratio = 0.5 ** (1 / 100)
        weight = sum(ratio**place for place in range(80))
        first_weight = min(weight / 4, 20)
        assert analytics.current_rate(second).runs == pytest.approx(first_weight)
        assert analytics.current_rate(third).runs == pytest.approx(first_weight / 4)
        assert analytics.current_rate(third).rate == pytest.approx(0.5)

    def test_forgets_what_the_version_before_was_before_it_changed(self, version: PatternVersion) -> None:
        for day in range(40):
            record_runs(version, 10, at=NOW + timedelta(days=day))
        for day in range(40, 60):
            record_runs(version, 0, 10, at=NOW + timedelta(days=day))
        second = make_version(user=version.published_by, source=opl("vote", version="1.1.0"))

        found = analytics.current_of(second)

        assert found.rate is not None and found.rate < 0.05
        assert (found.runs, found.inherited, (found.low, found.high)) == (0, 20.0, (0.0, 1.0))
        assert analytics.current_of(version).changed_on == (NOW + timedelta(days=40)).date()

    def test_shows_the_confidence_sequence_that_may_be_watched(self, version: PatternVersion) -> None:
        record_runs(version, 9, 1)

        found = analytics.current_of(version)

        # Its ends solve (n+1)·C(n,k)·p^k·(1−p)^(n−k) = α.
        for end in (found.low, found.high):
            assert 11 * math.comb(10, 9) * end**9 * (1 - end) == pytest.approx(0.05, rel=1e-6)

    def test_of_a_fork_starts_at_nothing(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 40)
        fork = deriving.fork(version=version, owner=bob.own_owner, user=bob, now=NOW, via="api")

        assert analytics.current_of(fork).weight == 0.0 and analytics.current_of(fork).rate is None
