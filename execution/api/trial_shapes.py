"""The shapes of trials in the API: what starts one, and what is answered."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from execution.models.trial import TrialMode
from execution.services.trial_inputs import MOST_INPUTS
from execution.shadow.plan import PROFILES, Mode
from execution.states import TrialStatus
from registry.api.bodies import AnyJson, Body

MOST_TOKENS = 2**53


class BudgetShape(Body):
    """What all runs of a trial may spend together; what is left out has no limit."""

    tokens = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0, max_value=MOST_TOKENS)
    cost_usd = serializers.FloatField(required=False, allow_null=True, default=None, min_value=0, max_value=1e9)
    daily_tokens = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=MOST_TOKENS
    )
    daily_cost_usd = serializers.FloatField(required=False, allow_null=True, default=None, min_value=0, max_value=1e9)


class JudgeAskShape(Body):
    """A judge that is asked which arm answered better; it is examined before it serves."""

    criteria = serializers.CharField(max_length=4000, help_text="What makes an answer better, in words.")
    quality = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Whether its scores are the quality of both arms; null: where no `score` says it.",
    )
    backend = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)
    model = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)


class TrialStartShape(Body):
    """A trial to be started."""

    candidate = serializers.CharField(max_length=300, help_text="owner/name@version, a channel, or a digest.")
    control = serializers.CharField(max_length=300, help_text="What it would replace; the same version: an A/A trial.")
    mode = serializers.ChoiceField(choices=[TrialMode.BATCH.value, TrialMode.LIVE.value], default="batch")
    inputs = serializers.ListField(
        required=False,
        default=list,
        max_length=MOST_INPUTS,
        help_text="Of a batch: objects of input names and values, or {inputs: {…}, stratum: name}.",
    )
    recorded = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=2000, help_text="Take the inputs of so many earlier runs."
    )
    profile = serializers.ChoiceField(choices=["", *PROFILES], required=False, default="")
    backend = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)
    test = serializers.ChoiceField(
        choices=["", *map(str, Mode)],
        required=False,
        default="",
        help_text="always: after every pair; scheduled: at planned looks only; empty: what the control says.",
    )
    looks = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=1_000_000),
        required=False,
        default=list,
        max_length=20,
        help_text="Pairs at each planned look; the last is the size of the trial.",
    )
    share = serializers.FloatField(required=False, default=0.1, help_text="Of real runs; live trials.")
    repeats = serializers.IntegerField(required=False, default=1, min_value=1, max_value=20)
    at_once = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=2000, help_text="Null: 8, in batches 100."
    )
    in_batches = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Questions to agents in message batches: half the price, within a day; latency is not measured.",
    )
    caps = serializers.DictField(required=False, default=dict, help_text="Limits of each run, the same for both arms.")
    budget = BudgetShape(required=False, allow_null=True, default=None)
    success_when = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)
    score = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)
    judge = JudgeAskShape(required=False, allow_null=True, default=None)
    public = serializers.BooleanField(required=False, allow_null=True, default=None)


class CancelShape(Body):
    """Why a trial is ended without a verdict."""

    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    kill = serializers.BooleanField(required=False, default=False, help_text="Pull the kill switch.")


class KillShape(Body):
    """Why every trial of this hub is stopped."""

    reason = serializers.CharField(max_length=500)


class KilledShape(serializers.Serializer[Any]):
    """What the kill switch ended."""

    killed = serializers.IntegerField(help_text="Trials that were alive.")


class AdoptShape(Body):
    """How the promoted version is watched."""

    share = serializers.FloatField(required=False, allow_null=True, default=None, min_value=0.001, max_value=1.0)


class ArmShape(serializers.Serializer[Any]):
    """One arm's version."""

    name = serializers.CharField()
    digest = serializers.CharField()


class PairCountsShape(serializers.Serializer[Any]):
    """How far the pairs have come."""

    most = serializers.IntegerField()
    enrolled = serializers.IntegerField()
    settled = serializers.IntegerField()
    missing = serializers.IntegerField()


class TrialShape(serializers.Serializer[Any]):
    """A trial in a list."""

    id = serializers.IntegerField()
    mode = serializers.CharField(help_text="batch, live or watch.")
    status = serializers.ChoiceField(choices=[str(status) for status in TrialStatus])
    outcome = serializers.CharField(allow_null=True)
    sentence = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    control = ArmShape()
    candidate = ArmShape()
    profile = serializers.CharField()
    backend = serializers.CharField()
    recorded = serializers.BooleanField()
    in_batches = serializers.BooleanField()
    share = serializers.FloatField(allow_null=True)
    pairs = PairCountsShape()
    seed_commitment = serializers.CharField()
    inputs_commitment = serializers.CharField(allow_null=True)
    public = serializers.BooleanField()
    killed_at = serializers.DateTimeField(allow_null=True)
    started_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    adopted_at = serializers.DateTimeField(allow_null=True)
    follows = serializers.IntegerField(allow_null=True)
    url = serializers.CharField()


