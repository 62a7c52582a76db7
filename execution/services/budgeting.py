"""
Budgets: held back before a request is sent, settled after it, along the chain.

The chain of a run is itself, its parent and further up, and the owner's
budget. A run without parent and without an owner's budget settles in its own
row only, which the advance writes anyway; ``policy["chained"]`` marks the others.
All columns change by addition, so that workers never overwrite each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from execution.agents.base import Reservation
from execution.services import sessions
from execution.services.drafting import Draft
from execution.services.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not sent."""

    limit: str  # tokens or money
    allowed: float  # tokens, or US dollars
    left: float  # of that, when the request was looked at
    wanted: float  # the most that the request may take
    whose: str  # "this run", "run 7 above it", "its owner"
    may_free: bool  # other requests are under way and may take less than they hold

    def reason(self, seq: int) -> str:
        """What is told about the request of event ``seq``."""
        allowed, left, wanted = (self._amount(value) for value in (self.allowed, self.left, self.wanted))
        return (
            f"the budget of {allowed} of {self.whose} has {left.partition(' ')[0]} left, and the next request"
            f" (event {seq}) may take {wanted.partition(' ')[0]}: it was not sent;"
            " branch off with a larger budget to go on"
        )

    def _amount(self, value: float) -> str:
        return f"{int(value):,} tokens" if self.limit == "tokens" else f"{value:,.6g} US dollars"


def levels(cursor: Any, run_id: int) -> Iterator[tuple[str, int]]:
    """The chain of a run: ``(table, id)`` from the run itself up to the owner's budget."""
    current: int | None = run_id
    owner: int | None = None
    while current is not None:
        yield "execution_run", current
        cursor.execute("SELECT parent_id, owner_id FROM execution_run WHERE id = %s", [current])
        row = cursor.fetchone()
        if row is None:
            break
        current, owner = row
    if owner is not None:
        cursor.execute("SELECT id FROM execution_ownerbudget WHERE owner_id = %s", [owner])
        row = cursor.fetchone()
        if row is not None:
            yield "execution_ownerbudget", row[0]


def reserve(cursor: Any, run_id: int, wanted: Reservation) -> Refusal | None:
    """
    Hold ``wanted`` back on every level, or on none; call it in the transaction that claims.

    On SQLite that transaction has the database to itself; on PostgreSQL the
    updated rows stay locked until it ends, child before parent everywhere.
    """
    held: list[tuple[str, int]] = []
    for table, row_id in list(levels(cursor, run_id)):
        cursor.execute(
            f"UPDATE {table} SET tokens_reserved = tokens_reserved + %s, cost_reserved = cost_reserved + %s"  # noqa: S608
            " WHERE id = %s AND (tokens_limit IS NULL OR tokens_used + tokens_reserved + %s <= tokens_limit)"
            " AND (cost_limit IS NULL OR cost_used + cost_reserved + %s <= cost_limit)",
            [wanted.tokens, wanted.cost_micros, row_id, wanted.tokens, wanted.cost_micros],
        )
        if cursor.rowcount != 1:
            whose = "its owner" if table != "execution_run" else "this run" if not held else f"run {row_id} above it"
            refusal = _why(cursor, table, row_id, wanted, whose)
            for held_table, held_id in held:
                add(cursor, held_table, held_id, reserved_tokens=-wanted.tokens, reserved_cost=-wanted.cost_micros)
            return refusal
        held.append((table, row_id))
    return None


def _why(cursor: Any, table: str, row_id: int, wanted: Reservation, whose: str) -> Refusal:
    cursor.execute(
        f"SELECT tokens_limit, tokens_used, tokens_reserved, cost_limit, cost_used, cost_reserved FROM {table}"  # noqa: S608
        " WHERE id = %s",
        [row_id],
    )
    tokens_limit, tokens_used, tokens_held, cost_limit, cost_used, cost_held = cursor.fetchone()
    if tokens_limit is not None and tokens_used + tokens_held + wanted.tokens > tokens_limit:
        limit, most, used, held, asked, unit = "tokens", tokens_limit, tokens_used, tokens_held, wanted.tokens, 1
    else:
        limit, most, used, held, asked, unit = "money", cost_limit, cost_used, cost_held, wanted.cost_micros, 1_000_000
    return Refusal(
        limit=limit,
        allowed=most / unit,
        left=max(most - used - held, 0) / unit,
        wanted=asked / unit,
        whose=whose,
        may_free=held > 0 and used + asked <= most,
    )


def add(
    cursor: Any,
    table: str,
    row_id: int,
    *,
    tokens: int = 0,
    cost: int = 0,
    reserved_tokens: int = 0,
    reserved_cost: int = 0,
) -> None:
    """Add to one level."""
    cursor.execute(
        f"UPDATE {table} SET tokens_used = tokens_used + %s, cost_used = cost_used + %s,"  # noqa: S608  our own names
        " tokens_reserved = tokens_reserved + %s, cost_reserved = cost_reserved + %s WHERE id = %s",
        [tokens, cost, reserved_tokens, reserved_cost, row_id],
    )


def settle_above(cursor: Any, session: Session, draft: Draft) -> None:
    """What an advance counts, on the levels above the run; its own row has it already."""
    if not (draft.used_tokens or draft.used_cost or draft.reserved_tokens or draft.reserved_cost):
        return
    for table, row_id in list(levels(cursor, session.run_id))[1:]:
        add(
            cursor,
            table,
            row_id,
            tokens=draft.used_tokens,
            cost=draft.used_cost,
            reserved_tokens=draft.reserved_tokens,
            reserved_cost=draft.reserved_cost,
        )


def count_late(cursor: Any, run_id: int, tokens: int, cost: int) -> None:
    """The cost of an answer that came too late, on every level; sessions in memory load the run again."""
    if not tokens and not cost:
        return
    for table, row_id in list(levels(cursor, run_id)):
        add(cursor, table, row_id, tokens=tokens, cost=cost)
    cursor.execute("UPDATE execution_run SET revision = revision + 1 WHERE id = %s", [run_id])


def release(cursor: Any, run_id: int, seq: int) -> None:
    """What was held back for an attempt that will be made again."""
    cursor.execute(
        "SELECT reserved_tokens, reserved_cost FROM execution_effect WHERE run_id = %s AND seq = %s", [run_id, seq]
    )
    row = cursor.fetchone()
    if row is None or not (row[0] or row[1]):
        return
    cursor.execute(
        "UPDATE execution_effect SET reserved_tokens = 0, reserved_cost = 0 WHERE run_id = %s AND seq = %s",
        [run_id, seq],
    )
    for table, row_id in list(levels(cursor, run_id)):
        add(cursor, table, row_id, reserved_tokens=-row[0], reserved_cost=-row[1])
    sessions.drop(run_id)
    cursor.execute("UPDATE execution_run SET revision = revision + 1 WHERE id = %s", [run_id])
