"""System checks: what would make this hub unsafe or unable to work, said before it starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import Error, Tags, register


@register(Tags.security, deploy=True)
def no_loopback_in_production(app_configs: Any, **kwargs: Any) -> list[Error]:
    """FEDERATION_ALLOW_LOOPBACK opens the outgoing door to this machine; a public hub must not have it."""
    if settings.FEDERATION_ALLOW_LOOPBACK and settings.PUBLIC_URL.startswith("https://"):
        return [
            Error(
                "FEDERATION_ALLOW_LOOPBACK is set on a hub with a public https address",
                hint="Unset it: with it, a peer can make this hub talk to services on its own machine.",
                id="hub.E001",
            )
        ]
    return []


@register(Tags.security)
def keys_can_be_encrypted(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Signing keys are stored encrypted; without the key they cannot be made."""
    if settings.KEY_ENCRYPTION_KEY:
        return []
    return [
        checks.Warning(
            "HUB_KEY_ENCRYPTION_KEY is not set, so this hub cannot hold signing keys",
            hint="`make run` makes one for this machine; elsewhere export 32 random bytes as URL-safe base64.",
            id="hub.W001",
        )
    ]


@register(Tags.database)
def scaled_mode_needs_postgres(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Celery workers on several machines cannot share a SQLite file."""
    engine = settings.DATABASES["default"]["ENGINE"]
    if settings.WORKERS_EMBEDDED or engine.endswith("postgresql"):
        return []
    return [
        Error(
            "CELERY_BROKER_URL is set but DATABASE_URL is not PostgreSQL",
            hint="Set DATABASE_URL=postgres://…, or unset CELERY_BROKER_URL to run embedded workers.",
            id="hub.E002",
        )
    ]
