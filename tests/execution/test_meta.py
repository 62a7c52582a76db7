"""
Patterns that start patterns, from end to end: variations compete, a panel confirms, the winner becomes the candidate.

The journey of the seed's meta-orchestrator, on the durable engine, with a new
process wherever it waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execution.models import Run
from execution.services import controlling, starting
from execution.worker import run_until_idle
from registry.models import Channel, Decision, User
from registry.services import finding, libraries
from tests.execution.conftest import forget
from tests.execution.factories import NOW, Clock, make_user, make_version

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARY = Path(__file__).resolve().parents[2] / "library"
SUMMARY = """
STATE style = "plain"
EVENT completion:async {agent_id: "writer_{{style}}", prompt: "Summarise in a {{style}} style. Return {score: 0 to 1}"} AS r
RETURN {style: style, score: r.score}
"""
META = """
STATE styles = ["plain", "vivid", "dry"]
STATE variations = []
FOREACH style IN styles:
  STATE made = adapt_pattern("summary", {style: style}, inputs={style: style})
  APPEND variations made.reference

STATE results = []
PARALLEL:
  FOREACH variation IN variations:
    EVENT orchestration:start {pattern: variation} AS outcome
    APPEND results {reference: variation, score: outcome.score}
EVENT orchestrator:decision {decision_type: "handoff", context: {from: "tournament", to: "panel"}, outcome: "success"}

STATE finalists = SLICE(SORT(results, r => r.score, "DESC"), 0, 2)
STATE deployed = null
FOREACH finalist IN finalists:
  EVENT orchestration:start {
    pattern: "library/consensus",
    inputs: {proposal: "Use {{finalist.reference}}", threshold: 0.6, max_rounds: 1}
  } AS panel
  IF panel.decision == "approve" AND deployed == null:
    EVENT channel:move {pattern: finalist.reference, channel: "candidate", reason: "won with {{finalist.score}}"} AS moved
    UPDATE deployed = moved.reference
RETURN {deployed: deployed, finalists: MAP(finalists, f => f.reference), results: results}
"""
AGENTS: dict[str, Any] = {
    "writer_plain": [{"reply": {"score": 0.4}}],
    "writer_vivid": [{"reply": {"score": 0.9}}],
    "writer_dry": [{"reply": {"score": 0.7}}],
    "*": [{"reply": {"vote": "approve", "reason": "sound"}}],
}


@pytest.fixture
def user() -> User:
    libraries.load(folder=LIBRARY, now=NOW)
    return make_user()


def begin(user: User, script: str, **options: Any) -> Run:
    make_version(SUMMARY, owner=user.own_owner, name="summary")
    version = make_version(script, owner=user.own_owner, name="improver")
    return starting.start(version=version, user=user, now=NOW, seed=7, **{"backend": "simulated", **options})


def finish(run: Run, clock: Clock) -> Run:
    for _ in range(12):
        forget()
        run_until_idle(clock=clock)
        clock.forward(1)
    return Run.objects.get(pk=run.pk)


class TestJourney:
    def test_leads_from_variations_to_a_candidate(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, backend="scripted", policy={"agents": AGENTS}), clock)

        assert run.status == "succeeded", run.error
        result = run.result_value()
        assert [each["score"] for each in sorted(result["results"], key=lambda r: -r["score"])] == [0.9, 0.7, 0.4]
        channel = Channel.objects.get(name="candidate")
        assert str(channel.version) == result["deployed"] == result["finalists"][0]
        assert channel.version.value["context"] == {"style": "vivid"}
        assert run.children.count() == 5 and channel.pattern.versions.count() == 3
        kinds = Decision.objects.values_list("decision_type", flat=True)
        assert "handoff" in kinds and "consensus" in kinds

    def test_budgets_hold_along_the_chain(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, policy={"limits": {"tokens": 500}}), clock)

        children = Run.objects.filter(parent=run)
        assert run.tokens_used <= 500 and run.tokens_reserved == 0
        assert run.tokens_used == sum(child.tokens_used for child in children)
        assert any(child.error and child.error["code"] == "opl.limit.tokens" for child in children)

    def test_a_tree_is_cancelled_as_one(self, user: User, clock: Clock) -> None:
        make_version("WAIT 1000", owner=user.own_owner, name="slow")
        make_version('EVENT orchestration:start {pattern: "slow"} AS c', owner=user.own_owner, name="middle")
        run = begin(user, 'EVENT orchestration:start {pattern: "middle"} AS c')
        run_until_idle(clock=clock)
        assert Run.objects.alive().count() == 3

        controlling.cancel(run_id=run.pk, now=clock())

        assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}


class TestLibrary:
    def test_meta_orchestrator_runs_offline(self, user: User, clock: Clock) -> None:
        version = finding.version("library/meta_orchestrator", user)
        run = starting.start(version=version, user=user, now=NOW, backend="simulated", seed=7)

        run = finish(run, clock)

        assert run.status == "succeeded", run.error
        assert {child.version.pattern.name for child in run.children.all()} == {"tournament_v2", "consensus"}
        assert run.tokens_used == sum(child.tokens_used for child in run.children.all()) + own_tokens(run)


def own_tokens(run: Run) -> int:
    return sum(effect.tokens for effect in run.effects.all())
