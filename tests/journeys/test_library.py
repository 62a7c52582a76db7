"""What ships: every document is without a problem, runs offline to success, and says what users need to choose."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from benchmarks import tournament
from benchmarks.tournament import Population
from opl.check import check
from opl.script.rehearse import rehearse
from registry.models import User
from registry.services import libraries
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
        assert outcome.to_json()["warnings"] == []

    def test_says_when_to_use_it_and_what_success_is(self, path: Path) -> None:
        value = check(path.read_bytes()).document.value

        assert value["pattern"]["when_to_use"]
        assert value["pattern"]["when_not_to_use"]
        assert value["success_when"]
        assert value["score"]
        assert set(value["cost_seen"]) == {"completions", "tokens", "runs", "agents", "formula"}

    def test_says_what_each_input_is(self, path: Path) -> None:
        value = check(path.read_bytes()).document.value

        fields = value["parameters"]["properties"]
        assert fields and all(field["description"] for field in fields.values())


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


@pytest.mark.django_db(transaction=True)
class TestRuns:
    """On a hub, from the defaults, judged by the documents' own words: rehearsal does not read these."""

    @pytest.fixture
    def library(self) -> None:
        User.objects.create_superuser("root", password="x")
        libraries.load(folder=ROOT / "library", now=timezone.now())

    def measured(self, runs: int, *options: str) -> dict[str, Any]:
        out = io.StringIO()
        call_command("measure", "library", "--runs", str(runs), "--json", *options, stdout=out)
        body: dict[str, Any] = json.loads(out.getvalue())
        return body

    def test_succeed_and_are_scored(self, library: None) -> None:
        seen = {one["pattern"]: one for one in self.measured(3)["seen"]}

        assert len(seen) == len(DOCUMENTS)
        assert [name for name, one in seen.items() if one["succeeded"] == 0] == []
        assert [name for name, one in seen.items() if one["score"] is None] == []

    @pytest.mark.slow
    def test_take_what_the_documents_say_was_seen(self, library: None, tmp_path: Path) -> None:
        copied = shutil.copytree(ROOT / "library", tmp_path / "library")

        assert self.measured(20, "--write", str(copied))["written"] == []


class TestTournaments:
    """A wind tunnel: simulated players, who are drawn without regard to who asks them."""

    def test_beat_each_other_as_the_design_says(self) -> None:
        found = tournament.compared(tournament.POPULATIONS[0], seeds=60)

        assert fmean(one.completions for one in found.second) <= fmean(one.completions for one in found.plain)
        assert fmean(found.contrasts) > 0
        assert found.better < 0.1

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_the_second_meets_its_target_and_finds_better_winners_over_200_seeds(self) -> None:
        usual = tournament.POPULATIONS[0]
        equal, defaults = tournament.compared(usual), tournament.compared(usual, tests_each=None)

        assert fmean(one.score for one in defaults.second) > 0.75
        assert equal.better < 0.01 and defaults.better < 0.01
        assert fmean(one.completions for one in equal.second) <= fmean(one.completions for one in equal.plain)
        assert fmean(one.completions for one in defaults.second) < 0.8 * fmean(
            one.completions for one in defaults.plain
        )

    def test_change_the_difficulty_when_leaders_cluster_and_when_time_runs_out(self) -> None:
        strong = Population(name="all strong", simulation={"ability": 3.0})
        slow = Population(name="all slow", simulation={"ability": 0.0, "latency": 80})

        assert difficulties(strong)[-1] > 0.7
        assert min(difficulties(slow)) < 0.4

    def test_spend_nothing_on_a_round_that_can_change_nothing(self) -> None:
        unequal = {"player_1": 9.0}
        asked = tournament.played("tournament_v2", Population(name="one giant", abilities=unequal), 1, 1)

        assert asked.is_best and asked.completions < 27


def difficulties(population: Population) -> list[float]:
    """Of the tests that one v2 asks, in their order, without the confirmation."""
    told: list[float] = []
    tournament.played("tournament_v2", population, 1, 1, watch=lambda effect: told.append(effect["data"]["difficulty"]))
    return told[:-3]
