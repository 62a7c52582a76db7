"""
Other durable engines, measured beside ours in the same run.

Each script here runs in an environment of its own (``var/peers/<name>``, made
from PyPI by ``benchmarks.durable``), takes a database URL, and prints one JSON
object of figures. They do what ours does: 1,000 steps that do nothing, a
fan-out of 1,000, resuming after 1,000 and 5,000 steps, storing 1,000 results
of 1 kB, every step durable before the next begins.
"""
