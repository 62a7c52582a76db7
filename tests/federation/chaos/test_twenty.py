"""
Twenty bad days over real HTTP: three processes with databases and keys of their own, and a network that misbehaves.

Requests and answers are lost, cut, delayed, doubled, overtaken, bent and
exchanged; nodes are killed in the middle of an answer, wake up with an older
database, and run on wrong clocks. What happens follows from the seed; when it
happens is the machine's affair, so the verdict never depends on it: the nodes
have a time to agree, and must then hold the same, everything, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.federation.chaos.evidence import kept_on_failure
from tests.federation.chaos.fleet import Fleet, fleet
from tests.federation.chaos.schedule import Storm

SCHEDULES = 20
_done: Counter[str] = Counter()  # over all schedules of this process


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("twenty")
class TestThreeNodesOverHttp:
    @pytest.mark.parametrize("seed", range(SCHEDULES))
    def test_agree_after_a_bad_day(self, three: Fleet, seed: int) -> None:
        storm = Storm(three, seed)

        with kept_on_failure(three):
            storm.rage()
            storm.settle()
            storm.judge()

        _done.update(storm.done)
