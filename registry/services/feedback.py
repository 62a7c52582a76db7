"""
Ratings, comments and reports.

One rating per person and pattern, bound to the version it was given to and
marked when a recorded run of that person backs it. The owner's own people may
rate, but their stars do not rank the pattern.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Sum

from registry import ranking
from registry.errors import InvalidRequest, NotAllowed, NotThere, TooMany
from registry.models import Comment, Outcome, Pattern, PatternVersion, Rating, Report, User
from registry.services import audit, webhooks

MAX_WORDS = 5000
COMMENTS_PER_HOUR = 30
REPORTS_PER_DAY = 20


def rate(*, version: PatternVersion, user: User, stars: int, now: datetime, words: str = "", via: str = "") -> Rating:
    """
    Give one to five stars to a version; a second rating of the pattern replaces the first.

    Raises:
        InvalidRequest: stars out of range, or too many words.
        NotThere: ``user`` may not see the pattern.
    """
    pattern = version.pattern
    if not pattern.is_visible_to(user):
        raise NotThere(f"pattern {pattern}")
    if isinstance(stars, bool) or not isinstance(stars, int) or not 1 <= stars <= 5:
        raise InvalidRequest("stars", "give 1 to 5 stars")
    words = _checked_words(words, "words", may_be_empty=True)
    ran_it = Outcome.objects.filter(version__pattern=pattern, reporter=user).exists()
    values = {
        "version": version,
        "stars": stars,
        "words": words,
        "ran_it": ran_it,
        "ranks": not pattern.owner.role_of_member(user),
        "updated_at": now,
    }
    with transaction.atomic():
        rating = _store_rating(pattern=pattern, user=user, values=values, now=now)
        refresh_ratings(pattern)
        audit.record(
            actor=user,
            action="pattern.rated",
            subject=str(version),
            owner=pattern.owner.name,
            via=via,
            now=now,
            detail={"stars": stars},
        )
        webhooks.enqueue(
            owner=pattern.owner,
            event="pattern.rated",
            data={"pattern": str(pattern), "version": version.version, "stars": stars, "ran_it": ran_it},
            now=now,
        )
    return rating


def _store_rating(*, pattern: Pattern, user: User, values: dict[str, Any], now: datetime) -> Rating:
    """The person's one rating, made or replaced; two requests at once end in one row."""
    try:
        with transaction.atomic():
            rating, _ = Rating.objects.update_or_create(
                pattern=pattern, user=user, defaults=values, create_defaults={**values, "created_at": now}
            )
    except IntegrityError:
        rating = Rating.objects.get(pattern=pattern, user=user)
        Rating.objects.filter(pk=rating.pk).update(**values)
        rating.refresh_from_db()
    return rating


def withdraw_rating(*, pattern: Pattern, user: User) -> None:
    """Take one's own rating back; raises NotThere without one."""
    with transaction.atomic():
        deleted, _ = Rating.objects.filter(pattern=pattern, user=user).delete()
        if not deleted:
            raise NotThere("rating of yours")
        refresh_ratings(pattern)


def refresh_ratings(pattern: Pattern) -> None:
    """Rewrite the sums that lists show, from the ratings that rank."""
    sums = Rating.objects.filter(pattern=pattern, ranks=True, is_hidden=False).aggregate(n=Count("pk"), s=Sum("stars"))
    count, total = sums["n"], sums["s"] or 0
    Pattern.objects.filter(pk=pattern.pk).update(
        ratings_count=count, ratings_sum=total, rating_shrunk=ranking.rating_mean(total, count) if count else 0.0
    )


