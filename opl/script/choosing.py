"""
A choice among options is asked for twice, in both orders; one that flips is no choice.

Judges like what stands first. So ``select_best(options, criteria)`` is written
out as two events ``primitive:select_best {options, criteria, order}``, the
second with the options reversed, and only an option that wins both ways is
the choice. Each is an effect of its own, so that a crash between the two pays
for neither again.

    >>> options_shown({"options": ["a", "b"], "order": "reversed"})
    ['b', 'a']
    >>> chosen({"index": 0}, ["b", "a"])
    'b'

Source: docs/decisions/0106-a-choice-is-two-questions.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVENT = "primitive:select_best"
ORDERS = ("given", "reversed")


def options_shown(data: Mapping[str, Any]) -> list[Any]:
    """The options of one of the two questions, in the order that it shows them; of an object its values."""
    options = data.get("options")
    listed = list(options.values()) if isinstance(options, Mapping) else options if isinstance(options, list) else []
    return listed[::-1] if data.get("order") == ORDERS[1] else list(listed)


def chosen(value: Any, shown: list[Any]) -> Any:
    """Which option an answer names: by ``index``, by a bare number, or by saying the option itself; None for no one."""
    index = value.get("index") if isinstance(value, Mapping) else value
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(shown):
        return shown[index]
    return next((option for option in shown if option == value), None)
