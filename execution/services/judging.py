"""
Whether a run that ended was a success, and how good it was.

``success_when`` and ``score`` are expressions of the language over the run's
result and the variables of its script; a document that has neither counts
every run that ended well as a success.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from execution.services.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run did."""

    succeeded: bool
    score: float | None  # 0 to 1
    outcome: str | None  # why it failed, "" for a success; None: says nothing about the pattern
