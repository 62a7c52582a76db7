"""
The order of things: which arm goes first, and which pair counts next.

Pairs count in the order in which they were enrolled, never in the order in
which they finish. Failures are often slow (a hanging candidate ends at its
cap), so the pairs that finish first are those the candidate won; counting them
as they come calls an equal candidate better in almost every trial
(``benchmarks/verification.py`` measures it). ``EnrolmentGate`` holds a
finished pair back until every pair before it is settled.

The order of the arms is drawn from a seed whose commitment is published before
the first pair and which the report reveals, so that nobody chooses an order
after having seen an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Generic, TypeVar

from execution.shadow.errors import PairConflict
from execution.shadow.observation import Arm

SEED_BYTES = 32
T = TypeVar("T")


def commitment_of(seed: bytes) -> str:
    """The commitment published before the first pair: ``sha256:`` and the hash of the seed, hex."""
    return "sha256:" + hashlib.sha256(b"opl-trial-seed\0" + seed).hexdigest()


def first_arm(seed: bytes, position: int) -> Arm:
    """Which arm runs first for the pair at ``position`` (counts from 1): a fair coin drawn from the seed."""
    drawn = hashlib.sha256(b"opl-trial-order\0" + seed + position.to_bytes(8, "big")).digest()
    return Arm.CANDIDATE if drawn[0] & 1 else Arm.CONTROL


def sampled(seed: bytes, run_id: str, share: float) -> bool:
    """Whether a live run is shadowed: true for a ``share`` (0–1) of run ids, the same answer every time."""
    drawn = hashlib.sha256(b"opl-trial-sample\0" + seed + run_id.encode()).digest()
    return int.from_bytes(drawn[:8], "big") < share * 2**64


def input_id(salt: bytes, canonical_input: bytes) -> str:
    """
    A name for an input that does not tell it: hex of a salted hash, 128 bits.

    The salt stays with the node, so that nobody guesses a short input from its
    name; opening it to an auditor proves which inputs a trial used.
    """
    return hashlib.blake2b(canonical_input, key=salt[:64], digest_size=16).hexdigest()


def inputs_commitment(input_ids: Iterable[str]) -> str:
    """One hash over all input ids in enrolment order: ``sha256:`` and 64 hex digits."""
    total = hashlib.sha256(b"opl-trial-inputs\0")
    for name in input_ids:
        total.update(name.encode() + b"\n")
    return "sha256:" + total.hexdigest()


class EnrolmentGate(Generic[T]):
    """
    Let settled pairs through in the order of their positions, and only so.

    Positions count from 1 without gaps. A missing pair is settled too: it
    releases those behind it. Settling a position again with equal contents is
    a repeated message and changes nothing.

    Example:
        >>> gate: EnrolmentGate[str] = EnrolmentGate()
        >>> gate.settle(2, "second")
        []
        >>> gate.settle(1, "first")
        ['first', 'second']
    """

    def __init__(self) -> None:
        self._released: list[T] = []
        self._held: dict[int, T] = {}

    @property
    def next_position(self) -> int:
        """The position that everything held back waits for."""
        return len(self._released) + 1

    @property
    def held(self) -> tuple[int, ...]:
        """Positions that are settled but may not count yet, ascending."""
        return tuple(sorted(self._held))

    def settle(self, position: int, settled: T) -> list[T]:
        """
        Take one settled pair; answer all pairs that may count now, in order.

        Raises:
            PairConflict: the position was settled before with other contents.
        """
        if position < 1:
            raise ValueError(f"positions count from 1, not {position}")
        if position < self.next_position:
            self._same(position, self._released[position - 1], settled)
            return []
        if position in self._held:
            self._same(position, self._held[position], settled)
        self._held[position] = settled
        start = len(self._released)
        while self.next_position in self._held:
            self._released.append(self._held.pop(self.next_position))
        return self._released[start:]

    @staticmethod
    def _same(position: int, before: T, now: T) -> None:
        if before != now:
            raise PairConflict(position)
