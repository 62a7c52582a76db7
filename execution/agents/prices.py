"""
What a model charges, by date: a table in ``prices.json``, kept beside its source.

Every answer is stamped with the row it was charged at, so that a later change
of the table rewrites no history. A model the table does not know is charged
at the dearest row, so that a budget is never exceeded by ignorance; its stamp
says ``unknown``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from math import ceil
from pathlib import Path

from execution.agents.base import MICROS

_TABLE = Path(__file__).with_name("prices.json")
_SNAPSHOT = re.compile(r"-\d{8}$")  # "claude-haiku-4-5-20251001" is priced as "claude-haiku-4-5"
PER = 1_000_000  # the table counts dollars per so many tokens
BATCH_DISCOUNT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One row of the table."""

    stamp: str  # "claude-sonnet-5@2026-01-01": what an answer charged by this row carries
    input: float  # dollars per million tokens, here and below
    output: float
    cache_write: float
    cache_read: float

    def cost_micros(self, *, fresh: int, output: int, written: int = 0, read: int = 0, batch: bool = False) -> int:
        """
        The cost of one answer in millionths of a dollar, rounded up.

        Args:
            fresh: input tokens that came from no cache and went into none.
            output: generated tokens, thinking included.
            written: input tokens written to the cache.
            read: input tokens read from the cache.
            batch: whether the answer came from a message batch (half price).
        """
        dollars = fresh * self.input + output * self.output + written * self.cache_write + read * self.cache_read
        return ceil(dollars * MICROS / PER * (BATCH_DISCOUNT if batch else 1))


@dataclass(frozen=True, slots=True)
class _Row:
    since: date
    models: frozenset[str]
    above: int
    figures: tuple[float, float, float, float]


@cache
def _rows() -> tuple[_Row, ...]:
    rows = json.loads(_TABLE.read_text("utf-8"))["rows"]
    return tuple(
        _Row(
            date.fromisoformat(row["from"]),
            frozenset(row["models"]),
            row.get("above_input_tokens", -1),
            (row["input"], row["output"], row["cache_write"], row["cache_read"]),
        )
        for row in rows
    )


def price_of(model: str, *, on: date, input_tokens: int = 0) -> Price:
    """The price of ``model`` on a day, for a prompt of so many tokens."""
    name = _SNAPSHOT.sub("", model)
    fitting = [row for row in _rows() if name in row.models and row.since <= on and input_tokens > row.above]
    if not fitting:
        dearest = max(_rows(), key=lambda row: row.figures[1])
        return _price(f"unknown:{model}", dearest)
    row = max(fitting, key=lambda row: (row.since, row.above))
    return _price(f"{name}@{row.since.isoformat()}", row)


def _price(stamp: str, row: _Row) -> Price:
    own_input, output, write, read = row.figures
    return Price(stamp=stamp, input=own_input, output=output, cache_write=write, cache_read=read)
