"""Addresses of runs and trials below ``/api/v1``."""

from __future__ import annotations

from django.urls import path, register_converter

from execution.api import making, trial_views, views


class RunNumber:
    """A run's or a trial's number that every database can hold."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Its digits."""
        return str(value)


register_converter(RunNumber, "run_number")

app_name = "execution-api"
urlpatterns = [
    path("backends", views.Backends.as_view(), name="backends"),
    path("runs", views.Runs.as_view(), name="runs"),
    path("runs/<run_number:run_id>", views.RunDetail.as_view(), name="run"),
    path("runs/<run_number:run_id>/events", views.RunEvents.as_view(), name="events"),
    path("runs/<run_number:run_id>/effects", views.RunEffects.as_view(), name="effects"),
    path("runs/<run_number:run_id>/journal", views.RunJournal.as_view(), name="journal"),
    path("runs/<run_number:run_id>/state", views.RunState.as_view(), name="state"),
    path("runs/<run_number:run_id>/cancel", views.RunCancel.as_view(), name="cancel"),
    path("runs/<run_number:run_id>/pause", views.RunPause.as_view(), name="pause"),
    path("runs/<run_number:run_id>/resume", views.RunResume.as_view(), name="resume"),
    path("runs/<run_number:run_id>/answer", views.RunAnswer.as_view(), name="answer"),
    path("runs/<run_number:run_id>/doubts", views.RunDoubt.as_view(), name="doubts"),
    path("runs/<run_number:run_id>/checkpoints", views.RunCheckpoints.as_view(), name="checkpoints"),
    path("runs/<run_number:run_id>/branch", views.RunBranch.as_view(), name="branch"),
    path("runs/<run_number:run_id>/retry", views.RunRetry.as_view(), name="retry"),
    path("runs/<run_number:run_id>/distill", making.RunDistil.as_view(), name="distill"),
    path("patterns/<str:owner>/<str:name>/estimate", making.PatternEstimate.as_view(), name="estimate"),
    path("runs/<run_number:run_id>/rollback", views.RunRollback.as_view(), name="rollback"),
    path("trials", trial_views.Trials.as_view(), name="trials"),
    path("trials/kill", trial_views.TrialsKill.as_view(), name="trials-kill"),
    path("trials/<run_number:trial_id>", trial_views.TrialDetail.as_view(), name="trial"),
    path("trials/<run_number:trial_id>/pairs", trial_views.TrialPairs.as_view(), name="trial-pairs"),
    path("trials/<run_number:trial_id>/curve", trial_views.TrialCurve.as_view(), name="trial-curve"),
    path("trials/<run_number:trial_id>/report", trial_views.TrialReport.as_view(), name="trial-report"),
    path("trials/<run_number:trial_id>/pause", trial_views.TrialPause.as_view(), name="trial-pause"),
    path("trials/<run_number:trial_id>/resume", trial_views.TrialResume.as_view(), name="trial-resume"),
    path("trials/<run_number:trial_id>/cancel", trial_views.TrialCancel.as_view(), name="trial-cancel"),
    path("trials/<run_number:trial_id>/adopt", trial_views.TrialAdopt.as_view(), name="trial-adopt"),
]
