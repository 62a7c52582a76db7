"""
The functions of the language.

``BUILTINS`` maps upper-case names to functions, ``METHODS`` what may follow a
value and a dot. Each knows its arguments and describes itself; the table in
docs/language.md is printed by ``python -m opl.script.builtins``::

    >>> BUILTINS["SELECT_TOP"].signature
    'SELECT_TOP(list, count[, by])'
"""

from __future__ import annotations

from collections.abc import Mapping

from opl.script.builtins import (
    aggregation,
    collections,
    moments,
    numbers,
    selection,
    strings,
    tournament,
)
from opl.script.builtins.base import Builtin, Context, Method
from opl.script.builtins.methods import METHODS

__all__ = ["BUILTINS", "METHODS", "Builtin", "Context", "Method"]

BUILTINS: Mapping[str, Builtin] = {
    name: builtin
    for module in (collections, selection, numbers, strings, moments, aggregation, tournament)
    for name, builtin in module.registry.builtins.items()
}
