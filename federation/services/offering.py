"""
What goes to one peer because we say so: statements that are pushed, the hint that there is something new.

    push(peer, [statement, …], now=now)

Source: OPL-Fed/1, "Endpoints".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from federation.errors import Unable
from federation.models import Peer, RootDocument, Statement, ThisNode
from federation.protocol import limits, pushing, strictjson
from federation.protocol.exchange import Ask, Settled, Summary, Transport, drive
from federation.services import identities, receiving, standing, trusting
from federation.services.showing import Viewer
from federation.services.standing import Progress, Report


def push(
    peer: Peer,
    rows: Sequence[Statement],
    *,
    now: datetime,
    progress: Progress = standing.silent,
    carrier: Transport | None = None,
) -> Summary:
    """
    Offer statements, the root documents they need before them; only what the peer lacks is sent.

    Raises:
        TransportFailure, PeerRefused, PeerMisbehaved: the transaction can be repeated.
        Unable: something in them may not go to this peer.
    """
    node = standing.judge_ready(peer)
    viewer = Viewer.of(peer, node)
    wanted = [*roots_for(rows), *rows]
    for row in rows:
        if not viewer.may_be_sent(row):
            raise Unable(
                f"{row} may not go to {peer}: by its author's wish, its audience, or because it came from there"
            )
    lines = [row.line(numbered=False) for row in wanted if viewer.may_be_sent(row)]
    done = [0]

    def settle(step: Settled) -> None:
        done[0] += len(step.results)
        sent = [result.id for result in step.results if result.id is not None]
        size = sum(len(row.payload) for row in wanted if row.statement_id in set(sent))
        receiving.note_egress(peer, "push", sent, size, now=now)
        progress("pushed", done[0])

    return drive(pushing.push(lines), carrier or trusting.connect(peer), settle=settle)


def roots_for(rows: Sequence[Statement]) -> list[Statement]:
    """The root statements of everybody who signed these, oldest first."""
    signers = {row.signer for row in rows} | {row.predicate["origin"] for row in rows if row.kind == "release"}
    versions = dict(RootDocument.objects.filter(identity__in=signers).values_list("statement_id", "version"))
    found = Statement.objects.filter(kind="root", statement_id__in=list(versions))
    return sorted(found, key=lambda row: (row.signer, versions[row.statement_id]))


def poke(peer: Peer, *, carrier: Transport | None = None) -> None:
    """Tell a peer that there is something new."""
    node = identities.node()
    body = strictjson.dumps({"epoch": node.epoch, "seq": node.head})
    (carrier or trusting.connect(peer)).fetch(Ask(method="POST", path="/fed/v1/poke", body=body))
    Peer.objects.filter(pk=peer.pk).update(poked_seq=node.head)


def offer_lost(peer: Peer, found: Summary, through: Transport, report: Report, *, node: ThisNode) -> None:
    """What comparing showed the peer to lack: offered at once, where it may have it."""
    viewer = Viewer.of(peer, node)
    ids = sorted(found.have)[: 10 * limits.PUSH_ITEMS]
    rows = [
        row
        for start in range(0, len(ids), 400)
        for row in Statement.objects.filter(statement_id__in=ids[start : start + 400])
        if viewer.may_be_sent(row)
    ]
    if rows:
        lines = [row.line(numbered=False) for row in [*roots_for(rows), *(row for row in rows if row.kind != "root")]]
        report.pushed += drive(pushing.push(lines), through).accepted
