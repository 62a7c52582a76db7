"""The judgement on all schedules together can fail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.federation.chaos.proxy import WEIGHTS, Fault
from tests.federation.chaos.schedule import KINDS
from tests.federation.chaos.tally import Tally

MOVES = Counter(dict.fromkeys(KINDS, 1))
FAULTS = Counter(dict.fromkeys(WEIGHTS, 3)) + Counter({Fault.NONE: 60})


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    made = Tally(tmp_path / "tally", of=range(2))
    made.add(0, MOVES, FAULTS)
    return made


class TestATally:
    def test_knows_every_fault_by_its_weight(self) -> None:
        assert set(WEIGHTS) == set(Fault)
        assert all(WEIGHTS.values())

    def test_says_nothing_before_the_last_schedule(self, tally: Tally) -> None:
        tally.judge()

        assert not tally.is_complete()

    def test_is_content_where_everything_happened_in_some_schedule(self, tally: Tally) -> None:
        tally.add(1, {}, {Fault.NONE: 50})

        tally.judge()

        assert tally.is_complete()

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_misses_a_kind_of_move(self, tally: Tally, kind: str) -> None:
        tally.add(0, MOVES - Counter([kind]), FAULTS)
        tally.add(1, {kind: 0}, FAULTS)

        with pytest.raises(AssertionError, match=f"no schedule has .*{kind}"):
            tally.judge()

    @pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.NONE}))
    def test_misses_a_kind_of_fault(self, tally: Tally, fault: Fault) -> None:
        tally.add(0, MOVES, FAULTS - Counter({fault: 3}))
        tally.add(1, MOVES, {fault: 0, Fault.NONE: 50})

        with pytest.raises(AssertionError, match=f"no request has suffered .*{fault}"):
            tally.judge()

    def test_misses_requests_that_pass(self, tally: Tally) -> None:
        tally.add(1, MOVES, dict.fromkeys(Fault, 100))

        with pytest.raises(AssertionError, match="passed unharmed"):
            tally.judge()

    def test_misses_requests_at_all(self, tally: Tally) -> None:
        tally.add(1, MOVES, {})

        with pytest.raises(AssertionError, match="only 96 requests in 2 schedules"):
            tally.judge()
