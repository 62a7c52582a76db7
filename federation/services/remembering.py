"""
Noticing that the database was restored from a backup.

A restored database gives numbers out a second time: a peer that stands at 40
never learns what took the places from 36 on. A new epoch makes everybody
compare sets again. Two memories outside of the database tell of it:

- a small file in the data directory, written after numbers were given out:
  ``{"node_id", "epoch", "head", "past": [epochs]}``. Where the database is in
  a past epoch, or behind the head of this one, it is an older database.
- the peers: one that stands past the head of this very epoch raises a doubt,
  and a statement that only this node's keys can have signed, and that is not
  here, proves it. A peer alone cannot force a new epoch.

What neither remembers stays unnoticed; `manage.py node restored` says it.

    node = checked(node)       # before the feed is read or served

Source: OPL-Fed/1, "Feed rules"; docs/decisions/0131.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from federation.models import Author, ThisNode
from federation.services import identities

log = logging.getLogger(__name__)

FILE = "federation-feed.json"
MOST_PAST = 100  # epochs remembered
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the file says."""

    node_id: str
    epoch: str
    head: int  # highest number given out in this epoch
    past: tuple[str, ...]  # epochs before it, newest last

    def is_ahead_of(self, node: ThisNode) -> bool:
        """Whether this database is older than what is remembered."""
        if self.node_id != node.node_id:
            return False
        return node.epoch in self.past or (node.epoch == self.epoch and node.head < self.head)


def checked(node: ThisNode) -> ThisNode:
    """The node's row, in a new epoch where its database turns out to be an older one."""
    memory = recall()
    if memory is None or not memory.is_ahead_of(node):
        return node
    with transaction.atomic():
        # Looked at again under the lock: another process may have said so already, or moved on since.
        row = ThisNode.objects.select_for_update().get(pk=1)
        memory = recall()
        if memory is None or not memory.is_ahead_of(row):
            return row
        log.warning(
            "the database is at %s of the feed, number %s was given out before: it was restored; a new epoch begins",
            row.head, memory.head,
        )  # fmt: skip
        return identities.restored(now=timezone.now(), how="the head in the data directory is ahead")


def remember() -> None:
    """Write down how far the feed is; called after the numbers were committed."""
    path = _path()
    node = ThisNode.objects.filter(pk=1).only("node_id", "epoch", "head").first()
    if path is None or node is None:
        return
    before = recall()
    if before is not None and (before.is_ahead_of(node) or (before.epoch, before.head) == (node.epoch, node.head)):
        return
    past: tuple[str, ...] = ()
    if before is not None and before.node_id == node.node_id:
        past = before.past if before.epoch == node.epoch else (*before.past, before.epoch)[-MOST_PAST:]
    told = {"node_id": node.node_id, "epoch": node.epoch, "head": node.head, "past": past}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(told))
        temporary.replace(path)
    except OSError as error:
        log.warning("how far the feed is could not be written to %s: %s", path, error)


def recall() -> Memory | None:
    """What the file says; None where there is none, or none that can be read."""
    path = _path()
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError):
        return None
    return _read(told)


def doubt(node: ThisNode) -> None:
    """A peer stands past the head of the epoch we are in: it may have seen what is lost here."""
    ThisNode.objects.filter(pk=1, epoch=node.epoch).update(doubted_epoch=node.epoch)


def judge_returned(signers: Sequence[str]) -> bool:
    """
    Whether what came back from a peer proves that this database lost it; then a new epoch begins.

    Args:
        signers: of statements that a peer gave us and that were not here.
    """
    node = identities.node()
    if node.doubted_epoch != node.epoch:
        return False
    own = {node.node_id, *Author.objects.filter(author_id__in=signers).values_list("author_id", flat=True)}
    if not any(signer in own and identities.holds_keys_of(signer) for signer in signers):
        return False
    log.warning("a peer gave back statements that this node signed and does not have: its database was restored")
    identities.restored(now=timezone.now(), how="peers hold what this node signed")
    return True


def _read(told: Any) -> Memory | None:
    if not isinstance(told, dict):
        return None
    node_id, epoch, head, past = (told.get(name) for name in ("node_id", "epoch", "head", "past"))
    if not isinstance(node_id, str) or not isinstance(epoch, str) or not isinstance(head, int):
        return None
    return Memory(node_id=node_id, epoch=epoch, head=head, past=tuple(map(str, past)) if isinstance(past, list) else ())


def _path() -> Path | None:
    folder = getattr(settings, "FEDERATION_MEMORY", None)
    return Path(folder) / FILE if folder else None
