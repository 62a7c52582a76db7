"""
Three nodes in a ring on a bad day.

A schedule follows from its seed alone. Sessions of all nodes run step by
step, interleaved at random; requests and answers are dropped, delayed,
duplicated and reordered; nodes crash (their sessions die, their databases
stay), are restored from older backups, and run on wrong clocks. Authors
withdraw what stands, and publish once more what a restore has eaten; what
comes from a peer waits in quarantine until its node finds the time. Then the
weather clears, and ``converge`` runs sessions until nothing moves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from federation.protocol import exchange, feed, fields, pushing, session
from federation.protocol.exchange import Answer, Ask, Session, Take
from federation.protocol.feed import Cursor
from federation.protocol.limits import CLOCK_TOLERANCE_SECONDS, REQUEST_LIFE_SECONDS
from federation.protocol.statement import Statement
from tests.federation import makers
from tests.federation.makers import Identity, author, node
from tests.federation.memory import Node, Store

NAMES = ("north", "east", "west")
STEPS = 150  # of a schedule
SIGNED_AGAIN = 3  # releases of one text that its author may sign, each with another time
CALM_ROUNDS = 12  # in which everything must have settled


@dataclass
class Pool:
    """Signed statements, made once and used by every schedule."""

    nodes: dict[str, Identity]
    authors: dict[str, Identity]
    statements: dict[str, list[Statement]]  # node → what it will publish, in order
    twins: dict[str, list[Statement]]  # release → releases of the same text
    _yanks: dict[tuple[str, int], Statement] = field(default_factory=dict)

    @classmethod
    def make(cls) -> Pool:
        nodes = {name: node(name) for name in NAMES}
        authors = {name: author(f"author of {name}") for name in NAMES}
        statements = {name: _publications(nodes[name], authors[name]) for name in NAMES}
        twins = {
            each.id: _twins(each, authors[name], nodes[name])
            for name in NAMES for each in statements[name] if each.kind == "release"
        }  # fmt: skip
        return cls(nodes, authors, statements, twins)

    def yank(self, name: str, release: Statement, number: int) -> Statement:
        """A withdrawal of a release by its author; those with different numbers are different statements."""
        key = release.id, number
        if key not in self._yanks:
            self._yanks[key] = makers.withdrawal("yank", self.authors[name], release.id, created=_later(number))
        return self._yanks[key]


def _later(number: int) -> str:
    return fields.written(makers.NOON + number)


def _twins(release: Statement, by: Identity, origin: Identity) -> list[Statement]:
    """The same text under the same name and number, signed anew later."""
    given = {name: release.predicate[name] for name in ("version", "source")}
    again = [makers.release(by, origin, **given, created=_later(number)) for number in range(1, SIGNED_AGAIN)]
    return [release, *again]


def _publications(origin: Identity, by: Identity) -> list[Statement]:
    made: list[Statement] = list(by.statements)
    for number in range(5):
        source = f"{makers.SOURCE}# {by.name} {number}\n"
        made.append(makers.release(by, origin, version=f"1.0.{number}", source=source))
    made.append(makers.withdrawal("yank", by, made[1].id))
    made.append(makers.usage(origin, made[1].subject.sha256))
    return made


@dataclass
class Task:
    """A session under way, with what is in flight for it."""

    owner: str
    peer: str
    running: Session
    since: Cursor | None
    doubts: int  # how often the owner had been in doubt of the peer when it began
    given: Answer | None = None
    asked: Ask | None = None


@dataclass
class Ring:
    """The nodes, their clocks, their backups and everything in flight."""

    pool: Pool
    seed: int
    tasks: list[Task] = field(default_factory=list)
    backups: dict[str, list[Store]] = field(default_factory=dict)
    clocks: dict[str, int] = field(default_factory=dict)
    fetched: int = 0  # requests that reached a peer
    done: Counter[str] = field(default_factory=Counter)  # moves that took effect

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        # West does not know its own author again after a restore: what comes back is known by its way alone.
        home = {name: [self.pool.authors[name].id] for name in NAMES if name != "west"}
        self.nodes = {name: Node(self.pool.nodes[name], quarantines=True, home=home.get(name, ())) for name in NAMES}
        self.by_id = {each.id: name for name, each in self.nodes.items()}
        self.queues = {name: list(statements) for name, statements in self.pool.statements.items()}
        self.clocks = dict.fromkeys(NAMES, 0)
        self.backups = {name: [self.nodes[name].snapshot()] for name in NAMES}
        self.moves = {
            self._publish: 12, self._start: 25, self._advance: 70, self._drop: 5, self._duplicate: 4, self._crash: 2,
            self._back_up: 3, self._restore: 2, self._turn_clock: 2, self._admit: 10, self._yank: 2,
            self._publish_again: 2,
        }  # fmt: skip

    def storm(self) -> None:
        """The bad day."""
        moves, weights = list(self.moves), list(self.moves.values())
        for move in self.rng.choices(moves, weights, k=STEPS):
            move()

    def converge(self) -> int:
        """The calm after it; answers in how many rounds nothing moved any more."""
        self.tasks.clear()
        self.clocks = dict.fromkeys(NAMES, 0)
        for round_number in range(CALM_ROUNDS):
            before = self._state()
            for owner, peer in self._links():
                self._begin(owner, peer, pushing_allowed=False)
                while self.tasks:
                    self._run(self.tasks[0])
            for each in self.nodes.values():
                each.admit()
            if before == self._state():
                return round_number
        raise AssertionError(f"seed {self.seed}: nothing settles")

    # --- moves of the storm ---

    def _publish(self) -> None:
        name = self.rng.choice(NAMES)
        # Also on a node that was restored and has no footing yet: its people do not wait for it.
        if self.queues[name]:
            self.nodes[name].publish(self.queues[name].pop(0))

    def _publish_again(self) -> None:
        """A person whose work a restore has eaten publishes it once more; the node signs it anew."""
        name = self.rng.choice(NAMES)
        node = self.nodes[name]
        texts = [
            each for each in self.pool.statements[name] if each.kind == "release" and each not in self.queues[name]
        ]
        # Where a release of it is held, that one is the version's.
        lost = [each for each in texts if not any(node.holds(twin.id) for twin in self.pool.twins[each.id])]
        if lost:
            node.publish(self.rng.choice(self.pool.twins[self.rng.choice(lost).id]))
            self.done["published again"] += 1

    def _yank(self) -> None:
        """An author withdraws what stands; after a restore perhaps a second time, in other words."""
        name = self.rng.choice(NAMES)
        node, author = self.nodes[name], self.pool.authors[name].id
        standing = sorted(each for each in node.store.admitted if node.store.held[each].statement.signer == author)
        if standing:
            release = node.store.held[self.rng.choice(standing)].statement
            node.publish(self.pool.yank(name, release, self.rng.randrange(3)))
            self.done["withdrawn"] += 1

    def _admit(self) -> None:
        """A node finds the time to scan what waits."""
        node = self.nodes[self.rng.choice(NAMES)]
        self.done["admitted"] += bool(node.store.waiting)
        node.admit()

    def _start(self) -> None:
        self._begin(*self.rng.choice(self._links()))

    def _advance(self) -> None:
        if self.tasks:
            self._run(self.rng.choice(self.tasks))

    def _drop(self) -> None:
        """A request or an answer is lost: the session ends as after any failure."""
        if self.tasks:
            self.tasks.remove(self.rng.choice(self.tasks))

    def _duplicate(self) -> None:
        """A request reaches the peer a second time, its answer goes nowhere."""
        waiting = [task for task in self.tasks if task.asked is not None]
        if waiting:
            task = self.rng.choice(waiting)
            assert task.asked is not None
            self.nodes[task.peer].handle(task.asked, caller=self.nodes[task.owner].id)

    def _crash(self) -> None:
        name = self.rng.choice(NAMES)
        self.tasks = [task for task in self.tasks if task.owner != name]

    def _back_up(self) -> None:
        name = self.rng.choice(NAMES)
        self.backups[name].append(self.nodes[name].snapshot())

    def _restore(self) -> None:
        name = self.rng.choice(NAMES)
        self.tasks = [task for task in self.tasks if task.owner != name]
        backup = self.rng.choice(self.backups[name])
        spare = Node.snapshot(type("Backup", (), {"store": backup})())  # the backup itself stays as it is
        self.nodes[name].restore(spare)
        for peer in self.nodes.values():
            if peer is not self.nodes[name]:
                self.nodes[name].store.doubt(peer.id)
        self.done["restored"] += 1

    def _turn_clock(self) -> None:
        self.clocks[self.rng.choice(NAMES)] = self.rng.choice([0, 0, 20, -20, 3_600, -3_600])

    # --- running sessions ---

    def _links(self) -> list[tuple[str, str]]:
        return [(NAMES[n], NAMES[(n + step) % 3]) for n in range(3) for step in (1, 2)]

    def _state(self) -> list[tuple[int, dict[str, Cursor | None], set[str], int]]:
        stores = [each.store for each in self.nodes.values()]
        return [(len(each.feed), dict(each.cursors), set(each.must_recover), len(each.waiting)) for each in stores]

    def _begin(self, owner: str, peer: str, *, pushing_allowed: bool = True) -> None:
        us, them = self.nodes[owner], self.nodes[peer]
        since = us.store.cursors.get(them.id)
        if them.id in us.store.must_recover:
            running = session.recover(us.raw_ids(), sender=them.id, own=us.id)
        elif pushing_allowed and self.rng.random() < 0.2:
            lines = [us.line_at(seq) for seq in range(1, len(us.store.feed) + 1)]
            running = pushing.push(
                [feed.Line(None, each.kind, each.envelope, each.via) for each in lines if them.id not in each.via]
            )
        else:
            limit = self.rng.choice([1, 2, 5, 500])
            running = session.sync(since, held=us.raw_ids, sender=them.id, own=us.id, limit=limit)
        self.tasks.append(Task(owner, peer, running, since, us.store.doubts.get(them.id, 0)))

    def _run(self, task: Task) -> None:
        """One step of one session: hand over what came, or let the request reach the peer."""
        if task.asked is not None:
            self._deliver(task)
            return
        try:
            step = task.running.send(task.given)
        except (StopIteration, exchange.PeerRefused):
            self.tasks.remove(task)
            return
        task.given = None
        if isinstance(step, Ask):
            task.asked = step
        elif isinstance(step, Take):
            self._take(task, step)

    def _deliver(self, task: Task) -> None:
        """The peer answers, if both clocks let the two understand each other."""
        assert task.asked is not None
        apart = self.clocks[task.owner] - self.clocks[task.peer]
        if apart > CLOCK_TOLERANCE_SECONDS or apart < -(CLOCK_TOLERANCE_SECONDS + REQUEST_LIFE_SECONDS):
            self.tasks.remove(task)
            return
        task.given = self.nodes[task.peer].handle(task.asked, caller=self.nodes[task.owner].id)
        task.asked = None
        self.fetched += 1

    def _take(self, task: Task, step: Take) -> None:
        us, them = self.nodes[task.owner], self.nodes[task.peer]
        if not us.take(step, sender=them.id, expected=task.since, doubts=task.doubts):
            self.tasks.remove(task)
            return
        if step.cursor is not None:
            task.since = step.cursor

    # --- what must hold ---

    def held_anywhere(self) -> set[str]:
        """Statements that at least one node has: nothing of this may be lost."""
        return {each for one in self.nodes.values() for each in one.store.held}

    def waiting_anywhere(self) -> set[str]:
        """Statements that wait somewhere for a key: they may be read once the key comes back."""
        return {
            each for one in self.nodes.values() for each, dead in one.store.dead.items() if dead.code == "unknown-key"
        }

    def repeated(self) -> Iterable[str]:
        """Statements that stand twice in one feed."""
        for one in self.nodes.values():
            seen: set[str] = set()
            for each in one.store.feed:
                if each in seen:
                    yield each
                seen.add(each)
