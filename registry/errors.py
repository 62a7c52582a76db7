"""
What the registry refuses, split by whose fault it is.

    RegistryError
    ├── InvalidDocument      the author's document has errors; carries every problem (422)
    ├── InvalidRequest       a value of the request cannot be used; names the field (422)
    │   ├── VersionDisagrees     the document names another version than the request
    │   ├── LineageCycle         a parent would be its own descendant
    │   └── NothingLearned       there are no runs or decisions to export
    ├── NotThere             no such thing, or none that this caller may see (404)
    ├── NotAllowed           the caller is known and may not (403)
    ├── Conflict             what is there already contradicts the request (409)
    │   ├── VersionTaken         this version was published with another digest
    │   ├── NameTaken            the name belongs to something else
    │   ├── RowMoved             somebody changed the row first; load it and retry
    │   ├── KeyReused            an Idempotency-Key came with another request
    │   └── MergeConflicts       both sides changed the same thing; lists where
    ├── TooMany              a limit of the caller is used up for now (429)
    └── OutgoingRefused      a request to another host that this hub does not make (422)
        └── OutgoingFailed       the other host did not answer as it should (502)

Every error has a stable ``code``, the HTTP ``status`` that answers it, and text
that says what to do. ``members`` are added to its RFC 9457 body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opl.errors import Problem, errors_only


class RegistryError(Exception):
    """Anything the registry raises on purpose."""

    code = "registry.error"
    status = 400

    @property
    def members(self) -> dict[str, Any]:
        """Further members of the problem body; JSON only."""
        return {}


class InvalidDocument(RegistryError):
    """The document cannot be published; nothing was stored."""

    code = "registry.document-invalid"
    status = 422

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        errors = errors_only(self.problems)
        if not errors:
            return "the document cannot be published"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"{errors[0]}{more}"


class InvalidRequest(RegistryError):
    """One value of the request cannot be used."""

    code = "registry.invalid"
    status = 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message

    @property
    def members(self) -> dict[str, Any]:
        """The field at fault, in the shape that forms and clients read."""
        return {"fields": {self.field: [self.message]}}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class VersionDisagrees(InvalidRequest):
    """The document says one version and the request another."""

    code = "registry.version-disagrees"

    def __init__(self, in_document: str, in_request: str) -> None:
        RegistryError.__init__(self, in_document, in_request)
        self.in_document, self.in_request = in_document, in_request
        self.field = "version"
        self.message = (
            f"the document says {in_document} and the request {in_request}; leave one of them out, or make them equal"
        )


class LineageCycle(InvalidRequest):
    """The edge would make a text its own ancestor."""

    code = "registry.lineage-cycle"

    def __init__(self, child: str, parent: str) -> None:
        RegistryError.__init__(self, child, parent)
        self.field = "parents"
        self.message = f"{parent[:12]} descends from {child[:12]} already, so it cannot be its parent"


class NothingLearned(InvalidRequest):
    """An export was asked for before there was anything to learn from."""

    code = "registry.nothing-learned"

    def __init__(self, pattern: str) -> None:
        RegistryError.__init__(self, pattern)
        self.field = ""
        self.message = f"{pattern} has no measured runs and no decisions yet; run it first, then export"


class NotThere(RegistryError):
    """There is no such thing, or none that the caller may know of."""

    code = "registry.not-found"
    status = 404

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject

    def __str__(self) -> str:
        return f"there is no {self.subject} that you may see"


class NotAllowed(RegistryError):
    """The caller may see it and may not do this."""

    code = "registry.not-allowed"
    status = 403

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Conflict(RegistryError):
    """What is there already contradicts the request."""

    code = "registry.conflict"
    status = 409

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class VersionTaken(Conflict):
    """A published version is immutable; another digest needs another version."""

    code = "registry.version-taken"

    def __init__(self, pattern: str, version: str, digest: str, suggested: str = "") -> None:
        RegistryError.__init__(self, pattern, version, digest, suggested)
        self.pattern, self.version, self.digest, self.suggested = pattern, version, digest, suggested
        advice = f"publish it as {suggested}" if suggested else "give it a higher version"
        self.message = f"{pattern}@{version} is published with another text ({digest[:12]}); {advice}"

    @property
    def members(self) -> dict[str, Any]:
        """What stands there, and the version to use instead."""
        return {"published_digest": self.digest, "suggested_version": self.suggested or None}


class NameTaken(Conflict):
    """The name belongs to something else."""

    code = "registry.name-taken"


class RowMoved(Conflict):
    """Somebody changed the row between reading and writing."""

    code = "registry.row-moved"

    def __init__(self, subject: str) -> None:
        RegistryError.__init__(self, subject)
        self.subject = subject
        self.message = f"{subject} was changed by somebody else in the meantime; load it again and retry"


class KeyReused(Conflict):
    """An Idempotency-Key stands for one request; this one differs."""

    code = "registry.idempotency-key-reused"

    def __init__(self, running: bool = False) -> None:
        RegistryError.__init__(self, running)
        self.message = (
            "the first request with this Idempotency-Key is still running; retry in a moment"
            if running
            else "this Idempotency-Key was used for another request; take a new one"
        )


class MergeConflicts(Conflict):
    """Both sides changed the same places of their common ancestor."""

    code = "registry.merge-conflicts"

    def __init__(self, conflicts: Sequence[dict[str, Any]]) -> None:
        RegistryError.__init__(self, list(conflicts))
        self.conflicts = list(conflicts)
        self.message = (
            f"both sides changed {len(self.conflicts)} of the same places; "
            "send `choices`: {pointer: 'ours', 'theirs' or 'both'}"
        )

    @property
    def members(self) -> dict[str, Any]:
        """Every conflict: {pointer, base, ours, theirs, line}."""
        return {"conflicts": self.conflicts}


class TooMany(RegistryError):
    """A limit of the caller is used up for now."""

    code = "registry.too-many"
    status = 429

    def __init__(self, what: str, retry_after: int = 60) -> None:
        super().__init__(what, retry_after)
        self.what, self.retry_after = what, retry_after

    def __str__(self) -> str:
        return f"too many {self.what}; try again in {self.retry_after} s"


class OutgoingRefused(RegistryError):
    """A request to another host that this hub does not make; no byte was sent."""

    code = "registry.outgoing-refused"
    status = 422

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"no request to {self.url}: {self.reason}"


class OutgoingFailed(OutgoingRefused):
    """The other host could not be reached, or broke a limit while answering."""

    code = "registry.outgoing-failed"
    status = 502

    def __str__(self) -> str:
        return f"the request to {self.url} failed: {self.reason}"
