"""
Trials over HTTP: start, watch, steer, adopt, and the report byte for byte.

A trial that the caller may not see is 404; one they may only watch refuses
with 403.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from execution import states
from execution.api import trial_shapes as shapes
from execution.models import Trial, VerificationReport
from execution.services import promoting, trial_facts, trial_inputs, verifying
from execution.services.preferring import Judge
from execution.services.verifying import Budget
from execution.shadow.assessment import thresholds
from registry.api.base import HubView, cached, not_modified, unchanged
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.errors import InvalidRequest
from registry.models import Scope
from registry.services import finding


class TrialView(HubView):
    """The base of all views of trials."""

    write_scope: ClassVar[str] = Scope.VERIFY

    def trial(self, trial_id: int, *, control: bool = False) -> Trial:
        """The trial; 404 where the caller may not see it, 403 where they may only watch."""
        found = Trial.objects.visible_to(self.request.user).for_list().filter(pk=trial_id).first()
        if found is None:
            raise Http404
        if control and not found.may_control(self.request.user):
            raise PermissionDenied("only the person who started a trial may steer it")
        return found

    def answer(self, trial: Trial) -> Response:
        """The trial as it is now."""
        return Response(trial_facts.trial_detail(self.trial(trial.pk)))


class Trials(TrialView):
    """All trials that the caller may see, and the door to new ones."""

    @extend_schema(
        operation_id="trials_list",
        parameters=[
            OpenApiParameter("status", str, enum=[str(status) for status in states.TrialStatus]),
            OpenApiParameter("pattern", str, description="owner/name: either arm is a version of it"),
            OpenApiParameter("mine", bool),
            OpenApiParameter("watches", bool, description="the watches after promotions, too"),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=shapes.TrialPageShape,
    )
    def get(self, request: Request) -> Response:
        """List trials, the newest first."""
        trials = Trial.objects.visible_to(request.user).for_list()
        query = request.query_params
        if query.get("watches", "").lower() not in ("1", "true"):
            trials = trials.shown()
        if status := query.get("status"):
            if status not in states.TRIAL:
                raise InvalidRequest("status", f"use one of {', '.join(map(str, states.TrialStatus))}")
            trials = trials.filter(status=status)
        if reference := query.get("pattern"):
            owner, _, name = reference.partition("@")[0].partition("/")
            trials = trials.of_pattern(finding.pattern(owner, name, request.user))
        if query.get("mine", "").lower() in ("1", "true") and request.user.is_authenticated:
            trials = trials.filter(started_by=request.user)
        return Response(page(request, trials, trial_facts.trial_json))

    @extend_schema(
        operation_id="trials_start", request=shapes.TrialStartShape, responses={201: shapes.TrialDetailShape}
    )
    def post(self, request: Request) -> Response:
        """Start a trial; its workers carry it out."""
        body = read_body(shapes.TrialStartShape, request)
        control = finding.version(body["control"], request.user)
        inputs = trial_inputs.from_items(body["inputs"]) if body["inputs"] else []
        if body["recorded"]:
            inputs += trial_inputs.recorded(version=control, user=request.user, limit=body["recorded"])
        trial = verifying.start_trial(
            control=control,
            candidate=finding.version(body["candidate"], request.user),
            user=request.user,
            now=self.now,
            mode=body["mode"],
            inputs=inputs,
            profile=body["profile"],
            backend=body["backend"],
            test=body["test"],
            looks=body["looks"],
            share=body["share"],
            repeats=body["repeats"],
            at_once=body["at_once"],
            in_batches=body["in_batches"],
            caps=body["caps"],
            budget=Budget(**body["budget"]) if body["budget"] is not None else None,
            success_when=body["success_when"],
            score=body["score"],
            judge=Judge(**body["judge"]) if body["judge"] is not None else None,
            is_public=body["public"],
        )
        detail = trial_facts.trial_detail(trial)
        return Response(detail, status=201, headers={"Location": f"/api/v1/trials/{trial.pk}"})


class TrialDetail(TrialView):
    """One trial."""

    @extend_schema(operation_id="trials_read", responses=shapes.TrialDetailShape)
    def get(self, request: Request, trial_id: int) -> Response:
        """Read a trial with its evidence so far."""
        return Response(trial_facts.trial_detail(self.trial(trial_id)))


class TrialPairs(TrialView):
    """The pairs of a trial."""

    @extend_schema(
        operation_id="trials_pairs",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=shapes.PairPageShape,
    )
    def get(self, request: Request, trial_id: int) -> Response:
        """Read the pairs in the order of enrolment."""
        pairs = trial_facts.pairs_for_list(self.trial(trial_id))
        return Response(page(request, pairs, trial_facts.pair_json, newest_first=False, key="position"))


class TrialCurve(TrialView):
    """The evidence over time."""

    @extend_schema(operation_id="trials_curve", responses=shapes.CurveShape)
    def get(self, request: Request, trial_id: int) -> Response:
        """Read the evidence after each pair, and the heights at which it decides."""
        trial = self.trial(trial_id)
        return Response({"points": trial_facts.curve_of(trial), "thresholds": thresholds(trial.trial_plan)})


class TrialReport(TrialView):
    """The verification report."""

    @extend_schema(operation_id="trials_report", responses={(200, "application/json"): OpenApiTypes.BINARY})
    def get(self, request: Request, trial_id: int) -> HttpResponse:
        """Read the report of a decided trial, byte for byte as `manage.py recheck` takes it."""
        trial = self.trial(trial_id)
        report = VerificationReport.objects.filter(trial=trial).first()
        if report is None:
            raise Http404
        options = {"etag": f'"{report.digest}"', "pinned": True, "public": trial.is_public}
        if not_modified(request, options["etag"]):
            return unchanged(**options)
        answer = HttpResponse(bytes(report.data), content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="trial-{trial.pk}-report.json"'
        return cached(answer, **options)


class TrialPause(TrialView):
    """Start nothing more."""

    @extend_schema(operation_id="trials_pause", request=None, responses=shapes.TrialDetailShape)
    def post(self, request: Request, trial_id: int) -> Response:
        """Pause a trial; runs under way end, and count when it is resumed."""
        return self.answer(verifying.pause(trial=self.trial(trial_id, control=True), now=self.now))


class TrialResume(TrialView):
    """Go on."""

    @extend_schema(operation_id="trials_resume", request=None, responses=shapes.TrialDetailShape)
    def post(self, request: Request, trial_id: int) -> Response:
        """Resume a paused trial."""
        return self.answer(verifying.resume(trial=self.trial(trial_id, control=True), now=self.now))


class TrialCancel(TrialView):
    """End it."""

    @extend_schema(operation_id="trials_cancel", request=shapes.CancelShape, responses=shapes.TrialDetailShape)
    def post(self, request: Request, trial_id: int) -> Response:
        """End a trial without a verdict; its runs are cancelled, real ones never."""
        trial, body = self.trial(trial_id, control=True), read_body(shapes.CancelShape, request)
        return self.answer(verifying.cancel(trial=trial, now=self.now, reason=body["reason"], kill=body["kill"]))


class TrialsKill(TrialView):
    """The kill switch of the hub."""

    @extend_schema(operation_id="trials_kill", request=shapes.KillShape, responses=shapes.KilledShape)
    def post(self, request: Request) -> Response:
        """Stop every trial that is alive, watches included; for administrators of the hub."""
        if not (request.user.is_authenticated and request.user.is_superuser):
            raise PermissionDenied("only an administrator of the hub may stop every trial")
        body = read_body(shapes.KillShape, request)
        return Response({"killed": verifying.kill_all(now=self.now, reason=body["reason"])})


class TrialAdopt(TrialView):
    """Let the candidate take over."""

    @extend_schema(operation_id="trials_adopt", request=shapes.AdoptShape, responses=shapes.TrialDetailShape)
    def post(self, request: Request, trial_id: int) -> Response:
        """
        Move `stable` to the candidate, and watch it from now on.

        A candidate of another pattern becomes a version of the control's pattern first; `adoption` of the trial
        tells which.
        """
        trial, body = self.trial(trial_id), read_body(shapes.AdoptShape, request)
        if reason := promoting.not_theirs(trial, request.user):
            raise PermissionDenied(reason)
        promoting.adopt(trial=trial, user=request.user, now=self.now, share=body["share"])
        return self.answer(trial)
