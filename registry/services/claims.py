"""
What an author claims in a document, in one form, and whether it can be right at all.

A claim is never added to anything measured; it is shown as a claim. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Keys under which documents state claims, in the seed and in KSI's compositions.
CLAIM_KEYS = ("learned_from", "performance", "learnings", "endorsements", "usage_count")
_RATE_KEYS = ("success_rate", "win_rate", "pass_rate")
_MOST_RUNS_CHECKED = 10**6


def claims_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """The claims a document makes, as it makes them: {key: what stands there}."""
    found = {key: value[key] for key in CLAIM_KEYS if value.get(key)}
    metadata = value.get("metadata")
    if isinstance(metadata, Mapping):
        found |= {key: metadata[key] for key in CLAIM_KEYS if metadata.get(key) and key not in found}
    return found


def claimed_numbers(claims: Mapping[str, Any]) -> dict[str, float]:
    """Numbers among the claims, flat: ``{"runs": 15, "success_rate": 0.85}``; the first of a name counts."""
    numbers: dict[str, float] = {}
    for key, number in _numbers(claims):
        name = "runs" if key == "runs" or key.endswith("_runs") else key
        numbers.setdefault(name, number)
    return numbers


def _numbers(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    if depth > 8:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, str(name), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and key:
        yield key, float(value)


def impossible_claims(claims: Mapping[str, Any]) -> list[str]:
    """
    Sentences about claims that no counts can give; [] when all could be true.

    A rate of n runs is a fraction k/n rounded to the places it is written
    with: 15 runs can give 0.87 (13 of 15) and not 0.85.
    """
    numbers = claimed_numbers(claims)
    flags = [
        f"{name} is {_text(numbers[name])}, but a rate lies between 0 and 1"
        for name in _RATE_KEYS
        if name in numbers and not 0 <= numbers[name] <= 1
    ]
    runs = numbers.get("runs")
    if runs is None:
        return flags
    if runs < 1 or runs != int(runs) or runs > _MOST_RUNS_CHECKED:
        return flags if runs >= 1 and runs == int(runs) else [*flags, f"{_text(runs)} runs are no count"]
    for name in _RATE_KEYS:
        rate = numbers.get(name)
        if rate is not None and 0 <= rate <= 1 and not _is_reachable(rate, int(runs)):
            flags.append(f"{int(runs)} runs cannot give a {name} of {_text(rate)}; {_nearest(rate, int(runs))}")
    return flags


def _is_reachable(rate: float, runs: int) -> bool:
    """Whether some k/runs, rounded or cut to the places of ``rate``, reads as it."""
    places = len(_text(rate).partition(".")[2])
    unit = 10.0**-places
    middle = round(rate * runs)
    return any(0 <= k <= runs and abs(k / runs - rate) <= unit / 2 + 1e-12 for k in (middle - 1, middle, middle + 1))


def _nearest(rate: float, runs: int) -> str:
    low = min(int(rate * runs), runs)
    high = min(low + 1, runs)
    return f"the nearest are {low / runs:.3g} ({low} of {runs}) and {high / runs:.3g} ({high} of {runs})"


def _text(number: float) -> str:
    return f"{number:.12g}"
