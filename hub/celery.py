"""
The Celery application of scaled mode.

    celery -A hub worker -Q advance
    celery -A hub worker -Q effects -P threads
    celery -A hub beat

Its settings stand in ``hub.settings.CELERY``. Tasks take ids, load rows and
make one call; what they would lose, the reaper finds again in the database.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")


def make_app() -> Celery:
    """The application, configured from Django's settings."""
    from django.conf import settings

    application = Celery("hub")
    application.conf.update(settings.CELERY)
    application.autodiscover_tasks(["execution", "federation"])
    return application


app = make_app()
