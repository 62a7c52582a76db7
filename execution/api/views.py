"""
Runs over HTTP: start, watch, steer, go back.

Each view parses, calls one service and answers; a run that the caller may not
see is 404, one they may only watch refuses with 403.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from execution import states
from execution.agents import roster
from execution.api import render, shapes
from execution.models import Effect, Run, Tick
from execution.models.stored import load_many
from execution.services import branching, controlling, starting, watching
from execution.services.clock import to_ms
from execution.services.sessions import segments
from registry.api.base import HubView
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.errors import InvalidRequest
from registry.models import Scope, Token
from registry.services import finding

AFTER = OpenApiParameter("after", int, description="Only what comes after this number.")
HISTORY = OpenApiParameter(
    "history", bool, description="Also what the runs that it branched off from told before; `after` counts all."
)
LIMIT = OpenApiParameter("limit", int, description="At most so many, 1 to 500.")


def reference_of(body: dict[str, Any]) -> str:
    """Which version to run: ``owner/name@version``, or the two apart; never both."""
    pattern, version = body["pattern"], body["version"]
    if version and "@" in pattern:
        raise InvalidRequest("version", "the pattern names a version already; leave one of them out")
    return f"{pattern}@{version}" if version else pattern


def whole(request: Request, name: str, default: int, high: int) -> int:
    """A whole number of the query string; raises InvalidRequest for anything else."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > high:
        raise InvalidRequest(name, f"give a whole number from 0 to {high}")
    return int(text)


def publishing_policy(request: Request, policy: dict[str, Any]) -> dict[str, Any]:
    """A run may publish no more than the token that starts it."""
    if not isinstance(request.auth, Token) or request.auth.allows(Scope.PUBLISH):
        return policy
    if policy.get("publish"):
        raise PermissionDenied("this token lacks the scope publish, which policy.publish needs")
    return {**policy, "publish": False}


class RunView(HubView):
    """The base of all views of one run."""

    write_scope: ClassVar[str] = Scope.RUN

    def run(self, run_id: int, *, control: bool = False) -> Run:
        """The run; 404 where the caller may not see it, 403 where they may only watch."""
        runs = Run.objects.visible_to(self.request.user)
        found = runs.select_related("version__pattern__owner", "started_by").filter(pk=run_id).first()
        if found is None:
            raise Http404
        if control and not found.may_control(self.request.user):
            raise PermissionDenied("only the person who started a run may steer it")
        return found

    @property
    def at(self) -> int:
        """The clock of the edge, in milliseconds."""
        return to_ms(self.now)

    def status(self, run_id: int, status: str) -> Response:
        """What every steering view answers."""
        return Response({"id": run_id, "status": status})


