"""Settings of the hub that ``benchmarks.kills`` kills."""

from hub.settings import *  # noqa: F403

AGENT_BACKENDS = {"paid": {"backend": "benchmarks.backends.Paid"}}
