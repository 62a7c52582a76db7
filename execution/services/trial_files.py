"""
Candidates and controls as commands name them: in the registry, or in a file.

A file is published as a private pattern of the person who tries it, named
after its digest, so that a trial's arms are always versions that stay.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from registry.errors import InvalidRequest
from registry.models import Pattern, PatternVersion, User, Via
from registry.services import finding, publishing

MOST_BYTES = 1024 * 1024


def version_of(reference: str, *, user: User, now: datetime) -> PatternVersion:
    """
    ``owner/name[@version]``, or the path of a document.

    Raises:
        RegistryError: there is no such version, or the document has errors.
    """
    path = Path(reference)
    if path.suffix in (".yaml", ".yml", ".md", ".opl", ".json") or path.is_file():
        return _published(path, user, now)
    return finding.version(reference, user)


def _published(path: Path, user: User, now: datetime) -> PatternVersion:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InvalidRequest("file", f"{path}: {error.strerror or 'it cannot be read'}") from None
    if len(source) > MOST_BYTES:
        raise InvalidRequest("file", f"{path} is larger than a document may be")
    name = f"trial-{hashlib.sha256(source).hexdigest()[:16]}"
    known = PatternVersion.objects.filter(pattern__owner=user.own_owner, pattern__name=name).first()
    if known is not None:
        return known
    done = publishing.publish(
        owner=user.own_owner,
        user=user,
        source=source,
        via=Via.CLI,
        now=now,
        name=name,
        visibility=Pattern.Visibility.PRIVATE,
        file_name=str(path),
        provenance={"file": path.name, "for": "trial"},
    )
    versions = [item.version for item in done.versions]
    if len(versions) != 1:
        raise InvalidRequest("file", f"{path} holds {len(versions)} patterns; publish it and name the one to try")
    return versions[0]
