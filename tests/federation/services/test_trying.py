"""Trials of foreign objects: asked for by the tier, bounded by the day, and their verdict decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from execution.worker import WorkerSettings, run_until_idle
from federation.models import QuarantineItem, day_of
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import ticking, trying
from registry.models import Pattern, PatternVersion
from tests.federation import makers
from tests.federation.conftest import Remote

ASKING = """type: orchestration_pattern
name: echo
version: 1.0.0
dsl: |
  EVENT completion:async {agent_id: "judge", prompt: "Answer"} AS answer
  RETURN answer.output
"""


def brought(remote: Remote, **changes: object) -> QuarantineItem:
    """One object of the remote, scanned."""
    remote.push(*remote.introduced(), made := remote.release(**({"source": ASKING} | changes)))
    ticking.scan_all(now=timezone.now())
    return QuarantineItem.objects.get(statement__statement_id=made.id)


def run_trials() -> None:
    run_until_idle(settings=WorkerSettings(queue="trials"))
    trying.settle(now=timezone.now())


class TestATrial:
    def test_of_an_approved_peers_object_starts_by_itself_and_its_pass_admits(self, remote: Remote) -> None:
        item = brought(remote)
        assert item.current is State.TRIAL_QUEUED

        run_trials()

        item.refresh_from_db()
        assert item.current is State.ADMITTED, item.reason
        assert item.has_passed_here
        assert item.statement.is_announced or not item.statement.is_held_back
        assert [step.after for step in item.steps.all()] == [
            "signed_ok", "parsed", "scanned", "trial_queued", "trial_passed", "admitted",
        ]  # fmt: skip

    def test_runs_a_hidden_copy_that_nobody_finds(self, remote: Remote) -> None:
        brought(remote)

        hidden = Pattern.objects.get(owner__name=trying.HIDDEN_OWNER)
        assert hidden.visibility == "private"
        assert not Pattern.objects.visible_to(None).filter(pk=hidden.pk).exists()

    def test_of_a_probation_peers_object_waits_for_a_person(self, make_remote: Callable[..., Remote]) -> None:
        item = brought(make_remote(tier=Tier.PROBATION))
        assert (item.current, item.trial) == (State.HELD, "")

        trying.request(item, now=timezone.now(), reason="by hand")
        run_trials()

        item.refresh_from_db()
        assert item.current is State.TRIAL_PASSED  # a person still decides

    def test_of_an_object_that_always_fails_is_refuted(self, remote: Remote) -> None:
        item = brought(remote, source=ASKING.replace("RETURN answer.output", "RETURN 1 / 0"))

        run_trials()

        item.refresh_from_db()
        assert item.current in (State.TRIAL_FAILED, State.INCONCLUSIVE), item.reason
        assert not PatternVersion.objects.filter(pattern__owner__authority=remote.author.id).exists()

    def test_costs_nothing_with_offline_agents_but_counts(self, remote: Remote) -> None:
        brought(remote)

        day = day_of(remote.row, timezone.now())
        assert (day.trials, day.trial_tokens) == (1, 0)

    def test_a_cost_attack_ends_at_the_days_budget_and_goes_on_tomorrow(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trying, "TRIALS_A_DAY", 2)
        releases = [remote.release(version=f"1.0.{n}", source=ASKING.replace("1.0.0", f"1.0.{n}")) for n in range(4)]
        remote.push(*remote.introduced(), *releases)

        ticking.scan_all(now=timezone.now())

        states = sorted(str(item.current) for item in QuarantineItem.objects.all())
        assert states == ["held", "held", "trial_queued", "trial_queued"]
        assert trying.retry_tomorrow(now=timezone.now() + timedelta(days=1)) == 2

    def test_paid_agents_spend_from_the_days_tokens(
        self, remote: Remote, settings: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trying, "_is_free", lambda: False)
        monkeypatch.setattr(trying, "TOKENS_A_DAY", 3 * trying.TOKENS_A_TRIAL)
        releases = [remote.release(version=f"1.0.{n}", source=ASKING.replace("1.0.0", f"1.0.{n}")) for n in range(5)]
        remote.push(*remote.introduced(), *releases)

        ticking.scan_all(now=timezone.now())

        assert day_of(remote.row, timezone.now()).trial_tokens == 3 * trying.TOKENS_A_TRIAL
        assert QuarantineItem.objects.filter(state="trial_queued").count() == 3

    def test_that_cannot_be_run_is_held_with_the_reason(self, remote: Remote) -> None:
        prose = makers.SOURCE.replace("  RETURN 1\n", "  Let the agents talk until they agree.\n").replace(
            "RETURN 1", "talk"
        )
        item = brought(remote, source=prose)

        assert item.current is State.HELD
        assert "cannot be tried" in item.reason