def comment(
    *,
    pattern: Pattern,
    user: User,
    text: str,
    now: datetime,
    version: PatternVersion | None = None,
    parent: Comment | None = None,
    via: str = "",
) -> Comment:
    """
    Add to a pattern's discussion.

    Raises:
        NotThere: ``user`` may not see the pattern.
        InvalidRequest: no text, too much of it, or an answer to another pattern's comment.
        TooMany: more than 30 comments in an hour.
    """
    if not pattern.is_visible_to(user):
        raise NotThere(f"pattern {pattern}")
    text = _checked_words(text, "text")
    if parent is not None and parent.pattern_id != pattern.pk:
        raise InvalidRequest("parent", "the comment you answer belongs to another pattern")
    if version is not None and version.pattern_id != pattern.pk:
        raise InvalidRequest("version", f"{version} is no version of {pattern}")
    hour = now.timestamp() - 3600
    recent = Comment.objects.filter(user=user, created_at__gt=datetime.fromtimestamp(hour, now.tzinfo)).count()
    if recent >= COMMENTS_PER_HOUR:
        raise TooMany("comments in an hour", 600)
    with transaction.atomic():
        made = Comment.objects.create(
            pattern=pattern, version=version, user=user, parent=parent, text=text, created_at=now
        )
        audit.record(
            actor=user, action="pattern.commented", subject=str(pattern), owner=pattern.owner.name, via=via, now=now
        )
        webhooks.enqueue(
            owner=pattern.owner,
            event="pattern.commented",
            data={"pattern": str(pattern), "comment": made.pk, "by": user.get_username()},
            now=now,
        )
    return made


def report(
    *,
    pattern: Pattern,
    user: User,
    reason: str,
    now: datetime,
    rating: Rating | None = None,
    comment: Comment | None = None,
) -> Report:
    """Ask the moderators to look at a pattern, or at one rating or comment of it; repeating it is no new report."""
    if not pattern.is_visible_to(user):
        raise NotThere(f"pattern {pattern}")
    for item in (rating, comment):
        if item is not None and item.pattern_id != pattern.pk:
            raise InvalidRequest("subject", "it belongs to another pattern")
    reason = _checked_words(reason, "reason")
    same = Report.objects.filter(
        pattern=pattern, rating=rating, comment=comment, reporter=user, status=Report.Status.OPEN
    ).first()
    if same is not None:
        return same
    day = datetime.fromtimestamp(now.timestamp() - 86400, now.tzinfo)
    if Report.objects.filter(reporter=user, created_at__gt=day).count() >= REPORTS_PER_DAY:
        raise TooMany("reports in a day", 3600)
    return Report.objects.create(
        pattern=pattern, rating=rating, comment=comment, reporter=user, reason=reason, created_at=now
    )


def resolve(*, report_id: int, user: User, uphold: bool, now: datetime, note: str = "") -> Report:
    """
    Decide a report: upheld hides the rating or comment, or makes the pattern private; for moderators (staff).

    Raises:
        NotAllowed: ``user`` is no moderator.
        NotThere: no such open report.
    """
    require_moderator(user)
    found = (
        Report.objects.select_related("pattern__owner", "rating", "comment")
        .filter(pk=report_id, status=Report.Status.OPEN)
        .first()
    )
    if found is None:
        raise NotThere(f"open report {report_id}")
    found.status = Report.Status.UPHELD if uphold else Report.Status.DISMISSED
    found.resolved_by, found.resolved_at, found.note = user, now, note[:MAX_WORDS]
    with transaction.atomic():
        found.save(update_fields=["status", "resolved_by", "resolved_at", "note"])
        if uphold:
            _hide(found)
        audit.record(
            actor=user,
            action=f"report.{found.status}",
            subject=str(found.pattern),
            owner=found.pattern.owner.name,
            now=now,
            detail={"report": found.pk, "note": found.note},
        )
    return found


def require_moderator(user: Any) -> None:
    """Raise NotAllowed unless ``user`` is staff."""
    if not user.is_staff:
        raise NotAllowed("only moderators see and decide reports")


def _hide(report: Report) -> None:
    if report.comment is not None:
        Comment.objects.filter(pk=report.comment.pk).update(is_hidden=True)
    elif report.rating is not None:
        Rating.objects.filter(pk=report.rating.pk).update(is_hidden=True)
        refresh_ratings(report.pattern)
    else:
        Pattern.objects.filter(pk=report.pattern_id).update(visibility=Pattern.Visibility.PRIVATE)


def _checked_words(text: str, field: str, *, may_be_empty: bool = False) -> str:
    text = text.strip().replace("\0", "")
    if not text and not may_be_empty:
        raise InvalidRequest(field, "write something")
    if len(text) > MAX_WORDS:
        raise InvalidRequest(field, f"at most {MAX_WORDS} characters")
    return text
