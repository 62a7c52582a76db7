"""
One schedule: what people and misfortune do to three nodes, drawn from a seed, and what must hold afterwards.

    storm = Storm(fleet, seed=7)
    storm.rage()
    storm.settle()
    storm.judge()
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.federation.chaos.fleet import NAMES, Fleet, Member, Seen, until

MOVES = 45
KINDS = frozenset(
    {
        "published", "published again", "withdrawn", "pushed", "crashed", "woken", "backed up", "restored, said",
        "restored, unsaid", "clock turned",
    }
)  # of moves that took effect  # fmt: skip
SETTLED_WITHIN_SECONDS = 90.0
STILL_SECONDS = 0.5  # in which a fleet that has settled does not move
WRONG_CLOCKS = (20, -20, 3_600, -3_600, 40 * 86_400)


@dataclass(frozen=True, slots=True)
class Published:
    """A text that a person saw published."""

    node: str
    name: str
    version: str
    source: str

    @property
    def digest(self) -> str:
        return sha256(self.source.encode()).hexdigest()


@dataclass
class Storm:
    """A schedule under way."""

    fleet: Fleet
    seed: int
    done: Counter[str] = field(default_factory=Counter)  # moves that took effect
    published: list[Published] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)  # digests
    may_be_gone: set[str] = field(default_factory=set)  # digests that only a lost database held
    copies: dict[str, list[Path]] = field(default_factory=dict)
    held: frozenset[str] = frozenset()  # ids that stood anywhere when it became calm

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.copies = {name: [self.fleet.first[name]] for name in NAMES}
        self.moves: dict[Callable[[Member], None], int] = {
            self._publish: 14, self._publish_again: 4, self._yank: 5, self._push: 4, self._crash: 3, self._wake: 12,
            self._back_up: 4, self._restore: 4, self._turn_clock: 3,
        }  # fmt: skip

    def rage(self) -> None:
        """The bad day."""
        self.fleet.begin(self.seed)
        for move in self.rng.choices(list(self.moves), list(self.moves.values()), k=MOVES):
            member = self.fleet.members[self.rng.choice(NAMES)]
            before = Counter(self.done)
            move(member)
            took = ", ".join(sorted(self.done - before)) or "nothing"
            self.fleet.weather.tell(f"MOVE {move.__name__.strip('_')} of {member.name}: {took}")
            self.fleet.weather.wait(self.rng.randint(1, 4), at_most_seconds=0.05)

    def settle(self) -> None:
        """The sun comes out: every node lives, every clock is right, and nothing may be left to do."""
        self.fleet.weather.clear()
        self.held = frozenset().union(*(seen.statements for seen in self.fleet.look().values()))
        for member in self.fleet.members.values():
            member.start()
            member.control("clock", seconds=0)
            member.control("hasten")
        until(self._is_settled, f"seed {self.seed}: the nodes do not agree", seconds=SETTLED_WITHIN_SECONDS,
              explain=self._explain)  # fmt: skip

    # --- moves ---

    def _publish(self, member: Member) -> None:
        number = len(self.published)
        name, version = f"{member.name}-{number % 3}", f"1.{number}.0"
        text = f"type: orchestration_pattern\nname: {name}\nversion: {version}\ndsl: |\n  RETURN {self.seed * 1_000 + number}\n"
        self._publish_text(member, Published(member.name, name, version, text))

    def _publish_again(self, member: Member) -> None:
        """The same text once more: a client that repeats itself, or a person whose work a restore has eaten."""
        own = [each for each in self.published if each.node == member.name]
        if own:
            before = self.done["published"]
            self._publish_text(member, self.rng.choice(own))
            self.done["published again"] += self.done["published"] - before

    def _publish_text(self, member: Member, text: Published) -> None:
        if member.control("publish", name=text.name, version=text.version, source=text.source) == text.digest:
            self.done["published"] += 1
            self.fleet.weather.tell(f"{member.name} has {text.name} {text.version}, {text.digest[:12]}")
            self.published.append(text)
            self.may_be_gone.discard(text.digest)

    def _yank(self, member: Member) -> None:
        own = [each for each in self.published if each.node == member.name]
        here = {row[3] for row in member.look().standing}
        standing = [each for each in own if each.digest in here]
        if standing and member.pid:
            text = self.rng.choice(standing)
            if member.control("yank", name=text.name, version=text.version):
                self.done["withdrawn"] += 1
                self.fleet.weather.tell(f"{member.name} withdraws {text.name} {text.version}, {text.digest[:12]}")
                self.withdrawn.add(text.digest)

    def _push(self, member: Member) -> None:
        peer = self.rng.choice([name for name in NAMES if name != member.name])
        self.done["pushed"] += member.control("push", peer=peer) is not None

    def _crash(self, member: Member) -> None:
        self.done["crashed"] += bool(member.pid)
        member.kill()

    def _wake(self, _: Member) -> None:
        for member in self.fleet.members.values():
            self.done["woken"] += not member.pid
            member.start()

    def _back_up(self, member: Member) -> None:
        to = self.fleet.folder / f"{member.name}-{self.seed}-{len(self.copies[member.name])}.sqlite3"
        self.copies[member.name].append(member.copy_database(to))
        self.done["backed up"] += 1

    def _restore(self, member: Member) -> None:
        member.kill()
        before = member.look()
        copy = self.rng.choice(self.copies[member.name][-3:])
        self.fleet.weather.tell(f"{member.name} goes back to {copy.name}")
        member.put_database(copy)
        elsewhere = [each.look() for each in self.fleet.members.values()]
        # Gone is what stands in no database any more, whoever published it; what is in one has to reach all.
        here = {digest for seen in elsewhere for digest in (*seen.releases, *seen.withdrawn)}
        here |= {row[3] for seen in elsewhere for row in seen.standing}
        self.may_be_gone |= {each.digest for each in self.published} - here
        # A withdrawal that nobody else has heard of is forgotten with the database that held it.
        known = {digest for seen in elsewhere for _, digest in seen.told_withdrawn}
        self.withdrawn -= (before.withdrawn | {digest for _, digest in before.told_withdrawn}) - known
        # Half of the people say so with `manage.py node restored`; else the node has to notice it by itself.
        is_said = self.rng.random() < 0.5
        member.start(was_restored=is_said)
        self.done["restored, said" if is_said else "restored, unsaid"] += 1

    def _turn_clock(self, member: Member) -> None:
        told = member.control("clock", seconds=self.rng.choice(WRONG_CLOCKS))
        self.done["clock turned"] += bool(member.pid) and told is None

    # --- what must hold ---

    def _is_settled(self) -> bool:
        north, *others = self.fleet.look().values()
        return all(_is_same(north, other) for other in others) and self.held <= north.statements

    def judge(self) -> None:
        """Everything that is promised, once it is calm."""
        seen = self.fleet.look()
        north = seen["north"]
        wanted = {each.digest for each in self.published} - self.may_be_gone
        standing = Counter((row[0], row[3]) for row in north.standing)
        told = {digest for _, digest in north.told_withdrawn}
        say = f"seed {self.seed}: "
        assert wanted <= north.releases, f"{say}{len(wanted - north.releases)} published texts are lost"
        assert wanted - told <= {digest for _, digest in standing}, f"{say}a published text was not admitted"
        assert self.withdrawn & wanted <= told, f"{say}a withdrawal is lost"
        assert not north.told_withdrawn & set(standing), f"{say}something withdrawn still stands"
        assert set(standing.values()) <= {1}, f"{say}a text stands twice"
        for name, each in seen.items():
            self._judge_feed(f"{say}{name}: ", self.fleet.members[name].node_id, each)
        self._judge_stillness(seen)

    def _judge_feed(self, say: str, node_id: str, seen: Seen) -> None:
        assert len(set(seen.feed)) == len(seen.feed), f"{say}a statement stands twice in the feed"
        # What was withdrawn before it was admitted here is not passed on; everything else is.
        missing = seen.unfed - seen.told_withdrawn
        why = [each for each in seen.states if each[0] in {digest for _, digest in missing}]
        assert not missing, f"{say}not in the feed: {missing} {why}"
        assert list(seen.numbers) == list(range(seen.numbers[0], seen.numbers[0] + len(seen.numbers))), f"{say}gaps"
        for way in seen.ways:
            assert len(set(way)) == len(way) <= 4, f"{say}a loop: {way}"
            assert way[-1] == node_id, f"{say}a way that does not end here: {way}"

    def _judge_stillness(self, before: dict[str, Seen]) -> None:
        """Rounds go on all the time; none of them may find anything more to do."""
        at_rest = {name: (seen.feed, seen.standing) for name, seen in before.items()}
        passed = self.fleet.weather.passed
        time.sleep(STILL_SECONDS)
        after = {name: (seen.feed, seen.standing) for name, seen in self.fleet.look().items()}
        assert after == at_rest, f"seed {self.seed}: something still goes round"
        assert self.fleet.weather.passed > passed, "nobody asks any more"

    def _explain(self) -> str:
        told = [f"{dict(self.done)}, {len(self.held)} statements stood somewhere"]
        all_seen = self.fleet.look()
        for name, seen in all_seen.items():
            others = {row for other in all_seen.values() for row in other.standing}
            told += [
                f"{name}: {len(seen.statements)} statements, misses {sorted(self.held - seen.statements)[:3]}, "
                f"{seen.waiting} wait, dead {sorted(seen.dead)[:5]}, {seen.errors}",
                f"    standing {len(seen.standing)}, misses {sorted(others - set(seen.standing))[:4]}",
                *self.fleet.members[name].last_words().splitlines()[-2:],
            ]
        return "\n".join(told)


def _is_same(one: Seen, other: Seen) -> bool:
    """Whether two nodes hold and admit the same, with nothing under way."""
    return one.statements == other.statements and one.standing == other.standing and not (one.waiting or other.waiting)
