"""A badge: two words side by side as a small SVG, readable in light and dark, with a text for screen readers."""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape, quoteattr

from registry.services.analytics import Rate

_GOOD, _WEAK, _OPEN = "#0072b2", "#b34700", "#55595e"  # white on each holds 4.5:1
_CHAR = 6.6  # width of a character of the badge's font size, in px; monospace, so it is exact enough


def words_for(rate: Rate, version: str) -> tuple[str, str]:
    """The right half and its colour: the measured rate with its n, or that it is not rated yet."""
    if not rate.is_rated:
        return f"{version or 'no version'} · {rate.runs} runs, not rated", _OPEN
    share = round(100 * (rate.rate or 0.0))
    return f"{version} · {share} % of {rate.runs} runs", _GOOD if rate.low >= 0.5 else _WEAK


def draw(label: str, words: tuple[str, str]) -> bytes:
    """The SVG."""
    text, colour = words
    left, right = round(len(label) * _CHAR + 16), round(len(text) * _CHAR + 16)
    title = f"{label}: {text}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="22" role="img" '
        f"aria-label={quoteattr(title)}><title>{escape(title)}</title>"
        f'<rect width="{left + right}" height="22" rx="4" fill="#2b2f36"/>'
        f'<path d="M{left} 0h{right - 4}a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4H{left}z" fill="{colour}"/>'
        f'<g fill="#fff" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="11">'
        f'<text x="8" y="15">{escape(label)}</text><text x="{left + 8}" y="15">{escape(text)}</text></g></svg>'
    ).encode()


def etag(svg: bytes) -> str:
    """A strong tag of the picture."""
    return f'"{hashlib.sha256(svg).hexdigest()[:32]}"'
