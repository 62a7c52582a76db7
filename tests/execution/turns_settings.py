"""Settings of the worker processes that the test of killed guided runs starts: Claude, at an address on loopback."""

import os

from tests.settings import *  # noqa: F403

ANTHROPIC_API_KEY = "not-a-key"
ANTHROPIC_BASE_URL = os.environ["TURNS_URL"]

# A killed process loses nothing that the system has taken; waiting for the disk would only make the test slow.
DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # noqa: F405
