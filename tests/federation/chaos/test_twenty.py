"""
Twenty bad days over real HTTP: three processes with databases and keys of their own, and a network that misbehaves.

Requests and answers are lost, cut, delayed, doubled, overtaken, bent and
exchanged; nodes are killed in the middle of an answer, wake up with an older
database, and run on wrong clocks. What happens follows from the seed; when it
happens is the machine's affair, so the verdict never depends on it: the nodes
have a time to agree, and must then hold the same, everything, once.
Together the schedules must have had every kind of move and of fault.

``make chaos SEEDS=0-59`` plays others than the first twenty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.federation.chaos.evidence import kept_on_failure
from tests.federation.chaos.fleet import Fleet, fleet
from tests.federation.chaos.schedule import Storm
from tests.federation.chaos.tally import Tally

FIRST, LAST = map(int, os.environ.get("CHAOS_SEEDS", "0-19").split("-"))
SEEDS = range(FIRST, LAST + 1)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """Shared by all workers of a test run; each has a folder of its own within that of the run."""
    own = tmp_path_factory.getbasetemp()
    return Tally((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "tally", of=SEEDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("twenty")
class TestThreeNodesOverHttp:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_agree_after_a_bad_day(self, three: Fleet, tally: Tally, seed: int) -> None:
        storm = Storm(three, seed)

        with kept_on_failure(three):
            storm.rage()
            storm.settle()
            storm.judge()

        tally.add(seed, storm.done, three.weather.happened)
        tally.judge()
