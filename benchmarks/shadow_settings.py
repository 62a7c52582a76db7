"""Settings of the hub that ``benchmarks.shadow_latency`` measures."""

from tests.settings import *  # noqa: F403

AGENT_BACKENDS = {"bench": {"backend": "benchmarks.shadow_latency.bench_agents"}}
