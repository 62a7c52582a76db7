"""
A whole node in memory: what it knows, its feed, and the endpoints that answer from them.

The decisions are the real ones of ``federation.protocol``; only the storage
is dictionaries. ``snapshot`` and ``restore`` are the database of a crash test.

With ``quarantines`` a foreign release waits until ``admit`` and stands in no
feed before, and one that is withdrawn first never does, as in the services.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from federation.protocol import acceptance, feed, fields, kinds, limits, messages, reconcile, strictjson
from federation.protocol.acceptance import Accepted, Duplicate
from federation.protocol.exchange import Answer, Ask, Take
from federation.protocol.feed import BadLine, Cursor, Line, Row
from federation.protocol.problems import CONTENT_TYPE, Refused
from federation.protocol.root import Chain
from federation.protocol.statement import Statement
from tests.federation.makers import Identity


@dataclass
class Held:
    """One accepted statement and the way it came: this node last."""

    statement: Statement
    via: tuple[str, ...]
    giver: str = ""  # node that it came from; empty for what was made here


@dataclass
class Dead:
    """A line that was refused, kept for the day it can be read."""

    line: Line | BadLine
    code: str


@dataclass
class Store:
    """Everything a database would hold."""

    epoch: str
    held: dict[str, Held] = field(default_factory=dict)
    feed: list[str] = field(default_factory=list)  # statement ids; seq is the place, from 1
    chains: dict[str, Chain] = field(default_factory=dict)
    dead: dict[str, Dead] = field(default_factory=dict)
    cursors: dict[str, Cursor | None] = field(default_factory=dict)  # peer → where we stand in its feed
    acknowledged: dict[str, int] = field(default_factory=dict)  # peer → where it stands in ours
    receipts: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)  # (peer, txn) → digest, answer
    must_recover: set[str] = field(default_factory=set)  # peers to reconcile with before pulling
    doubts: dict[str, int] = field(default_factory=dict)  # peer → how often it had to be reconciled with
    waiting: list[str] = field(default_factory=list)  # releases in quarantine
    admitted: set[str] = field(default_factory=set)  # releases that were taken into the registry
    quarantined: set[str] = field(default_factory=set)  # releases that contradict each other
    compromised: dict[str, int] = field(default_factory=dict)

    def doubt(self, peer: str) -> None:
        """Reconcile with a peer before the next pull; a comparison under way does not settle that."""
        self.must_recover.add(peer)
        self.doubts[peer] = self.doubts.get(peer, 0) + 1


def epoch_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:32]


class Node:
    """A node that trusts all its peers as its own organisation, unless a test says otherwise."""

    def __init__(self, identity: Identity, *, quarantines: bool = False, home: Iterable[str] = ()) -> None:
        self.identity, self.id = identity, identity.id
        self.quarantines, self.home = quarantines, frozenset(home)  # ids of its own authors
        self.store = Store(epoch=epoch_of(identity.name))
        self.restores = 0
        self.publish(*identity.statements)

    # --- what it knows (Knowledge) ---

    def holds(self, statement_id: str) -> bool:
        return statement_id in self.store.held

    def chain(self, identity: str) -> Chain | None:
        return self.store.chains.get(identity)

    def compromised_since(self, identity: str) -> int | None:
        return self.store.compromised.get(identity)

    def releases(self, key: tuple[str, str, str]) -> Sequence[Statement]:
        return [held for held in self._statements("release") if held.release_key == key]

    def parents_of(self, digests: list[str]) -> Iterable[str]:
        wanted = set(digests)
        for held in self._statements("release"):
            if held.subject.sha256 in wanted:
                yield from held.predicate["lineage"]["parents"]

    def usage(self, key: acceptance.UsageKey) -> Mapping[str, Any] | None:
        claims = [held.predicate for held in self._statements("usage") if acceptance.usage_key(held) == key]
        return max(claims, key=lambda claim: claim["revision"], default=None)

    def _statements(self, kind: str) -> list[Statement]:
        return [held.statement for held in self.store.held.values() if held.statement.kind == kind]

    # --- what it takes in ---

    def publish(self, *statements: Statement) -> None:
        """Put own statements into the feed."""
        for statement in statements:
            self.accept(feed.line(statement, via=[self.id]), via=(self.id,))

    def accept(self, line: Line | BadLine, *, via: tuple[str, ...]) -> tuple[str, str | None]:
        """Judge and store one line; answers its status and code as a push would."""
        if isinstance(line, BadLine):
            self.store.dead[sha256(line.raw).hexdigest()] = Dead(line, line.code)
            return "rejected", line.code
        try:
            judged = acceptance.judge(line, self)
        except Refused as refusal:
            self.store.dead[line.envelope.id] = Dead(line, refusal.code)
            return "rejected", refusal.code
        self.store.dead.pop(line.envelope.id, None)
        if isinstance(judged, Duplicate):
            return "duplicate", None
        self._store(judged, via, "" if line.via[-1] == self.id else line.via[-1])
        return "accepted", None

    def _store(self, judged: Accepted, via: tuple[str, ...], giver: str) -> None:
        statement = judged.statement
        self.store.held[statement.id] = Held(statement, via, giver)
        is_returned = via == (self.id,)  # it began its way here; all others are of the same organisation
        if statement.kind == "release" and giver and self.quarantines and not is_returned:
            self.store.waiting.append(statement.id)
        else:
            self._announce(statement)
        if judged.contradicts is not None:
            self.store.quarantined |= {statement.id, judged.contradicts.id}
        if statement.kind == "revoke" and "compromised_since" in statement.predicate:
            self.store.compromised[statement.signer] = fields.seconds(
                statement.predicate["compromised_since"], "compromised_since"
            )
        if judged.chain is not None:
            self.store.chains[judged.chain.id] = judged.chain
            self._retry()
        if self.quarantines:
            self._follow(statement)

    def _announce(self, statement: Statement) -> None:
        if statement.kind == "release" and not self.is_withdrawn(statement):
            self.store.admitted.add(statement.id)
        if statement.id not in self.store.feed:
            self.store.feed.append(statement.id)

    def admit(self) -> None:
        """What waits was scanned, and nothing was found."""
        for each in self.store.waiting:
            self._announce(self.store.held[each].statement)
        self.store.waiting.clear()

    # --- withdrawals ---

    def twins(self, release: Statement) -> list[Statement]:
        """Every release held of the same text under the same name, this one included."""
        return [each for each in self.releases(release.release_key) if each.subject.sha256 == release.subject.sha256]

    def is_withdrawn(self, release: Statement) -> bool:
        """Whether a withdrawal is held of this release or a twin."""
        same = {each.id for each in self.twins(release)}
        return any(
            held.statement.kind in kinds.WITHDRAWALS and held.statement.predicate["target"] in same
            for held in self.store.held.values()
        )

    def _follow(self, statement: Statement) -> None:
        """A release that is withdrawn leaves the quarantine; it is announced where it was before, or is at home."""
        if statement.kind in kinds.WITHDRAWALS and statement.predicate["target"] in self.store.held:
            statement = self.store.held[statement.predicate["target"]].statement
        if statement.kind != "release" or not self.is_withdrawn(statement):
            return
        same = self.twins(statement)
        is_known = statement.signer in self.home or any(each.id in self.store.feed for each in same)
        for each in same:
            self.store.admitted.discard(each.id)
            if each.id in self.store.waiting:
                self.store.waiting.remove(each.id)
            if is_known:
                self._announce(each)

    def standing(self) -> set[tuple[str, str]]:
        """Author and digest of what is admitted and not withdrawn."""
        texts = (self.store.held[each].statement for each in self.store.admitted)
        return {(each.signer, each.subject.sha256) for each in texts}

    def _retry(self) -> None:
        """A new key may make dead letters readable."""
        waiting = [dead.line for dead in self.store.dead.values() if dead.code == "unknown-key"]
        for line in waiting:
            assert isinstance(line, Line)
            self.accept(line, via=feed.onward(line.via, self.id))

    def take(self, step: Take, *, sender: str, expected: Cursor | None = None, doubts: int | None = None) -> bool:
        """
        Store a step of a pull: lines and cursor in one transaction.

        Answers False, and stores nothing, where another session moved the cursor meanwhile.

        Args:
            doubts: how often the sender had been in doubt when this exchange began; all of them by default.
        """
        if step.cursor is not None and self.store.cursors.get(sender) != expected:
            return False
        for line in step.lines:
            via = feed.onward(line.via, self.id) if isinstance(line, Line) else ()
            self.accept(line, via=via)
        if step.cursor is not None:
            self.store.cursors[sender] = step.cursor
        if step.is_compared and doubts in (None, self.store.doubts.get(sender, 0)):
            self.store.must_recover.discard(sender)
        return True

    # --- what it gives ---

    def handle(self, ask: Ask, *, caller: str) -> Answer:
        """Answer a verified request of a peer."""
        path, _, query = ask.path.partition("?")
        given = dict(pair.split("=", 1) for pair in query.split("&") if pair)
        try:
            if path == "/fed/v1/changes":
                return self._changes(given, caller)
            if path == "/fed/v1/statements":
                return self._by_id(strictjson.loads(ask.body)["ids"], caller)
            if path == "/fed/v1/have":
                missing = [each for each in strictjson.loads(ask.body)["ids"] if not self.holds(each)]
                return Answer(status=200, body=strictjson.dumps({"missing": missing}))
            if path == "/fed/v1/reconcile":
                shown = (bytes.fromhex(each) for each in self.store.held if self._may_have(each, caller))
                answer = reconcile.respond(reconcile.IdSet(shown), ask.body)
                return Answer(status=200, headers={"opl-cursor": str(self.head)}, body=answer)
            if path.startswith("/fed/v1/push/"):
                return self._pushed(path.rpartition("/")[2], ask.body, caller)
            raise Refused("not-found", path)
        except Refused as refusal:
            body = json.dumps(refusal.to_json()).encode()
            return Answer(status=refusal.status, headers={"content-type": CONTENT_TYPE}, body=body)

    @property
    def head(self) -> Cursor:
        return Cursor(self.store.epoch, len(self.store.feed))

    def raw_ids(self) -> list[bytes]:
        return [bytes.fromhex(each) for each in self.store.held]

    def line_at(self, seq: int) -> Line:
        held = self.store.held[self.store.feed[seq - 1]]
        return feed.line(held.statement, via=held.via, seq=seq)

    def _rows(self, start: int, caller: str) -> Iterable[Row]:
        for seq in range(start + 1, len(self.store.feed) + 1):
            held = self.store.held[self.store.feed[seq - 1]]
            visible = feed.may_send(allowed_hops=feed.reach(held.statement), via=held.via, to=caller)
            yield Row(
                seq=seq,
                kind=held.statement.kind,
                topics=frozenset(held.statement.predicate.get("topics", ())),
                line=lambda seq=seq: self.line_at(seq).to_bytes(),
                visible=visible and held.statement.id not in self.store.quarantined,
            )

    def _changes(self, given: Mapping[str, str], caller: str) -> Answer:
        try:
            since = feed.judge_since(given.get("since"), epoch=self.store.epoch, head=len(self.store.feed))
        except Refused as refusal:
            if refusal.code == "cursor-reset":
                # It read on in a feed that a restored database has forgotten: it may hold what was lost here.
                self.store.doubt(caller)
            raise
        self.store.acknowledged[caller] = since.seq
        page = feed.page(self._rows(since.seq, caller), since=since, limit=int(given.get("limit", limits.PAGE_DEFAULT)))
        headers = {messages.CURSOR_HEADER: str(page.cursor), messages.MORE_HEADER: f"?{int(page.more)}"}
        return Answer(status=200, headers=headers, body=page.body)

    def _may_have(self, statement_id: str, caller: str) -> bool:
        """Announced, or given back to a node that it came through; everybody is of one organisation here."""
        if statement_id in self.store.feed:
            return True
        held = self.store.held[statement_id]
        return feed.may_return(via=held.via, to=caller, is_giver=held.giver == caller, is_via_believed=True)

    def _by_id(self, ids: Sequence[str], caller: str) -> Answer:
        found = [self.store.held[each] for each in ids if self.holds(each) and self._may_have(each, caller)]
        head = max(1, len(self.store.feed))
        lines = [feed.line(each.statement, via=each.via, seq=head).to_bytes() + b"\n" for each in found]
        return Answer(status=200, body=b"".join(lines))

    def _pushed(self, txn: str, body: bytes, caller: str) -> Answer:
        digest = sha256(body).hexdigest()
        receipt = self.store.receipts.get((caller, txn))
        if receipt is not None:
            if receipt[0] != digest:
                raise Refused("txn-conflict", "other content")
            return Answer(status=200, body=receipt[1])
        results = [
            self._push_result(line, caller) for line in feed.read_lines(body, numbered=False, most=limits.PUSH_ITEMS)
        ]
        answer = strictjson.dumps({"txn": txn, "results": results})
        self.store.receipts[(caller, txn)] = (digest, answer)
        return Answer(status=200, body=answer)

    def _push_result(self, line: Line | BadLine, caller: str) -> dict[str, Any]:
        try:
            if isinstance(line, Line):
                feed.judge_via(line.via, sender=caller, own=self.id)
            via = feed.onward(line.via, self.id) if isinstance(line, Line) else ()
            status, code = self.accept(line, via=via)
        except Refused as refusal:
            status, code = "rejected", refusal.code
        known = line.envelope.id if isinstance(line, Line) else None
        return {"id": known, "status": status} | ({"code": code} if code else {})

    # --- its database ---

    def snapshot(self) -> Store:
        store = copy.copy(self.store)
        for name in ("held", "feed", "chains", "dead", "cursors", "acknowledged", "receipts", "must_recover",
                     "quarantined", "compromised", "doubts", "waiting", "admitted"):  # fmt: skip
            setattr(store, name, copy.copy(getattr(store, name)))
        return store

    def restore(self, backup: Store) -> None:
        """An older database: new epoch, no footing in anybody's feed."""
        self.store, self.restores = backup, self.restores + 1
        self.store.epoch = epoch_of(f"{self.identity.name} restored {self.restores}")
        for peer in self.store.cursors:
            self.store.doubt(peer)
