"""
From tokens to the tree of a script.

    >>> script = parse("STATE total = 1")
    >>> script.body[0].name
    'total'

The parser never stops at an error: it reports it and goes on with the next
statement, so that one check tells everything that is wrong with a file.
"""

from opl.script.parser.statements import Script, parse

__all__ = ["Script", "parse"]
