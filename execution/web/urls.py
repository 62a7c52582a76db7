"""Addresses of the pages of runs: ``execution:…``."""

from __future__ import annotations

from django.urls import include, path

from execution.web import running, steering, watching
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
]

urlpatterns = [path("", include((pages, "execution")))]
