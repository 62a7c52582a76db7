"""
What is kept and told of a schedule that failed, so that somebody can look for the cause afterwards.

    with kept_on_failure(fleet):
        …                                 # a schedule; where it fails, the error says where everything was kept
    text = missing(fleet)                 # each statement that not all nodes hold, and why each of the others has it not

A kept folder holds, of each node, the database as it was at the end, its log
of this schedule, its memory outside of the database and the backups it was
restored from; ``events.log`` tells what the moves and the proxies did, in
order; ``told.txt`` is the explanation.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.federation.chaos.fleet import ROOT, Fleet, Member

KEPT = Path(os.environ.get("CHAOS_KEPT", ROOT / "var" / "chaos"))
MOST_TOLD = 12  # statements


@contextlib.contextmanager
def kept_on_failure(fleet: Fleet) -> Iterator[None]:
    """Where what is inside fails: keep the evidence, and say in the error what is missing where, and the path."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as failure:  # the second is what a timeout raises
        told = f"{failure}\n{missing(fleet)}"
        raise AssertionError(f"{told}\neverything is kept in {keep(fleet, told)}") from failure


def keep(fleet: Fleet, told: str) -> Path:
    """Copy everything about the schedule under way to a place that outlives the test; answers which."""
    folder = KEPT / f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{fleet.weather.seed}-{os.getpid()}"
    folder.mkdir(parents=True)
    (folder / "told.txt").write_text(told)
    (folder / "events.log").write_text("\n".join(fleet.weather.log) + "\n")
    for name, member in fleet.members.items():
        member.copy_database(folder / f"{name}.sqlite3")
        (folder / f"{name}.log").write_text(member.log_of_this_schedule())
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(member.folder / "federation-feed.json", folder / f"{name}-federation-feed.json")
        for backup in [fleet.first[name], *fleet.folder.glob(f"{name}-{fleet.weather.seed}-*.sqlite3")]:
            shutil.copyfile(backup, folder / f"backup-{backup.name}")
    return folder


def missing(fleet: Fleet) -> str:
    """Every statement that some node lacks: what it is, who holds it how, and what the others know of it."""
    with contextlib.ExitStack() as open_files:
        books = {name: open_files.enter_context(_Book.of(member)) for name, member in fleet.members.items()}
        names = {member.node_id: name for name, member in fleet.members.items()}
        held = {name: book.ids() for name, book in books.items()}
        wanted = sorted(frozenset().union(*held.values()) - frozenset.intersection(*held.values()))
        told = [f"{len(wanted)} statements are not everywhere"] if wanted else []
        for statement in wanted[:MOST_TOLD]:
            holders = [name for name in books if statement in held[name]]
            told += [f"  {statement[:16]}", *(f"    {books[name].holding(statement, names)}" for name in holders)]
            for name in books.keys() - set(holders):
                for holder in holders:
                    told.append(f"    {books[name].lacking(statement, books[holder])}")
    return "\n".join(told)


class _Book:
    """One node's database, read with plain SQL."""

    def __init__(self, member: Member, rows: sqlite3.Connection) -> None:
        self.name, self.node_id, self.rows = member.name, member.node_id, rows

    @classmethod
    @contextlib.contextmanager
    def of(cls, member: Member) -> Iterator[_Book]:
        with contextlib.closing(sqlite3.connect(member.database, timeout=20)) as rows:
            rows.row_factory = sqlite3.Row
            yield cls(member, rows)

    def ids(self) -> frozenset[str]:
        return frozenset(row[0] for row in self.rows.execute("SELECT statement_id FROM federation_statement"))

    def _all(self, question: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rows.execute(question, values)]

    def _one(self, question: str, *values: Any) -> dict[str, Any]:
        return next(iter(self._all(question, *values)), {})

    def signer(self, identity: str) -> str:
        """Whose the signature is, as far as this node knows."""
        owner = self._one(
            "SELECT owner.name FROM federation_author AS author JOIN registry_owner AS owner ON owner.id = author.owner_id"
            " WHERE author.author_id = ?", identity,
        )  # fmt: skip
        own = " (its own author)" if owner else " (this node)" if identity == self.node_id else ""
        return identity[:13] + own

    def holding(self, statement: str, names: Mapping[str, str]) -> str:
        """How this node holds it."""
        row = self._one("SELECT * FROM federation_statement WHERE statement_id = ?", statement)
        item = self._one("SELECT state, reason FROM federation_quarantineitem WHERE statement_id = ?", row["id"])
        via = "→".join(names.get(each, each[:10]) for each in json.loads(row["via"]))
        marks = [each for each in ("is_announced", "is_held_back", "is_advice") if row[each]]
        about = f", target {row['target'][:16]}" if row["target"] else ""
        quarantine = f", in quarantine {item['state']}: {item['reason'][:80]}" if item else ""
        return (
            f"{self.name} holds it: {row['kind']} {row['subject_name']} {row['version']}{about}, text "
            f"{row['subject_digest'][:12]}, by {self.signer(row['signer'])}, via {via}, seq {row['seq']}, {' '.join(marks) or 'no marks'}, "
            f"received {row['received_at']}{quarantine}"
        )

    def lacking(self, statement: str, holder: _Book) -> str:
        """What this node knows that may explain why it has not got it from that holder."""
        row = holder._one("SELECT * FROM federation_statement WHERE statement_id = ?", statement)
        there = holder._one("SELECT epoch, head FROM federation_thisnode")
        here = self._one("SELECT epoch, head, doubted_epoch FROM federation_thisnode")
        to = self._one("SELECT * FROM federation_peer WHERE node_id = ?", holder.node_id)
        back = holder._one("SELECT * FROM federation_peer WHERE node_id = ?", self.node_id)
        dead = self._one("SELECT code, detail FROM federation_deadletter WHERE key = ?", statement)
        blocked = self._one("SELECT reason FROM federation_blockedauthor WHERE author_id = ?", row["signer"])
        same = self._all(
            "SELECT statement_id, seq, erased_at FROM federation_statement WHERE kind = 'release' AND signer = ?"
            " AND name = ? AND version = ?", row["signer"], row["name"], row["version"],
        )  # fmt: skip
        about = self._all("SELECT kind, statement_id, seq FROM federation_statement WHERE target = ?", statement)
        age = "that of the feed" if to["cursor_epoch"] == there["epoch"] else f"an older one, {to['cursor_epoch'][:8]}"
        return (
            f"{self.name} lacks it: stands at {to['cursor_seq']} of {there['head']} in {holder.name}'s feed, epoch {age}; "
            f"acknowledged there {back['acked_seq']}; must recover {bool(to['must_recover'])}, there {bool(back['must_recover'])}; "
            f"failures {to['failures']} {to['last_error']!r}; own epoch {here['epoch'][:8]} to {here['head']}"
            f"{', doubted' if here['doubted_epoch'] == here['epoch'] else ''}; dead letter {dead or 'none'}; "
            f"{'author blocked; ' if blocked else ''}in its via {self.node_id in json.loads(row['via'])}; "
            f"of the same version {[(each['statement_id'][:16], each['seq'], each['erased_at']) for each in same]}; "
            f"withdrawn here by {[(each['kind'], each['statement_id'][:16], each['seq']) for each in about]}"
        )
