"""Peers: signed patterns, verdicts and statistics, exchanged and judged."""

from __future__ import annotations

from datetime import datetime

from django.apps import AppConfig

TICK_SECONDS = 3.0


class FederationConfig(AppConfig):
    """Peers, quarantine, and what leaves this node."""

    name = "federation"
    verbose_name = "Federation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add what our pages add to others; let the embedded workers do the federation's rounds."""
        from execution import rounds
        from execution.services import reporting
        from federation.services import attesting, statistics
        from federation.web import own_panels
        from registry.discovery import voices

        own_panels.add()
        reporting.SIGNERS.append(attesting.sign)
        reporting.NAMERS.append(attesting.name)
        reporting.VERIFIERS.append(attesting.verify)
        voices.NODE_WEIGHTS.append(statistics.weights_of)
        rounds.register("federation", every_seconds=TICK_SECONDS, call=_tick)
        rounds.register("federation-revocations", every_seconds=TICK_SECONDS, call=_poll)


def _tick(now: datetime) -> None:
    """One round; imported when it is due, so that commands start fast."""
    from federation.services import ticking

    ticking.tick(now)


def _poll(now: datetime) -> None:
    """Peers that are due are asked for withdrawals."""
    from federation.services import polling

    polling.poll(now)
