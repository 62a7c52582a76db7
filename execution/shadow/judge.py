"""
Asking a judge which of two answers is better, without being told what the judge likes to hear first.

Every pair is asked in both orders; a preference counts only if it survives the
swap, and is 0 otherwise. Before a judge serves at all it is examined on pairs
of the control against itself: it must agree with itself across the swap, and
what it does not agree on must not lean to one position.

Source: Zheng et al., "Judging LLM-as-a-judge with MT-Bench and Chatbot Arena",
NeurIPS 2023, section 3.4 (position bias, swapping).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LEAST_PAIRS = 30
LEAST_CONSISTENCY = 0.60
BIAS_LEVEL = 0.05


class Answer(StrEnum):
    """What the judge said about two answers laid before it."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"

    @property
    def swapped(self) -> Answer:
        """The same preference, named as if the two had been laid out the other way round."""
        return {Answer.FIRST: Answer.SECOND, Answer.SECOND: Answer.FIRST}.get(self, Answer.TIE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One pair before the judge, in both orders."""

    control_first: Answer  # said with the control's answer laid out first
    candidate_first: Answer  # said with the candidate's answer laid out first

    @property
    def consistent(self) -> bool:
        """Whether the preference survives the swap."""
        return self.control_first is self.candidate_first.swapped

    @property
    def preference(self) -> int:
        """+1 for the candidate, −1 for the control, 0 for a tie or a preference that the swap turned over."""
        if not self.consistent:
            return 0
        return {Answer.SECOND: 1, Answer.FIRST: -1, Answer.TIE: 0}[self.control_first]

    @property
    def leaning(self) -> int:
        """+1 if both orders favoured the first position more, −1 the second, 0 if neither."""
        said = (self.control_first, self.candidate_first)
        return _sign(said.count(Answer.FIRST) - said.count(Answer.SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a judge's own examination found."""

    pairs: int  # control-against-control pairs asked, in both orders each
    consistency: float  # share of pairs whose preference survived the swap, 0–1
    leans_first: int  # inconsistent pairs that favoured the first position
    leans_second: int  # and those that favoured the second
    bias_p: float  # two-sided sign test: chance of such a lean from a judge without bias

    @property
    def reason(self) -> str:
        """Why the judge may not serve, "" when it may."""
        if self.pairs < LEAST_PAIRS:
            return f"it was examined on {self.pairs} pairs, {LEAST_PAIRS} are needed"
        if self.consistency < LEAST_CONSISTENCY:
            return (
                f"it agrees with itself across the swap in {self.consistency:.0%} of pairs,"
                f" {LEAST_CONSISTENCY:.0%} are needed"
            )
        if self.bias_p < BIAS_LEVEL:
            lean = "first" if self.leans_first > self.leans_second else "second"
            return f"it favours what is laid out {lean} ({self.leans_first} to {self.leans_second})"
        return ""

    @property
    def qualified(self) -> bool:
        """Whether the judge may serve."""
        return not self.reason


def examine(asked: Sequence[Asked]) -> Examination:
    """Examine a judge on pairs of the control against itself."""
    leans_first = sum(1 for pair in asked if pair.leaning > 0)
    leans_second = sum(1 for pair in asked if pair.leaning < 0)
    consistent = sum(1 for pair in asked if pair.consistent)
    return Examination(
        pairs=len(asked),
        consistency=consistent / len(asked) if asked else 0.0,
        leans_first=leans_first,
        leans_second=leans_second,
        bias_p=sign_test(leans_first, leans_second),
    )


def sign_test(one: int, other: int) -> float:
    """The exact two-sided p-value of a fair coin that fell so often to one side and so often to the other."""
    total = one + other
    scale = math.lgamma(total + 1) - total * math.log(2.0)
    fewest = range(min(one, other) + 1)
    tail = (math.exp(scale - math.lgamma(k + 1) - math.lgamma(total - k + 1)) for k in fewest)
    return min(1.0, 2.0 * math.fsum(tail))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
