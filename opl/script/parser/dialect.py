"""
The wider dialect: what real pattern files write beyond the seeds.

Every form becomes a statement of the seeds' grammar or a node beside it; no
form of the seeds changes its meaning.

Source: docs/language.md, section The wider dialect.
"""

from __future__ import annotations

from opl.script.parser.statements import Statements


class Dialect(Statements):
    """Statements with the wider dialect."""
