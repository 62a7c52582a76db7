"""Small tables: tiers, back-off, lineage, problems."""

from __future__ import annotations

import pickle
import random

import pytest

from federation.protocol import lineage, problems, tiers
from federation.protocol.backoff import Health
from federation.protocol.problems import CODES, Refused
from federation.protocol.tiers import RULES, Tier

DAY = 86_400


class TestTiers:
    def test_give_every_tier_a_rule(self):
        assert set(RULES) == set(Tier)

    @pytest.mark.parametrize(("tier", "weight"), [(0, 0), (1, 0), (2, 0), (3, 0.25), (4, 1)])
    def test_weigh_statistics(self, tier, weight):
        assert RULES[Tier(tier)].statistics_weight == weight

    @pytest.mark.parametrize(("tier", "code"), [(Tier.BLOCKED, "peer-blocked"), (Tier.UNKNOWN, "tier-too-low")])
    def test_keep_strangers_out(self, tier, code):
        with pytest.raises(Refused) as refusal:
            tiers.judge_access(tier)
        assert refusal.value.code == code

    @pytest.mark.parametrize("tier", [Tier.PROBATION, Tier.APPROVED, Tier.OWN])
    def test_let_peers_in(self, tier):
        tiers.judge_access(tier)

    @pytest.mark.parametrize(("objects", "size"), [(1_001, 0), (0, 64 * 2**20 + 1)])
    def test_bound_what_a_peer_on_probation_sends_in_a_day(self, objects, size):
        with pytest.raises(Refused) as refusal:
            tiers.judge_quota(Tier.PROBATION, objects=objects, size=size, retry_after=60)
        assert refusal.value.to_json()["retry_after"] == 60

    def test_do_not_bound_the_own_organisation(self):
        tiers.judge_quota(Tier.OWN, objects=10**9, size=10**15, retry_after=60)


class TestBackOff:
    def test_doubles_from_a_minute_to_a_day(self):
        health, now, delays = Health(), 0, []
        for _ in range(13):
            health = health.after_failure(now=now, chance=0.0)
            delays.append(health.next_try_at - now)
        assert delays == [60 * 2**n for n in range(11)] + [DAY, DAY]

    def test_jitters_below_the_full_delay(self):
        delays = {Health().after_failure(now=0, chance=random.Random(n).random()).next_try_at for n in range(50)}

        assert len(delays) > 5
        assert all(45 <= delay <= 60 for delay in delays)

    def test_waits_as_long_as_the_peer_asks_but_never_beyond_a_day(self):
        assert Health().after_failure(now=0, chance=0, retry_after=600).next_try_at == 600
        assert Health().after_failure(now=0, chance=0, retry_after=10**9).next_try_at == DAY

    def test_calls_a_peer_dead_after_seven_failing_days_and_probes_it_daily(self):
        health, now = Health(), 0
        while not health.is_dead(now):
            health = health.after_failure(now=now, chance=0.0)
            now = health.next_try_at
        assert 7 * DAY <= now < 9 * DAY
        assert health.after_failure(now=now, chance=0.0).next_try_at == now + DAY

    def test_forgets_everything_at_the_first_answer(self):
        dead = Health(failures=20, failing_since=0, next_try_at=9 * DAY)

        assert dead.after_success(now=8 * DAY) == Health(next_try_at=8 * DAY)


def parents_in(graph):
    return lambda digests: [parent for digest in digests for parent in graph.get(digest, ())]


class TestLineage:
    def test_lets_a_fork_of_a_merge_in(self):
        lineage.judge("d", ["b", "c"], parents_in({"b": ["a"], "c": ["a"]}))

    def test_refuses_a_release_that_is_its_own_parent(self):
        with pytest.raises(Refused, match="descends"):
            lineage.judge("a", ["a"], parents_in({}))

    def test_refuses_the_parent_that_arrives_late_and_closes_a_ring(self):
        known = {"child": ["middle"], "middle": ["late"]}

        with pytest.raises(Refused) as refusal:
            lineage.judge("late", ["child"], parents_in(known))
        assert refusal.value.code == "lineage-cycle"

    def test_ends_on_a_ring_that_is_there_already(self):
        lineage.judge("x", ["a"], parents_in({"a": ["b"], "b": ["a"]}))

    def test_bounds_the_work_of_a_very_deep_descent(self, monkeypatch):
        monkeypatch.setattr(lineage, "MOST_ANCESTORS", 50)

        with pytest.raises(Refused, match="more than 50 ancestors"):
            lineage.judge("x", ["0"], lambda digests: [str(int(digest) + 1) for digest in digests])


class TestProblems:
    RETRYABLE = {"clock-skew", "replay", "quota-exceeded", "unknown-key"}
    BY_STATUS = {
        400: "digest-mismatch unsupported-version",
        401: "bad-signature unknown-key clock-skew",
        403: "peer-blocked tier-too-low",
        404: "not-found",
        409: "replay txn-conflict equivocation root-rollback",
        410: "cursor-reset",
        413: "page-too-large statement-too-large",
        422: "schema-invalid unsafe-document weak-key lineage-cycle unknown-kind",
        429: "quota-exceeded",
        500: "internal-error",
    }

    def test_are_the_closed_table_of_the_protocol(self):
        expected = {code: status for status, codes in self.BY_STATUS.items() for code in codes.split()}

        assert {code: rule.status for code, rule in CODES.items()} == expected
        assert {code for code, rule in CODES.items() if rule.retryable} == self.RETRYABLE

    @pytest.mark.parametrize("code", CODES)
    def test_say_themselves_as_rfc_9457(self, code):
        body = Refused(code, "because", 5).to_json()

        assert body["type"] == f"https://opl.dev/problems/{code}"
        assert set(body) == {"type", "title", "status", "detail", "code", "retryable", "retry_after"}

    @pytest.mark.parametrize(
        "error",
        [
            Refused("replay", "again", 3, {"x": 1}),
            problems.TransportFailure("it timed out"),
            problems.NotFederable("it is too large"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_pickle(self, error):
        again = pickle.loads(pickle.dumps(error))

        assert (type(again), str(again), again.code) == (type(error), str(error), error.code)

    def test_have_no_other_codes(self):
        with pytest.raises(KeyError):
            Refused("something-else", "")
