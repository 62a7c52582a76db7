"""
Limits per caller and kind of request, told in RateLimit headers.

A window of one minute, counted in the cache ``shared`` that all web processes
use; the limits protect against runaway clients, they are no billing, and where
that cache is away nobody is refused. ``settings.API_THROTTLES`` replaces single
limits.

Source: draft-ietf-httpapi-ratelimit-headers
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
# Requests a minute: of a signed-in caller, and of an address without one.
LIMITS: dict[str, tuple[int, int]] = {
    "read": (120_000, 60_000),
    "search": (12_000, 6_000),
    "write": (1_200, 60),
    "publish": (3_000, 60),
    "tokens": (60, 10),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a caller has left in this window."""

    name: str  # of the limit
    limit: int  # requests in a window
    remaining: int  # 0 when the next one is refused
    reset_seconds: int  # until the window ends

    def headers(self) -> dict[str, str]:
        """The structured fields, and the three plain ones that older clients read."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset_seconds}',
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class ScopeThrottle(BaseThrottle):
    """Counts requests of one caller under the view's ``throttle_name``."""

    allowance: Allowance | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request; False when the caller has none left. The view finds the numbers on itself."""
        name = view.throttle_name_for(request)
        known, unknown = {**LIMITS, **getattr(settings, "API_THROTTLES", {})}[name]
        user = request.user
        limit = known if user.is_authenticated else unknown
        caller = f"user:{user.pk}" if user.is_authenticated else f"address:{self.get_ident(request)}"
        moment = int(time.time())
        window, used = divmod(moment, WINDOW_SECONDS)
        count = _count(f"throttle:{name}:{caller}:{window}")
        self.allowance = Allowance(
            name=name,
            limit=limit,
            remaining=max(0, limit - count),
            reset_seconds=WINDOW_SECONDS - used,
        )
        view.allowance = self.allowance
        return bool(count <= limit)

    def wait(self) -> float | None:
        """Seconds until the caller may try again."""
        return float(self.allowance.reset_seconds) if self.allowance else None


def _count(key: str) -> int:
    """How often this key was counted in its window, this time included; 1 where the cache is away."""
    counts = caches["shared"]
    try:
        for _ in range(2):
            try:
                return int(counts.incr(key))
            except ValueError:  # the first of its window, unless another process is just as fast
                if counts.add(key, 1, WINDOW_SECONDS * 2):
                    return 1
    except Exception:
        # Each cache has errors of its own kind, and none of them may close the hub.
        log.warning("no counts of requests: the shared cache does not answer", exc_info=True)
    return 1
