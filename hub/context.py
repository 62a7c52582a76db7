"""What every template may know about this hub."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def hub(request: HttpRequest) -> dict[str, Any]:
    """``simulated``: no key, so agents are simulated and every page says so; ``public_url``: this hub's address."""
    return {
        "simulated": settings.DEFAULT_BACKEND == "simulated",
        "public_url": settings.PUBLIC_URL,
        "registration_open": settings.REGISTRATION_OPEN,
        "theme": request.COOKIES.get("theme", "") if hasattr(request, "COOKIES") else "",
    }
