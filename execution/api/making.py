"""Out of runs and before them: a script made of guided runs, and what a run may take."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from execution.api.shapes import ErrorShape
from execution.api.views import RunView
from execution.services import distilling, estimating
from registry.api.base import HubView
from registry.api.bodies import Body, read_body
from registry.models import Scope, Token
from registry.services import finding


class DistilShape(Body):
    """What to make a script of."""

    runs = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**53), required=False, default=list, max_length=50
    )
    publish = serializers.BooleanField(required=False, default=True, help_text="False only shows it.")
    name = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)


class DistilledShape(serializers.Serializer[Any]):
    """A script made of runs."""

    script = serializers.CharField()
    source = serializers.CharField(help_text="The whole document.")  # type: ignore[assignment]
    pattern = serializers.CharField(allow_null=True)
    version = serializers.CharField(allow_null=True)
    digest = serializers.CharField(allow_null=True)
    learned_from = serializers.ListField(child=serializers.IntegerField())


class EstimateShape(Body):
    """The run that is thought of."""

    version = serializers.CharField(required=False, default="", allow_blank=True, help_text="Number or channel.")
    inputs = serializers.DictField(required=False, default=dict)
    seed = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**53 - 1)


class EstimatedShape(serializers.Serializer[Any]):
    """What it may take."""

    pattern = serializers.CharField()
    version = serializers.CharField()
    status = serializers.CharField(help_text="How the rehearsal ended.")
    error = ErrorShape(allow_null=True)
    completions = serializers.IntegerField()
    child_runs = serializers.IntegerField()
    agents = serializers.IntegerField()
    tokens_bound = serializers.IntegerField(help_text="All that would be sent, and the longest answers allowed.")
    cost_usd_bound = serializers.FloatField(help_text="At today's price.")
    virtual_seconds = serializers.FloatField()
    models = serializers.ListField(child=serializers.CharField())
    not_included = serializers.ListField(
        child=serializers.CharField(), help_text="Child patterns that were not rehearsed."
    )
    seed = serializers.IntegerField()
    simulated = serializers.BooleanField(help_text="Always true: a rehearsal is no evidence.")


class RunDistil(RunView):
    """The way back."""

    @extend_schema(operation_id="runs_distill", request=DistilShape, responses={201: DistilledShape})
    def post(self, request: Request, run_id: int) -> Response:
        """Make a script of this run, and of others like it, and propose it as a new version."""
        body = read_body(DistilShape, request)
        if body["publish"] and isinstance(request.auth, Token) and not request.auth.allows(Scope.PUBLISH):
            raise PermissionDenied("this token lacks the scope publish; send publish: false to see the script only")
        wanted = list(dict.fromkeys([run_id, *body["runs"]]))
        runs = [self.run(each) for each in wanted]
        user = request.user if request.user.is_authenticated else None
        made = distilling.distil(runs=runs, user=user, now=self.now, publish=body["publish"], name=body["name"])
        version = made.version
        answer = {
            "script": made.script,
            "source": made.source.decode(),
            "pattern": str(version.pattern) if version else None,
            "version": version.version if version else None,
            "digest": version.digest if version else None,
            "learned_from": wanted,
        }
        return Response(answer, status=201 if version else 200)


class PatternEstimate(HubView):
    """Rehearse first."""

    write_scope = Scope.RUN

    @extend_schema(operation_id="patterns_estimate", request=EstimateShape, responses=EstimatedShape)
    def post(self, request: Request, owner: str, name: str) -> Response:
        """What a run may take: rehearsed with simulated agents, nothing stored and nothing sent."""
        body = read_body(EstimateShape, request)
        reference = f"{owner}/{name}@{body['version']}" if body["version"] else f"{owner}/{name}"
        found = estimating.estimate(
            version=finding.version(reference, request.user),
            inputs=body["inputs"],
            user=request.user if request.user.is_authenticated else None,
            today=self.now.date(),
            seed=body["seed"],
        )
        return Response(found)
