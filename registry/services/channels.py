"""
Channels: names that point to a version, with every move kept.

``latest`` follows the highest version by itself. ``stable`` starts at the
first release and from then on moves only on purpose; a protected channel moves
only by a verdict or by an administrator of the owner.
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from registry.errors import InvalidRequest, NotAllowed, RowMoved
from registry.models import Channel, ChannelMove, Owner, Pattern, PatternVersion, User
from registry.models.names import is_name
from registry.services import audit, webhooks


def move(
    *,
    pattern: Pattern,
    name: str,
    version: PatternVersion,
    user: User | None,
    via: str,
    now: datetime,
    reason: str = "",
    by_verdict: bool = False,
    expected_revision: int | None = None,
) -> Channel:
    """
    Point a channel at a version, making the channel where it is new.

    Args:
        by_verdict: the caller is a trial's verdict; it may move protected channels.
        expected_revision: of the channel as the person saw it; None to take what is there.

    Raises:
        NotAllowed: ``user`` may not move it.
        InvalidRequest: a bad name, a yanked version, or one of another pattern.
        RowMoved: somebody moved it first.
    """
    _check(pattern=pattern, name=name, version=version)
    channel = Channel.objects.select_related("version").filter(pattern=pattern, name=name).first()
    if not by_verdict:
        _check_person(pattern=pattern, channel=channel, user=user)
    if channel is not None and expected_revision is not None and channel.revision != expected_revision:
        raise RowMoved(f"channel {pattern}:{name}")
    with transaction.atomic():
        moved = point(
            pattern=pattern, name=name, version=version, channel=channel, user=user, via=via, reason=reason, now=now
        )
        refresh_heads(pattern)
        audit.record(
            actor=user,
            action="channel.moved",
            subject=f"{pattern}:{name}",
            owner=pattern.owner.name,
            via=via,
            now=now,
            detail={"to": version.version, "reason": reason},
        )
        webhooks.enqueue(
            owner=pattern.owner,
            event="channel.moved",
            data={"pattern": str(pattern), "channel": name, "version": version.version, "digest": version.digest},
            now=now,
        )
    return moved


def _check(*, pattern: Pattern, name: str, version: PatternVersion) -> None:
    if not is_name(name):
        raise InvalidRequest("channel", "name it with 2 to 64 of a-z, 0-9, _ and -, beginning with a letter")
    if version.pattern_id != pattern.pk:
        raise InvalidRequest("version", f"{version} is no version of {pattern}")
    if version.is_yanked:
        raise InvalidRequest("version", f"{version} is yanked; choose another")
    if name == Channel.LATEST:
        raise InvalidRequest("channel", "`latest` follows the highest version by itself; use another name")


def _check_person(*, pattern: Pattern, channel: Channel | None, user: User | None) -> None:
    if user is None or not pattern.owner.can_publish(user):
        raise NotAllowed(f"only publishers of {pattern.owner} may move channels of {pattern}")
    if channel is not None and channel.is_protected and not pattern.owner.can_administer(user):
        raise NotAllowed(f"{channel} is protected; a trial's verdict or an administrator may move it")


def point(
    *,
    pattern: Pattern,
    name: str,
    version: PatternVersion,
    channel: Channel | None,
    user: User | None,
    via: str,
    reason: str,
    now: datetime,
) -> Channel:
    """Make or move the row by compare-and-swap and keep the move; inside the caller's transaction."""
    if channel is None:
        try:
            with transaction.atomic():
                channel = Channel.objects.create(pattern=pattern, name=name, version=version, moved_at=now)
        except IntegrityError as error:
            raise RowMoved(f"channel {pattern}:{name}") from error
        before = None
    else:
        if channel.version_id == version.pk:
            return channel
        before = channel.version_id
        changed = Channel.objects.filter(pk=channel.pk, revision=channel.revision).update(
            version=version, revision=channel.revision + 1, moved_at=now
        )
        if not changed:
            raise RowMoved(f"channel {pattern}:{name}")
        channel.version, channel.revision, channel.moved_at = version, channel.revision + 1, now
    ChannelMove.objects.create(
        channel=channel, from_version_id=before, to_version=version, moved_by=user, via=via, reason=reason, moved_at=now
    )
    return channel


