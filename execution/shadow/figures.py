"""
Figures as people read them: ``34 %``, ``−0.018``, ``+1.5``, ``0.0``.

    >>> typeset("-0.018 quality, 34% faster, +0.0 points")
    '−0.018 quality, 34 % faster, 0.0 points'

The sentence of a report is part of what ``recheck`` compares, byte for byte,
and stays as it was signed; whoever shows one shows it ``typeset``.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"(?<=\d)%(?![\w%])")
_SIGNED = re.compile(r"(?<![\w.,+\-−/])([+-])(\d+(?:\.\d+)?)(?![\w\-])")


def signed(value: float, digits: int) -> str:
    """A difference: a minus that is one, and no sign where there is no difference at so many digits."""
    return _SIGNED.sub(_sign, f"{value:+.{digits}f}")


def percent(rate: float) -> str:
    """A share in whole percent."""
    return f"{rate * 100:.0f} %"


def typeset(sentence: str) -> str:
    """A sentence about figures as pages write them; names with a hyphen before a digit stay as they are."""
    return _PERCENT.sub(" %", _SIGNED.sub(_sign, sentence))


def _sign(found: re.Match[str]) -> str:
    sign, number = found.groups()
    if not float(number):
        return number
    return ("+" if sign == "+" else "\N{MINUS SIGN}") + number
