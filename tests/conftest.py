"""Fixtures that the whole suite shares: the documents beside the project, private servers, a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import servers

# No test depends on speed, and these machines are noisy.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

_missing: dict[str, int] = {}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of seeds and corpus beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A private Redis server for the session."""
    with service(servers.redis) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A private PostgreSQL server for the session, with an empty database."""
    with service(servers.postgres) as url:
        yield url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Debian's Chromium."""
    try:
        return servers.chromium()
    except servers.MissingService as missing:
        refuse(missing)


class service:
    """Start a private server, or skip (fail under REQUIRE_SERVICES=1) with the reason."""

    def __init__(self, start: object) -> None:
        self.start = start

    def __enter__(self) -> str:
        try:
            self.manager = self.start()  # type: ignore[operator]
            return str(self.manager.__enter__())
        except servers.MissingService as missing:
            refuse(missing)

    def __exit__(self, *details: object) -> None:
        self.manager.__exit__(*details)


def refuse(missing: servers.MissingService) -> None:
    """Skip for want of a service; where services are required, that is a failure."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{missing}, and REQUIRE_SERVICES=1", pytrace=False)
    _missing[str(missing)] = _missing.get(str(missing), 0) + 1
    pytest.skip(str(missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were left out for want of a service: a green run must not hide it."""
    skipped = terminalreporter.stats.get("skipped", [])
    wanting = [report for report in skipped if "is not installed" in str(report.longrepr)]
    if wanting:
        terminalreporter.write_line(f"{len(wanting)} tests were skipped because a service is missing", yellow=True)
