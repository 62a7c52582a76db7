"""
One of the two hubs of the federation benchmark: a process with its own database, told what to do on stdin.

    python -m benchmarks.federation_node FOLDER URL      # then lines of JSON: {"do": "seed", "count": 10000}

Every line is answered by one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

AUTHORS = 20
PATTERN_BYTES = 3_600


def document(number: int) -> str:
    """A pattern of about 3.6 KB; no two are alike."""
    head = f"type: orchestration_pattern\nname: pattern-{number}\nversion: 1.0.0\ndescription: Number {number} of many.\ndsl: |\n"
    line = '  EVENT completion:async {agent_id: "worker", prompt: "Solve part %d of task %d"} AS answer%d\n'
    body = ""
    part = 0
    while len(head) + len(body) < PATTERN_BYTES - 40:
        part += 1
        body += line % (part, number, part)
    return head + body + "  RETURN answer1\n"


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django.utils import timezone

    from federation.services import identities

    identities.create_node(now=timezone.now())
    for line in sys.stdin:
        asked = json.loads(line)
        answer = globals()[f"do_{asked.pop('do')}"](**asked)
        print(json.dumps(answer), flush=True)


def do_who() -> dict[str, Any]:
    from federation.services import identities

    chain = identities.chain_of(identities.node().node_id)
    assert chain is not None
    return {"node_id": chain.id, "fingerprint": chain.fingerprint}


def do_seed(count: int, first: int = 0) -> dict[str, Any]:
    """Signed releases straight into the feed, as publishing would have put them there."""
    from hashlib import sha256

    from django.utils import timezone

    from federation.models import Statement
    from federation.protocol import fields, statement
    from federation.protocol.kinds import Subject
    from federation.services import identities, storing
    from opl.document.envelopes import read
    from registry.models import Owner

    now, node = timezone.now(), identities.node()
    owners = [Owner.objects.get_or_create(name=f"author{n}")[0] for n in range(AUTHORS)]
    authors = [identities.author_of(owner, now=now) for owner in owners]
    keys = [identities.publish_keys(author.author_id)[:1] for author in authors]
    rows = []
    for number in range(first, first + count):
        source, who = document(number), number % AUTHORS
        digest = sha256(source.encode()).hexdigest()
        found = read(source.encode()).document
        assert found is not None
        predicate = {
            "author": authors[who].author_id, "origin": node.node_id, "name": f"author{who}/pattern-{number}",
            "version": "1.0.0", "source": source, "source_digest": digest, "semantic_digest": found.semantic_digest,
            "requires": {"events": ["completion:async"], "roles": [], "functions": []},
            "lineage": {"parents": [], "op": "new"}, "learned_from": None, "license": None, "topics": [],
            "propagate": "public", "created": fields.written(int(now.timestamp())),
        }  # fmt: skip
        signed = statement.sign("release", predicate, subject=Subject(predicate["name"], digest), signers=keys[who])
        rows.append(storing.row_of(signed, via=[node.node_id], now=now, is_announced=True))
    Statement.objects.bulk_create(rows, batch_size=400)
    return {"head": storing.number()}


def do_cut() -> dict[str, Any]:
    """Segments of what is in the feed, as every round writes them."""
    from django.utils import timezone

    from federation.services import segmenting

    return {"segments": segmenting.cut(now=timezone.now())}


def do_add(url: str) -> dict[str, Any]:
    from django.utils import timezone

    from federation.protocol.tiers import Tier
    from federation.services import trusting

    peer = trusting.add(url=url, now=timezone.now(), tier=Tier.PROBATION)
    return {"peer": peer.node_id}


def do_approve(node_id: str) -> dict[str, Any]:
    from django.utils import timezone

    from federation.protocol.tiers import Tier
    from federation.services import trusting

    trusting.set_tier(trusting.find(node_id), Tier.PROBATION, now=timezone.now())
    return {}


def do_sync(node_id: str) -> dict[str, Any]:
    """One pull; how long it took until everything was received, verified and stored."""
    from django.utils import timezone

    from federation.services import quotas, syncing, trusting

    quotas.is_spent = lambda peer, *, now: False  # the share of a day is not what is measured
    peer = trusting.find(node_id)
    start, used = time.perf_counter(), time.process_time()
    report = syncing.sync(peer, now=timezone.now())
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "lines": report.lines, "accepted": report.accepted,
            "error": report.error}  # fmt: skip


def do_scan() -> dict[str, Any]:
    """Read and scan everything that waits."""
    from django.utils import timezone

    from federation.services import ticking

    start, used = time.perf_counter(), time.process_time()
    count = ticking.scan_all(now=timezone.now())
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "count": count}


def do_dead(url: str, count: int) -> dict[str, Any]:
    """Peers that take a connection and never answer; they have failed once before."""
    from datetime import timedelta

    from django.utils import timezone

    from federation.models import Peer
    from federation.protocol.tiers import Tier

    now = timezone.now()
    Peer.objects.bulk_create(
        Peer(node_id=f"opln1{n:0>32}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d"),
             base_url=url, tier=int(Tier.APPROVED), failures=1, failing_since=now - timedelta(minutes=2),
             next_try_at=now - timedelta(seconds=1), created_at=now, approved_there=True, label=f"dead {n}")
        for n in range(count)
    )  # fmt: skip
    return {}


def do_round(node_id: str) -> dict[str, Any]:
    """How long one round takes until the live peer was talked to."""
    from django.db import connection
    from django.utils import timezone

    from federation.models import Peer
    from federation.services import syncing, ticking

    Peer.objects.filter(node_id=node_id).update(next_try_at=timezone.now(), busy_until=None)
    done, honest, ended = threading.Event(), syncing.sync, [0.0]

    def timed(peer: Any, **given: Any) -> Any:
        report = honest(peer, **given)
        if peer.node_id == node_id:
            ended[0] = time.perf_counter()
            done.set()
        return report

    ticking.syncing.sync = timed
    due = list(Peer.objects.due(timezone.now()))
    start = time.perf_counter()

    def talk() -> None:
        ticking.talk(due, now=timezone.now())
        connection.close()

    threading.Thread(target=talk, daemon=True).start()
    done.wait(60)
    ticking.syncing.sync = honest
    return {"seconds": ended[0] - start, "peers": len(due)}


if __name__ == "__main__":
    main()
