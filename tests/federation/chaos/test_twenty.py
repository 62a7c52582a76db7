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

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.chaos import evidence
from tests.federation.chaos.evidence import kept_on_failure
from tests.federation.chaos.fleet import NAMES, Fleet, Member, fleet
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

    def test_keep_the_evidence_of_a_day_that_fails(
        self, three: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of nodes that have met, and none of the others has heard of the keys of north."""
        monkeypatch.setattr(evidence, "KEPT", tmp_path / "kept")
        lost = at_first(three, tmp_path)
        for name in ("east", "west"):
            with contextlib.closing(sqlite3.connect(lost.members[name].database)) as rows, rows:
                rows.execute("DELETE FROM federation_statement WHERE signer = ?", [lost.members["north"].node_id])

        with pytest.raises(AssertionError, match="they do not agree") as raised, kept_on_failure(lost):
            raise AssertionError("they do not agree")

        told = str(raised.value)
        assert "north holds it: root" in told
        assert "(this node), via north, seq 1, is_announced" in told
        assert "west lacks it: stands at " in told
        assert "dead letter none" in told
        (kept,) = (tmp_path / "kept").iterdir()
        assert str(kept) in told
        assert {f"{name}.{what}" for name in NAMES for what in ("log", "sqlite3")} | {
            "told.txt", "events.log"
        } <= {each.name for each in kept.iterdir()}  # fmt: skip


def at_first(three: Fleet, folder: Path) -> Fleet:
    """The same nodes as they were after the handshakes, without processes."""
    members = {}
    for name, member in three.members.items():
        (folder / name).mkdir()
        shutil.copyfile(three.first[name], folder / name / "hub.sqlite3")
        (folder / name / "node.log").write_text("its last words")
        members[name] = Member(name, folder / name, member.port, member.proxy, node_id=member.node_id)
    return Fleet(folder, three.weather, members, three.first)
