"""
What a document claims about itself, and whether it can be true at all.

Fifteen runs cannot have a success rate of 0.85: no whole number of successes
gives it, neither rounded nor cut to the digits written. Such a claim is
flagged, not refused; claims are never mixed with what was measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opl.document import reading
from opl.document.load import Loaded, pointer_of
from opl.errors import Problem, Severity

_RUNS = re.compile(r"(?:[a-z]+_)*(?:runs|trials|matches|executions|samples)$")
_RATE = re.compile(r"(?:[a-z]+_)*(?:success|win|failure|error|completion|pass)_rate$")
_SUCCESSES = ("successes", "succeeded", "wins")
_FAILURES = ("failures", "failed", "losses")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_MOST_RUNS = 10**9
_MOST = 20  # claims flagged in one document


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Counts and rates that speak of the same runs."""

    runs: int | None  # how many
    successes: int | None
    failures: int | None
    rates: tuple[tuple[str, float, int], ...]  # (pointer, rate 0..1, digits written after the point)
    pointer: str  # of the count, or of the object


def claims_of(loaded: Loaded) -> tuple[Claim, ...]:
    """The claims under ``learned_from`` and ``performance``."""
    value = loaded.value
    found = []
    listed = reading.sequence(value, "learned_from")
    items: list[tuple[tuple[str | int, ...], Any]] = [
        (("learned_from", index), item) for index, item in enumerate(listed)
    ]
    if len([item for _, item in items if isinstance(item, dict) and len(item) == 1]) == len(items) > 1:
        found.append(_claim(loaded, items))  # one fact on each line of a list is one claim
    else:
        found += [_claim(loaded, [item]) for item in items]
    for path in (("learned_from",), ("performance",), ("metadata", "performance")):
        section = reading.dig(value, *path)
        if isinstance(section, dict):
            found.append(_claim(loaded, [(path, section)]))
    return tuple(found)


def impossible_claims(loaded: Loaded) -> list[Problem]:
    """A ``claim-impossible`` warning for each claim that arithmetic rules out."""
    found = (problem for claim in claims_of(loaded) for problem in _contradictions(loaded, claim))
    return list(islice(found, _MOST))


def _claim(loaded: Loaded, items: list[tuple[tuple[str | int, ...], Any]]) -> Claim:
    runs = successes = failures = None
    rates = []
    pointer = pointer_of(*items[0][0])
    for path, item in items:
        for key, value in item.items() if isinstance(item, dict) else ():
            place = pointer_of(*path, key)
            count = _count(value)
            if _RUNS.fullmatch(key) and runs is None and count is not None:
                runs, pointer = count, place
            elif key in _SUCCESSES:
                successes = count
            elif key in _FAILURES:
                failures = count
            elif _RATE.fullmatch(key) and (rate := _rate(loaded, place, value)):
                rates.append((place, *rate))
    return Claim(runs=runs, successes=successes, failures=failures, rates=tuple(rates), pointer=pointer)


def _count(value: Any) -> int | None:
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
    return int(value) if whole and 0 <= value <= _MOST_RUNS else None


def _rate(loaded: Loaded, pointer: str, value: Any) -> tuple[float, int] | None:
    """A rate and the digits its author wrote after the point; ``"85%"`` has two."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        percent = float(match[1])
        return (percent / 100, len(match[1].partition(".")[2]) + 2) if percent <= 100 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    node = loaded.node(pointer)
    written = (node.written if node else "") or repr(value)
    digits = written.partition(".")[2]
    return float(value), len(digits) if digits.isdecimal() else 15


def _contradictions(loaded: Loaded, claim: Claim) -> Iterator[Problem]:
    runs, won, lost = claim.runs, claim.successes, claim.failures
    if runs is not None and ((won or 0) > runs or (lost or 0) > runs):
        yield _impossible(loaded, claim.pointer, f"{runs} runs cannot have {max(won or 0, lost or 0)} of one kind")
    elif runs is not None and won is not None and lost is not None and won + lost > runs:
        yield _impossible(loaded, claim.pointer, f"{won} successes and {lost} failures are more than {runs} runs")
    for pointer, rate, digits in claim.rates if runs else ():
        if not _possible(runs or 0, rate, digits):
            near = _nearest(runs or 0, rate)
            message = f"{runs} runs cannot give a rate of {rate:g}; the nearest are {near}"
            yield _impossible(loaded, pointer, message)


def _possible(runs: int, rate: float, digits: int) -> bool:
    unit = 10.0**-digits
    lowest = math.floor((rate - unit / 2) * runs - 1e-9)
    highest = math.ceil((rate + unit) * runs + 1e-9)
    if highest - lowest > 10:
        return True
    slack = 1e-9
    return any(
        rate - unit / 2 - slack <= hits / runs < rate + unit - slack or abs(hits / runs - rate) < slack
        for hits in range(max(lowest, 0), min(highest, runs) + 1)
    )


def _nearest(runs: int, rate: float) -> str:
    below = math.floor(rate * runs)
    return " and ".join(f"{hits}/{runs} = {hits / runs:.3g}" for hits in (below, min(below + 1, runs)))


def _impossible(loaded: Loaded, pointer: str, message: str) -> Problem:
    line, column = loaded.position(pointer)
    return Problem(
        code="claim-impossible",
        message=message,
        hint="give the counts, or leave the rate out; it is shown as a claim only",
        severity=Severity.WARNING,
        line=line,
        column=column,
        pointer=pointer,
    )


def claimed(loaded: Loaded) -> Mapping[str, Any]:
    """The first claim that names runs, as ``{runs, success_rate}``; empty where there is none."""
    for claim in claims_of(loaded):
        if claim.runs:
            rate = claim.rates[0][1] if claim.rates else None
            if rate is None and claim.successes is not None:
                rate = claim.successes / claim.runs
            return {"runs": claim.runs, "success_rate": rate}
    return {}
