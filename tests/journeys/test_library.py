"""What ships: every document is without a problem, runs offline to success, and says what users need to choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tournament
from opl.check import check
from opl.script.rehearse import rehearse
from tests.conftest import ROOT

DOCUMENTS = sorted((ROOT / "library").glob("*.yaml"))
NAMED_STRATEGIES = {"swiss_pairing", "round_robin", "elimination", "unanimous", "majority", "ranked", "weighted"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
class TestDocument:
    def test_has_nothing_to_mend(self, path: Path) -> None:
        report = check(path.read_bytes(), file=path.name)

        assert [str(problem) for problem in report.problems] == []
        assert report.mode == "executable"

    def test_succeeds_offline(self, path: Path) -> None:
        outcome = rehearse(path.read_bytes(), file=path.name, seed=3)

        assert outcome.exit_status == 0, outcome.to_json()

    def test_says_when_to_use_it_and_what_success_is(self, path: Path) -> None:
        value = check(path.read_bytes()).document.value

        assert value["pattern"]["when_to_use"]
        assert value["pattern"]["when_not_to_use"]
        assert value["success_when"]
        assert value["score"]
        assert value["cost_seen"]


class TestLibrary:
    def test_has_the_patterns_and_strategies_of_the_specification(self) -> None:
        names = {path.stem for path in DOCUMENTS}

        assert names >= {f"strategy-{name}" for name in NAMED_STRATEGIES}
        assert names >= {
            "pipeline",
            "scatter_gather",
            "orchestrator_worker",
            "consensus",
            "self_improving",
            "map_reduce",
            "tournament",
            "tournament_v2",
            "evolutionary",
            "debate",
            "evaluation_pipeline",
            "improvement_cycle",
            "meta_orchestrator",
        }


class TestTournaments:
    @pytest.mark.slow
    def test_the_second_meets_its_target_and_beats_the_plain_one_on_the_same_players(self) -> None:
        score, quality, best, completions = tournament.measure()

        assert score.value > 0.75
        assert quality.reached
        assert best.reached
        assert completions.value <= 35