class MetricShape(serializers.Serializer[Any]):
    """One metric of a trial; contrasts, above 0 the candidate does better."""

    metric = serializers.CharField()
    mean = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    pairs = serializers.IntegerField()
    margin = serializers.FloatField()
    relative = serializers.BooleanField()
    primary = serializers.BooleanField()
    guard = serializers.CharField(allow_blank=True)


class WatchShape(serializers.Serializer[Any]):
    """The watch after a promotion."""

    trial = serializers.IntegerField()
    verdict_of = serializers.IntegerField()
    state = serializers.CharField()
    promoted = serializers.CharField()
    incumbent = serializers.CharField()
    share = serializers.FloatField()
    pairs = serializers.IntegerField()
    log_statistic = serializers.FloatField(allow_null=True)
    alarm_at = serializers.FloatField()
    reason = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    next_trial = serializers.IntegerField(allow_null=True)


class JudgeShape(serializers.Serializer[Any]):
    """A trial's judge: what it is told, and how its examination went or stands."""

    criteria = serializers.CharField()
    quality = serializers.BooleanField()
    backend = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    examined_in = serializers.IntegerField(allow_null=True, help_text="The trial that is its examination.")
    asked = serializers.IntegerField(help_text="Control-against-control pairs it was asked about.")
    needed = serializers.IntegerField()
    qualified = serializers.BooleanField(allow_null=True, help_text="Null until the examination is over.")
    reason = serializers.CharField(allow_blank=True, help_text="Why it may not serve.")
    examination = serializers.JSONField(
        allow_null=True, help_text="{pairs, consistency, leans_first, leans_second, bias_p}"
    )


class TrialDetailShape(TrialShape):
    """A trial by itself."""

    plan = serializers.JSONField()
    caps = serializers.JSONField()
    repeats = serializers.IntegerField()
    at_once = serializers.IntegerField()
    batches = AnyJson(help_text="{waiting, out}: questions that wait for a batch, or are with the provider; or null.")
    success_when = serializers.CharField(allow_blank=True)
    score = serializers.CharField(allow_blank=True)
    progress = serializers.FloatField()
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    pairs_needed = serializers.IntegerField(allow_null=True)
    expected_pairs = serializers.IntegerField()
    metrics = MetricShape(many=True)
    broken = serializers.ListField(child=serializers.CharField())
    excluded = serializers.ListField(child=serializers.CharField())
    simulated = serializers.BooleanField()
    judge = JudgeShape(allow_null=True)
    adoption = AnyJson(
        help_text="What adopting would do: {kind: move or publish, pattern, number}; null where it is not possible."
    )
    adopted_version = serializers.CharField(allow_null=True)
    adoption_obstacle = serializers.CharField(allow_null=True)
    watch = WatchShape(allow_null=True)
    report = serializers.CharField(allow_null=True)


class TrialPageShape(serializers.Serializer[Any]):
    """One page of trials."""

    results = TrialShape(many=True)
    next = serializers.CharField(allow_null=True)


class PairShape(serializers.Serializer[Any]):
    """One pair."""

    n = serializers.IntegerField()
    status = serializers.CharField()
    first = serializers.CharField()
    input = serializers.CharField()
    stratum = serializers.CharField(allow_blank=True)
    contrasts = serializers.JSONField()
    judged = AnyJson(help_text="[{control_first, candidate_first, control_score, candidate_score, asked}, …] or null.")
    control = AnyJson()
    candidate = AnyJson()
    control_runs = serializers.ListField(child=serializers.IntegerField())
    candidate_runs = serializers.ListField(child=serializers.IntegerField())
    judge_runs = serializers.ListField(child=serializers.IntegerField())
    missing = serializers.CharField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True)


class PairPageShape(serializers.Serializer[Any]):
    """One page of pairs, in the order of enrolment."""

    results = PairShape(many=True)
    next = serializers.CharField(allow_null=True)


class CurveShape(serializers.Serializer[Any]):
    """The evidence over time, as natural logarithms of e-values."""

    points = serializers.JSONField(help_text="[{n, superiority, noninferior, harm, kept, effect}, …]")
    thresholds = serializers.JSONField(help_text="{curve: height at which it decides}")
