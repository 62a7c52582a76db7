"""Addresses of the pages of runs and trials: ``execution:…``."""

from __future__ import annotations

from django.urls import include, path

from execution.web import running, steering, trial_steering, trials, trying, watching
from execution.web.pages import page

pages = [
    path("runs/", page(watching.runs), name="runs"),
    path("runs/<int:run_id>/", page(watching.run), name="run"),
    path("runs/<int:run_id>/parts/", page(watching.parts), name="parts"),
    path("runs/<int:run_id>/effects/<int:seq>/", page(watching.effect), name="effect"),
    path("runs/<int:run_id>/cancel/", page(steering.cancel), name="cancel"),
    path("runs/<int:run_id>/pause/", page(steering.pause), name="pause"),
    path("runs/<int:run_id>/resume/", page(steering.resume), name="resume"),
    path("runs/<int:run_id>/answer/<int:seq>/", page(steering.answer), name="answer"),
    path("runs/<int:run_id>/doubt/<int:seq>/", page(steering.resolve), name="resolve"),
    path("runs/<int:run_id>/checkpoints/", page(steering.mark), name="mark"),
    path("runs/<int:run_id>/branch/", page(steering.branch), name="branch"),
    path("runs/<int:run_id>/retry/", page(steering.retry), name="retry"),
    path("patterns/<str:owner>/<str:name>/run/", page(running.start), name="start"),
    path("patterns/<str:owner>/<str:name>/runs/", page(watching.runs_of_pattern), name="pattern-runs"),
    path("trials/", page(trials.trials), name="trials"),
    path("trials/stop/", page(trial_steering.stop_all), name="trials-stop"),
    path("trials/<int:trial_id>/", page(trials.trial), name="trial"),
    path("trials/<int:trial_id>/parts/", page(trials.parts), name="trial-parts"),
    path("trials/<int:trial_id>/pairs/", page(trials.pairs), name="trial-pairs"),
    path("trials/<int:trial_id>/report/", page(trials.report), name="trial-report"),
    path("trials/<int:trial_id>/pause/", page(trial_steering.pause), name="trial-pause"),
    path("trials/<int:trial_id>/resume/", page(trial_steering.resume), name="trial-resume"),
    path("trials/<int:trial_id>/cancel/", page(trial_steering.cancel), name="trial-cancel"),
    path("trials/<int:trial_id>/adopt/", page(trial_steering.adopt), name="trial-adopt"),
    path("patterns/<str:owner>/<str:name>/verify/", page(trying.try_out), name="try"),
    path("patterns/<str:owner>/<str:name>/trials/", page(trials.trials_of_pattern), name="pattern-trials"),
]

urlpatterns = [path("", include((pages, "execution")))]
