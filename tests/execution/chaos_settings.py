"""Settings of the processes that the chaos tests start: slow simulated agents that log what they are asked."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import CELERY

AGENT_BACKENDS = {
    "logged": {
        "backend": "tests.execution.chaos.logged_agents",
        "scale": float(os.environ.get("CHAOS_SCALE", "0.15")),
        "path": os.environ.get("CHAOS_LOG", ""),
    }
}

if os.environ.get("CHAOS_BROKER"):
    WORKERS_EMBEDDED = False
    CELERY = {**CELERY, "broker_url": os.environ["CHAOS_BROKER"]}
