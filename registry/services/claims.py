"""
What an author claims in a document, in one form, for showing it as a claim.

Whether a claim can be right at all is judged by ``opl.document.claims``; here
claims are only collected. They are never added to anything measured. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Keys under which documents state claims, in the seed and in KSI's compositions.
CLAIM_KEYS = ("learned_from", "performance", "learnings", "endorsements", "usage_count", "sharing")


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
