"""
How a simulated agent fares in a test: item response theory, and a clock.

The model knows a person and a difficulty, and nothing about who asks. A test is
``items`` questions of one difficulty; the chance of each to be right is that of
the three-parameter logistic model (Birnbaum 1968)::

    P(right) = c + (1 - c) / (1 + exp(-a (ability - b)))

with guessing ``c``, discrimination ``a``, and ability and difficulty ``b`` in
logits. A pattern names a difficulty from 0 to 1; 0.5, the baseline, is b = 0,
and the whole scale spans six logits, -3 to 3, as calibrated test banks do. What
a test tells about a person is greatest near b = ability (Lord 1980, chapter 5):
that follows from the model and is nowhere written into it.

The time for a test is lognormal about the person's median, and harder tests take
longer (van der Linden 2007). Who needs more than the asker allows has timed out.

Sources: A. Birnbaum, in Lord and Novick, *Statistical Theories of Mental Test
Scores*, 1968, chapter 17; F. M. Lord, *Applications of Item Response Theory to
Practical Testing Problems*, 1980; W. J. van der Linden, *A hierarchical framework
for modeling speed and accuracy on test items*, Psychometrika 72 (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from opl.script.chance import Chance

BASELINE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Examinee:
    """A person as a test bank describes one, and the bank."""

    ability: float  # in logits; 0 passes half of the baseline tests
    discrimination: float = 1.0  # a: how sharply a test tells abilities apart; test banks have 0.5 to 2
    guessing: float = 0.0  # c: the chance to be right without knowing
    items: int = 5  # questions of one test; its score is the share that is right
    difficulty_range: float = 6.0  # logits from difficulty 0 to 1; 0: the person does not notice the difficulty
    blunting: float = 0.0  # a falls by this share of a logarithm for each logit above the baseline
    median_seconds: float = 1.0  # for a baseline test
    slowing: float = 0.2  # logarithm of the time, for each logit of difficulty
    time_spread: float = 0.35  # standard deviation of the logarithm of the time

    def logits(self, difficulty: float) -> float:
        """b of a difficulty from 0 to 1."""
        return (difficulty - BASELINE) * self.difficulty_range

    def chance_right(self, difficulty: float) -> float:
        """The chance that one question of a test is answered well."""
        b = self.logits(difficulty)
        steepness = self.discrimination * math.exp(-self.blunting * max(b, 0.0))
        lift = max(-500.0, min(500.0, steepness * (self.ability - b)))
        return self.guessing + (1.0 - self.guessing) / (1.0 + math.exp(-lift))

    def score(self, difficulty: float, draw: Chance) -> float:
        """The share of the test's questions that came out right."""
        chance = self.chance_right(difficulty)
        return sum(draw.fraction() < chance for _ in range(self.items)) / self.items

    def seconds(self, difficulty: float, draw: Chance) -> float:
        """How long the test takes, if nobody stops it."""
        pace = self.slowing * self.logits(difficulty)
        return self.median_seconds * math.exp(draw.gaussian(pace, self.time_spread))

    def worth(self, *, difficulty: float = BASELINE, limit_seconds: float = math.inf) -> float:
        """What a test of this person is worth on average, one that times out being worth nothing."""
        return self.chance_right(difficulty) * self.chance_in_time(difficulty, limit_seconds)

    def chance_in_time(self, difficulty: float, limit_seconds: float) -> float:
        """The chance to be done within the limit."""
        if self.median_seconds <= 0 or math.isinf(limit_seconds):
            return 1.0
        slack = math.log(limit_seconds / self.median_seconds) - self.slowing * self.logits(difficulty)
        return NormalDist().cdf(slack / self.time_spread) if self.time_spread > 0 else float(slack >= 0)


def ability_of(quality: float, discrimination: float = 1.0) -> float:
    """The ability, in logits, of whoever scores ``quality`` (0 to 1) in baseline tests on average."""
    share = min(max(quality, 0.001), 0.999)
    return math.log(share / (1.0 - share)) / max(discrimination, 0.01)
