"""Verification between nodes: reports leave signed and bare, and what others state is recomputed, shown, never obeyed."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from execution.models import VerificationReport
from execution.services import reporting
from execution.services.counting import named
from execution.services.trial_inputs import GivenInput
from execution.shadow import report as reports
from execution.shadow.plan import TrialPlan
from execution.shadow.recheck import recheck
from execution.worker import WorkerSettings, run_until_idle
from federation.models import AttestedVerdict, QuarantineItem, SharedReport, Statement, ThisNode, UsageClaim
from federation.protocol import privacy, statement
from federation.protocol.feed import Cursor
from federation.protocol.kinds import PERIOD_SECONDS, Subject
from federation.protocol.quarantine import State
from federation.protocol.statement import Statement as Signed
from federation.protocol.tiers import Tier
from federation.services import attesting, identities, statistics, storing, ticking, trusting, trying
from federation.web import origin_facts
from registry.discovery import voices
from registry.models import DailyRollup, Pattern, PatternVersion, Source
from registry.services import analytics
from tests.execution.shadow.builders import noisy_pairs, setting
from tests.execution.trials import carry_out, good_on, make_trial
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.services.test_exchange import lines_of, publish
from tests.federation.services.test_trying import ASKING
from tests.registry import factories

NOW = timezone.now()
PROMPT, ANSWER = "wisteria-prompt", "larkspur-answer"


def report_for(version: PatternVersion, remote: Remote, **body: Any) -> dict[str, Any]:
    """A true report about a version, as another node's trial wrote it; keywords change its body."""
    candidate = reports.Subject(name="ada/vote@2.0.0", digest=f"sha256:{version.digest}")
    known = replace(
        setting(TrialPlan.of_profile("standard", strata=("short", "long"))),
        candidate=candidate, backend="claude", node=remote.identity.id,
    )  # fmt: skip
    made = reports.build(known, noisy_pairs(200))
    if body:
        made["body"] |= body
        made["digest"] = reports.digest_of(made["body"])
    return made


def stated(remote: Remote, report: dict[str, Any], digest: str) -> Signed:
    """The statement of a remote about a report."""
    predicate = {"node": remote.identity.id, "report": report}
    return statement.sign(
        "verification", predicate, subject=Subject("ada/vote@2.0.0", digest), signers=remote.identity.publish
    )


def received(remote: Remote, signed: Signed) -> AttestedVerdict:
    remote.push(*remote.introduced(), signed)
    attesting.recheck(now=NOW)
    return AttestedVerdict.objects.get(statement__statement_id=signed.id)


def shared() -> list[Statement]:
    attesting.share(now=NOW)
    storing.number()
    return list(Statement.objects.filter(kind="verification"))


