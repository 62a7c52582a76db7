"""
Peers: getting to know one, giving it a tier, and following its keys.

Trust comes from a person who compared eight words; a signature only says who
speaks. What a stranger sends is a request that waits; its address is not
fetched before somebody here approved it.

Source: OPL-Fed/1, "Identity", "Trust and quarantine"; "peer-requests".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from federation import transport
from federation.errors import NoSuchPeer, TransportFailure, Unable, WrongFingerprint
from federation.models import Handshake, Peer, PeerKey
from federation.protocol import envelope, fields, limits, statement, strictjson
from federation.protocol.exchange import Ask, refusal
from federation.protocol.problems import Refused
from federation.protocol.root import MOST_VERSIONS, Chain
from federation.protocol.tiers import Tier
from federation.services import accepting, consequences, identities, statistics
from federation.transport import PeerTransport
from registry.models import User
from registry.outgoing import Answer as RawAnswer
from registry.outgoing import check_address
from registry.services import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A node as it introduced itself, its chain proven by itself and its answers by the chain."""

    chain: Chain
    base_url: str
    features: tuple[str, ...]
    contact: str


# ---------------------------------------------------------------- we go to them


def find(wanted: str) -> Peer:
    """The peer of that label, node id (or its beginning), or address; raises NoSuchPeer."""
    rows = Peer.objects.filter(
        Q(label=wanted) | Q(base_url=wanted.rstrip("/")) | Q(node_id=wanted) | Q(base_url__contains=f"//{wanted}")
    )
    found = list(rows[:2]) or list(Peer.objects.filter(node_id__startswith=wanted)[:2] if len(wanted) > 8 else [])
    if len(found) != 1:
        raise NoSuchPeer(wanted)
    return found[0]


def meet(url: str) -> Met:
    """
    Ask a node who it is: its well-known document and its chain, every answer verified by that chain.

    Raises:
        TransportFailure, Refused, OutgoingRefused: it cannot be reached, or proves nothing.
    """
    base = url.rstrip("/")
    host = check_address(base, allow_loopback=settings.FEDERATION_ALLOW_LOOPBACK).host
    through = transport.door(hosts=lambda each: each == host)
    answers = [transport.public(through, base, "/.well-known/opl-federation")]
    told = fields.obj(strictjson.loads(_ok(answers[0][1])), "the well-known document")
    newest = fields.integer(told.get("root_version"), "root_version", least=1, most=MOST_VERSIONS)
    statements = []
    for version in range(1, newest + 1):
        answers.append(transport.public(through, base, f"/fed/v1/root/{version}"))
        statements.append(statement.read(envelope.opened(strictjson.loads(_ok(answers[-1][1]))), kind="root"))
    chain = Chain.follow(statements)
    if chain.id != told.get("node_id"):
        raise TransportFailure("the well-known document names another node than its root documents")
    now = int(_now().timestamp())
    for request, answer in answers:
        transport.verified(answer, request, chain.latest.transport_keys, now=now)
    return Met(
        chain=chain,
        base_url=fields.text(told.get("base_url"), "base_url", longest=300).rstrip("/"),
        features=_features(told),
        contact=str(told.get("contact", ""))[:500],
    )


def _ok(answer: RawAnswer) -> bytes:
    if answer.status != 200:
        raise TransportFailure(f"it answered {answer.status} where a public document should be")
    return answer.body


def _now() -> datetime:
    from django.utils import timezone

    return timezone.now()


