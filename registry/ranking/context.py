"""
How good a pattern is in a context that has seen few runs: back off, level by level.

    all patterns        p0 = (K + 1)/(N + 2)
    this pattern        g  = (k_a + 4·p0)/(n_a + 4)
    in this category    c  = (k_ac + 12·g)/(n_ac + 12)
    in this context     Beta(k_ctx + 12·c, n_ctx − k_ctx + 12·(1 − c))

A context is a task type, a model family and up to three tags. Each level counts
the runs of the levels below it, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.ranking.rates import Counts
from registry.ranking.special import beta_cdf, beta_quantile

PATTERN_RUNS = 4.0
CATEGORY_RUNS = 12.0
CONTEXT_RUNS = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """A Beta distribution of a success rate."""

    a: float  # successes, pseudo-runs included; above 0
    b: float  # failures, likewise

    @property
    def mean(self) -> float:
        """The expected rate."""
        return self.a / (self.a + self.b)

    @property
    def sd(self) -> float:
        """Its standard deviation."""
        weight = self.a + self.b
        return math.sqrt(self.a * self.b / (weight + 1.0)) / weight

    def quantile(self, share: float) -> float:
        """The rate below which the true one lies with probability ``share``."""
        return beta_quantile(share, self.a, self.b)

    def below(self, rate: float) -> float:
        """The probability that the true rate is at most ``rate``."""
        return beta_cdf(rate, self.a, self.b)


def posterior(*, context: Counts, category: Counts, pattern: Counts, everything: Counts) -> Posterior:
    """
    The rate of a pattern in a context, backed by what is known around it.

    Args:
        context: the pattern's runs in exactly this context.
        category: the pattern's runs in this category.
        pattern: all runs of the pattern.
        everything: all runs of all patterns.
    """
    p0 = (everything.successes + 1.0) / (everything.runs + 2.0)
    g = (pattern.successes + PATTERN_RUNS * p0) / (pattern.runs + PATTERN_RUNS)
    c = (category.successes + CATEGORY_RUNS * g) / (category.runs + CATEGORY_RUNS)
    return Posterior(
        a=context.successes + CONTEXT_RUNS * c,
        b=max(context.runs - context.successes, 0.0) + CONTEXT_RUNS * (1.0 - c),
    )


def cell_of(context: Mapping[str, Any]) -> str:
    """
    The context cell of a run: ``task=review;model=opus;tags=code,python``.

    Reads ``task`` (or ``task_type``), ``model`` (family) and up to three
    ``tags``; what is missing is left out, so an empty context is "".
    """
    parts = []
    task = str(context.get("task") or context.get("task_type") or "").strip().lower()[:48]
    model = str(context.get("model") or context.get("model_family") or "").strip().lower()[:48]
    tags = context.get("tags")
    listed = tags if isinstance(tags, (list, tuple, set, frozenset)) else ()
    cleaned = sorted({str(tag).strip().lower()[:24] for tag in listed if str(tag).strip()})[:3]
    for name, text in (("task", task), ("model", model), ("tags", ",".join(cleaned))):
        if text:
            parts.append(f"{name}={text.replace(';', ' ').replace('=', ' ')}")
    return ";".join(parts)