def protect(*, pattern: Pattern, name: str, is_protected: bool, user: User, now: datetime) -> Channel:
    """Protect a channel, or free it; for administrators of the owner."""
    if not pattern.owner.can_administer(user):
        raise NotAllowed(f"only administrators of {pattern.owner} may protect channels")
    channel = pattern.channel(name)
    if channel is None:
        raise InvalidRequest("channel", f"{pattern} has no channel {name}")
    with transaction.atomic():
        Channel.objects.filter(pk=channel.pk).update(is_protected=is_protected)
        audit.record(
            actor=user,
            action="channel.protected" if is_protected else "channel.freed",
            subject=str(channel),
            owner=pattern.owner.name,
            now=now,
        )
    channel.is_protected = is_protected
    return channel


def after_publish(
    *,
    pattern: Pattern,
    version: PatternVersion,
    newest: PatternVersion | None,
    user: User | None,
    now: datetime,
) -> None:
    """
    ``latest`` to the highest usable version; ``stable`` to the first release there is.

    ``newest`` is the highest one before ``version`` came, None for the first.
    """
    channels = {channel.name: channel for channel in pattern.channels.all()} if newest is not None else {}
    is_highest = newest is None or newest.is_yanked or version.sort_key > newest.sort_key
    head = version if is_highest or newest is None else newest
    latest = channels.get(Channel.LATEST)
    point(
        pattern=pattern, name=Channel.LATEST, version=head, channel=latest, user=user, via="publish", reason="", now=now
    )
    stable = channels.get(Channel.STABLE)
    # What an author of another node wrote is never stable by itself: somebody here says so.
    is_ours = pattern.owner.kind != Owner.Kind.REMOTE
    if is_ours and stable is None and "-" not in version.version.partition("+")[0]:
        stable = point(
            pattern=pattern,
            name=Channel.STABLE,
            version=version,
            channel=None,
            user=user,
            via="publish",
            reason="",
            now=now,
        )
    _set_heads(pattern, newest_id=head.pk, shown_id=stable.version_id if stable else head.pk)


def after_yank(*, version: PatternVersion, user: User | None, now: datetime) -> None:
    """
    Move every channel off a yanked version: to its successor, else to where the channel
    stood last, else to the highest usable version; with none left it stays, marked.
    """
    pattern = version.pattern
    for channel in pattern.channels.filter(version=version):
        successor = version.successor
        target = successor if successor is not None and successor.pattern_id == pattern.pk else None
        if target is None and channel.name != Channel.LATEST:
            earlier = channel.moves.filter(to_version__yanked_at__isnull=True).select_related("to_version").first()
            target = earlier.to_version if earlier else None
        target = target or pattern.versions.usable().in_order().first()
        if target is not None:
            point(
                pattern=pattern,
                name=channel.name,
                version=target,
                channel=channel,
                user=user,
                via="yank",
                reason=f"{version.version} was yanked: {version.yank_reason}"[:500],
                now=now,
            )
    refresh_heads(pattern)


def refresh_heads(pattern: Pattern) -> None:
    """Set ``newest`` and ``shown`` of the pattern from its versions and channels."""
    ids = pattern.versions.in_order().values_list("pk", flat=True)
    newest = ids.filter(yanked_at__isnull=True).first() or ids.first()
    stable = pattern.channels.filter(name=Channel.STABLE).values_list("version_id", flat=True).first()
    _set_heads(pattern, newest_id=newest, shown_id=stable or newest)


def _set_heads(pattern: Pattern, *, newest_id: int | None, shown_id: int | None) -> None:
    if (pattern.newest_id, pattern.shown_id) != (newest_id, shown_id):
        pattern.newest_id, pattern.shown_id = newest_id, shown_id
        Pattern.objects.filter(pk=pattern.pk).update(newest_id=newest_id, shown_id=shown_id)
