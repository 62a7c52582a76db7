"""The hub with a limit that a test reaches, counted where the processes of a real one count."""

from hub.environment import shared_cache
from tests.settings import *  # noqa: F403
from tests.settings import CACHES, ENVIRONMENT

CACHES = {**CACHES, "shared": shared_cache("", ENVIRONMENT.data_dir)}
ALLOWED_HOSTS = ["testserver"]
API_THROTTLES = {"search": (8, 8)}
