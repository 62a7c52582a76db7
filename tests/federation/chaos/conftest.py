"""
The schedules over HTTP run by `make chaos`, not with every test run.

One schedule in forty or so (seed 10, once, on 2026-11-21) ends with a statement that one node holds and the two others
never get; until that is found, a suite that everybody waits for cannot hang on it. See docs/protocol.md, "Known faults".
"""

import os

collect_ignore = [] if os.environ.get("HTTP_CHAOS") == "1" else ["test_twenty.py"]
