"""
Set reconciliation: which ids one side has and the other lacks.

The wire is negentropy, protocol version 1: ranges of the sorted ids are
compared by fingerprint and split where they differ, so two nodes that share
10⁵ statements and differ in 100 exchange some tens of kilobytes. All our
timestamps are 0 and the ids are the 32 bytes of statement ids, so the order
is that of the ids.

The client starts and keeps what it learns; the server answers each frame
from its set alone and keeps nothing.

    client = Initiator(ids)
    frame = client.first()
    while frame is not None:
        frame = client.next(server_answer(frame))
    client.need, client.have

Source: https://github.com/hoytech/negentropy, protocol v1; OPL-Fed/1, "reconcile".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import NoReturn

from federation.protocol import limits
from federation.protocol.problems import Refused

CONTENT_TYPE = "application/octet-stream"
PROTOCOL_VERSION = 0x61
ID_BYTES = 32
FINGERPRINT_BYTES = 16
BUCKETS = 16  # a range that differs is split into so many
MARGIN_BYTES = 200  # kept free in a frame for the closing range
MOST_DIGITS = 9  # of a varint: 63 bits
SKIP, FINGERPRINT, ID_LIST = 0, 1, 2
_MODULUS = 1 << 256

Bound = bytes | None  # the ids below this prefix; None is beyond every id
INFINITY: Bound = None


class IdSet:
    """Sorted ids with their running sums, so that the fingerprint of any range is two look-ups."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        self.ids = sorted(set(ids))
        numbers = (int.from_bytes(each, "little") for each in self.ids)
        self._sums = list(accumulate(numbers, initial=0))

    def __len__(self) -> int:
        return len(self.ids)

    def fingerprint(self, lower: int, upper: int) -> bytes:
        """Of the ids at positions lower … upper-1."""
        total = (self._sums[upper] - self._sums[lower]) % _MODULUS
        return sha256(total.to_bytes(32, "little") + varint(upper - lower)).digest()[:FINGERPRINT_BYTES]

    def below(self, bound: Bound, start: int) -> int:
        """The position of the first id that is not below ``bound``."""
        return len(self.ids) if bound is None else bisect_left(self.ids, bound, start)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of a frame: it ends at ``upper`` and begins where the one before ended."""

    upper: Bound
    mode: int
    fingerprint: bytes = b""
    ids: tuple[bytes, ...] = ()


class Initiator:
    """The client's side. It learns ``need`` (theirs, not ours) and ``have`` (ours, not theirs)."""

    def __init__(self, ids: IdSet, *, frame_bytes: int = limits.FRAME_BYTES) -> None:
        self.ids, self.frame_bytes = ids, frame_bytes
        self.need: set[bytes] = set()
        self.have: set[bytes] = set()

    def first(self) -> bytes:
        """The opening frame: the whole set, as fingerprints or as ids."""
        return bytes([PROTOCOL_VERSION]) + _split(self.ids, 0, len(self.ids), INFINITY)

    def next(self, answer: bytes) -> bytes | None:
        """
        The next frame after an answer; None when both sides are understood.

        Raises:
            Refused: ``schema-invalid`` for a frame that is none.
        """
        frame = _answer(self.ids, answer, self.frame_bytes, learned=self)
        return None if len(frame) == 1 else frame

    def compare(self, lower: int, upper: int, theirs: tuple[bytes, ...]) -> None:
        """Note what two lists of one range differ in."""
        ours, other = set(self.ids.ids[lower:upper]), set(theirs)
        self.have |= ours - other
        self.need |= other - ours


def respond(ids: IdSet, frame: bytes, *, frame_bytes: int = limits.FRAME_BYTES) -> bytes:
    """
    The server's answer to a frame, from its set alone.

    Raises:
        Refused: ``page-too-large`` or ``schema-invalid``.
    """
    return _answer(ids, frame, frame_bytes, learned=None)


