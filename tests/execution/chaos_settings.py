"""Settings of the processes that the chaos test starts: slow simulated agents that log what they are asked."""

import os

from tests.settings import *  # noqa: F403

AGENT_BACKENDS = {
    "logged": {
        "backend": "tests.execution.chaos.logged_agents",
        "scale": float(os.environ.get("CHAOS_SCALE", "0.15")),
        "path": os.environ.get("CHAOS_LOG", ""),
    }
}
