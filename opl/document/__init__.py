"""
Documents: reading, naming, comparing and merging pattern files. Pure.

    from opl.document import read

    document, problems = read(data, file="tournament.yaml")
"""

from opl.document.envelopes import Reading, read
from opl.document.load import DEFAULT, FEDERATED, Loaded, LoadLimits, load
from opl.document.model import (
    AdaptiveRule,
    Document,
    Envelope,
    Fork,
    Input,
    Kind,
    Layout,
    Mode,
    Parent,
    ProfileSource,
    Role,
    ScriptSource,
)

__all__ = [
    "DEFAULT",
    "FEDERATED",
    "AdaptiveRule",
    "Document",
    "Envelope",
    "Fork",
    "Input",
    "Kind",
    "Layout",
    "LoadLimits",
    "Loaded",
    "Mode",
    "Parent",
    "ProfileSource",
    "Reading",
    "Role",
    "ScriptSource",
    "load",
    "read",
]