def add(
    *, url: str, now: datetime, user: User | None = None, label: str = "", fingerprint: str = "", tier: Tier | None = None,
    message: str = "",
) -> Peer:  # fmt: skip
    """
    Get to know a node and send it a peer request.

    Args:
        fingerprint: eight words, told by somebody over there; checked before anything is stored.
        tier: given at once; leave it out to approve later.

    Raises:
        WrongFingerprint, TransportFailure, Refused: as the names say.
        Unable: that is this node itself.
    """
    transport.refuse_when_off(identities.node())
    met = meet(url)
    if fingerprint and fingerprint.split() != met.chain.fingerprint.split():
        raise WrongFingerprint(fingerprint, met.chain.fingerprint)
    if met.chain.id == identities.node().node_id:
        raise Unable("that is this node itself")
    # Asked before anything is stored: where they cannot be reached, nothing is half known here.
    state = send_request(met.base_url, met.chain.latest.transport_keys, message=message)
    with transaction.atomic():
        peer = _keep(met.chain, base_url=met.base_url, now=now)
        peer.label = label or peer.label or (urlsplit(met.base_url).hostname or "")[:100]
        peer.contact = met.contact or peer.contact
        peer.asked_them_at, peer.approved_there = now, state == "approved"
        peer.save(update_fields=["contact", "label", "asked_them_at", "approved_there"])
        _learn(peer, met.features, now=now)
        audit.record(actor=user, action="peer.added", subject=peer.node_id, now=now, detail={"url": met.base_url})
        if tier is not None:
            set_tier(peer, tier, now=now, user=user, reason="approved when it was added")
    return peer


def introduce(peer: Peer, *, now: datetime, message: str = "") -> str:
    """Send our root chain as a peer request, also after a rotation; answers ``pending`` or ``approved``."""
    chain = identities.chain_of(peer.node_id)
    state = send_request(peer.base_url, chain.latest.transport_keys if chain is not None else {}, message=message)
    Peer.objects.filter(pk=peer.pk).update(approved_there=state == "approved", asked_them_at=now)
    return state


def send_request(base_url: str, keys: Mapping[str, bytes], *, message: str) -> str:
    """Our root chain on its way to a node whose answers these keys prove; answers ``pending`` or ``approved``."""
    chain = identities.chain_of(identities.node().node_id)
    assert chain is not None, "a node has a chain"
    body = strictjson.dumps(
        {
            "base_url": settings.PUBLIC_URL,
            "roots": [document.statement.envelope.to_json() for document in chain.documents],
            "contact": identities.node().contact,
            "message": message[:2_000],
        }
    )
    # Somebody here asked for this very request, so its host counts as approved for it.
    host = urlsplit(base_url).hostname or ""
    through = PeerTransport(
        base_url=base_url,
        key=identities.transport_key(),
        peer_keys=keys,
        door=transport.door(hosts=lambda each: each == host),
    )
    answer = through.fetch(Ask(method="POST", path="/fed/v1/peer-requests", body=body))
    if answer.status not in (200, 202):
        raise refusal(answer)
    return str(fields.obj(strictjson.loads(answer.body), "the answer").get("state"))


def connect(peer: Peer, *, hosts: Callable[[str], bool] | None = None) -> PeerTransport:
    """The transport to a peer; only hosts of peers that somebody approved are reached."""
    chain = identities.chain_of(peer.node_id)
    return PeerTransport(
        base_url=peer.base_url,
        key=identities.transport_key(),
        peer_keys=chain.latest.transport_keys if chain is not None else {},
        door=transport.door(hosts=hosts or approved_hosts().__contains__),
    )


def approved_hosts() -> frozenset[str]:
    """Hosts the outgoing door may reach for the federation."""
    urls = Peer.objects.trusted().exclude(base_url="").values_list("base_url", flat=True)
    return frozenset(host for url in urls if (host := urlsplit(url).hostname))


def refresh_roots(peer: Peer, *, now: datetime) -> bool:
    """Follow a peer's rotation by its public documents; whether there was one. The pinned chain is only continued."""
    met = meet(peer.base_url)
    if met.chain.id != peer.node_id:
        raise TransportFailure(f"{peer.base_url} serves another node now: {met.chain.id}")
    _learn(peer, met.features, now=now)
    return _continue(peer, met.chain, now=now)


