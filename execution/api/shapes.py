"""
The shapes of the API's requests and answers; the OpenAPI description is drawn from them.

Requests are checked by them before a service is called; what only a service
can judge (whether inputs fit a version) it says itself.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.api.bodies import AnyJson, Body

MAX_LIMIT = 500


class StartShape(Body):
    """A run to be started."""

    pattern = serializers.CharField(help_text="owner/name, owner/name@version, owner/name@channel, or a digest.")
    version = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=200, help_text="Another way to write the @version."
    )
    inputs = serializers.DictField(required=False, default=dict, help_text="Input names and values.")
    backend = serializers.CharField(required=False, default="", allow_blank=True, help_text="Agent backend.")
    seed = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0, max_value=2**53 - 1)
    policy = serializers.DictField(
        required=False, default=dict, help_text="{limits: {tokens, cost_usd, seconds, …}, attempts, in_doubt, agents}"
    )
    public = serializers.BooleanField(required=False, default=False, help_text="Everyone may watch it.")


class ReasonShape(Body):
    """Why."""

    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=1000)


class AnswerShape(Body):
    """The answer to a question that a run asks people."""

    seq = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="The number of the question's event.")
    answer = AnyJson(help_text="Any JSON value that the question allows.")


class DoubtShape(Body):
    """What to do about an effect in doubt."""

    seq = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    action = serializers.ChoiceField(choices=["retry", "fail"])


class BranchShape(Body):
    """Where and how to branch off."""

    tick = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0, max_value=2**31 - 1)
    inputs = serializers.DictField(required=False, allow_null=True, default=None)
    pattern = serializers.CharField(required=False, default="", allow_blank=True, help_text="Another version.")
    backend = serializers.CharField(required=False, default="", allow_blank=True)
    policy = serializers.DictField(required=False, allow_null=True, default=None)
    anew = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Ask agents again what they answered after the tick; people are asked again in any case.",
    )


class TickShape(Body):
    """A place in the journal."""

    tick = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class MarkShape(Body):
    """A checkpoint to be named."""

    label = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)  # type: ignore[assignment]
    note = AnyJson(required=False, default=None)


class ErrorShape(serializers.Serializer[Any]):
    """Why a run failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    line = serializers.IntegerField()
    column = serializers.IntegerField()


class RunShape(serializers.Serializer[Any]):
    """A run."""

    id = serializers.IntegerField()
    pattern = serializers.CharField(help_text="owner/name")
    version = serializers.CharField()
    digest = serializers.CharField()
    status = serializers.CharField()
    succeeded = serializers.BooleanField(allow_null=True)
    score = serializers.FloatField(allow_null=True)
    simulated = serializers.BooleanField()
    backend = serializers.CharField()
    seed = serializers.IntegerField()
    started_by = serializers.CharField(allow_null=True)
    public = serializers.BooleanField()
    tick = serializers.IntegerField()
    events = serializers.IntegerField()
    tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    possibly_paid_twice = serializers.IntegerField()
    duration_seconds = serializers.FloatField(allow_null=True)
    parent = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]
    forked_from = serializers.IntegerField(allow_null=True)
    forked_at_tick = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField()


class QuestionShape(serializers.Serializer[Any]):
    """A question to a person."""

    seq = serializers.IntegerField()
    question = serializers.JSONField()
    asked_at = serializers.IntegerField()


class RunDetailShape(RunShape):
    """A run with its inputs, result and open questions."""

    inputs = serializers.DictField()
    policy = serializers.DictField()
    result = AnyJson()
    error = ErrorShape(allow_null=True)
    questions = QuestionShape(many=True)
    children = serializers.ListField(child=serializers.IntegerField())


class RunPageShape(serializers.Serializer[Any]):
    """One page of runs."""

    results = RunShape(many=True)
    next = serializers.CharField(allow_null=True)


class EventShape(serializers.Serializer[Any]):
    """One event of a run."""

    sequence = serializers.IntegerField()
    at = serializers.IntegerField(help_text="Milliseconds since the epoch.")
    kind = serializers.CharField()
    name = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]
    branch = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField()
    seq = serializers.IntegerField(allow_null=True)
    run = serializers.IntegerField(required=False, help_text="With `history`: the run that told it.")


class EventPageShape(serializers.Serializer[Any]):
    """Events past a sequence."""

    results = EventShape(many=True)
    last = serializers.IntegerField(help_text="The sequence of the run's last event so far.")


class EffectShape(serializers.Serializer[Any]):
    """One effect of a run."""

    seq = serializers.IntegerField()
    key = serializers.CharField()
    name = serializers.CharField()
    handler = serializers.CharField()
    agent_id = serializers.CharField(allow_blank=True)
    request = serializers.JSONField()
    answer = AnyJson()
    status = serializers.CharField()
    attempts = serializers.IntegerField()
    doubts = serializers.IntegerField()
    error = serializers.CharField(allow_null=True)
    line = serializers.IntegerField()
    emitted_at = serializers.IntegerField()
    sent_at = serializers.IntegerField(allow_null=True)
    answered_at = serializers.IntegerField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    reused_from = serializers.IntegerField(allow_null=True)


class EffectPageShape(serializers.Serializer[Any]):
    """Effects past a seq."""

    results = EffectShape(many=True)


class JournalEntryShape(serializers.Serializer[Any]):
    """One tick: the inputs of the machine, in rounds."""

    number = serializers.IntegerField()
    at = serializers.IntegerField()
    rounds = serializers.JSONField()


class JournalPageShape(serializers.Serializer[Any]):
    """Ticks past a number."""

    results = JournalEntryShape(many=True)


class StateShape(serializers.Serializer[Any]):
    """What a run holds now."""

    variables = serializers.JSONField()
    agents = serializers.JSONField()
    entities = serializers.JSONField()
    tracked = serializers.JSONField(help_text="{name: [[ms, value], …]}")
    decisions = EventShape(many=True)


class CheckpointShape(serializers.Serializer[Any]):
    """A named place in a journal."""

    id = serializers.IntegerField()
    tick = serializers.IntegerField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    note = AnyJson()
    created_at = serializers.DateTimeField()


class CheckpointPageShape(serializers.Serializer[Any]):
    """Where a run can be gone back to: named checkpoints, and any tick up to ``last_tick``."""

    results = CheckpointShape(many=True)
    last_tick = serializers.IntegerField()


class StatusShape(serializers.Serializer[Any]):
    """The status of a run after what was done to it."""

    id = serializers.IntegerField()
    status = serializers.CharField()


class BackendShape(serializers.Serializer[Any]):
    """An agent backend of this hub."""

    name = serializers.CharField()
    title = serializers.CharField()
    simulated = serializers.BooleanField()
    is_default = serializers.BooleanField()


class BackendListShape(serializers.Serializer[Any]):
    """The agent backends of this hub."""

    results = BackendShape(many=True)
