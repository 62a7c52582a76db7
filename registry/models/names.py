"""
Names and versions that the whole registry accepts, in one place.

A name is ASCII so that no two names can look alike; a version is semver 2.0.
``version_sort_key`` orders versions as semver does under every database
collation, because it is made of digits and the letters a to g only.
"""

from __future__ import annotations

import re

import semver
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

NAME_PATTERN = r"[a-z][a-z0-9_-]{1,63}"
VERSION_DIGITS = 9

validate_name = RegexValidator(
    rf"\A{NAME_PATTERN}\Z",
    "use 2 to 64 of a-z, 0-9, _ and -, beginning with a letter",
    code="name",
)


def is_name(text: str) -> bool:
    """Whether ``text`` may name an owner, a pattern, a channel or a profile."""
    return re.fullmatch(NAME_PATTERN, text) is not None


def name_from(title: str) -> str:
    """
    The legal name nearest to a title or a foreign name; "" when nothing of it can be used.

    ``"Scatter-Gather Pattern"`` becomes ``scatter-gather-pattern``; an
    underscore stays, since people write both.
    """
    slug = re.sub(r"[^a-z0-9_]+", "-", title.lower()).strip("-_")
    slug = re.sub(r"^[^a-z]+", "", slug)[:64].rstrip("-_")
    return slug if is_name(slug) else ""


def parse_version(text: str) -> semver.Version | None:
    """The semver in ``text``, or None; numbers beyond nine digits are refused too."""
    if len(text) > 64:
        return None
    try:
        version = semver.Version.parse(text)
    except (ValueError, TypeError):
        return None
    largest = max(version.major, version.minor, version.patch)
    return version if largest < 10**VERSION_DIGITS else None


def validate_version(text: str) -> None:
    """Raise ValidationError unless ``text`` is a semver this registry can order."""
    if parse_version(text) is None:
        raise ValidationError("use a version such as 1.4.2 (semver.org)", code="version")


def version_sort_key(text: str) -> str:
    """Text that sorts as semver precedence does; raises ValueError for what is no version."""
    version = parse_version(text)
    if version is None:
        raise ValueError(f"{text!r} is no semver")
    head = "".join(f"{part:0{VERSION_DIGITS}d}" for part in (version.major, version.minor, version.patch))
    if not version.prerelease:
        return head + "g"
    parts = [f"0{len(part):02d}{part}" if part.isdigit() else f"1{part}" for part in version.prerelease.split(".")]
    return head + " ".join(parts).encode("ascii").hex()
