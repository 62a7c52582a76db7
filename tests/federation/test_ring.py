"""A thousand bad days in a ring of three nodes: all of them end with the same statements everywhere."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from federation.protocol import keys
from tests.federation.ring import NAMES, Pool, Ring, Task

SCHEDULES = 1_000
BATCHES = 10


@pytest.fixture(scope="module")
def pool():
    return Pool.make()


@pytest.fixture(autouse=True)
def _cached_verification(monkeypatch):
    """The same few signatures are verified a hundred thousand times; the answer does not change."""
    monkeypatch.setattr(keys, "verify", functools.lru_cache(maxsize=10_000)(keys.verify))


def judge(ring: Ring) -> None:
    """Everything that must hold once it is calm again."""
    held, waiting = ring.held_anywhere(), ring.waiting_anywhere()
    ring.converge()
    everything = ring.held_anywhere()
    assert held <= everything <= held | waiting, f"seed {ring.seed}: something came from nowhere"
    for name in NAMES:
        store = ring.nodes[name].store
        missing = everything - set(store.held)
        assert not missing, f"seed {ring.seed}: {name} misses {len(missing)} statements"
        # What was withdrawn before it was admitted stands in no feed; everything else does.
        unfed = [store.held[each].statement for each in set(store.held) - set(store.feed)]
        assert all(ring.nodes[name].is_withdrawn(each) for each in unfed), (
            f"seed {ring.seed}: {name} keeps something back"
        )
        assert not store.waiting
        assert not store.must_recover
        # what waits for a key waits for one that every node has lost
        assert all(dead.code == "unknown-key" and each not in everything for each, dead in store.dead.items())
        assert all(len(set(each.via)) == len(each.via) <= 4 for each in store.held.values())
        assert all(each.via[-1] == ring.nodes[name].id for each in store.held.values())
    assert len({frozenset(each.standing()) for each in ring.nodes.values()}) == 1, (
        f"seed {ring.seed}: not the same stands"
    )
    assert not list(ring.repeated()), f"seed {ring.seed}: something stands twice"


class TestRing:
    @pytest.mark.parametrize("batch", range(BATCHES))
    def test_converges_after_every_schedule(self, pool, batch):
        for seed in range(batch, SCHEDULES, BATCHES):
            ring = Ring(pool, seed)
            ring.storm()
            judge(ring)

    def test_sends_nothing_more_once_it_has_converged(self, pool):
        ring = Ring(pool, seed=3)
        ring.storm()
        ring.converge()
        sizes = [len(each.store.feed) for each in ring.nodes.values()]

        assert ring.converge() == 0
        assert [len(each.store.feed) for each in ring.nodes.values()] == sizes

    def test_loses_nothing_that_was_published_where_no_database_was_restored(self, pool):
        for seed in range(50):
            ring = Ring(pool, seed)
            ring.moves.pop(ring._restore)
            ring.storm()
            published = {
                statement.id
                for name in NAMES
                for statement in pool.statements[name][: len(pool.statements[name]) - len(ring.queues[name])]
            }

            assert published <= ring.held_anywhere()
            judge(ring)

    def test_really_withdraws_publishes_again_and_lets_things_wait(self, pool):
        """Else a schedule would prove nothing about what was withdrawn before it was admitted."""
        done, refused = Counter(), 0
        for seed in range(100):
            ring = Ring(pool, seed)
            ring.storm()
            done.update(ring.done.keys())
            ring.converge()
            refused += any(set(each.store.held) - set(each.store.feed) for each in ring.nodes.values())
        assert all(done[each] > 20 for each in ("withdrawn", "published again", "admitted", "restored")), done
        assert refused > 20

    def test_really_has_bad_days(self, pool):
        """The storm leaves the nodes apart, restores databases and loses messages; else it would prove nothing."""
        apart = restored = 0
        for seed in range(50):
            ring = Ring(pool, seed)
            ring.storm()
            apart += len({frozenset(each.store.held) for each in ring.nodes.values()}) > 1
            restored += any(each.restores for each in ring.nodes.values())
        assert apart > 40
        assert restored > 20


class Late:
    """
    What north published reaches west only after north's database was restored and the two have been compared.

    The page was on its way meanwhile. So west holds something of north's that north does not know of, and north
    learns of it because west comes back with a cursor of the lost epoch.
    """

    def __init__(self, pool: Pool) -> None:
        self.ring = Ring(pool, seed=0)
        self.north, self.west = self.ring.nodes["north"], self.ring.nodes["west"]
        self.before = self.north.snapshot()
        self.made = pool.statements["north"][1]
        self.north.publish(*pool.statements["north"][:2])
        self.page = self.begun("west", "north")
        self.step(self.page, times=2)  # asked and answered, not stored yet
        self.north.restore(self.before)
        self.north.store.doubt(self.west.id)

    def begun(self, owner: str, peer: str) -> Task:
        self.ring._begin(owner, peer, pushing_allowed=False)
        return self.ring.tasks[-1]

    def step(self, task: Task, *, times: int = 50) -> None:
        """So many steps of a session; to its end by default."""
        for _ in range(times):
            if task in self.ring.tasks:
                self.ring._run(task)

    def west_comes_back(self) -> None:
        """The page is stored at last; west goes on reading from there, is reset, and finds its footing."""
        self.step(self.page)
        assert self.west.holds(self.made.id)
        self.step(self.begun("west", "north"))
        assert self.west.id in self.north.store.must_recover


class TestWhatWasOnItsWayDuringARestore:
    def test_is_found_though_a_page_is_stored_while_the_peer_comes_back(self, pool):
        late = Late(pool)
        late.step(late.begun("north", "west"))
        assert late.west.id not in late.north.store.must_recover
        reading = late.begun("north", "west")
        late.step(reading, times=2)

        late.west_comes_back()
        late.step(reading)

        judge(late.ring)
        assert late.north.holds(late.made.id)

    def test_is_found_though_the_peer_comes_back_during_the_comparison(self, pool):
        late = Late(pool)
        comparing = late.begun("north", "west")
        late.step(comparing, times=2)  # the sets are compared already

        late.west_comes_back()
        late.step(comparing)

        judge(late.ring)
        assert late.north.holds(late.made.id)
