"""
Loading the shipped library: its documents are published like anybody's, as owner ``library``.

A file that changed without a new version of its own gets the smallest bump; a
file that did not change is left alone. So it can be loaded at every start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from registry.errors import InvalidRequest, RegistryError, VersionTaken
from registry.models import Owner, PatternVersion, StoredDocument, Via
from registry.services import publishing, writing
from registry.services.publishing import Published

OWNER = "library"
SUFFIXES = (".yaml", ".yml", ".md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What loading a folder did."""

    files: int  # that were looked at
    published: tuple[PatternVersion, ...]  # new versions
    unchanged: int  # patterns that were there already
    profiles: int  # profiles in the documents published now
    refused: tuple[tuple[str, RegistryError], ...]  # (file, why)


def library_owner() -> Owner:
    """The owner of the shipped patterns; an organisation without members."""
    owner, _ = Owner.objects.get_or_create(
        name=OWNER, defaults={"kind": Owner.Kind.ORGANISATION, "title": "The shipped library"}
    )
    return owner


def load(*, folder: Path, now: datetime) -> Loaded:
    """
    Publish every document below ``folder``, profiles first, since others depend on them.

    Raises:
        InvalidRequest: there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidRequest("folder", f"there is no folder {folder}")
    owner = library_owner()
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES and path.name != "README.md"]
    files = sorted(found, key=lambda path: ("profiles" not in path.parts, str(path)))
    published: list[PatternVersion] = []
    refused: list[tuple[str, RegistryError]] = []
    unchanged = profiles = 0
    for file in files:
        name = str(file.relative_to(folder))
        try:
            answer = _publish(owner, file.read_bytes(), name, now)
        except RegistryError as error:
            refused.append((name, error))
            continue
        if answer is None:
            unchanged += 1
            continue
        published += [item.version for item in answer.versions if item.created]
        unchanged += sum(not item.created for item in answer.versions)
        profiles += len(answer.profiles)
    return Loaded(
        files=len(files),
        published=tuple(published),
        unchanged=unchanged,
        profiles=profiles,
        refused=tuple(refused),
    )


def _publish(owner: Owner, source: bytes, name: str, now: datetime) -> Published | None:
    """Publish one file, bumped where its version is taken; None where these bytes were loaded before."""
    digest = publishing.digest_of(source)
    if _is_loaded(owner, digest):
        return None
    options: dict[str, Any] = {
        "owner": owner,
        "user": None,
        "via": Via.LIBRARY,
        "now": now,
        "file_name": name,
        "provenance": {"library_digest": digest},
    }
    try:
        return publishing.publish(source=source, **options)
    except VersionTaken as taken:
        pattern = owner.patterns.filter(name=taken.pattern.partition("/")[2]).first()
        bumped = writing.with_next_version(source, pattern)
        if bumped == source:
            raise
        return publishing.publish(source=bumped, **options)


def _is_loaded(owner: Owner, digest: str) -> bool:
    """Whether a file with this digest is stored as it is, or under the version it was bumped to."""
    versions = PatternVersion.objects.filter(pattern__owner=owner)
    return (
        versions.filter(provenance__library_digest=digest).exists()
        or StoredDocument.objects.filter(digest=digest, profiles__owner=owner).exists()
    )
