"""What the commands of runs read from their command line in the same way; CommandError, exit 2, where it cannot be meant."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from registry.models import User


def user_named(name: str) -> User | None:
    """The person of that name; without one the first administrator, None where there is none yet."""
    if not name:
        return User.objects.filter(is_superuser=True).order_by("pk").first()
    found = User.objects.filter(username=name).first()
    if found is None:
        raise CommandError(f"there is nobody called {name!r}", returncode=2)
    return found


def as_object(value: Any, option: str) -> dict[str, Any]:
    """The value of an option that is a JSON object."""
    if not isinstance(value, dict):
        raise CommandError(f"{option} is a JSON object, as in '{{\"rounds\": 2}}'", returncode=2)
    return value
