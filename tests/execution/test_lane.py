"""The asyncio lane: hundreds of questions under way in one process that holds few database connections."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import lane
from execution.agents.pacing import Window
from tests.conftest import refuse
from tests.servers import MissingService


@pytest.mark.slow
@pytest.mark.postgres
class TestLane:
    def test_has_five_hundred_under_way_on_at_most_eight_connections(self) -> None:
        try:
            figures = lane.figures()
        except MissingService as missing:
            refuse(missing)

        assert figures["peak"] >= 500
        assert 1 <= figures["connections"] <= 8


class TestWindow:
    def test_doubles_with_each_round_until_the_first_overload(self) -> None:
        window = Window(clock=lambda: 1.0, start=16)

        for _ in range(16 + 32 + 64):
            window.answered()

        assert window.size == 128

    def test_widens_by_one_a_round_after_an_overload(self) -> None:
        window = Window(clock=lambda: 1.0, start=32)
        window.overloaded(sent_at=1.0, retry_after=None)

        for _ in range(16):
            window.answered()

        assert 16.9 < window.size < 17.1

    def test_lets_no_more_through_than_its_size(self) -> None:
        async def through() -> int:
            window = Window(clock=lambda: 1.0, start=3)
            most = 0

            async def one() -> None:
                nonlocal most
                async with window.slot():
                    most = max(most, window.under_way)
                    await asyncio.sleep(0)

            await asyncio.gather(*(one() for _ in range(9)))
            return most

        assert asyncio.run(through()) == 3
