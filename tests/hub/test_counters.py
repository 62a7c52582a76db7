"""Counts that several processes share, and the limits that are kept with them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import caches
from django.test import override_settings

from hub.counters import SharedCounters
from tests.conftest import ROOT

# A process of its own asks as an address without an account does, so often; it prints how many were answered.
ASKING = """
import django; django.setup()
from django.test import Client
from registry.api import throttles
throttles.WINDOW_SECONDS = 3600  # so that hardly a test run crosses the end of one
answers = [Client(REMOTE_ADDR="203.0.113.9").get("/api/v1/patterns").status_code for _ in range({count})]
print(sum(status == 200 for status in answers))
"""


@pytest.fixture
def counters(tmp_path: Path) -> SharedCounters:
    """Counts in a fresh file."""
    return SharedCounters(str(tmp_path / "deep" / "counters.sqlite3"), {})


def _count(path: str, times: int) -> None:
    own = SharedCounters(path, {})
    for _ in range(times):
        own.incr("a")


class TestSharedCounters:
    def test_lose_no_count_of_several_processes(self, counters: SharedCounters) -> None:
        counters.add("a", 0)
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=_count, args=(str(counters.path), 200)) for _ in range(2)]
        for other in others:
            other.start()
        _count(str(counters.path), 200)
        for other in others:
            other.join()

        assert counters.get("a") == 600

    def test_begin_once(self, counters: SharedCounters) -> None:
        assert counters.add("a", 1) is True
        assert counters.add("a", 1) is False
        assert counters.incr("a") == 2

    def test_begin_anew_when_their_time_is_over(self, counters: SharedCounters) -> None:
        counters.set("a", 7, timeout=-1)

        with pytest.raises(ValueError, match="not counted"):
            counters.incr("a")
        assert counters.add("a", 1, timeout=60) is True
        assert counters.get("a") == 1

    def test_refuse_what_is_no_count(self, counters: SharedCounters) -> None:
        with pytest.raises(TypeError, match="whole numbers"):
            counters.add("a", "text")

    def test_go_on_after_their_file_was_damaged(self, counters: SharedCounters) -> None:
        counters.path.parent.mkdir()
        counters.path.write_bytes(b"this is no database" * 100)

        assert counters.add("a", 1) is True
        assert counters.incr("a") == 2

    def test_forget_one_or_all(self, counters: SharedCounters) -> None:
        counters.add("a", 1)
        counters.add("b", 1)

        assert counters.delete("a") is True
        assert counters.delete("a") is False
        counters.clear()
        assert counters.get("b") is None


@pytest.fixture
def hub_environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What two web processes of one hub have in common."""
    url = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    yield {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.hub.limited_settings",
        "HUB_DATA": str(tmp_path),
        "DATABASE_URL": url,
    }


class TestLimits:
    def test_are_one_for_all_processes_of_a_hub(self, hub_environment: dict[str, str]) -> None:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=hub_environment, check=True, timeout=120
        )
        command = [sys.executable, "-c", ASKING.format(count=5)]
        answered = [
            int(subprocess.run(command, cwd=ROOT, env=hub_environment, check=True, capture_output=True).stdout)
            for _ in range(2)
        ]

        assert answered == [5, 3]

    @pytest.mark.django_db
    def test_refuse_nobody_where_the_shared_cache_is_away(self, client: object) -> None:
        from django.test import Client

        away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
        with override_settings(CACHES={"default": caches.settings["default"], "shared": away}):
            answer = Client().get("/api/v1/patterns")

        assert answer.status_code == 200
