"""
Two hubs on loopback, each a process with its own database and keys: the whole journey of a pattern.

Publish on one, peer by fingerprint, pull into quarantine, scan, admit, push a
fork back, yank, and see the tombstone arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.http.hubs import Hub, hub

SOURCE = """type: orchestration_pattern
name: vote
version: 1.0.0
dsl: |
  STATE rounds = 3
  RETURN rounds
"""
FORKED = SOURCE.replace("rounds = 3", "rounds = 5").replace("1.0.0", "1.1.0")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Hub]]:
    folder = tmp_path_factory.mktemp("nodes")
    with (
        hub("north", folder / "north", publisher="ada") as north,
        hub("south", folder / "south", publisher="bob") as south,
    ):
        yield north, south


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestTwoNodes:
    def test_exchange_a_pattern_its_fork_and_its_withdrawal(self, nodes: tuple[Hub, Hub], tmp_path: Path) -> None:
        north, south = nodes
        north.run("publish", write(tmp_path, "vote.yaml", SOURCE), "--as", "ada")

        words_of_north = north.json("node")["fingerprint"]
        words_of_south = south.json("node")["fingerprint"]
        south.json("peer", "add", north.url, "--label", "north", "--fingerprint", words_of_north, "--tier", "3")
        waiting = north.json("peer", "list")["peers"]
        assert [(peer["tier"], peer["fingerprint"]) for peer in waiting] == [(1, words_of_south)]
        north.json("peer", "approve", waiting[0]["node_id"], "--label", "south", "--fingerprint", words_of_south)

        north.json("peer", "sync", "south")
        pulled = south.json("pull", "north/ada/vote@1.0.0")["item"]
        assert pulled["state"] in ("held", "trial_queued"), pulled
        admitted = south.json("pull", "north/ada/vote@1.0.0", "--admit", "--reason", "looks fine")["item"]
        assert admitted["state"] == "admitted"
        name, _, version = admitted["admitted_as"].partition("@")
        assert version == "1.0.0"

        source = write(tmp_path, "fork.yaml", FORKED)
        south.run("fork", f"{name}@1.0.0", "--as", "bob", "--name", "ballot")
        south.run("publish", source, "--name", "ballot", "--as", "bob")
        pushed = south.json("push", "ballot@1.1.0", "--peer", "north")
        assert pushed["accepted"] >= 2, pushed
        assert south.json("push", "ballot@1.1.0", "--peer", "north")["accepted"] == 0
        north.json("node", "tick")
        fork = north.json("pull", "south/bob/ballot@1.1.0")["item"]
        assert fork["state"] in ("held", "trial_queued"), fork

        north.run("yank", "ada/vote@1.0.0", "--reason", "it counts wrong", "--as", "ada")
        north.json("node", "tick")
        report = south.json("peer", "sync", "north")["reports"][0]
        assert report["error"] == ""
        tombstone = south.json("pull", "north/ada/vote@1.0.0")["item"]
        assert tombstone["yanked"] == "it counts wrong"

    def test_a_stranger_is_told_that_its_key_is_unknown(self, nodes: tuple[Hub, Hub]) -> None:
        north, _ = nodes

        import httpx2

        answer = httpx2.get(f"{north.url}/fed/v1/changes", trust_env=False)

        assert answer.status_code == 401
        assert answer.json()["code"] == "bad-signature"
        assert answer.headers["signature"]
