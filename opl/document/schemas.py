"""
The JSON Schemas and security profiles that ship, as data under ``schemas/``.

They belong to the program as its modules do: read once, from a fixed place,
never from the network and never by a name that a document chose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
SUFFIX = ".schema.json"


@lru_cache(maxsize=1)
def schemas() -> Mapping[str, Mapping[str, Any]]:
    """All schemas by name: ``pattern``, ``composition``, ``profile``, …"""
    paths = sorted(FOLDER.glob(f"*{SUFFIX}"))
    return {path.name.removesuffix(SUFFIX): json.loads(path.read_text(encoding="utf-8")) for path in paths}


@lru_cache(maxsize=1)
def security_profiles() -> Mapping[str, Mapping[str, Any]]:
    """All security profiles by name: ``{name, description, events}``."""
    paths = sorted((FOLDER / "security").glob("*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return {profile["name"]: profile for profile in found}
