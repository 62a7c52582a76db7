"""
Chance that can be written down.

A ``Chance`` is a seed and a counter, nothing else: draw ``n`` of a seed is
always the same number, on every machine and Python. So the machine's state
holds it as ``{"seed": …, "counter": …}``, and a run that is resumed goes on
drawing where it stopped::

    >>> chance = Chance(seed=7)
    >>> first = chance.integer(1, 6)
    >>> Chance(seed=7).integer(1, 6) == first
    True

Each draw is the BLAKE2b hash of the counter under the seed as key: no period
to exhaust, no state to leak, and independent of Python's ``random``.

Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (counter-based generators); RFC 7693.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_UNIT = 2.0**-53


class Chance:
    """A stream of draws; ``counter`` says how many were taken."""

    __slots__ = ("_key", "counter", "seed")

    def __init__(self, seed: int | str = 0, counter: int = 0) -> None:
        self.seed = seed
        self.counter = counter
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Chance:
        """The chance that ``to_json`` wrote."""
        return cls(state["seed"], state["counter"])

    def to_json(self) -> dict[str, Any]:
        """``{seed, counter}``."""
        return {"seed": self.seed, "counter": self.counter}

    def bits(self) -> int:
        """The next draw: 64 bits."""
        draw = self.counter.to_bytes(8, "big")
        self.counter += 1
        return int.from_bytes(hashlib.blake2b(draw, digest_size=8, key=self._key).digest(), "big")

    def fraction(self) -> float:
        """Uniform in [0, 1) with 53 bits."""
        return (self.bits() >> 11) * _UNIT

    def below(self, count: int) -> int:
        """Uniform in 0..count-1; ``count`` is at most 2**64. Draws again rather than be biased."""
        ceiling = (1 << 64) - (1 << 64) % count
        while (draw := self.bits()) >= ceiling:
            pass
        return draw % count

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return low + self.below(high - low + 1)

    def uniform(self, low: float, high: float) -> float:
        """Uniform between two numbers."""
        return low + (high - low) * self.fraction()

    def choice(self, items: Sequence[T]) -> T:
        """One of at least one item."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in an order of chance (Fisher and Yates)."""
        return self.sample(items, len(items))

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """``count`` different items in an order of chance; takes at most ``len(items)``."""
        pool = list(items)
        count = min(count, len(pool))
        for place in range(count):
            other = place + self.below(len(pool) - place)
            pool[place], pool[other] = pool[other], pool[place]
        return pool[:count]

    def gaussian(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Normally distributed (Box and Muller, one of the pair)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.fraction()))
        return mean + deviation * radius * math.cos(2.0 * math.pi * self.fraction())

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(uuid.UUID(int=(self.bits() << 64) | self.bits(), version=4))
