"""
The way of a foreign release from "signed" to "admitted" or out: one step at a time, each with its reason.

    decide(item, Event.APPROVED, …)       # a person
    admit(item, …)                        # into the registry, as a candidate under its author's own name

Steps are compare-and-swap on the state, so two workers never take the same
one. The step rows are the audit of the machine; what people decide stands in
the hash-chained audit log as well.

Source: OPL-Fed/1, "Trust and quarantine"; docs/decisions/0084.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from federation.errors import Unable
from federation.models import Peer, QuarantineItem, QuarantineStep, Statement
from federation.protocol import quarantine
from federation.protocol.quarantine import TRANSITIONS, Event
from federation.protocol.tiers import RULES, Reannounce, Tier
from federation.services import blocking, homecoming, identities, statistics, storing
from registry.errors import RegistryError
from registry.models import Channel, LineageEdge, Owner, Pattern, PatternVersion, User, Via
from registry.models.names import name_from
from registry.services import audit, publishing

_EDGES = {"fork": LineageEdge.Op.FORK, "merge": LineageEdge.Op.MERGE, "adapt": LineageEdge.Op.ADAPT,
          "translate": LineageEdge.Op.TRANSLATE}  # fmt: skip


@transaction.atomic
def step(
    item: QuarantineItem, event: Event, *, reason: str, now: datetime, actor: User | None = None, **changes: Any
) -> QuarantineItem:
    """
    One step along the table; further columns may change with it.

    Raises:
        ImpossibleStep: the event does not apply to where the object stands.
        Unable: somebody else moved it first.
    """
    before = item.current
    after = quarantine.after(before, event)
    fields: dict[str, Any] = {"state": str(after), "reason": reason[:2_000], "changed_at": now, **changes}
    if actor is not None:
        fields["decided_by"] = actor
    if not QuarantineItem.objects.filter(pk=item.pk, state=str(before)).update(**fields):
        raise Unable(f"{item} was moved by somebody else; load it again")
    for name, value in fields.items():
        setattr(item, name, value)
    QuarantineStep.objects.create(
        item=item, event=str(event), before=str(before), after=str(after), reason=fields["reason"], actor=actor, at=now
    )
    if actor is not None:
        audit.record(
            actor=actor,
            action=f"quarantine.{event}",
            subject=f"{item.statement.subject_name}@{item.statement.version}",
            now=now,
            detail={"statement": item.statement.statement_id, "reason": reason[:500]},
        )
    return item


# ---------------------------------------------------------------- decisions


def admit(
    item: QuarantineItem, event: Event, *, reason: str, now: datetime, actor: User | None = None
) -> PatternVersion:
    """
    Publish an object into the registry under its author's own name, shown as a candidate.

    Raises:
        ImpossibleStep: it cannot be admitted from where it stands.
        Unable: the registry does not take it; the object stays where it is.
    """
    quarantine.after(item.current, event)
    row = item.statement
    if row.is_held_back:
        raise Unable(f"{item} is held back: {item.reason}")
    if blocking.is_blocked(row.signer):
        raise Unable(f"the author of {item} is blocked here; unblock it first")
    try:
        with transaction.atomic():
            version = _publish(row, peer=item.peer, now=now)
            step(item, event, reason=reason, now=now, actor=actor, admitted_as=version)
            _pass_on(item)
    except RegistryError as error:
        if actor is not None:
            raise Unable(f"the registry does not take it: {error}") from error
        _cannot(item, str(error), now=now)
        raise Unable(str(error)) from error
    return version


def _cannot(item: QuarantineItem, error: str, *, now: datetime) -> None:
    item.refresh_from_db()
    if Event.REFUSED in TRANSITIONS[item.current]:
        step(item, Event.REFUSED, reason=f"the registry does not take it: {error}", now=now)


def reject(item: QuarantineItem, *, reason: str, now: datetime, actor: User) -> QuarantineItem:
    """A person refuses an object."""
    return step(item, Event.REFUSED, reason=reason or "refused by hand", now=now, actor=actor)


def approve(item: QuarantineItem, *, reason: str, now: datetime, actor: User) -> PatternVersion:
    """A person admits an object."""
    return admit(item, Event.APPROVED, reason=reason or "approved by hand", now=now, actor=actor)


def block_author(item: QuarantineItem, *, reason: str, now: datetime, actor: User) -> int:
    """Block the author of this object; answers how much of it waited here and is refused."""
    return blocking.block(item.statement.signer, reason=reason, now=now, actor=actor)


def expire(*, now: datetime) -> int:
    """Objects that nobody decided about within 90 days."""
    open_states = [str(state) for state, ways in TRANSITIONS.items() if Event.TIME_RAN_OUT in ways]
    before = datetime.fromtimestamp(now.timestamp() - quarantine.EXPIRES_AFTER_SECONDS, tz=now.tzinfo)
    overdue = QuarantineItem.objects.filter(state__in=open_states, received_at__lte=before)
    for item in overdue.select_related("statement")[:1_000]:
        step(item, Event.TIME_RAN_OUT, reason="nobody decided within 90 days", now=now)
    return overdue.count()


def _pass_on(item: QuarantineItem) -> None:
    """An admitted object is announced further where its peer's tier says so, its author's keys before it."""
    tier = item.peer.trust if item.peer is not None else Tier.PROBATION
    rule = RULES[tier].reannounce
    passes = rule is Reannounce.YES or (rule is Reannounce.AFTER_LOCAL_TRIAL and item.has_passed_here)
    row = item.statement
    if not passes and not homecoming.is_ours(row.signer):
        return
    origin = row.via[0] if row.via else ""
    Statement.objects.filter(kind="root", signer__in=[row.signer, origin], is_announced=False).update(is_announced=True)
    Statement.objects.filter(pk=row.pk).update(is_announced=True)
    Statement.objects.filter(target=row.statement_id, is_advice=False).exclude(target="").update(is_announced=True)
    storing.number_soon()


# ---------------------------------------------------------------- into the registry


def _publish(row: Statement, *, peer: Peer | None, now: datetime) -> PatternVersion:
    predicate = row.predicate
    home = homecoming.owner_at_home(row.signer)
    owner = home or owner_of(row, peer=peer)
    operation = predicate["lineage"]["op"]
    edges = tuple((parent, _EDGES[operation]) for parent in predicate["lineage"]["parents"] if operation in _EDGES)
    published = publishing.publish(
        owner=owner,
        user=None,
        source=predicate["source"].encode("utf-8"),
        via=Via.PEER,
        now=now,
        version=predicate["version"],
        name=row.name,
        visibility=homecoming.visibility_of(row) if home is not None else Pattern.Visibility.PUBLIC,
        provenance={
            "statement": row.statement_id,
            "author": row.signer,
            "origin": predicate["origin"],
            "via": row.via,
            "claims": predicate.get("learned_from"),
        },
        parents=edges,
    )
    version = published.versions[0].version
    statistics.recount(version)
    if home is not None:
        homecoming.settle_in(version, row, now=now)
    else:
        _as_candidate(version, now=now)
    return version


def _as_candidate(version: PatternVersion, *, now: datetime) -> None:
    """What comes from outside is a candidate until somebody here makes it stable."""
    from registry.services import channels

    pattern = version.pattern
    row = pattern.channel(Channel.CANDIDATE)
    channels.point(
        pattern=pattern,
        name=Channel.CANDIDATE,
        version=version,
        channel=row,
        user=None,
        via="peer",
        reason="admitted from a peer",
        now=now,
    )


def owner_of(row: Statement, *, peer: Peer | None) -> Owner:
    """The registry's owner for a foreign author, keyed by author id; made at the first admission."""
    owner = Owner.objects.filter(authority=row.signer).first()
    if owner is not None:
        return owner
    handle = row.subject_name.partition("/")[0]
    where = _place_of(row, peer)
    stem = name_from(f"{handle}-at-{name_from(where) or row.signer[5:11]}") or f"author-{row.signer[5:17]}"
    taken = Owner.objects.filter(name=stem).exists()
    name = f"{stem[:55]}-{row.signer[5:13]}" if taken else stem
    return Owner.objects.create(
        name=name, kind=Owner.Kind.REMOTE, title=f"{handle}@{where}"[:200], authority=row.signer
    )


def _place_of(row: Statement, peer: Peer | None) -> str:
    """What people call the node an author is at home on."""
    origin = row.predicate["origin"]
    home = peer if peer is not None and peer.node_id == origin else Peer.objects.filter(node_id=origin).first()
    if home is not None and home.label:
        return home.label
    chain = identities.chain_of(origin)
    if chain is not None and chain.latest.domains:
        return chain.latest.domains[0]
    return str(origin)[5:13]
