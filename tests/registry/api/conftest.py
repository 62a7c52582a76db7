"""A client that answers faults of ours with an exception, and calls with tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from registry.api import pinned
from registry.models import User
from tests.registry.factories import make_token, make_user


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Every test begins with unused limits."""
    cache.clear()
    pinned.KEPT.clear()
    yield
    cache.clear()


@pytest.fixture
def api() -> APIClient:
    """Nobody in particular."""
    return APIClient()


@pytest.fixture
def ada(db: Any) -> User:
    """A person who publishes."""
    return make_user("ada")


@pytest.fixture
def eve(db: Any) -> User:
    """A stranger."""
    return make_user("eve")


def as_user(user: User, *scopes: str) -> APIClient:
    """A client with a token of ``user``; publish and run by default."""
    client = APIClient()
    secret = make_token(user, *(scopes or ("publish", "run")), now=timezone.now())
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client
