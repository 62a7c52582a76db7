"""
Patterns that start patterns, from end to end: variations compete, a panel confirms, the winner becomes the candidate.

The journey of the seed's meta-orchestrator, on the durable engine, with a new
process wherever it waits.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from execution.models import Run, Trial
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
STATE challenge = ""
STATE difficulty = 0.5
EVENT completion:async {
  agent_id: "writer_{{style}}",
  prompt: "{{challenge}}, in a {{style}} style, at {{difficulty}}. Return {answer, score: 0 to 1}"
} AS r
RETURN {style: style, answer: r.output, score: r.score}
"""
META = """
STATE styles = ["plain", "vivid", "dry", "warm"]
STATE variations = []
FOREACH style IN styles:
  STATE made = adapt_pattern("summary", {style: style}, inputs={style: style})
  APPEND variations made.reference
EVENT orchestrator:decision {decision_type: "handoff", context: {from: "bootstrap", to: "tournament"}, outcome: "success"}

EVENT orchestration:start {
  pattern: "library/tournament_v2",
  inputs: {players: variations, challenge: "Summarise the minutes", tests_each: 2, confirmations: 1}
} AS cup
IF NOT cup.success:
  EVENT orchestrator:decision {decision_type: "intervention", rationale: cup.error.message, outcome: "failure"}
  RETURN {deployed: null, reason: cup.error}
EVENT orchestrator:decision {decision_type: "handoff", context: {from: "tournament", to: "panel"}, outcome: "success"}

STATE duel = LAST(cup.groups)
STATE finalists = duel.go_on + duel.rest
STATE deployed = null
FOREACH finalist IN finalists:
  EVENT orchestration:start {
    pattern: "library/consensus",
    inputs: {proposal: "Use {{finalist}}", threshold: 0.6, max_rounds: 1}
  } AS panel
  IF panel.decision == "approve" AND deployed == null:
    EVENT channel:move {pattern: finalist, channel: "candidate", reason: "won with {{cup.score}}"} AS moved
    UPDATE deployed = moved.reference
EVENT orchestrator:decision {decision_type: "handoff", context: {from: "panel", to: "deployment"}, outcome: deployed == null ? "failure" : "success"}
RETURN {deployed: deployed, finalists: finalists, winner: cup.winner, score: cup.score}
"""
AGENTS: dict[str, Any] = {
    "writer_plain": [{"reply": {"score": 0.4}}],
    "writer_vivid": [{"reply": {"score": 0.9}}],
    "writer_dry": [{"reply": {"score": 0.7}}],
    "writer_warm": [{"reply": {"score": 0.2}}],
    "*": [{"reply": {"vote": "approve", "reason": "sound"}}],
}


@pytest.fixture
def user() -> User:
    libraries.load(folder=LIBRARY, now=NOW)
    return make_user()


def begin(user: User, script: str, summary: str = SUMMARY, **options: Any) -> Run:
    make_version(summary, owner=user.own_owner, name="summary")
    version = make_version(script, owner=user.own_owner, name="improver")
    return starting.start(version=version, user=user, now=NOW, seed=7, **{"backend": "simulated", **options})


def finish(run: Run, clock: Clock) -> Run:
    for _ in range(12):
        forget()
        run_until_idle(clock=clock)
        clock.forward(1)
    return Run.objects.get(pk=run.pk)


def tree(run: Run) -> list[Run]:
    """The run and everything below it."""
    found = [run]
    for child in run.children.all():
        found += tree(child)
    return found


