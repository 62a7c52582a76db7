"""The hub's settings as the tests run them: known secrets, a cheap password hasher, plain logs, no real agents."""

import os
import tempfile

os.environ["HUB_SECRET_KEY"] = "for-tests-only"
os.environ["HUB_KEY_ENCRYPTION_KEY"] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
os.environ.setdefault("HUB_DATA", tempfile.mkdtemp(prefix="hub-tests-"))
for name in (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_AUTH_TOKEN",
    "CELERY_BROKER_URL",
    "KSI_SOCKET",
    "HUB_CACHE_URL",
    "HUB_METRICS_TOKEN",
):
    os.environ.pop(name, None)

from hub.settings import *  # noqa: E402, F403  the settings under test
from hub.settings import CACHES, LOGGING, STATIC_ROOT  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING["handlers"]["console"]["formatter"] = "plain"  # type: ignore[index]

CACHES = {**CACHES, "shared": CACHES["default"]}  # `cache.clear()` in a test clears the counts too

STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns about a folder that is not there

FEDERATION_MEMORY = None  # every test has a database of its own; those about restored ones set a folder