def look_again(peer: Peer, *, now: datetime) -> None:
    """
    Read a peer's well-known document again: what it can do now, and whether its keys went on.

    One request where nothing changed; the root documents are only read where
    the document names a newer one.

    Raises:
        TransportFailure: no verified answer, or another node's.
    """
    chain = identities.chain_of(peer.node_id)
    host = urlsplit(peer.base_url).hostname or ""
    request, answer = transport.public(
        transport.door(hosts=lambda each: each == host), peer.base_url, "/.well-known/opl-federation"
    )
    told = fields.obj(strictjson.loads(_ok(answer)), "the well-known document")
    newest = fields.integer(told.get("root_version"), "root_version", least=1, most=MOST_VERSIONS)
    if chain is None or newest > chain.latest.version:
        refresh_roots(peer, now=now)
        return
    transport.verified(answer, request, chain.latest.transport_keys, now=int(_now().timestamp()))
    if told.get("node_id") != peer.node_id:
        raise TransportFailure(f"{peer.base_url} serves another node now")
    _learn(peer, _features(told), now=now)


def _features(told: dict[str, Any]) -> tuple[str, ...]:
    """What a well-known document says that its node can do."""
    found = told.get("features")
    return tuple(str(each)[:100] for each in found[:50]) if isinstance(found, list) else ()


def _learn(peer: Peer, features: Sequence[str], *, now: datetime) -> None:
    peer.features, peer.looked_at = list(features), now
    peer.save(update_fields=["features", "looked_at"])


def ask_status(peer: Peer) -> dict[str, Any]:
    """What a peer knows about us."""
    answer = connect(peer).fetch(Ask(method="GET", path="/fed/v1/status"))
    if answer.status != 200:
        raise refusal(answer)
    return fields.obj(strictjson.loads(answer.body), "the status")


# ---------------------------------------------------------------- they come to us


def chain_in(body: bytes) -> tuple[Chain, dict[str, Any]]:
    """
    The root chain in a peer request, checked by itself, and the request's members.

    Raises:
        Refused: whatever is wrong with it.
    """
    members = fields.obj(strictjson.loads(body), "a peer request")
    roots = fields.member(members, "roots")
    if not isinstance(roots, list) or not 1 <= len(roots) <= MOST_VERSIONS:
        strictjson.refuse(f"roots must list 1 to {MOST_VERSIONS} root documents")
    chain = Chain.follow([statement.read(envelope.opened(each), kind="root") for each in roots])
    if chain.latest.owner != "node":
        strictjson.refuse("these are the root documents of an author, not of a node")
    url = fields.text(members.get("base_url"), "base_url", longest=300)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        strictjson.refuse("base_url must be the address of a node, without query or user")
    return chain, members


def judge_rate(address: str, *, now: datetime) -> None:
    """At most five peer requests an hour from one address; raises Refused."""
    Handshake.objects.filter(at__lt=now - timedelta(hours=1)).delete()
    if Handshake.objects.filter(address=address).count() >= limits.PEER_REQUESTS_PER_HOUR:
        raise Refused("quota-exceeded", "five peer requests an hour are answered; wait", 3_600)
    Handshake.objects.create(address=address, at=now)


@transaction.atomic
def receive(chain: Chain, members: dict[str, Any], *, now: datetime) -> Peer:
    """
    A node asks to be a peer, or shows its rotated chain; its tier stays what it is.

    Raises:
        Refused: ``root-rollback``, ``peer-blocked``.
    """
    if chain.id == identities.node().node_id:
        strictjson.refuse("this is the node itself")
    known = Peer.objects.filter(node_id=chain.id).first()
    if known is not None and known.trust is Tier.BLOCKED:
        raise Refused("peer-blocked", "this node has blocked you; write to its contact address")
    peer = _keep(chain, base_url=str(members["base_url"]).rstrip("/"), now=now)
    peer.asked_us_at, peer.last_seen_at = now, now
    peer.contact = str(members.get("contact") or "")[:500] or peer.contact
    peer.message = str(members.get("message") or "")[:2_000]
    peer.save(update_fields=["asked_us_at", "last_seen_at", "contact", "message"])
    return peer