@pytest.mark.django_db(transaction=True)
class TestAReportOfThisNode:
    def test_leaves_as_a_statement_of_the_node(self, node: ThisNode, make_remote: Callable[..., Remote]) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))

        (row,) = shared()

        assert row.signer == node.node_id
        assert row.subject_digest == trial.candidate.digest
        assert row.predicate["report"] == json.loads(bytes(trial.report.data))
        lines = lines_of(make_remote().ask("GET", f"/fed/v1/changes?since={Cursor(node.epoch, 0)}"))
        assert "verification" in [line["k"] for line in lines]

    def test_names_the_node_and_carries_its_signature(self, node: ThisNode) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))

        told = json.loads(bytes(trial.report.data))
        (key,) = identities.publish_keys(node.node_id)
        found = recheck(bytes(trial.report.data), lambda keyid, sig, data: keyid == key.keyid and key.sign(data) == sig)
        assert told["body"]["node"] == node.node_id
        assert found.signed_by == (key.keyid,)

    def test_holds_no_prompt_no_answer_and_no_person(self, node: ThisNode) -> None:
        version = good_on(5)
        user = factories.make_user("heliotrope")
        trial = make_trial(version, good_on(9), user=user)
        from tests.execution.factories import make_version

        asking = make_version(
            f'STATE n = ""\nEVENT completion:async {{agent_id: "solo", prompt: "{PROMPT} {{{{n}}}}"}} AS r\nRETURN r.output'
        )
        inputs = [GivenInput(values={"n": f"{ANSWER}-{number}"}) for number in range(40)]
        from execution.services import verifying

        second = verifying.start_trial(
            control=asking, candidate=asking, inputs=inputs, user=user, now=NOW, profile="quick", backend="simulated"
        )
        carry_out(trial)
        carry_out(second)

        sent = b"".join(bytes(row.payload) for row in shared())

        assert len(shared()) == 2
        for word in (PROMPT, ANSWER, "heliotrope", "prompt"):
            assert word.encode() not in sent

    def test_leaves_once(self, node: ThisNode) -> None:
        carry_out(make_trial(good_on(4), good_on(9)))

        assert (attesting.share(now=NOW), attesting.share(now=NOW)) == (1, 0)

    def test_about_a_private_pattern_stays(self, node: ThisNode) -> None:
        control, candidate = good_on(4), good_on(9)
        Pattern.objects.filter(pk=candidate.pattern_id).update(visibility="private")
        carry_out(make_trial(control, candidate))

        assert shared() == []
        assert "is private" in SharedReport.objects.get().reason

    def test_about_a_private_topic_stays(self, node: ThisNode) -> None:
        control, candidate = good_on(4), good_on(9)
        control.pattern.tag_rows.create(tag="internal")
        ThisNode.objects.update(private_topics=["internal"])
        carry_out(make_trial(control, candidate))

        assert shared() == []

    def test_about_an_organisations_pattern_is_for_the_organisation(
        self, node: ThisNode, make_remote: Callable[..., Remote]
    ) -> None:
        control, candidate = good_on(4), good_on(9)
        Pattern.objects.filter(pk=candidate.pattern_id).update(visibility="org")
        carry_out(make_trial(control, candidate))
        shared()

        def kinds(remote: Remote) -> set[str]:
            return {line["k"] for line in lines_of(remote.ask("GET", "/fed/v1/changes"))}

        assert "verification" not in kinds(make_remote("far", tier=Tier.APPROVED))
        assert "verification" in kinds(make_remote("near", tier=Tier.OWN))

    def test_waits_while_the_node_shares_nothing(self, node: ThisNode) -> None:
        carry_out(make_trial(good_on(4), good_on(9)))
        ThisNode.objects.update(must_share=False)

        assert shared() == []
        assert not SharedReport.objects.exists()

    def test_larger_than_a_statement_stays_with_the_reason(
        self, node: ThisNode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        carry_out(make_trial(good_on(4), good_on(9)))
        monkeypatch.setattr("federation.protocol.limits.STATEMENT_BYTES", 2_000)

        assert shared() == []
        assert "bytes" in SharedReport.objects.get().reason

    def test_written_before_there_was_a_node_is_signed_then(self, db: None, settings: Any) -> None:
        trial = carry_out(make_trial(good_on(4), good_on(9)))
        assert json.loads(bytes(trial.report.data))["signatures"] == []
        settings.PUBLIC_URL = "http://testserver"
        identities.create_node(now=NOW)

        (row,) = shared()

        assert AttestedVerdict.objects.get(statement=row).is_confirmed

    def test_about_a_foreign_object_on_trial_leaves_and_stands_on_its_page(
        self, make_remote: Callable[..., Remote], client: Client
    ) -> None:
        remote = make_remote()
        remote.push(*remote.introduced(), made := remote.release(source=ASKING))
        ticking.scan_all(now=NOW)
        run_until_idle(settings=WorkerSettings(queue="trials"))
        trying.settle(now=NOW)

        (row,) = shared()

        item = QuarantineItem.objects.get()
        assert (item.current, row.subject_digest) == (State.ADMITTED, made.subject.sha256)
        pattern = item.admitted_as.pattern
        page = client.get(reverse("registry:provenance", args=[pattern.owner.name, pattern.name]), follow=True)
        told = origin_facts.verdicts(made.subject.sha256, {}, own=identities.node().node_id)
        assert "Verdicts of trials" in page.content.decode()
        assert [each["is_here"] for each in told] == [True]


class TestALostPair:
    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("the candidate was lost to the infrastructure: execution.agent.refused: it said larkspur",
             "the candidate was lost to the infrastructure: execution.agent.refused"),
            ("the judge could not be asked: larkspur", "the judge could not be asked"),
            ("a run of the control left no answer to lay before the judge",
             "a run of the control left no answer to lay before the judge"),
            ("", ""),
        ],
    )  # fmt: skip
    def test_is_told_without_the_words_of_an_agent(self, reason: str, told: str) -> None:
        assert named(reason) == told


