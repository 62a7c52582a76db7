"""A version's script as a picture and as text, for the pages that show it."""

from __future__ import annotations

from django.utils.safestring import SafeString

from registry.models import PatternVersion


def script_flow(version: PatternVersion) -> SafeString | str:
    """The flow diagram of a version's script; "" where there is none to draw."""
    return ""


def script_text(version: PatternVersion) -> str:
    """The script of a version."""
    return version.text
