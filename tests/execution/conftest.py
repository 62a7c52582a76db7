"""What every test of execution starts from: nothing in memory that an earlier test left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from execution.agents import roster
from execution.models import stored
from execution.services import counting, engine, faults, observing, profiles, sessions
from tests.execution.factories import Clock


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """Whatever a process remembers of rows is forgotten with them."""
    forget()
    yield
    faults.hook = None
    forget()


def forget() -> None:
    """As a new process would begin."""
    sessions.drop_all()
    counting.forget()
    observing._cleared["at"] = 0
    engine.forget_programs()
    stored.forget_seen()
    profiles.forget_profiles()
    roster.forget()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture(autouse=True)
def no_commit_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL live trials leave runs two seconds to commit; here the clock stands still and nobody else writes."""
    from datetime import timedelta

    from execution.services import enrolling

    monkeypatch.setattr(enrolling, "COMMIT_LAG", timedelta(0))