class TestAReportOfAnotherNode:
    @pytest.fixture
    def version(self, node: ThisNode) -> PatternVersion:
        return publish("vote")

    def test_is_recomputed_and_shown_as_attested(self, remote: Remote, version: PatternVersion, client: Client) -> None:
        trusting.set_tier(remote.row, Tier.APPROVED, now=NOW)
        verdict = received(remote, stated(remote, report_for(version, remote), version.digest))

        assert (verdict.is_confirmed, verdict.outcome) == (True, "promote")
        (told,) = origin_facts.verdicts(version.digest, {remote.row.node_id: remote.row}, own="")
        assert (told["outcome"], told["is_here"], told["pairs"] > 0) == ("promote", False, True)

    def test_adopts_nothing(self, remote: Remote, version: PatternVersion) -> None:
        before = [(row.name, row.version_id) for row in version.pattern.channels.all()]

        received(remote, stated(remote, report_for(version, remote), version.digest))

        assert [(row.name, row.version_id) for row in version.pattern.channels.all()] == before

    def test_whose_verdict_does_not_follow_is_not_shown(self, remote: Remote, version: PatternVersion) -> None:
        report = report_for(version, remote)
        verdict = copy.deepcopy(report["body"]["verdict"]) | {"outcome": "reject_harm"}

        found = received(remote, stated(remote, report_for(version, remote, verdict=verdict), version.digest))

        assert not found.is_confirmed
        assert found.outcome == ""
        assert origin_facts.verdicts(version.digest, {remote.row.node_id: remote.row}, own="") == []

    def test_with_a_changed_contrast_is_not_confirmed(self, remote: Remote, version: PatternVersion) -> None:
        pairs = copy.deepcopy(report_for(version, remote)["body"]["pairs"])
        for pair in pairs[:60]:
            pair["contrasts"] = dict.fromkeys(pair["contrasts"], -1.0)

        assert not received(
            remote, stated(remote, report_for(version, remote, pairs=pairs), version.digest)
        ).is_confirmed

    def test_about_another_version_than_it_says_is_not_confirmed(self, remote: Remote, version: PatternVersion) -> None:
        other = publish("other")

        found = received(remote, stated(remote, report_for(other, remote), version.digest))

        assert (found.is_confirmed, "another version" in found.problem) == (False, True)

    def test_taken_from_a_third_node_is_not_confirmed(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        honest, thief = make_remote("honest"), make_remote("thief")

        found = received(thief, stated(thief, report_for(version, honest), version.digest))

        assert (found.is_confirmed, "another node" in found.problem) == (False, True)

    def test_with_a_forged_signature_of_its_node_inside_is_not_confirmed(
        self, remote: Remote, version: PatternVersion
    ) -> None:
        report = report_for(version, remote)
        key = remote.identity.publish[0]
        report["signatures"] = [{"keyid": key.keyid, "sig": base64.b64encode(key.sign(b"else")).decode()}]

        assert not received(remote, stated(remote, report, version.digest)).is_confirmed

    @pytest.mark.parametrize(
        "report", [{}, {"body": None}, {"body": {}, "digest": "", "signatures": []}, {"body": {"candidate": 7}}]
    )
    def test_that_is_none_is_kept_and_not_confirmed(
        self, remote: Remote, version: PatternVersion, report: dict[str, Any]
    ) -> None:
        assert not received(remote, stated(remote, report, version.digest)).is_confirmed

    def test_is_recomputed_a_few_at_a_time(
        self, remote: Remote, version: PatternVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attesting, "RECHECKED_AT_ONCE", 2)
        remote.push(*remote.introduced(), *(stated(remote, {"n": n}, version.digest) for n in range(5)))

        assert [attesting.recheck(now=NOW) for _ in range(4)] == [2, 2, 1, 0]

    def test_of_a_stranger_is_not_shown(self, make_remote: Callable[..., Remote], version: PatternVersion) -> None:
        remote = make_remote(tier=Tier.PROBATION)

        assert received(remote, stated(remote, report_for(version, remote), version.digest)).is_confirmed
        assert origin_facts.verdicts(version.digest, {remote.row.node_id: remote.row}, own="") == []

    def test_that_is_erased_is_not_shown(self, remote: Remote, version: PatternVersion) -> None:
        signed = stated(remote, report_for(version, remote), version.digest)
        received(remote, signed)

        remote.push(makers.withdrawal("erase", remote.identity, signed.id))

        assert not AttestedVerdict.objects.exists()
        assert attesting.recheck(now=NOW) == 0


class TestAttestedUsage:
    @pytest.fixture
    def version(self, node: ThisNode) -> PatternVersion:
        return publish("vote")

    def claim(self, remote: Remote, version: PatternVersion, **changes: Any) -> list[dict[str, Any]]:
        made = makers.usage(remote.identity, version.digest, **({"cell": "", "runs": 100, "success": 80} | changes))
        return remote.push(*remote.introduced(), made)

    def own_runs(self, version: PatternVersion, *, runs: int, successes: int) -> None:
        DailyRollup.objects.create(
            version=version, pattern=version.pattern, day=NOW.date(), source=Source.MEASURED, runs=runs,
            successes=successes, reporter_key="user:1",
        )  # fmt: skip

    def test_is_shown_apart_and_weighed_by_tier(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        near, far = make_remote("near", tier=Tier.OWN), make_remote("far", tier=Tier.APPROVED)
        self.claim(near, version)
        own = analytics.evidence_of(version).attested
        self.claim(far, version, runs=40, success=32)

        both = analytics.evidence_of(version).attested

        assert (own.runs, own.nodes, both.nodes) == (35, 1, 2)  # 100 × 0.7 × 0.5, at full weight
        assert own.runs < both.runs < own.runs + 40 * 0.25
        assert analytics.evidence_of(version).measured.runs == 0

    def test_weighs_the_same_beside_each_version(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        self.claim(make_remote("near", tier=Tier.OWN), version)
        self.claim(make_remote("far", tier=Tier.APPROVED), version, runs=10**9, success=10**9)

        whole = analytics.evidence_of(version).attested
        of_version = analytics.rates_by_version(version.pattern)[version.pk][Source.ATTESTED]

        assert (of_version.runs, of_version.successes, of_version.nodes) == (whole.runs, whole.successes, 2)

    def test_that_our_runs_do_not_reproduce_counts_almost_nothing(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        self.claim(make_remote(tier=Tier.OWN), version, runs=100, success=100)
        self.own_runs(version, runs=40, successes=4)

        assert analytics.evidence_of(version).attested.runs == 0

    def test_that_our_runs_reproduce_counts_more(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        self.claim(make_remote(tier=Tier.OWN), version)
        before = analytics.evidence_of(version).attested.runs
        self.own_runs(version, runs=40, successes=32)

        assert analytics.evidence_of(version).attested.runs > before

    def test_of_a_node_that_says_two_things_is_not_believed_in_either(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        liar = make_remote(tier=Tier.OWN)
        self.claim(liar, version)
        self.claim(liar, version, success=99)

        assert analytics.evidence_of(version).attested.runs == 0
        assert UsageClaim.objects.get().is_contradicted
        assert origin_facts.attestations(version.digest, {}, own="", is_staff=True) == []

    def test_of_such_a_node_is_believed_again_with_its_next_revision(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        liar = make_remote(tier=Tier.OWN)
        self.claim(liar, version)
        self.claim(liar, version, success=99)

        self.claim(liar, version, revision=2)

        assert analytics.evidence_of(version).attested.runs > 0

    def test_follows_the_tier_of_its_node(self, make_remote: Callable[..., Remote], version: PatternVersion) -> None:
        remote = make_remote(tier=Tier.PROBATION)
        self.claim(remote, version)
        counts = [analytics.evidence_of(version).attested.runs]
        for tier in (Tier.OWN, Tier.APPROVED, Tier.BLOCKED):
            trusting.set_tier(remote.row, tier, now=NOW)
            counts.append(analytics.evidence_of(version).attested.runs)

        assert counts == [0, 35, 9, 0]

    def test_that_came_before_its_pattern_counts_once_that_is_admitted(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        remote = make_remote(tier=Tier.OWN)
        made = remote.release()
        claim = makers.usage(remote.identity, made.subject.sha256, cell="", runs=100, success=80)
        remote.push(*remote.introduced(), claim, made)

        ticking.scan_all(now=NOW)

        version = QuarantineItem.objects.get().admitted_as
        assert analytics.evidence_of(version).attested.runs == 35

    def test_never_ranks_among_measured_runs(self, make_remote: Callable[..., Remote], version: PatternVersion) -> None:
        self.claim(make_remote(tier=Tier.OWN), version)

        version.pattern.refresh_from_db()
        assert (version.pattern.measured_runs, version.pattern.ranked_runs) == (0, 0)

    def test_beyond_every_calendar_is_refused(
        self, make_remote: Callable[..., Remote], version: PatternVersion
    ) -> None:
        remote = make_remote(tier=Tier.OWN)

        with pytest.raises(Exception, match="period"):
            self.claim(remote, version, period=2**52)
        with pytest.raises(Exception, match="epsilon"):
            self.claim(remote, version, epsilon=10**400)
        assert self.claim(remote, version, period=100_000)[-1]["status"] == "accepted"

    def test_without_anybody_who_weighs_counts_nothing(
        self, make_remote: Callable[..., Remote], version: PatternVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.claim(make_remote(tier=Tier.OWN), version)
        monkeypatch.setattr(voices, "NODE_WEIGHTS", [])

        assert analytics.evidence_of(version).attested.runs == 0


class TestUsageOfThisNode:
    def test_leaves_out_private_topics_of_pattern_and_context(self, node: ThisNode) -> None:
        ThisNode.objects.update(private_topics=["internal"])
        open_one, closed = (
            publish("open"),
            publish("closed", source=factories.opl("closed", script="RETURN 1", tags=["internal"])),
        )
        period = privacy.period_of(int(NOW.timestamp()))
        at = NOW - timedelta(seconds=int(NOW.timestamp()) % PERIOD_SECONDS - 1)
        for number, (version, cell) in enumerate(
            [(open_one, "task=review"), (open_one, "task=review;tags=internal,code"), (closed, "task=review")]
        ):
            analytics.record_outcome(run_key=f"r{number}", version=version, source=Source.MEASURED, succeeded=True,
                                     ended_at=at, cell=cell)  # fmt: skip

        told = statistics.counts(period)

        assert {(at.digest, at.context) for cells in told.values() for at in cells} == {
            (open_one.digest, "task=review")
        }


def test_the_hooks_stand_where_execution_looks_for_them() -> None:
    """The apps register them when they are ready; nothing below knows who they are."""
    assert attesting.sign in reporting.SIGNERS
    assert attesting.name in reporting.NAMERS
    assert VerificationReport.__module__.startswith("execution")