class TestJourney:
    """Variations compete as child runs of the library's tournament; a panel confirms the finalist; it is deployed."""

    def test_leads_from_variations_to_a_candidate(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, backend="scripted", policy={"agents": AGENTS}), clock)

        assert run.status == "succeeded", run.error
        result = run.result_value()
        channel = Channel.objects.get(name="candidate")
        assert str(channel.version) == result["deployed"] == result["winner"] == result["finalists"][0]
        assert channel.version.value["context"] == {"style": "vivid"} and result["score"] == 0.9
        assert channel.pattern.versions.count() == 4

    def test_variations_play_as_child_runs_of_the_tournament(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, backend="scripted", policy={"agents": AGENTS}), clock)

        cup = run.children.get(version__pattern__name="tournament_v2")
        played = [game.version.value["context"]["style"] for game in cup.children.all()]
        assert {game.depth for game in cup.children.all()} == {2}
        assert set(played) == {"plain", "vivid", "dry", "warm"}
        assert played.count("vivid") > played.count("warm")  # the worse half is not tested further
        assert cup.children.count() == cup.result_value()["tests"]
        assert not cup.effects.filter(handler="agent").exists()  # the tournament itself asks nobody

    def test_each_handing_over_is_a_decision(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, backend="scripted", policy={"agents": AGENTS}), clock)

        handed = Decision.objects.filter(run_key=str(run.pk), decision_type="handoff").order_by("pk")
        assert [(each.context["from"], each.context["to"]) for each in handed] == [
            ("bootstrap", "tournament"),
            ("tournament", "panel"),
            ("panel", "deployment"),
        ]

    def test_counts_every_token_of_the_tree_at_the_top(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META), clock)

        assert run.status == "succeeded", run.error
        assert run.tokens_used == sum(own_tokens(each) for each in tree(run)) > 0
        assert {each.tokens_reserved for each in tree(run)} == {0}

    def test_budgets_hold_along_the_chain(self, user: User, clock: Clock) -> None:
        run = finish(begin(user, META, policy={"limits": {"tokens": 480}}), clock)

        below = tree(run)[1:]
        assert run.tokens_used <= 480 and run.tokens_reserved == 0
        assert run.tokens_used == sum(own_tokens(each) for each in below)
        refused = [each for each in below if each.error and each.error["code"] == "opl.limit.tokens"]
        assert refused and all(each.depth == 2 or not each.children.exists() for each in refused)

    def test_cancelled_in_the_middle_of_its_games_leaves_nobody_at_work(self, user: User, clock: Clock) -> None:
        run = begin(user, META, summary=SUMMARY.replace("EVENT completion", "WAIT 1000\nEVENT completion", 1))
        run_until_idle(clock=clock)
        assert Counter(Run.objects.alive().values_list("depth", flat=True)) == {0: 1, 1: 1, 2: 4}

        controlling.cancel(run_id=run.pk, now=clock())

        assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}

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

    def test_meta_orchestrator_leads_a_variation_of_a_pattern_into_a_trial(self, user: User, clock: Clock) -> None:
        summary = make_version(SUMMARY, owner=user.own_owner, name="summary")
        version = finding.version("library/meta_orchestrator", user)
        styles = [{"style": style} for style in ("plain", "vivid", "dry", "warm")]
        inputs = {
            "pattern": str(summary.pattern), "settings": styles, "subject": "The minutes",
            "trial_inputs": [{"challenge": f"Meeting {n}"} for n in range(12)],
        }  # fmt: skip
        options = {"backend": "scripted", "policy": {"agents": AGENTS, "limits": {"tokens": 1_000_000}}}

        run = finish(starting.start(version=version, user=user, now=NOW, seed=7, inputs=inputs, **options), clock)

        assert run.status == "succeeded", run.error
        result = run.result_value()
        assert (result["stage"], result["handed_over"]) == ("trial", True), result
        (candidate,) = Channel.objects.filter(name="candidate")
        trial = Trial.objects.get(pk=result["trial"]["trial"])
        assert str(candidate.version) == result["winner"]["name"]
        assert (trial.candidate, trial.control, trial.mode) == (candidate.version, summary, "batch")
        assert trial.inputs.count() == 12 and trial.started_by == user
        assert 0 < trial.tokens_limit <= 1_000_000 - run.tokens_used + 1_000
        assert candidate.version.program_hash != summary.program_hash

    def test_a_run_starts_few_trials_and_none_for_who_may_not_write(self, user: User, clock: Clock) -> None:
        make_version("RETURN 1", owner=user.own_owner, name="one")
        script = """
STATE told = []
EVENT trial:start {candidate: "one", against: "one", inputs: "many"} AS odd
FOREACH n IN RANGE(5):
  EVENT trial:start {candidate: "one", against: "one", inputs: [{}]} AS trial
  APPEND told trial.success
RETURN [told, trial.error.type, odd.error.message]
"""
        run = finish(begin(user, script, summary="RETURN 2"), clock)
        refused = finish(
            starting.start(
                version=run.version, user=user, now=NOW, seed=7, backend="simulated", policy={"publish": False}
            ),
            clock,
        )

        told, kind, odd = run.result_value()
        assert told == [True, True, True, False, False]
        assert (kind, Trial.objects.count()) == ("execution.trial-refused", 3)
        assert "list of objects" in odd
        assert refused.result_value()[:2] == [[False] * 5, "execution.may-not-write"]


def own_tokens(run: Run) -> int:
    return sum(effect.tokens for effect in run.effects.all())