def seen(peer: Peer, *, now: datetime) -> None:
    """A valid request of its own revives a peer that did not answer."""
    changes: dict[str, Any] = {"last_seen_at": now}
    if peer.failures:
        peer.set_health(peer.health.after_success(now=int(now.timestamp())))
        changes |= {"failures": 0, "failing_since": None, "next_try_at": peer.next_try_at}
    elif peer.last_seen_at is not None and now - peer.last_seen_at < timedelta(seconds=30):
        return
    Peer.objects.filter(pk=peer.pk).update(**changes)


def key_of(keyid: str) -> tuple[bytes, Peer] | None:
    """Whose transport key that is."""
    row = PeerKey.objects.select_related("peer").filter(keyid=keyid).first()
    return (bytes.fromhex(row.public_key), row.peer) if row is not None else None


# ---------------------------------------------------------------- decisions


@transaction.atomic
def set_tier(peer: Peer, tier: Tier, *, now: datetime, user: User | None = None, reason: str = "") -> Peer:
    """A person says how far a peer is trusted."""
    before, peer.tier = peer.tier, int(tier)
    peer.next_try_at = now
    peer.save(update_fields=["tier", "next_try_at"])
    statistics.recount_node(peer.node_id)
    audit.record(
        actor=user,
        action="peer.blocked" if tier is Tier.BLOCKED else "peer.approved" if tier > Tier.UNKNOWN else "peer.demoted",
        subject=peer.node_id,
        now=now,
        detail={"from": before, "to": int(tier), "reason": reason[:500]},
    )
    return peer


def pause(peer: Peer, *, is_paused: bool, now: datetime, user: User | None = None) -> Peer:
    """Stop talking to a peer for a while, or go on."""
    Peer.objects.filter(pk=peer.pk).update(is_paused=is_paused)
    peer.is_paused = is_paused
    action = "peer.paused" if is_paused else "peer.resumed"
    audit.record(actor=user, action=action, subject=peer.node_id, now=now)
    return peer


def kill_switch(*, is_on: bool, reason: str, now: datetime, user: User | None = None) -> None:
    """Nothing goes out and nothing comes in while it is on."""
    node = identities.node()
    node.is_paused, node.paused_reason = is_on, reason[:500] if is_on else ""
    node.save(update_fields=["is_paused", "paused_reason"])
    audit.record(
        actor=user, action="federation.stopped" if is_on else "federation.resumed", subject=node.node_id, now=now,
        detail={"reason": reason[:500]},
    )  # fmt: skip


def fingerprint(peer: Peer) -> str:
    """The eight words of a peer."""
    chain = identities.chain_of(peer.node_id)
    return chain.fingerprint if chain is not None else ""


@transaction.atomic
def _keep(chain: Chain, *, base_url: str, now: datetime) -> Peer:
    """The peer's row with its newest keys; raises ``root-rollback`` for a chain that does not continue the pinned one."""
    peer, is_new = Peer.objects.get_or_create(
        node_id=chain.id, defaults={"base_url": base_url, "created_at": now, "next_try_at": now}
    )
    if not is_new and peer.trust <= Tier.UNKNOWN and base_url:
        peer.base_url = base_url
        peer.save(update_fields=["base_url"])
    _continue(peer, chain, now=now)
    return peer


def _continue(peer: Peer, chain: Chain, *, now: datetime) -> bool:
    pinned = identities.chain_of(peer.node_id)
    merged = pinned.merged(chain) if pinned is not None else chain
    identities.pin(merged, now=now)
    consequences.set_keys(peer, merged)
    if pinned is None or len(merged.documents) > len(pinned.documents):
        accepting.retry_waiting([merged.id], now=now)
        return True
    return False