def varint(number: int) -> bytes:
    """Base 128, most significant digit first, the high bit on all digits but the last."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def _answer(ids: IdSet, frame: bytes, frame_bytes: int, *, learned: Initiator | None) -> bytes:
    """Go through the ranges of a frame and say something new about each that is not settled."""
    if len(frame) > frame_bytes:
        raise Refused("page-too-large", f"a frame has at most {frame_bytes} bytes")
    reader, writer = _Reader(frame), _Writer(ids, frame_bytes)
    version = reader.byte()
    if version != PROTOCOL_VERSION:
        if learned is None and version & 0xF0 == PROTOCOL_VERSION & 0xF0:
            return bytes(writer.frame)  # negentropy's own way of saying which version is spoken
        if learned is None:
            _malformed("this is no frame of negentropy")
        _malformed("the peer speaks another version of negentropy")
    lower = 0
    while not reader.at_end and not writer.is_closed:
        theirs = reader.range()
        upper = ids.below(theirs.upper, lower)
        if theirs.mode == ID_LIST and learned is not None:
            learned.compare(lower, upper, theirs.ids)
            writer.skip_to(theirs.upper)
        elif theirs.mode == ID_LIST:
            writer.list_ids(lower, upper, theirs.upper)
        elif theirs.mode == FINGERPRINT and ids.fingerprint(lower, upper) != theirs.fingerprint:
            writer.split(lower, upper, theirs.upper)
        else:
            writer.skip_to(theirs.upper)
        lower = upper
    return bytes(writer.frame)


class _Writer:
    """
    A frame in the making. Once it is full it closes with one fingerprint over all that is left.

    Ranges that need no answer are skipped; a skip is written only when
    something follows it, so that a settled set answers with an empty frame.
    """

    def __init__(self, ids: IdSet, frame_bytes: int) -> None:
        self.ids, self.room = ids, frame_bytes - MARGIN_BYTES
        self.frame = bytearray([PROTOCOL_VERSION])
        self.is_closed = False
        self._skipped: list[Bound] = []  # at most one: the end of the ranges passed over

    def skip_to(self, upper: Bound) -> None:
        """Nothing is to be said about the ids below ``upper``."""
        self._skipped = [upper]

    def split(self, lower: int, upper: int, bound: Bound) -> None:
        """Say more about a range that differs: its ids, or fingerprints of its parts."""
        parts = _split(self.ids, lower, upper, bound)
        if len(self.frame) + len(parts) > self.room:
            self._close(lower)
        else:
            self._write(parts)

    def list_ids(self, lower: int, upper: int, bound: Bound) -> None:
        """All ids of a range, or as many as fit."""
        fitting = max(0, (self.room - len(self.frame)) // ID_BYTES)
        end = min(upper, lower + fitting)
        if end < upper:
            bound = self.ids.ids[end]
        self._write(_list(self.ids.ids[lower:end], bound))
        if end < upper:
            self._close(end)

    def _write(self, ranges: bytes) -> None:
        for upper in self._skipped:
            self.frame += _bound(upper) + varint(SKIP)
        self._skipped = []
        self.frame += ranges

    def _close(self, start: int) -> None:
        """One fingerprint over everything from position ``start`` on."""
        self._write(_bound(INFINITY) + varint(FINGERPRINT) + self.ids.fingerprint(start, len(self.ids)))
        self.is_closed = True


class _Reader:
    """The ranges of a frame, one after the other."""

    def __init__(self, frame: bytes) -> None:
        self._frame, self._at = frame, 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._frame)

    def byte(self) -> int:
        """The next byte."""
        return self._take(1)[0]

    def range(self) -> Range:
        """The next range."""
        upper, mode = self._read_bound(), self._varint()
        if mode == SKIP:
            return Range(upper, mode)
        if mode == FINGERPRINT:
            return Range(upper, mode, fingerprint=self._take(FINGERPRINT_BYTES))
        if mode != ID_LIST:
            _malformed(f"there is no mode {mode}")
        listed = self._take(self._varint() * ID_BYTES)
        return Range(
            upper, mode, ids=tuple(listed[start : start + ID_BYTES] for start in range(0, len(listed), ID_BYTES))
        )

    def _read_bound(self) -> Bound:
        """A bound; its time is 0 (written 1) or lies beyond all of ours."""
        written_time, length = self._varint(), self._varint()
        if length > ID_BYTES:
            _malformed("a bound is longer than an id")
        prefix = self._take(length)
        return prefix if written_time == 1 else INFINITY

    def _varint(self) -> int:
        number, digit, digits = 0, 0x80, 0
        while digit & 0x80:
            if digits == MOST_DIGITS:
                _malformed("a number is too long")
            digit, digits = self.byte(), digits + 1
            number = number << 7 | digit & 0x7F
        return number

    def _take(self, length: int) -> bytes:
        if length > len(self._frame) - self._at:
            _malformed("the frame ends too early")
        self._at += length
        return self._frame[self._at - length : self._at]


def _split(ids: IdSet, lower: int, upper: int, bound: Bound) -> bytes:
    """A range said more exactly: as ids where it is small, else as fingerprints of its parts."""
    count = upper - lower
    if count < 2 * BUCKETS:
        return _list(ids.ids[lower:upper], bound)
    size, larger = divmod(count, BUCKETS)
    parts, start = bytearray(), lower
    for bucket in range(BUCKETS):
        end = start + size + (bucket < larger)
        end_bound = bound if end == upper else _shortest_between(ids.ids[end - 1], ids.ids[end])
        parts += _bound(end_bound) + varint(FINGERPRINT) + ids.fingerprint(start, end)
        start = end
    return bytes(parts)


def _list(ids: list[bytes], bound: Bound) -> bytes:
    return b"".join((_bound(bound), varint(ID_LIST), varint(len(ids)), *ids))


def _bound(bound: Bound) -> bytes:
    if bound is None:
        return varint(0) + varint(0)
    return varint(1) + varint(len(bound)) + bound


def _shortest_between(before: bytes, after: bytes) -> bytes:
    """The shortest prefix of ``after`` that ``before`` lies below."""
    shared = next(place for place in range(ID_BYTES) if before[place] != after[place])
    return after[: shared + 1]


def _malformed(detail: str) -> NoReturn:
    raise Refused("schema-invalid", f"not a reconciliation frame: {detail}")
