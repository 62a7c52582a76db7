"""From a verdict to the channel that people run, and back again."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.utils import timezone

from execution.errors import AdoptionRefused
from execution.models import ShadowShare, Trial
from execution.services import promoting, trial_facts, verifying, watching_share
from execution.services.promoting import Adoption
from execution.shadow.detector import HarmDetector
from execution.worker import run_until_idle
from registry.errors import NotThere
from registry.models import Channel, ChannelMove, LineageEdge, PatternVersion, User
from registry.services import channels, publishing
from tests.execution.factories import NOW, make_run, make_user
from tests.execution.trials import GOOD_ON, PLAIN, carry_out, make_trial, make_version, next_version

pytestmark = pytest.mark.django_db(transaction=True)

# The new one is better at first, and worse from input 1000 on.
OLD = "STATE n = 0\nRETURN {ok: n >= 1000 OR (n * 7) % 10 < 4}"
NEW = "STATE n = 0\nRETURN {ok: n < 1000}"


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    settings.AGENT_BACKENDS = PLAIN


class Family:
    """A pattern with a stable version and one that wants to take its place."""

    def __init__(self, *, verification: dict[str, Any] | None = None) -> None:
        self.owner = make_user()
        self.old = make_version(OLD, owner=self.owner.own_owner, success_when="ok", verification=verification or {})
        self.new = next_version(self.old, NEW)
        self.pattern = self.old.pattern
        channels.point(
            pattern=self.pattern,
            name="stable",
            version=self.old,
            channel=None,
            user=None,
            via="test",
            reason="",
            now=NOW,
        )

    def tried(self, **options: Any) -> Trial:
        return carry_out(make_trial(self.old, self.new, backend="plain", user=self.owner, **options))

    @property
    def stable(self) -> PatternVersion:
        return Channel.objects.get(pattern=self.pattern, name="stable").version

    def run(self, count: int, start: int) -> None:
        """Real runs of what is stable, and the workers of trials behind them."""
        for n in range(start, start + count):
            make_run(version=self.stable, inputs={"n": n}, backend="plain", now=timezone.now())
        run_until_idle()


def adopted(family: Family, **options: Any) -> ShadowShare:
    return promoting.adopt(trial=family.tried(), user=family.owner, now=timezone.now(), **options)


def across(visibility: str = "public", **fields: Any) -> tuple[Trial, User]:
    """A decided trial of another owner's pattern against the stable version of one's own, both as documents."""
    owner = make_user()
    control = published("vote", OLD, owner, success_when="ok", **fields)
    candidate = published("vote-two", NEW, make_user(), visibility=visibility, success_when="ok")
    channels.move(pattern=control.pattern, name="stable", version=control, user=owner, via="test", now=NOW)
    return carry_out(make_trial(control, candidate, backend="plain", user=owner)), owner


def published(name: str, script: str, owner: User, visibility: str = "public", **fields: Any) -> PatternVersion:
    value = {"type": "orchestration_pattern", "name": name, "version": "1.0.0", "dsl": script, **fields}
    source = yaml.safe_dump(value, sort_keys=False).encode()
    made = publishing.publish(
        owner=owner.own_owner, user=owner, source=source, via="api", now=NOW, visibility=visibility
    )
    return made.versions[0].version


class TestAdoption:
    def test_moves_stable_and_watches_a_tenth_of_the_traffic(self) -> None:
        family = Family()

        watch = adopted(family)

        assert family.stable == family.new
        assert (watch.promoted, watch.incumbent, watch.trial.share) == (family.new, family.old, 0.10)
        move = ChannelMove.objects.filter(channel__pattern=family.pattern).first()
        assert (move.via, move.from_version) == ("verdict", family.old)
        assert watch.trial.status == "running" and watch.trial.daily_tokens_limit

    def test_happens_once(self) -> None:
        family = Family()
        trial = family.tried()
        promoting.adopt(trial=trial, user=family.owner, now=NOW)

        with pytest.raises(AdoptionRefused, match="already"):
            promoting.adopt(trial=trial, user=family.owner, now=NOW)

    def test_is_refused_without_a_verdict_for_it(self) -> None:
        family = Family()
        trial = carry_out(make_trial(family.new, family.old, backend="plain"))

        with pytest.raises(AdoptionRefused, match="promote"):
            promoting.adopt(trial=trial, user=family.owner, now=NOW)

    def test_is_refused_to_strangers(self) -> None:
        family = Family()
        trial = family.tried()

        with pytest.raises(AdoptionRefused, match="publishers"):
            promoting.adopt(trial=trial, user=make_user(), now=NOW)
        assert family.stable == family.old

    def test_across_patterns_publishes_the_candidate_s_text_as_the_next_version(self) -> None:
        trial, owner = across()
        control, candidate = trial.control, trial.candidate
        assert promoting.adoption_of(trial) == Adoption(kind="publish", pattern=str(control.pattern), number="1.1.0")

        watch = promoting.adopt(trial=trial, user=owner, now=timezone.now())

        stable = Channel.objects.get(pattern=control.pattern, name="stable").version
        assert (stable.pattern, stable.version) == (control.pattern, "1.1.0")
        assert stable.program_hash == candidate.program_hash
        assert (stable.provenance["taken_over"], stable.provenance["trial"]) == (str(candidate), trial.pk)
        assert stable.provenance["report"] == trial.report.digest
        assert (watch.promoted, watch.incumbent) == (stable, control)
        trial.refresh_from_db()
        assert trial.adopted_version == stable
        edges = LineageEdge.objects.filter(child_digest=stable.digest).values_list("parent_digest", "op")
        assert (candidate.digest, "merge") in set(edges)

    def test_across_patterns_is_a_person_s_decision(self) -> None:
        trial, _ = across(verification={"method": "shadow_execution", "automatic": True})

        assert trial.adopted_at is None and "a person decides" in trial.note

    def test_across_patterns_takes_over_only_what_the_person_may_see(self) -> None:
        trial, owner = across(visibility="private")

        with pytest.raises(NotThere):
            promoting.adopt(trial=trial, user=owner, now=timezone.now())
        trial.refresh_from_db()
        assert trial.adopted_at is None and trial.control.pattern.versions.count() == 1

    def test_across_patterns_happens_once_even_where_two_click(self) -> None:
        trial, owner = across()
        promoting.adopt(trial=trial, user=owner, now=timezone.now())

        with pytest.raises(AdoptionRefused, match="already"):
            promoting.adopt(trial=Trial.objects.get(pk=trial.pk), user=owner, now=timezone.now())
        assert trial.control.pattern.versions.count() == 2

    def test_is_refused_when_stable_has_moved_on(self) -> None:
        family = Family()
        trial = family.tried()
        third = next_version(family.old, NEW + "\n# third", "1.2.0")
        channels.move(pattern=family.pattern, name="stable", version=third, user=family.owner, via="test", now=NOW)

        with pytest.raises(AdoptionRefused, match="by now"):
            promoting.adopt(trial=trial, user=family.owner, now=NOW)


class TestVerificationSection:
    def test_adopts_by_itself_where_the_pattern_says_so(self) -> None:
        family = Family(verification={"method": "shadow_execution", "automatic": True, "share": 0.5})

        trial = family.tried()

        assert family.stable == family.new
        assert trial.adopted_at is not None and trial.adopted_by is None
        assert ShadowShare.objects.get().trial.share == 0.5

    def test_leaves_it_to_a_person_otherwise(self) -> None:
        family = Family(verification={"method": "shadow_execution"})

        family.tried()

        assert family.stable == family.old

    def test_adopts_nothing_by_itself_on_simulated_agents(self) -> None:
        family = Family(verification={"method": "shadow_execution", "automatic": True})

        trial = carry_out(make_trial(family.old, family.new, backend="simulated"))

        assert (trial.outcome, family.stable) == ("promote", family.old)
        assert "simulated" in trial.note

    def test_sets_profile_and_margins(self) -> None:
        section = {"method": "shadow_execution", "profile": "strict", "margins": {"success": 0.02, "cost": 0.5}}
        family = Family(verification=section)

        trial = make_trial(family.old, family.new, backend="plain", profile="")

        assert trial.profile == "strict"
        assert trial.plan["margin"] == 0.02
        assert {rail["metric"]: rail["margin"] for rail in trial.plan["guardrails"]}["cost"] == 0.5

    def test_of_the_candidate_does_not_loosen_anything(self) -> None:
        family = Family()
        loose = next_version(family.old, NEW + "\n# loose", "1.3.0", verification={"margins": {"success": 0.9}})

        assert make_trial(family.old, loose, backend="plain").plan["margin"] == 0.15


class TestWatch:
    def test_rolls_back_at_the_alarm_and_opens_a_new_trial(self) -> None:
        family = Family()
        watch = adopted(family, share=1.0)
        family.run(30, 1000)

        carry_out(watch.trial)

        watch.refresh_from_db()
        assert (watch.state, family.stable) == ("rolled_back", family.old)
        assert "has become worse" in watch.reason
        assert watch.next_trial.status == "running"
        assert (watch.next_trial.control, watch.next_trial.candidate) == (family.old, family.new)
        assert watch.pairs < 30  # it stopped looking at the alarm
        assert trial_facts.trial_page(watch.trial).watch == watch

    def test_stays_silent_while_the_promoted_version_is_as_good(self) -> None:
        family = Family()
        watch = adopted(family, share=1.0)
        family.run(40, 0)

        carry_out(watch.trial)

        watch.refresh_from_db()
        assert (watch.state, watch.pairs, family.stable) == ("watching", 40, family.new)
        assert watch.log_statistic < 6.9

    def test_keeps_its_state_between_processes(self) -> None:
        family = Family()
        watch = adopted(family, share=1.0)
        for start in range(1000, 1020, 4):
            family.run(4, start)
            carry_out(watch.trial)

        watch.refresh_from_db()
        assert (watch.state, family.stable) == ("rolled_back", family.old)

    def test_leaves_a_channel_alone_that_a_person_moved_meanwhile(self) -> None:
        family = Family()
        watch = adopted(family, share=1.0)
        family.run(30, 1000)
        third = next_version(family.old, GOOD_ON.format(share=9), "1.2.0")
        channels.move(pattern=family.pattern, name="stable", version=third, user=family.owner, via="test", now=NOW)

        carry_out(watch.trial)

        assert family.stable == third
        watch.refresh_from_db()
        assert "moved on" in watch.reason

    def test_ends_when_another_version_is_promoted(self) -> None:
        family = Family()
        first = adopted(family)
        third = next_version(family.old, "STATE n = 0\nRETURN {ok: true}", "1.2.0")
        worse = next_version(family.old, "STATE n = 0\nRETURN {ok: (n * 7) % 10 < 3}", "1.0.1")
        channels.move(pattern=family.pattern, name="stable", version=worse, user=family.owner, via="test", now=NOW)
        trial = carry_out(make_trial(worse, third, backend="plain", user=family.owner))

        promoting.adopt(trial=trial, user=family.owner, now=NOW)

        first.refresh_from_db()
        assert (first.state, first.trial.status) == ("ended", "cancelled")
        assert ShadowShare.objects.filter(state="watching").count() == 1

    def test_ends_by_the_kill_switch(self) -> None:
        watch = adopted(Family())

        assert verifying.kill_all(now=NOW, reason="the provider's bill") == 1

        watch.refresh_from_db()
        assert (watch.state, watch.ended_at, watch.reason) == ("ended", NOW, "the provider's bill")
        assert (watch.trial.status, watch.trial.killed_at) == ("cancelled", NOW)

    def test_leaves_nothing_alive_where_the_alarm_is_faster_than_the_kill_switch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        family = Family()
        watch, cancel = adopted(family), verifying.cancel

        def alarm_first(*, trial: Trial, **options: Any) -> Trial:
            if trial == watch.trial:
                watching_share.roll_back(watch, HarmDetector(), NOW)
            return cancel(trial=trial, **options)

        monkeypatch.setattr(verifying, "cancel", alarm_first)

        assert verifying.kill_all(now=NOW, reason="the provider's bill") == 1

        watch.refresh_from_db()
        assert (watch.state, family.stable) == ("rolled_back", family.old)
        assert watch.next_trial.killed_at == NOW
        assert not Trial.objects.alive().exists()
