"""Other ways than the feed: bundles, segments, lenses, usage; and the long poll."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.utils import timezone

from federation.errors import BadBundle, Unable
from federation.models import Peer, PublishedPeriod, QuarantineItem, Segment, Statement, ThisNode
from federation.protocol import feed, limits
from federation.protocol.kinds import PERIOD_SECONDS
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import (
    backfilling,
    bundling,
    identities,
    segmenting,
    statistics,
    ticking,
    translating,
)
from federation.transport import unpacked
from registry.models import LineageEdge, Outcome
from tests.federation import makers
from tests.federation.conftest import Remote, honest_release
from tests.federation.services.test_exchange import publish, share
from tests.registry import factories


def quiet(what: str, count: int) -> None:
    return None


class TestABundle:
    def write(self, path: Path, remote: Remote, *statements: Any, signer: Any = None) -> Path:
        """A bundle as another node would write it; without a signer, as anybody could."""
        head = {
            "bundle": bundling.FORMAT,
            "node_id": remote.identity.id,
            "created": "2027-01-15T08:00:00Z",
            "count": len(statements),
        }
        lines = [
            json.dumps(head).encode(),
            *(feed.line(each, via=[remote.identity.id]).to_bytes() for each in statements),
        ]
        content = b"\n".join(lines) + b"\n"
        if signer is not None:
            digest = sha256(content).hexdigest()
            sig = base64.b64encode(signer.sign(f"{bundling.FORMAT}\n{digest}".encode())).decode()
            end = {"end": bundling.FORMAT, "sha256": digest, "sig": [{"keyid": signer.keyid, "sig": sig}]}
            content += json.dumps(end, separators=(",", ":")).encode() + b"\n"
        path.write_bytes(zstandard.ZstdCompressor().compress(content))
        return path

    def brought(self, path: Path) -> State:
        """Where the only release of a bundle stands after the scan."""
        bundling.import_(path, now=timezone.now(), progress=quiet)
        ticking.scan_all(now=timezone.now())
        return QuarantineItem.objects.get().current

    def test_signed_by_a_peer_of_the_own_organisation_is_admitted(self, make_remote: Any, tmp_path: Path) -> None:
        own = make_remote(tier=Tier.OWN)
        given = [*own.introduced(), own.release()]

        path = self.write(tmp_path / "b.zst", own, *given, signer=own.identity.publish[0])

        assert self.brought(path) is State.ADMITTED

    def test_that_only_says_it_is_of_such_a_peer_is_held(self, make_remote: Any, tmp_path: Path) -> None:
        own = make_remote(tier=Tier.OWN)

        path = self.write(tmp_path / "b.zst", own, *own.introduced(), own.release())

        assert self.brought(path) is State.HELD
        assert QuarantineItem.objects.get().peer is None

    def test_signed_by_another_key_is_held(self, make_remote: Any, tmp_path: Path) -> None:
        own, given = make_remote(tier=Tier.OWN), makers.secret("a thief")

        path = self.write(tmp_path / "b.zst", own, *own.introduced(), own.release(), signer=given)

        assert self.brought(path) is State.HELD

    @pytest.mark.parametrize("where", ["before the signature", "behind it"])
    def test_with_something_put_in_is_held(self, make_remote: Any, tmp_path: Path, where: str) -> None:
        own, eve = make_remote(tier=Tier.OWN), makers.author("eve")
        path = self.write(tmp_path / "b.zst", own, *own.introduced(), signer=own.identity.publish[0])
        added = b"".join(
            feed.line(each, via=[own.identity.id]).to_bytes() + b"\n"
            for each in (*eve.statements, honest_release(eve, own.identity))
        )
        content = unpacked(path.read_bytes())
        place = content.rindex(b'{"end"') if where == "before the signature" else len(content)

        path.write_bytes(zstandard.ZstdCompressor().compress(content[:place] + added + content[place:]))

        assert self.brought(path) is State.HELD

    def test_of_this_node_carries_its_signature(self, node: ThisNode, tmp_path: Path) -> None:
        share(publish("open"))
        path = tmp_path / "out.zst"
        bundling.export(path, bundling.choose(), now=timezone.now(), progress=quiet)
        Peer.objects.create(node_id=node.node_id, created_at=timezone.now(), next_try_at=timezone.now())

        sender, peer = bundling.maker(path)

        assert sender == node.node_id
        assert peer is not None, "its own signature must hold"

    def test_that_cannot_be_written_says_why(self, node: ThisNode, tmp_path: Path) -> None:
        with pytest.raises(Unable, match="cannot be written: No such file"):
            bundling.export(tmp_path / "none" / "b", [], now=timezone.now(), progress=quiet)

    def test_goes_through_the_same_checks_as_a_push(self, remote: Remote, tmp_path: Path) -> None:
        good, bad = remote.release(), remote.release(version="1.0.1", semantic_digest="0" * 64)
        path = self.write(tmp_path / "b.zst", remote, *remote.introduced(), good, bad)

        outcomes = bundling.import_(path, now=timezone.now(), progress=quiet)

        assert [each.status for each in outcomes] == ["accepted", "accepted", "accepted", "rejected"]
        assert outcomes[-1].code == "digest-mismatch"
        assert QuarantineItem.objects.get().statement.statement_id == good.id

    def test_of_a_stranger_is_held_for_a_person(self, node: ThisNode, tmp_path: Path) -> None:
        stranger = Remote(makers.node("a stranger with a disk"))
        path = self.write(tmp_path / "b.zst", stranger, *stranger.introduced(), stranger.release())

        bundling.import_(path, now=timezone.now(), progress=quiet)
        ticking.scan_all(now=timezone.now())

        assert QuarantineItem.objects.get().current is State.HELD

    def test_read_twice_is_all_duplicates(self, remote: Remote, tmp_path: Path) -> None:
        path = self.write(tmp_path / "b.zst", remote, *remote.introduced(), remote.release())
        bundling.import_(path, now=timezone.now(), progress=quiet)

        outcomes = bundling.import_(path, now=timezone.now(), progress=quiet)

        assert {each.status for each in outcomes} == {"duplicate"}

    def test_holds_what_is_public_with_the_keys_it_needs(self, node: ThisNode, tmp_path: Path) -> None:
        share(publish("open"), publish("ours", visibility="org"))
        path = tmp_path / "out.zst"

        count = bundling.export(path, bundling.choose(), now=timezone.now(), progress=quiet)

        lines = [json.loads(line) for line in unpacked(path.read_bytes()).splitlines()]
        kinds = [line["k"] for line in lines[1:-1]]
        assert count == len(kinds)
        assert kinds.count("release") == 1
        assert kinds.index("release") > max(n for n, kind in enumerate(kinds) if kind == "root")

    def test_of_one_pattern_holds_nothing_else(self, node: ThisNode) -> None:
        one, _ = share(publish("one"), publish("two"))

        rows = bundling.choose(names=[one.subject_name])

        assert [row.pk for row in rows] == [one.pk]

    @pytest.mark.parametrize(
        "content", [b"", b"nonsense", b"\x28\xb5\x2f\xfd\x00", zstandard.compress(b'{"bundle": "other"}\n')]
    )
    def test_anything_else_is_refused_in_words(self, node: ThisNode, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "bad.zst"
        path.write_bytes(content)

        with pytest.raises(BadBundle):
            bundling.import_(path, now=timezone.now(), progress=quiet)


class TestSegments:
    def test_hold_the_feed_for_whoever_reads_it_first(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SEGMENT_ITEMS", 4)
        share(*(publish(f"pattern{n}") for n in range(6)))

        assert segmenting.cut(now=timezone.now()) == 3

        listed = remote.ask("GET", "/fed/v1/segments").json()["segments"]
        assert [(each["first"], each["last"]) for each in listed] == [(1, 4), (5, 8), (9, 12)]
        data = remote.ask("GET", f"/fed/v1/segments/{listed[0]['sha256']}").content
        assert [json.loads(line)["seq"] for line in unpacked(data).splitlines()] == [1, 2, 3, 4]
        assert len(data) == listed[0]["bytes"]

    def test_leave_out_what_not_everybody_may_see(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SEGMENT_ITEMS", 4)
        share(publish("ours", visibility="org"), publish("open"), publish("open2"))

        segmenting.cut(now=timezone.now())

        found = [json.loads(line) for row in Segment.objects.all() for line in unpacked(bytes(row.data)).splitlines()]
        assert not [line for line in found if line["k"] == "release" and "ours" in line["p"]]

    def test_are_read_at_the_first_meeting(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SEGMENT_ITEMS", 4)
        share(*(publish(f"pattern{n}") for n in range(6)))
        segmenting.cut(now=timezone.now())
        taken: list[Any] = []

        own = identities.node()
        backfilling.backfill(
            Peer(node_id=own.node_id), remote, taken.append, own=remote.identity.id, is_spent=lambda: False
        )

        assert sum(len(step.lines) for step in taken) == 12
        assert taken[-1].cursor == feed.Cursor(own.epoch, 12)
        assert all(isinstance(line, feed.Line) for step in taken for line in step.lines)


class TestALens:
    def test_of_ksi_makes_a_derived_fork_that_a_yank_reaches(self, make_remote: Callable[..., Remote]) -> None:
        source = (
            "component_type: orchestration\nname: tournament\nversion: 1.0.0\nagents:\n  judge:\n    profile: components/agents/judge\n"
            "orchestration_logic:\n  strategy: |\n"
            '    EVENT completion:request {agent_id: "judge", prompt: "Vote"} AS vote\n    RETURN vote.output\n'
        )
        remote = make_remote(tier=Tier.OWN)
        requires = {"events": ["completion:request"], "roles": [], "functions": []}
        remote.push(
            *remote.introduced(), made := remote.release(source=source, name="ada/tournament", requires=requires)
        )
        ticking.scan_all(now=timezone.now())
        item = QuarantineItem.objects.get()
        assert (item.current, item.fit, item.missing) == (State.HELD, "needs-lens", {"events": ["completion:request"]})
        assert item.lenses == ["ksi-vocabulary"]

        from federation.services import quarantining

        bob = factories.make_admin("bob")
        origin = quarantining.approve(item, reason="", now=timezone.now(), actor=bob)
        published = translating.apply(
            version=origin, lens_name="ksi-vocabulary", owner=bob.own_owner, user=bob, now=timezone.now(), via="api"
        )
        fork = published.versions[0].version
        assert "completion:async" in fork.text
        assert LineageEdge.objects.filter(
            child_digest=fork.digest, parent_digest=origin.digest, op="translate"
        ).exists()
        assert origin.text == source

        remote.push(makers.withdrawal("yank", remote.author, made.id))

        fork.refresh_from_db()
        assert fork.yank_reason == "it loops"


class TestUsage:
    def outcomes(self, *, people: int, runs: int) -> Any:
        version = publish("popular")
        users = [factories.make_user() for _ in range(people)]
        now = timezone.now()
        Outcome.objects.bulk_create(
            Outcome(run_key=f"run-{n}", version=version, source="measured", cell="task=review", succeeded=n % 4 != 0,
                    reporter=users[n % people], ended_at=now)
            for n in range(runs)
        )  # fmt: skip
        return version

    def test_leaves_as_exact_counts_for_the_organisation(self, node: ThisNode) -> None:
        version = self.outcomes(people=5, runs=40)

        assert statistics.publish(now=timezone.now()) == 1

        row = Statement.objects.get(kind="usage")
        assert (row.predicate["runs"], row.predicate["success"], row.audience) == (40, 30, "org")
        assert row.predicate["digest"] == version.digest
        assert statistics.publish(now=timezone.now()) == 0

    @pytest.mark.parametrize(("people", "runs"), [(4, 40), (5, 19)])
    def test_of_too_few_does_not_leave(self, node: ThisNode, people: int, runs: int) -> None:
        self.outcomes(people=people, runs=runs)

        assert statistics.publish(now=timezone.now()) == 0

    def test_is_noised_once_for_a_finished_period(self, node: ThisNode) -> None:
        ThisNode.objects.update(profile="public")
        self.outcomes(people=60, runs=1_200)
        later = timezone.now() + timedelta(seconds=PERIOD_SECONDS)

        first = statistics.publish(now=later)

        assert first == 1
        assert Statement.objects.get(kind="usage").predicate["epsilon"] == 1.0
        assert statistics.publish(now=later) == 0
        assert PublishedPeriod.objects.get().epsilon == 1.0
