"""
Evidence as every page shows it: whose word it is, how good, how sure, from how many.

Four kinds are never added together: measured here, attested by peers, claimed
by the author, simulated. Below ``FEWEST_RUNS`` there is no rate, since a rate
from so little would be read as more than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

FEWEST_RUNS = 5

GLYPHS = {"measured": "●", "attested": "◐", "claimed": "○", "simulated": "≋"}
WORDS = {
    "measured": _("measured here"),
    "attested": _("attested by peers"),
    "claimed": _("claimed by the author"),
    "simulated": _("simulated"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One line of evidence."""

    kind: str  # measured, attested, claimed or simulated
    runs: int | None = None  # None where nobody said how many
    rate: float | None = None  # 0 to 1; None where there is none to show
    low: float | None = None  # ends of the 95 % interval, 0 to 1
    high: float | None = None
    nodes: int | None = None  # how many hubs the runs come from
    flag: str = ""  # why the number cannot be right, in words
    href: str = ""  # where this number is explained

    @property
    def glyph(self) -> str:
        """The mark of its kind."""
        return GLYPHS[self.kind]

    @property
    def words(self) -> Any:
        """The name of its kind, translated."""
        return WORDS[self.kind]

    @property
    def is_rated(self) -> bool:
        """Whether there are enough runs for a bar."""
        return self.rate is not None and self.low is not None and (self.runs or 0) >= FEWEST_RUNS

    @property
    def percent(self) -> int:
        """The rate in whole percent."""
        return round(100 * (self.rate or 0.0))

    @property
    def interval(self) -> str:
        """The interval in whole percent: ``71–94``."""
        return f"{round(100 * (self.low or 0.0))}–{round(100 * (self.high or 0.0))}"

    @property
    def counted(self) -> str:
        """How many runs, in words."""
        runs = self.runs or 0
        return ngettext("%(count)d run", "%(count)d runs", runs) % {"count": runs}
