"""What a peer can cost, how far its objects travel, and how long a silent one is waited for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from execution.models import Trial
from federation.models import Peer, QuarantineItem, Statement, day_of
from federation.protocol import feed, limits
from federation.protocol.problems import Refused
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import quarantining, scanning, storing, syncing, ticking, trying
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.services.test_exchange import lines_of
from tests.federation.services.test_trying import ASKING, brought, run_trials
from tests.federation.simulator import Offline
from tests.registry import factories

NOW = timezone.now()


class TestTheBudgetOfTrials:
    def test_of_one_peer_is_not_spent_by_another(
        self, make_remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trying, "TRIALS_A_DAY", 1)
        attacker, honest = make_remote("attacker"), make_remote("honest")
        made = [attacker.release(version=f"1.0.{n}", source=ASKING.replace("1.0.0", f"1.0.{n}")) for n in range(3)]
        attacker.push(*attacker.introduced(), *made)
        honest.push(*honest.introduced(), honest.release(source=ASKING.replace("Answer", "Reply")))

        ticking.scan_all(now=NOW)

        queued = QuarantineItem.objects.filter(state=str(State.TRIAL_QUEUED))
        assert sorted(str(item.peer_id) for item in queued) == sorted([str(attacker.row.pk), str(honest.row.pk)])

    def test_bounds_what_one_trial_can_spend(self, remote: Remote) -> None:
        item = brought(remote)

        trial = Trial.objects.get(pk=int(item.trial))
        assert trial.tokens_limit == trying.TOKENS_A_TRIAL
        assert trial.daily_tokens_limit == trying.TOKENS_A_TRIAL
        assert trial.caps["tokens"] == trying.RUN_TOKENS

    def test_is_asked_for_again_by_the_round_of_the_next_day(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trying, "TRIALS_A_DAY", 1)
        made = [remote.release(version=f"1.0.{n}", source=ASKING.replace("1.0.0", f"1.0.{n}")) for n in range(2)]
        remote.push(*remote.introduced(), *made)
        ticking.tick(NOW)
        assert QuarantineItem.objects.filter(state=str(State.HELD)).count() == 1

        ticking.tick(NOW + timedelta(days=1))

        assert not QuarantineItem.objects.filter(state=str(State.HELD)).exists()
        assert day_of(remote.row, NOW + timedelta(days=1)).trials == 1


class TestPassingOn:
    def test_of_an_approved_peers_object_waits_for_a_pass_here(self, remote: Remote) -> None:
        item = brought(remote)
        assert not Statement.objects.get(pk=item.statement_id).is_announced

        run_trials()

        assert Statement.objects.get(pk=item.statement_id).is_announced

    @pytest.mark.parametrize("tier", [Tier.PROBATION, Tier.APPROVED])
    def test_does_not_follow_from_a_persons_approval_alone(
        self, make_remote: Callable[..., Remote], tier: Tier
    ) -> None:
        item = brought(make_remote(tier=tier))
        assert item.current in (State.HELD, State.TRIAL_QUEUED)

        quarantining.approve(item, reason="I read it", now=NOW, actor=factories.make_admin())

        assert not Statement.objects.get(pk=item.statement_id).is_announced

    def test_goes_to_nobody_on_the_way_here(self, make_remote: Callable[..., Remote]) -> None:
        origin, relay, other = (make_remote(name, tier=Tier.OWN) for name in ("origin", "relay", "other"))
        made = origin.release()
        relay.push(*relay.introduced(), *origin.introduced())
        line = feed.line(made, via=[origin.identity.id, relay.identity.id]).to_bytes()
        relay.ask("PUT", "/fed/v1/push/relayed-0000000001", line, content_type=feed.CONTENT_TYPE)
        ticking.scan_all(now=NOW)
        storing.number()

        def releases(reader: Remote) -> int:
            return [line["k"] for line in lines_of(reader.ask("GET", "/fed/v1/changes?limit=500"))].count("release")

        assert (releases(origin), releases(relay), releases(other)) == (0, 0, 1)

    @pytest.mark.parametrize(("hops", "seen"), [(2, 1), (3, 1), (4, 0)])
    def test_ends_after_four_nodes(self, make_remote: Callable[..., Remote], hops: int, seen: int) -> None:
        sender, reader = make_remote("sender", tier=Tier.OWN), make_remote("reader", tier=Tier.OWN)
        way = [makers.node(f"hop {number}").id for number in range(hops - 1)]
        sender.push(*sender.introduced())
        line = feed.line(sender.release(), via=[*way, sender.identity.id]).to_bytes()
        sender.ask("PUT", "/fed/v1/push/far-00000000000001", line, content_type=feed.CONTENT_TYPE)
        ticking.scan_all(now=NOW)
        storing.number()

        lines = lines_of(reader.ask("GET", "/fed/v1/changes?limit=500"))

        assert [line["k"] for line in lines].count("release") == seen
        assert all(len(line["via"]) <= limits.HOPS for line in lines)


class TestASilentPeer:
    def fail(self, peer: Peer, *, times: int, start: Any = NOW) -> list[float]:
        """Minutes that were waited before each next try."""
        waited, now = [], start
        for _ in range(times):
            peer.refresh_from_db()
            syncing.sync(peer, now=now, carrier=Offline())
            peer.refresh_from_db()
            waited.append((peer.next_try_at - now).total_seconds() / 60)
            now = peer.next_try_at
        return waited

    def test_is_tried_after_twice_as_long_each_time_up_to_a_day(self, remote: Remote) -> None:
        waited = self.fail(remote.row, times=13)

        for number, minutes in enumerate(waited):
            full = min(2**number, 1_440)
            assert 0.74 * full <= minutes <= full, number

    def test_is_not_asked_before(self, remote: Remote) -> None:
        self.fail(remote.row, times=3)
        peer = remote.row

        assert not Peer.objects.due(peer.next_try_at - timedelta(seconds=1)).exists()
        assert Peer.objects.due(peer.next_try_at).exists()

    def test_is_dead_after_seven_days_and_then_probed_daily(self, remote: Remote) -> None:
        waited = self.fail(remote.row, times=25)
        peer = remote.row
        assert peer.is_dead(peer.next_try_at)

        assert all(0.74 * 1_440 <= minutes <= 1_440 for minutes in waited[-5:])

    def test_is_revived_by_a_request_of_its_own(self, remote: Remote) -> None:
        self.fail(remote.row, times=25)

        assert remote.ask("GET", "/fed/v1/status").status_code == 200

        peer = remote.row
        assert (peer.failures, peer.failing_since) == (0, None)
        assert peer.next_try_at <= timezone.now()


class TestWhatNoDatabaseKeeps:
    @pytest.mark.parametrize("escape", [r"\0", r"\x00", r"\u0000"])
    def test_is_refused_where_it_arrives(self, escape: str) -> None:
        source = f'type: orchestration_pattern\nname: echo\ndescription: "a{escape}b"\ndsl: |\n  RETURN 1\n'

        with pytest.raises(Refused) as caught:
            scanning.open_safely(source.encode())

        assert caught.value.code == "unsafe-document"