class Runs(RunView):
    """All runs that the caller may see, and the door to new ones."""

    @extend_schema(
        operation_id="runs_list",
        parameters=[
            OpenApiParameter("status", str, enum=[str(status) for status in states.RunStatus]),
            OpenApiParameter("pattern", str, description="owner/name, or owner/name@version"),
            OpenApiParameter("mine", bool),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=shapes.RunPageShape,
    )
    def get(self, request: Request) -> Response:
        """List runs, the newest first."""
        runs = Run.objects.visible_to(request.user).for_list()
        status, reference = request.query_params.get("status"), request.query_params.get("pattern")
        if status:
            if status not in states.RUN:
                raise InvalidRequest("status", f"use one of {', '.join(map(str, states.RunStatus))}")
            runs = runs.filter(status=status)
        if reference:
            version = finding.version(reference, request.user)
            runs = runs.filter(version=version) if "@" in reference else runs.filter(version__pattern=version.pattern)
        if request.query_params.get("mine", "").lower() in ("1", "true") and request.user.is_authenticated:
            runs = runs.filter(started_by=request.user)
        return Response(page(request, runs, render.run_json))

    @extend_schema(operation_id="runs_start", request=shapes.StartShape, responses={201: shapes.RunDetailShape})
    def post(self, request: Request) -> Response:
        """Start a run."""
        body = read_body(shapes.StartShape, request)
        run = starting.start(
            version=finding.version(reference_of(body), request.user),
            inputs=body["inputs"],
            user=request.user,
            now=self.now,
            backend=body["backend"],
            seed=body["seed"],
            policy=publishing_policy(request, body["policy"]),
            is_public=body["public"],
        )
        return Response(render.run_detail(run), status=201, headers={"Location": f"/api/v1/runs/{run.pk}"})


class RunDetail(RunView):
    """One run."""

    @extend_schema(operation_id="runs_read", responses=shapes.RunDetailShape)
    def get(self, request: Request, run_id: int) -> Response:
        """Read a run with its inputs, result and open questions."""
        return Response(render.run_detail(self.run(run_id)))


class RunEvents(RunView):
    """The events of a run; ``/live/runs/<id>`` streams the same."""

    @extend_schema(operation_id="runs_events", parameters=[AFTER, LIMIT, HISTORY], responses=shapes.EventPageShape)
    def get(self, request: Request, run_id: int) -> Response:
        """Read the events past a sequence."""
        run = self.run(run_id)
        after, limit = whole(request, "after", 0, 2**31 - 1), whole(request, "limit", 100, shapes.MAX_LIMIT)
        if request.query_params.get("history", "").lower() in ("1", "true"):
            told = watching.history(run.pk)
            return Response({"results": told[after : after + limit], "last": len(told)})
        return Response({"results": watching.events_after(run.pk, after, limit), "last": run.events_count})


class RunEffects(RunView):
    """What a run asked of the world."""

    @extend_schema(operation_id="runs_effects", parameters=[AFTER, LIMIT], responses=shapes.EffectPageShape)
    def get(self, request: Request, run_id: int) -> Response:
        """Read effects past a seq: agents, people, child runs, with answers, attempts and cost."""
        run = self.run(run_id)
        after, limit = whole(request, "after", 0, 2**31 - 1), whole(request, "limit", 100, shapes.MAX_LIMIT)
        rows = list(Effect.objects.filter(run=run, seq__gt=after).order_by("seq")[:limit])
        return Response({"results": watching.effects_json(rows)})


class RunJournal(RunView):
    """The journal of a run."""

    @extend_schema(operation_id="runs_journal", parameters=[AFTER, LIMIT], responses=shapes.JournalPageShape)
    def get(self, request: Request, run_id: int) -> Response:
        """Read ticks past a number; a branch shows those that it shares first."""
        run = self.run(run_id)
        after, limit = whole(request, "after", 0, 2**31 - 1), whole(request, "limit", 100, shapes.MAX_LIMIT)
        rows: list[Tick] = []
        for owner, first, last in segments(run.pk, run.tick):
            wanted = Tick.objects.filter(run_id=owner, number__gte=max(first, after + 1), number__lte=last)
            rows += wanted.order_by("number")[: limit - len(rows)]
        rounds = load_many(row.inputs for row in rows)
        listed = [{"number": row.number, "at": row.at, "rounds": r} for row, r in zip(rows, rounds, strict=True)]
        return Response({"results": listed})


class RunState(RunView):
    """What a run holds now."""

    @extend_schema(operation_id="runs_state", responses=shapes.StateShape)
    def get(self, request: Request, run_id: int) -> Response:
        """Read variables, agents, entities, tracked metrics and decisions."""
        return Response(watching.state_json(self.run(run_id)))


class RunCancel(RunView):
    """End a run."""

    @extend_schema(operation_id="runs_cancel", request=shapes.ReasonShape, responses=shapes.StatusShape)
    def post(self, request: Request, run_id: int) -> Response:
        """Cancel a run and its child runs."""
        run, body = self.run(run_id, control=True), read_body(shapes.ReasonShape, request)
        return self.status(run.pk, controlling.cancel(run_id=run.pk, now=self.at, reason=body["reason"]))


class RunPause(RunView):
    """Stop feeding and sending."""

    @extend_schema(operation_id="runs_pause", request=None, responses=shapes.StatusShape)
    def post(self, request: Request, run_id: int) -> Response:
        """Pause a run; answers under way are still kept."""
        run = self.run(run_id, control=True)
        return self.status(run.pk, controlling.pause(run_id=run.pk, now=self.at))


class RunResume(RunView):
    """Go on."""

    @extend_schema(operation_id="runs_resume", request=None, responses=shapes.StatusShape)
    def post(self, request: Request, run_id: int) -> Response:
        """Resume a paused run."""
        run = self.run(run_id, control=True)
        return self.status(run.pk, controlling.resume(run_id=run.pk, now=self.at))


class RunAnswer(RunView):
    """Answer what a run asks people."""

    @extend_schema(operation_id="runs_answer", request=shapes.AnswerShape, responses=shapes.StatusShape)
    def post(self, request: Request, run_id: int) -> Response:
        """Answer a `human:ask`; the run goes on at once."""
        run, body = self.run(run_id, control=True), read_body(shapes.AnswerShape, request)
        by = str(request.user.get_username())
        status = controlling.answer(run_id=run.pk, seq=body["seq"], value=body["answer"], now=self.at, by=by)
        return self.status(run.pk, status)


class RunDoubt(RunView):
    """Decide about an effect in doubt."""

    @extend_schema(operation_id="runs_resolve", request=shapes.DoubtShape, responses=shapes.StatusShape)
    def post(self, request: Request, run_id: int) -> Response:
        """Ask again, or take it as failed."""
        run, body = self.run(run_id, control=True), read_body(shapes.DoubtShape, request)
        retry = body["action"] == "retry"
        return self.status(run.pk, controlling.resolve(run_id=run.pk, seq=body["seq"], retry=retry, now=self.at))


class RunCheckpoints(RunView):
    """Places to come back to."""

    @extend_schema(operation_id="runs_checkpoints", responses=shapes.CheckpointPageShape)
    def get(self, request: Request, run_id: int) -> Response:
        """List the named checkpoints; every tick up to `last_tick` can be gone back to as well."""
        run = self.run(run_id)
        fields = ("id", "tick", "label", "note", "created_at")
        rows = [{name: getattr(row, name) for name in fields} for row in run.checkpoints.all()]
        return Response({"results": rows, "last_tick": run.tick})

    @extend_schema(operation_id="runs_mark", request=shapes.MarkShape, responses={201: shapes.CheckpointShape})
    def post(self, request: Request, run_id: int) -> Response:
        """Name the present place."""
        run, body = self.run(run_id, control=True), read_body(shapes.MarkShape, request)
        row = controlling.mark(run_id=run.pk, now=self.at, label=body["label"], note=body["note"])
        fields = ("id", "tick", "label", "note", "created_at")
        return Response({name: getattr(row, name) for name in fields}, status=201)


class RunBranch(RunView):
    """Branch off."""

    @extend_schema(operation_id="runs_branch", request=shapes.BranchShape, responses={201: shapes.RunDetailShape})
    def post(self, request: Request, run_id: int) -> Response:
        """A new run that shares the journal up to a tick, or one with other inputs or another version."""
        run, body = self.run(run_id, control=True), read_body(shapes.BranchShape, request)
        version = finding.version(body["pattern"], request.user) if body["pattern"] else None
        made = branching.branch(
            run=run,
            now=self.now,
            user=request.user,
            tick=body["tick"],
            inputs=body["inputs"],
            version=version,
            backend=body["backend"],
            policy=publishing_policy(request, body["policy"]) if body["policy"] is not None else None,
            anew=body["anew"],
        )
        return Response(render.run_detail(made), status=201, headers={"Location": f"/api/v1/runs/{made.pk}"})


class RunRetry(RunView):
    """Try again."""

    @extend_schema(operation_id="runs_retry", request=None, responses={201: shapes.RunDetailShape})
    def post(self, request: Request, run_id: int) -> Response:
        """Branch off from before the first answer that failed, and ask that anew."""
        made = branching.retry(run=self.run(run_id, control=True), now=self.now, user=request.user)
        return Response(render.run_detail(made), status=201, headers={"Location": f"/api/v1/runs/{made.pk}"})


class RunRollback(RunView):
    """Go back."""

    @extend_schema(operation_id="runs_rollback", request=shapes.TickShape, responses={201: shapes.RunDetailShape})
    def post(self, request: Request, run_id: int) -> Response:
        """Branch off at a tick, ask anew what was answered after it, and cancel the run where it is still alive."""
        run, body = self.run(run_id, control=True), read_body(shapes.TickShape, request)
        made = branching.rollback(run=run, tick=body["tick"], now=self.now, user=request.user)
        return Response(render.run_detail(made), status=201, headers={"Location": f"/api/v1/runs/{made.pk}"})


class Backends(HubView):
    """The agent backends of this hub."""

    @extend_schema(operation_id="backends_list", responses=shapes.BackendListShape)
    def get(self, request: Request) -> Response:
        """List them, the default first."""
        default = roster.default_backend()
        listed = [
            {
                "name": one.alias,
                "title": one.title,
                "simulated": one.capabilities.simulated,
                "is_default": one.alias == default,
            }
            for one in roster.listed()
        ]
        return Response({"results": listed})
