"""
How far the nodes that claim something are trusted.

Which node stands in which tier is known above this app: it adds to
``NODE_WEIGHTS`` what answers ``{reporter key: 0 to 1}``. Without that, nobody's
word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Weigher = Callable[[Iterable[str]], Mapping[str, float]]

NODE_WEIGHTS: list[Weigher] = []


def weights(reporters: Iterable[str]) -> Mapping[str, float]:
    """The weight of each node, 0 to 1; a node that is left out has none."""
    return NODE_WEIGHTS[-1](reporters) if NODE_WEIGHTS else {}
