"""Addresses of runs below ``/api/v1``."""

from django.urls import path

from execution.api import views

app_name = "execution-api"
urlpatterns = [
    path("backends", views.Backends.as_view(), name="backends"),
    path("runs", views.Runs.as_view(), name="runs"),
    path("runs/<int:run_id>", views.RunDetail.as_view(), name="run"),
    path("runs/<int:run_id>/events", views.RunEvents.as_view(), name="events"),
    path("runs/<int:run_id>/effects", views.RunEffects.as_view(), name="effects"),
    path("runs/<int:run_id>/journal", views.RunJournal.as_view(), name="journal"),
    path("runs/<int:run_id>/state", views.RunState.as_view(), name="state"),
    path("runs/<int:run_id>/cancel", views.RunCancel.as_view(), name="cancel"),
    path("runs/<int:run_id>/pause", views.RunPause.as_view(), name="pause"),
    path("runs/<int:run_id>/resume", views.RunResume.as_view(), name="resume"),
    path("runs/<int:run_id>/answer", views.RunAnswer.as_view(), name="answer"),
    path("runs/<int:run_id>/doubts", views.RunDoubt.as_view(), name="doubts"),
    path("runs/<int:run_id>/checkpoints", views.RunCheckpoints.as_view(), name="checkpoints"),
    path("runs/<int:run_id>/branch", views.RunBranch.as_view(), name="branch"),
    path("runs/<int:run_id>/retry", views.RunRetry.as_view(), name="retry"),
    path("runs/<int:run_id>/rollback", views.RunRollback.as_view(), name="rollback"),
]
