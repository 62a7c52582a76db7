"""
What publishing a text would do: the answer of ``publishing.publish``, with nothing stored.

    preview(owner=owner, user=user, source=b"...").patterns[0].version
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from opl.errors import Problem
from registry.errors import InvalidRequest
from registry.models import Owner, Pattern, PatternVersion
from registry.services.reading import Reading, ReadPattern, read
from registry.services.versioning import agreed_version, named, next_version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPreview:
    """What would become of one pattern of the source."""

    read: ReadPattern  # name, title, inputs, events, mode
    exists: bool  # whether the owner has a pattern of this name
    same_as: str  # the version with this very digest, "" if none
    newest: str  # the highest version now, "" if none
    bump: str  # major, minor or patch against it; "" for a first version
    version: str  # the version it would get
    reasons: tuple[str, ...]  # why that bump, in words
    near_duplicates: tuple[PatternVersion, ...]  # other patterns that only differ in formatting


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The answer of a publish that stores nothing."""

    reading: Reading  # with all problems
    patterns: tuple[PatternPreview, ...]  # empty where the text cannot be read

    @property
    def ok(self) -> bool:
        """Whether publishing it would succeed."""
        return self.reading.ok


def preview(
    *, owner: Owner | None, user: Any, source: bytes, version: str = "", name: str = "", file_name: str = ""
) -> Preview:
    """What publishing would do and every problem it would meet; stores nothing and raises nothing for them."""
    reading = read(source, file=file_name)
    try:
        wanted = agreed_version(reading, version)
        patterns = named(reading, name) if reading.ok else reading.patterns
    except InvalidRequest as error:
        line, column = reading.document.position(f"/{error.field}") if reading.document else (0, 0)
        problem = Problem(code=error.code, message=error.message, pointer=f"/{error.field}", line=line, column=column)
        reading = replace(reading, problems=(*reading.problems, problem))
        wanted, patterns = "", reading.patterns
    return Preview(
        reading=reading,
        patterns=tuple(_preview_one(owner=owner, user=user, item=item, wanted=wanted) for item in patterns),
    )


def _preview_one(*, owner: Owner | None, user: Any, item: ReadPattern, wanted: str) -> PatternPreview:
    pattern = Pattern.objects.filter(owner=owner, name=item.name).first() if owner and item.name else None
    same = pattern.versions.light().filter(digest=item.digest).first() if pattern else None
    next_version, bump, reasons = next_version_of(pattern, item)
    return PatternPreview(
        read=item,
        exists=pattern is not None,
        same_as=same.version if same else "",
        newest=pattern.newest.version if pattern and pattern.newest else "",
        bump=bump,
        version=same.version if same else wanted or next_version,
        reasons=reasons,
        near_duplicates=tuple(near_duplicates(item.document.semantic_digest, user=user, besides=pattern)),
    )


def near_duplicates(semantic_digest: str, *, user: Any, besides: Pattern | None = None) -> list[PatternVersion]:
    """Versions of other patterns with the same meaning, as ``user`` may see them; at most ten."""
    if not semantic_digest:
        return []
    found = PatternVersion.objects.light().visible_to(user).filter(semantic_digest=semantic_digest)
    if besides is not None:
        found = found.exclude(pattern=besides)
    return list(found.select_related("pattern__owner").order_by("published_at", "pk")[:10])
