"""Ratings, comments, reports: one voice per person, and who may decide."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registry.errors import InvalidRequest, NotAllowed, NotThere, TooMany
from registry.models import Comment, Pattern, PatternVersion, Rating, Report, Source, User
from registry.services import feedback
from tests.registry.factories import NOW, make_user, make_version, record_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PatternVersion:
    return make_version(user=make_user("ada"))


@pytest.fixture
def bob() -> User:
    return make_user("bob")


def rate(version: PatternVersion, user: User, stars: int = 4, **options: object) -> Rating:
    return feedback.rate(version=version, user=user, stars=stars, now=NOW, **options)  # type: ignore[arg-type]


class TestRate:
    def test_replaces_the_person_s_earlier_rating(self, version: PatternVersion, bob: User) -> None:
        rate(version, bob, 2)
        newer = make_version(user=version.published_by, version="1.1.0")

        rate(newer, bob, 5, words="better now")

        row = Rating.objects.get()
        assert (row.stars, row.words, row.version) == (5, "better now", newer)

    @pytest.mark.parametrize("source", [Source.MEASURED, Source.SIMULATED])
    def test_is_marked_when_a_run_backs_it(self, version: PatternVersion, bob: User, source: str) -> None:
        record_runs(version, 1, reporter=bob, source=source)

        assert rate(version, bob).ran_it

    def test_is_marked_by_a_run_that_comes_later(self, version: PatternVersion, bob: User) -> None:
        assert not rate(version, bob).ran_it

        record_runs(version, 0, 1, reporter=bob)

        assert Rating.objects.get().ran_it

    def test_is_not_marked_by_somebody_else_s_run(self, version: PatternVersion, bob: User) -> None:
        record_runs(version, 1, reporter=make_user("eve"))

        assert not rate(version, bob).ran_it

    def test_of_the_owner_s_own_people_does_not_rank(self, version: PatternVersion, bob: User) -> None:
        rate(version, version.published_by, 5)
        rate(version, bob, 2)

        pattern = Pattern.objects.get()
        assert (pattern.ratings_count, pattern.ratings_sum) == (1, 2)

    def test_shrinks_the_mean_that_sorts(self, version: PatternVersion, bob: User) -> None:
        rate(version, bob, 5)

        assert Pattern.objects.get().rating_shrunk == pytest.approx((5 + 3 * 5) / 6)

    @pytest.mark.parametrize("stars", [0, 6, True, 3.5])
    def test_refuses_what_are_no_stars(self, version: PatternVersion, bob: User, stars: int) -> None:
        with pytest.raises(InvalidRequest):
            rate(version, bob, stars)

    def test_can_be_taken_back(self, version: PatternVersion, bob: User) -> None:
        rate(version, bob)

        feedback.withdraw_rating(pattern=version.pattern, user=bob)

        assert Pattern.objects.get().ratings_count == 0
        with pytest.raises(NotThere):
            feedback.withdraw_rating(pattern=version.pattern, user=bob)

    def test_does_not_reach_what_one_may_not_see(self, bob: User) -> None:
        with pytest.raises(NotThere):
            rate(make_version(visibility="private"), bob)


class TestComment:
    def test_answers_another(self, version: PatternVersion, bob: User) -> None:
        first = feedback.comment(pattern=version.pattern, user=bob, text="How?", now=NOW)

        answer = feedback.comment(pattern=version.pattern, user=bob, text="So.", parent=first, now=NOW)

        assert answer.parent == first

    def test_refuses_to_answer_across_patterns(self, version: PatternVersion, bob: User) -> None:
        other = feedback.comment(pattern=make_version("other").pattern, user=bob, text="x", now=NOW)

        with pytest.raises(InvalidRequest):
            feedback.comment(pattern=version.pattern, user=bob, text="y", parent=other, now=NOW)

    @pytest.mark.parametrize("text", ["", "   ", "x" * 5001])
    def test_refuses_nothing_and_too_much(self, version: PatternVersion, bob: User, text: str) -> None:
        with pytest.raises(InvalidRequest):
            feedback.comment(pattern=version.pattern, user=bob, text=text, now=NOW)

    def test_is_limited_per_hour(self, version: PatternVersion, bob: User) -> None:
        for _ in range(feedback.COMMENTS_PER_HOUR):
            feedback.comment(pattern=version.pattern, user=bob, text="x", now=NOW)

        with pytest.raises(TooMany):
            feedback.comment(pattern=version.pattern, user=bob, text="x", now=NOW)
        feedback.comment(pattern=version.pattern, user=bob, text="x", now=NOW + timedelta(hours=2))


class TestReport:
    def test_is_one_per_person_and_subject(self, version: PatternVersion, bob: User) -> None:
        feedback.report(pattern=version.pattern, user=bob, reason="spam", now=NOW)
        feedback.report(pattern=version.pattern, user=bob, reason="spam again", now=NOW)

        assert Report.objects.count() == 1

    def test_upheld_hides_a_comment(self, version: PatternVersion, bob: User) -> None:
        comment = feedback.comment(pattern=version.pattern, user=make_user("eve"), text="spam", now=NOW)
        row = feedback.report(pattern=version.pattern, user=bob, reason="spam", comment=comment, now=NOW)

        feedback.resolve(report_id=row.pk, user=make_user("mod", is_staff=True), uphold=True, now=NOW)

        assert Comment.objects.get().is_hidden

    def test_upheld_takes_a_rating_out_of_the_mean(self, version: PatternVersion, bob: User) -> None:
        rating = rate(version, make_user("eve"), 1)
        row = feedback.report(pattern=version.pattern, user=bob, reason="revenge", rating=rating, now=NOW)

        feedback.resolve(report_id=row.pk, user=make_user("mod", is_staff=True), uphold=True, now=NOW)

        assert Pattern.objects.get().ratings_count == 0

    def test_upheld_makes_a_pattern_private(self, version: PatternVersion, bob: User) -> None:
        row = feedback.report(pattern=version.pattern, user=bob, reason="harmful", now=NOW)

        feedback.resolve(report_id=row.pk, user=make_user("mod", is_staff=True), uphold=True, now=NOW)

        assert Pattern.objects.get().visibility == "private"

    def test_is_decided_once_and_by_moderators(self, version: PatternVersion, bob: User) -> None:
        row = feedback.report(pattern=version.pattern, user=bob, reason="spam", now=NOW)
        moderator = make_user("mod", is_staff=True)

        with pytest.raises(NotAllowed):
            feedback.resolve(report_id=row.pk, user=bob, uphold=True, now=NOW)
        feedback.resolve(report_id=row.pk, user=moderator, uphold=False, now=NOW)
        with pytest.raises(NotThere):
            feedback.resolve(report_id=row.pk, user=moderator, uphold=True, now=NOW)
