"""
Foreign lines become rows: judged by ``protocol.acceptance``, stored in the caller's transaction.

A page is judged with a handful of queries: everything its lines could ask
about is fetched first, and what the page itself adds is remembered beside it.

    with transaction.atomic():
        outcomes = accept(lines, peer=peer, now=now)
        … store the cursor …

One bad line becomes a dead letter and stops nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL

from federation.models import (
    Audience,
    DeadLetter,
    Peer,
    QuarantineItem,
    QuarantineStep,
    ReleaseParent,
    Statement,
    UsageClaim,
)
from federation.protocol import acceptance, feed, lineage, statement
from federation.protocol.acceptance import Accepted, Duplicate, UsageKey
from federation.protocol.feed import BadLine, Line
from federation.protocol.problems import Refused
from federation.protocol.quarantine import Event, State
from federation.protocol.root import Chain
from federation.protocol.tiers import RULES, Reannounce, Tier
from federation.services import blocking, bulk, consequences, homecoming, identities, proving, storing
from federation.services.identities import chain_of
from federation.services.proving import Proofs, Prover

# Refusals that end when something about the signer changes; a dead letter remembers whom it waits for.
_WAITS = frozenset({"unknown-key", blocking.CODE})
ReadLine = tuple[Line | BadLine, "statement.Statement | None", "Refused | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one line."""

    id: str | None  # statement id; None where the line could not be read
    status: str  # accepted, duplicate or rejected
    code: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a push answers it."""
        found: dict[str, Any] = {"id": self.id, "status": self.status}
        return found | ({"code": self.code, "detail": self.detail} if self.code else {})


@dataclass(slots=True)
class PageKnowledge:
    """What this node knows of everything that one page could ask about (``acceptance.Knowledge``)."""

    held: set[str] = field(default_factory=set)
    chains: dict[str, Chain | None] = field(default_factory=dict)
    compromised: dict[str, int | None] = field(default_factory=dict)
    erased: dict[tuple[str, str, str], str] = field(default_factory=dict)  # release key → digest of the erased text
    by_key: dict[tuple[str, str, str], list[statement.Statement]] = field(default_factory=lambda: defaultdict(list))
    parents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    claims: dict[UsageKey, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, reads: Sequence[statement.Statement]) -> PageKnowledge:
        """Everything that judging these statements needs, in a few queries."""
        known = cls()
        held = Statement.objects.filter(statement_id__in=bulk.among(read.id for read in reads))
        known.held.update(held.values_list("statement_id", flat=True))
        signers = {read.signer for read in reads}
        known.chains.update(dict.fromkeys(signers) | identities.chains_of(signers))
        known.compromised.update(dict.fromkeys(signers) | consequences.compromised_since(signers))
        known._fetch_releases({read.release_key for read in reads if read.kind == "release"})
        return known

    def _fetch_releases(self, wanted: set[tuple[str, str, str]]) -> None:
        keys = bulk.keys_among(Statement, ("signer", "name", "version"), wanted) if wanted else []
        for row in Statement.objects.filter(kind="release", pk__in=keys):
            key = (row.signer, row.name, row.version)
            if row.erased_at is None:
                self.by_key[key].append(row.read())
            else:
                self.erased[key] = row.subject_digest

    def add(self, judged: Accepted) -> None:
        """What the page itself teaches."""
        read = judged.statement
        self.held.add(read.id)
        if judged.chain is not None:
            self.chains[judged.chain.id] = judged.chain
        if read.kind == "release":
            self.by_key[read.release_key].append(read)
            self.parents[read.subject.sha256].update(read.predicate["lineage"]["parents"])
        if read.kind == "usage":
            self.claims[acceptance.usage_key(read)] = read.predicate
        if read.kind == "revoke" and read.predicate.get("compromised_since"):
            self.compromised.pop(read.signer, None)

    # --- acceptance.Knowledge ---

    def holds(self, statement_id: str) -> bool:
        return statement_id in self.held

    def chain(self, identity: str) -> Chain | None:
        if identity not in self.chains:
            self.chains[identity] = chain_of(identity)
        return self.chains[identity]

    def compromised_since(self, identity: str) -> int | None:
        if identity not in self.compromised:
            self.compromised[identity] = consequences.compromised_since([identity]).get(identity)
        return self.compromised[identity]

    def releases(self, key: tuple[str, str, str]) -> Sequence[statement.Statement]:
        return self.by_key.get(key, ())

    def parents_of(self, digests: list[str]) -> Iterable[str]:
        yield from bulk.ancestors(
            ReleaseParent, "child_digest", "parent_digest", digests, most=lineage.MOST_ANCESTORS + 1
        )
        for digest in digests:
            yield from self.parents.get(digest, ())

    def usage(self, key: UsageKey) -> Mapping[str, Any] | None:
        if key not in self.claims:
            node, digest, cell, period = key
            row = UsageClaim.objects.filter(node=node, digest=digest, cell=cell[:400], period=period).first()
            if row is None:
                return None
            self.claims[key] = {
                name: getattr(row, name) for name in ("revision", "runs", "success", "profile", "epsilon")
            }
        return self.claims[key]


def accept(
    lines: Sequence[Line | BadLine],
    *,
    peer: Peer | None,
    now: datetime,
    examine: Callable[[statement.Statement], None] | None = None,
    own: str = "",
    prover: Prover | None = None,
) -> list[Outcome]:
    """
    Judge and store lines of a peer (None: of a bundle); call it inside a transaction.

    Args:
        examine: a further look at each release before it counts as accepted;
            raises Refused. A push reads the document at once, a pull leaves it
            to the scan.
        own: the id of this node, where it is at hand.
        prover: checks signatures meanwhile; without it all are checked here.
    """
    under_way = prover.begin(lines) if prover is not None else None
    act = _Act(peer=peer, now=now, own=own or identities.node().node_id, examine=examine)
    reads = [_read(line) for line in lines]
    act.known = PageKnowledge.of([read for _, read, _ in reads if read is not None])
    act.ours = homecoming.ours_among(read.signer for _, read, _ in reads if read is not None)
    if any(isinstance(line, Line) and line.via[0] == act.own for line in lines):
        act.believed = frozenset(Peer.objects.filter(tier=Tier.OWN).values_list("node_id", flat=True))
    act.proven = under_way() if under_way is not None else proving.NOTHING
    outcomes = [act.take(*each) for each in reads]
    act.store()
    if prover is not None:
        prover.learn(act.known.chains.values(), lines=len(lines))
    return outcomes


def retry_waiting(signers: Iterable[str], *, now: datetime, code: str = "unknown-key") -> list[Outcome]:
    """Dead letters of these signers that waited for a root document, or for whatever ``code`` says."""
    letters = list(DeadLetter.objects.filter(code=code, waits_for__in=set(signers))[:5_000])
    return _again(letters, now=now)


def retry_unknown_kinds(*, now: datetime) -> list[Outcome]:
    """Dead letters of kinds that this version may know; call it after an upgrade."""
    return _again(list(DeadLetter.objects.filter(code="unknown-kind")[:5_000]), now=now)


def _again(letters: Sequence[DeadLetter], *, now: datetime) -> list[Outcome]:
    by_peer: dict[Peer | None, list[Line | BadLine]] = defaultdict(list)
    for letter in letters:
        line = next(feed.read_lines(bytes(letter.raw), numbered=False, most=1), None)
        if isinstance(line, Line):
            by_peer[letter.peer].append(line)
    return [outcome for peer, lines in by_peer.items() for outcome in accept(lines, peer=peer, now=now)]


@dataclass(slots=True)
class _Act:
    """One page under way."""

    peer: Peer | None
    now: datetime
    own: str
    examine: Callable[[statement.Statement], None] | None
    known: PageKnowledge = field(default_factory=PageKnowledge)
    proven: Proofs = proving.NOTHING
    blocked: frozenset[str] = field(default_factory=blocking.blocked)
    accepted: list[tuple[Accepted, tuple[str, ...]]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    is_announcing: bool = False  # something of it may have to be numbered
    alive: list[str] = field(default_factory=list)  # keys of dead letters that are none any more
    ours: frozenset[str] = frozenset()  # signers of the page that are at home here
    believed: frozenset[str] = frozenset()  # nodes of the own organisation, where a line comes back
    returned: set[str] = field(default_factory=set)  # statements that began their way here, by a true one

    def take(self, line: Line | BadLine, read: statement.Statement | None, refused: Refused | None) -> Outcome:
        """One line: what becomes of it."""
        if isinstance(line, BadLine):
            return self._refuse(line, Refused(line.code, line.detail))
        if refused is not None or read is None:
            return self._refuse(line, refused or Refused("schema-invalid", "this is no statement"))
        try:
            if self._is_blocked(read):
                raise blocking.refusal(read.signer)
            judged = self._of_the_erased(read) or acceptance.judge(line, self.known, read=read, proven=self.proven)
            if isinstance(judged, Accepted) and read.kind == "release" and self.examine is not None:
                self.examine(read)
        except Refused as refusal:
            if read.kind == "usage" and refusal.code == "equivocation":
                consequences.distrust(read)
            return self._refuse(line, refusal, signer=read.signer)
        self.alive.append(line.envelope.id)
        if isinstance(judged, Duplicate) and read.kind == "root" and not self.known.holds(read.id):
            judged = self._pinned(read)
        if isinstance(judged, Duplicate):
            return Outcome(id=line.envelope.id, status="duplicate")
        self.known.add(judged)
        if feed.was_sent_first_by(self.own, line.via, believed=self.believed):
            self.returned.add(judged.statement.id)
        self.accepted.append((judged, feed.onward(line.via, self.own)))
        return Outcome(id=line.envelope.id, status="accepted")

    def _is_blocked(self, read: statement.Statement) -> bool:
        """Whether its author is on the list, and it is not here from before."""
        is_refused = read.kind in blocking.REFUSED_KINDS and read.signer in self.blocked
        return is_refused and not self.known.holds(read.id)

    def _of_the_erased(self, read: statement.Statement) -> Duplicate | None:
        """An erased version never comes back: its own text is nothing new, another text contradicts its tombstone."""
        digest = self.known.erased.get(read.release_key) if read.kind == "release" else None
        if digest is None:
            return None
        if digest != read.subject.sha256:
            raise Refused("equivocation", "this version was erased, and its text was another one")
        return Duplicate(read.id)

    def _pinned(self, read: statement.Statement) -> Accepted:
        """A root document that was pinned by a handshake and now stands in a feed: kept as it was proven then."""
        chain = self.known.chain(read.signer)
        assert chain is not None, "it was found to be pinned"
        return Accepted(statement=chain.documents[int(read.predicate["version"]) - 1].statement)

    def _refuse(self, line: Line | BadLine, refusal: Refused, *, signer: str = "") -> Outcome:
        identity = line.envelope.id if isinstance(line, Line) else None
        raw = feed.Line(None, line.kind, line.envelope, line.via).to_bytes() if isinstance(line, Line) else line.raw
        self.dead.append(
            DeadLetter(
                key=identity or sha256(raw).hexdigest(),
                peer=self.peer,
                seq=line.seq,
                raw=raw,
                code=refusal.code,
                detail=refusal.detail[:2_000],
                waits_for=signer if refusal.code in _WAITS else "",
                created_at=self.now,
            )
        )
        return Outcome(id=identity, status="rejected", code=refusal.code, detail=refusal.detail[:500])

    def store(self) -> None:
        """Rows for everything this page brought."""
        bulk.insert(Statement, [self._columns(judged, via) for judged, via in self.accepted])
        judgements = [judged for judged, _ in self.accepted]
        for judged in judgements:
            if judged.chain is not None:
                identities.pin(judged.chain, now=self.now)
        releases = [judged.statement for judged in judgements if judged.statement.kind == "release"]
        if releases:
            self._quarantine(bulk.among(read.id for read in releases))
        storing.store_parents(releases)
        self._bury()
        self._follow(judgements)
        roots = {judged.chain.id for judged in judgements if judged.chain is not None}
        if roots:
            retry_waiting(roots, now=self.now)
        if roots or self.is_announcing:
            storing.number_soon()

    def _is_passed_on(self, judged: Accepted) -> bool:
        """Whether it may stand in our feed at once; a release only once it is admitted."""
        kind = judged.statement.kind
        if judged.statement.id in self.returned:
            return True  # also of an author whose very identity was lost with the database
        if kind == "release":
            return False
        if judged.statement.signer in self.ours:
            return True  # it was announced from here before, and this database has lost it
        if self.peer is None:
            return False
        if kind == "equivocation":
            return True  # proves itself, and warns
        return RULES[self.peer.trust].reannounce is Reannounce.YES

    def _columns(self, judged: Accepted, via: Sequence[str]) -> dict[str, Any]:
        read = judged.statement
        is_passed_on, audience = self._is_passed_on(judged), self._audience(read)
        self.is_announcing |= is_passed_on
        return storing.columns_of(
            read, via=via, now=self.now, peer=self.peer, is_announced=is_passed_on, audience=audience
        )

    def _audience(self, read: statement.Statement) -> str:
        """Foreign statements travel as far as they say, and exact counts stay in the organisation; ours go where they went."""
        if read.signer in self.ours or read.id in self.returned:
            is_near = self.peer is not None and self.peer.trust is Tier.OWN
            return homecoming.audience_of(read, is_from_organisation=is_near)
        is_exact = read.kind == "usage" and read.predicate["profile"] == "org"
        return str(Audience.ORGANISATION if is_exact else Audience.PUBLIC)

    def _follow(self, judgements: Sequence[Accepted]) -> None:
        """Consequences, for those few statements that have any."""
        texts = [judged.statement.subject.sha256 for judged in judgements if judged.statement.kind == "release"]
        # By the text, not by the statement: a release may have a twin that was withdrawn. Asked so that SQLite goes by
        # the texts and by the targets; with the kinds named it would read through all releases for every page.
        withdrawals = Statement.objects.filter(target=OuterRef("statement_id")).exclude(target="")
        withdrawn = Statement.objects.filter(Exists(withdrawals), subject_digest__in=bulk.among(texts))
        gone = set(withdrawn.values_list("subject_digest", flat=True)) if texts else set()
        for judged in judgements:
            read = judged.statement
            if read.kind != "release" or judged.contradicts is not None or read.subject.sha256 in gone:
                consequences.follow(judged, Statement.objects.get(statement_id=read.id), now=self.now)
                self.is_announcing = True  # a withdrawal, for example, is passed on with what it is about

    def _quarantine(self, ids: RawSQL) -> None:
        """One item for each release, and its first step."""
        reason = "the author's signature holds"
        item: dict[str, Any] = {
            "peer_id": self.peer.pk if self.peer is not None else None, "state": str(State.SIGNED_OK), "reason": reason,
            "findings": [], "capabilities": [], "fit": "", "missing": {}, "lenses": [], "trial": "", "tokens_budget": 0,
            "has_passed_here": False, "admitted_as_id": None, "received_at": self.now, "changed_at": self.now,
            "decided_by_id": None,
        }  # fmt: skip
        bulk.insert_for(QuarantineItem, item, key="statement_id", chosen=Statement.objects.filter(statement_id__in=ids))
        step = {
            "event": str(Event.SIGNATURE_VERIFIED), "before": str(State.RECEIVED), "after": str(State.SIGNED_OK),
            "reason": reason, "actor_id": None, "at": self.now,
        }  # fmt: skip
        items = QuarantineItem.objects.filter(statement__statement_id__in=ids)
        bulk.insert_for(QuarantineStep, step, key="item_id", chosen=items)

    def _bury(self) -> None:
        if self.alive and DeadLetter.objects.exists():
            DeadLetter.objects.filter(key__in=bulk.among(self.alive)).delete()
        DeadLetter.objects.bulk_create(
            list({letter.key: letter for letter in self.dead}.values()),  # one line may stand twice in a page
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["code", "detail", "waits_for", "created_at"],
        )


def _read(line: Line | BadLine) -> ReadLine:
    if isinstance(line, BadLine):
        return line, None, None
    try:
        return line, statement.read(line.envelope, kind=line.kind), None
    except Refused as refusal:
        return line, None, refusal
