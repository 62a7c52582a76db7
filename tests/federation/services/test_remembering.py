"""A restored database is noticed: by the file beside it, or by what peers give back; nobody can pretend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from federation.models import Peer, Statement, ThisNode
from federation.protocol.feed import Cursor
from federation.protocol.tiers import Tier
from federation.services import identities, remembering, storing, syncing, ticking, trusting
from registry.models import AuditEntry
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.memory import Held
from tests.federation.services.test_exchange import publish, share
from tests.federation.simulator import PeerSimulator

NOW = timezone.now()


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.FEDERATION_MEMORY = tmp_path
    return tmp_path / remembering.FILE


def go_back(*, to: int) -> list[Statement]:
    """The database of some time ago: what was made since is gone, the epoch is the same. Answers what was lost."""
    lost = list(Statement.objects.filter(seq__gt=to))
    for row in lost:
        row.delete() if not hasattr(row, "shared") else (row.shared.delete(), row.delete())
    ThisNode.objects.update(head=to)
    return lost


def epoch() -> str:
    return str(ThisNode.objects.get().epoch)


class TestTheFile:
    def test_is_written_once_numbers_are_committed(
        self, node: ThisNode, folder: Path, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            share(publish("one"))

        told = json.loads(folder.read_text())
        row = ThisNode.objects.get()
        assert (told["epoch"], told["head"], told["past"]) == (row.epoch, row.head, [])
        assert row.head == 3

    def test_never_goes_back(self, node: ThisNode, folder: Path) -> None:
        share(publish("one"))
        remembering.remember()
        go_back(to=1)

        remembering.remember()

        assert json.loads(folder.read_text())["head"] == 3

    def test_that_cannot_be_written_stops_nothing(self, node: ThisNode, settings: Any, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        settings.FEDERATION_MEMORY = tmp_path / "taken"

        remembering.remember()

        assert remembering.checked(identities.node()).epoch == node.epoch

    def test_of_another_node_says_nothing(self, node: ThisNode, folder: Path) -> None:
        told = {"node_id": "opln1" + "a" * 32, "epoch": node.epoch, "head": 900, "past": []}
        folder.write_text(json.dumps(told))

        assert remembering.checked(identities.node()).epoch == node.epoch

    @given(data=st.binary(max_size=200) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["node_id", "epoch", "head", "past"]) | st.text(), inner), max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()))  # fmt: skip
    @hypothesis_settings(max_examples=100)
    def test_may_hold_anything(self, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        from django.conf import settings
        from django.test import override_settings

        folder = tmp_path_factory.mktemp("memory")
        (folder / remembering.FILE).write_bytes(data)
        with override_settings(FEDERATION_MEMORY=folder):
            found = remembering.recall()
        assert found is None or isinstance(found, remembering.Memory)
        assert settings.FEDERATION_MEMORY is None


class TestAnOlderDatabase:
    @pytest.fixture
    def before(self, node: ThisNode, folder: Path) -> str:
        """The epoch of a feed whose newest two numbers are lost and remembered."""
        share(publish("one"), publish("two"))
        remembering.remember()
        go_back(to=3)
        return str(node.epoch)

    def test_gets_a_new_epoch_before_its_feed_is_served(self, before: str, remote: Remote) -> None:
        answer = remote.ask("GET", f"/fed/v1/changes?since={Cursor(before, 3)}")

        assert (answer.status_code, answer.json()["code"]) == (410, "cursor-reset")
        assert epoch() != before

    def test_names_the_new_epoch_in_its_well_known_document(self, before: str, remote: Remote) -> None:
        told = remote.client.get("/.well-known/opl-federation").json()

        assert told["epoch"] == epoch() != before

    def test_gets_it_in_the_first_round(self, before: str) -> None:
        ticking.tick(NOW)

        assert epoch() != before

    def test_reconciles_with_every_peer(self, before: str, remote: Remote) -> None:
        Peer.objects.update(acked_seq=3)

        remembering.checked(identities.node())

        row = remote.row
        assert (row.must_recover, row.acked_seq) == (True, 0)
        assert AuditEntry.objects.get(action="federation.restored").detail["how"].startswith("the head")

    def test_gets_it_once(self, before: str, django_capture_on_commit_callbacks: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            remembering.checked(identities.node())
        first = epoch()

        remembering.checked(identities.node())

        assert epoch() == first

    def test_is_noticed_in_a_past_epoch_too(
        self, node: ThisNode, folder: Path, django_capture_on_commit_callbacks: Any
    ) -> None:
        remembering.remember()
        with django_capture_on_commit_callbacks(execute=True):
            identities.restored(now=NOW)
        ThisNode.objects.update(epoch=node.epoch)  # a backup from before the first restore

        remembering.checked(identities.node())

        assert epoch() != node.epoch

    def test_is_not_seen_where_nothing_was_lost(self, node: ThisNode, folder: Path) -> None:
        share(publish("one"))
        remembering.remember()

        assert remembering.checked(identities.node()).epoch == node.epoch

    def test_is_not_seen_in_a_database_that_is_ahead(self, node: ThisNode, folder: Path) -> None:
        remembering.remember()
        share(publish("one"))

        assert remembering.checked(identities.node()).epoch == node.epoch


class TestWhatPeersRemember:
    def meet(self) -> tuple[Peer, PeerSimulator]:
        simulator = PeerSimulator(makers.node("client side"))
        peer = trusting.receive(simulator.identity.chain, {"base_url": "https://south.example"}, now=NOW)
        trusting.set_tier(peer, Tier.APPROVED, now=NOW)
        return peer, simulator

    def test_a_peer_past_the_head_is_asked_what_it_has(self, node: ThisNode, remote: Remote) -> None:
        answer = remote.ask("GET", f"/fed/v1/changes?since={Cursor(node.epoch, 99)}")

        assert answer.json()["code"] == "cursor-reset"
        assert remote.row.must_recover
        assert epoch() == node.epoch  # its word alone changes nothing

    def test_a_statement_of_ours_that_it_gives_back_proves_it(self, node: ThisNode, remote: Remote) -> None:
        share(publish("one"))
        lost = go_back(to=2)
        remote.ask("GET", f"/fed/v1/changes?since={Cursor(node.epoch, 3)}")
        peer, simulator = self.meet()
        Peer.objects.filter(pk=peer.pk).update(must_recover=True)
        for row in lost:
            simulator.node.store.held[row.statement_id] = Held(row.read(), (node.node_id, simulator.id))
            simulator.node.store.feed.append(row.statement_id)
        peer.refresh_from_db()

        syncing.sync(peer, now=NOW, carrier=simulator)

        assert epoch() != node.epoch
        assert Statement.objects.filter(statement_id=lost[0].statement_id).exists()

    def test_statements_of_others_prove_nothing(self, node: ThisNode, remote: Remote) -> None:
        remote.ask("GET", f"/fed/v1/changes?since={Cursor(node.epoch, 99)}")
        peer, simulator = self.meet()
        simulator.publish()
        Peer.objects.filter(pk=peer.pk).update(must_recover=True)
        peer.refresh_from_db()

        syncing.sync(peer, now=NOW, carrier=simulator)

        assert epoch() == node.epoch

    def test_without_a_doubt_nothing_is_judged(self, node: ThisNode) -> None:
        assert not remembering.judge_returned([node.node_id])

    def test_one_loss_is_one_new_epoch(self, node: ThisNode) -> None:
        remembering.doubt(node)

        assert remembering.judge_returned([node.node_id])
        assert not remembering.judge_returned([node.node_id])


def test_numbers_go_on_where_they_were(node: ThisNode, folder: Path) -> None:
    """After a new epoch the feed keeps its dense numbers."""
    share(publish("one"))
    identities.restored(now=NOW)
    share(publish("two"))
    storing.number()

    numbers = list(Statement.objects.order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
