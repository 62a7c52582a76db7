"""
Publishing: a source text becomes immutable versions, or an answer that lists every problem.

``previewing.preview`` runs the same checks and stores nothing. A component publishes each
of its fenced scripts as a pattern of its own, and the profile it defines. The
same digest published again is the same version and no error; another digest
for a published version is refused.

    publish(owner=owner, user=user, source=b"...", via="api", now=now).versions[0].version
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from opl.errors import Problem, Severity
from registry.discovery import index
from registry.errors import InvalidDocument, LineageCycle, NotAllowed, VersionTaken
from registry.models import LineageEdge, Owner, Pattern, PatternVersion, Profile, StoredDocument, User
from registry.models.names import name_from, parse_version
from registry.services import audit, channels, lineage, webhooks
from registry.services.editing import check_visibility, set_tags
from registry.services.reading import Reading, ReadPattern, read
from registry.services.versioning import FIRST_VERSION, agreed_version, bumped, named, next_version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVersion:
    """One version of the answer."""

    version: PatternVersion  # the row, with its pattern and owner loaded
    created: bool  # False when this digest had been published before


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What publishing one source gave."""

    document: StoredDocument  # the exact bytes
    versions: tuple[PublishedVersion, ...]  # one, or one per script of a component
    profiles: tuple[Profile, ...]  # that the document defines
    problems: tuple[Problem, ...]  # warnings and notes; never errors

    @property
    def created(self) -> bool:
        """Whether anything is new."""
        return any(item.created for item in self.versions) or not self.versions


def publish(
    *,
    owner: Owner,
    user: User | None,
    source: bytes,
    via: str,
    now: datetime,
    version: str = "",
    name: str = "",
    visibility: str = "",
    file_name: str = "",
    provenance: Mapping[str, Any] | None = None,
    forked_from: PatternVersion | None = None,
    parents: tuple[tuple[str, str], ...] = (),
) -> Published:
    """
    Publish a source under ``owner``.

    Args:
        user: who publishes; None for the hub itself (library, admitted from a peer).
        version: semver; "" takes the document's, else 1.0.0 or the smallest admissible bump.
        name: of the pattern; "" takes the document's. Not for a component with several scripts.
        visibility: private, org or public; "" keeps what the pattern has (public when new).
        parents: further lineage edges, ``(digest, op)``.

    Raises:
        InvalidDocument: with all problems at once; nothing was stored.
        VersionDisagrees: the document names another version than the request.
        VersionTaken: the version is published with another digest.
        NotAllowed, InvalidRequest: the person, the name or the visibility.
    """
    if user is not None and not owner.can_publish(user):
        raise NotAllowed(f"you may not publish as {owner}; publish under your own name, or ask its administrators")
    reading = read(source, file=file_name)
    if not reading.ok:
        raise InvalidDocument(reading.problems)
    act = _Act(
        owner=owner,
        user=user,
        via=via,
        now=now,
        version=agreed_version(reading, version),
        visibility=check_visibility(visibility),
        provenance=dict(provenance or {}) | ({"file": file_name} if file_name else {}),
        forked_from=forked_from,
        parents=parents,
    )
    patterns = named(reading, name)
    try:
        return act.run(reading, patterns)
    except IntegrityError:
        # Somebody published the same at the same moment; now that it stands there, it is found.
        return act.run(reading, patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """One publish under way: everything that its steps share."""

    owner: Owner
    user: User | None
    via: str
    now: datetime
    version: str  # agreed on, or ""
    visibility: str  # "" keeps
    provenance: dict[str, Any]
    forked_from: PatternVersion | None
    parents: tuple[tuple[str, str], ...]

    @transaction.atomic
    def run(self, reading: Reading, patterns: tuple[ReadPattern, ...]) -> Published:
        """Store the document and everything in it, or nothing."""
        if len(patterns) > 1:  # all rows in one order, or two components that share names wait for each other
            names = [item.name for item in patterns]
            list(Pattern.objects.select_for_update().filter(owner=self.owner, name__in=names).order_by("pk"))
        document = self._document(reading)
        version = self.version or self._common_version(patterns)
        versions = tuple(self._publish_one(item, document, version) for item in patterns)
        profiles = tuple(
            self._profile(name, value, prompt, document, reading) for name, value, prompt in reading.profiles
        )
        problems = tuple(p for p in reading.problems if p.severity is not Severity.ERROR)
        return Published(document=document, versions=versions, profiles=profiles, problems=problems)

    def _document(self, reading: Reading) -> StoredDocument:
        parsed = reading.document
        assert parsed is not None
        row, _ = StoredDocument.objects.get_or_create(
            digest=parsed.digest,
            defaults={
                "semantic_digest": parsed.semantic_digest,
                "source": reading.source,
                "size_bytes": len(reading.source),
                "envelope": str(parsed.envelope),
                "name": parsed.name[:200],
                "version": parsed.version[:64],
                "value": parsed.value,
                "problems": reading.warnings,
                "created_at": self.now,
            },
        )
        return row

    def _common_version(self, patterns: tuple[ReadPattern, ...]) -> str:
        """The version of what is new in a document that names none: the highest of the single bumps."""
        wanted = []
        for item in patterns:
            pattern = Pattern.objects.filter(owner=self.owner, name=item.name).first()
            if pattern is None or not pattern.versions.filter(digest=item.digest).exists():
                wanted.append(parse_version(next_version_of(pattern, item)[0]))
        return str(max((v for v in wanted if v is not None), default=FIRST_VERSION))

    def _publish_one(self, item: ReadPattern, document: StoredDocument, version: str) -> PublishedVersion:
        pattern, is_new = self._pattern(item)
        if not is_new:
            there = pattern.versions.filter(Q(digest=item.digest) | Q(version=version)).order_by()
            found = dict(there.values_list("digest", "pk"))
            if item.digest in found:
                same = PatternVersion.objects.select_related("pattern__owner").get(pk=found[item.digest])
                return PublishedVersion(version=same, created=False)
            for digest in found:
                raise VersionTaken(str(pattern), version, digest, next_version_of(pattern, item)[0])
        before = None
        if pattern.newest_id:
            before = PatternVersion.objects.light().filter(pk=pattern.newest_id).first()
        row = self._version(item, document, pattern, version)
        self._edges(item, row, document, before)
        channels.after_publish(pattern=pattern, version=row, newest=before, user=self.user, now=self.now)
        self._describe(pattern, item, row)
        self._tell(row)
        return PublishedVersion(version=row, created=True)

    def _pattern(self, item: ReadPattern) -> tuple[Pattern, bool]:
        """
        The pattern of that name, and whether it was made now.

        Its row is locked until all is stored, so that two who publish
        different versions at once come one after the other (on SQLite the
        transaction itself sees to that).
        """
        pattern = Pattern.objects.select_for_update().filter(owner=self.owner, name=item.name).first()
        if pattern is None:
            made = Pattern.objects.create(
                owner=self.owner,
                name=item.name,
                visibility=self.visibility or Pattern.Visibility.PUBLIC,
                forked_from=self.forked_from,
                created_at=self.now,
                updated_at=self.now,
            )
            return made, True
        pattern.owner = self.owner  # known already: no query for it later
        if self.visibility and self.visibility != pattern.visibility:
            Pattern.objects.filter(pk=pattern.pk).update(visibility=self.visibility)
            pattern.visibility = self.visibility
        return pattern, False

    def _version(self, item: ReadPattern, document: StoredDocument, pattern: Pattern, version: str) -> PatternVersion:
        parsed = item.document
        metadata = parsed.metadata
        return PatternVersion.objects.create(
            pattern=pattern,
            version=version,
            source=item.source,
            semantic_digest=parsed.semantic_digest,
            document=document,
            script_number=item.script_number,
            envelope=str(parsed.envelope),
            mode=item.mode,
            program=item.program,
            program_hash=item.program_hash,
            value=parsed.value,
            inputs=item.inputs,
            title=item.title,
            description=parsed.description,
            author_name=parsed.author[:200],
            license=_text(parsed.value.get("license") or metadata.get("license"))[:64],
            claims=item.claims,
            claim_flags=item.claim_flags,
            events=item.events,
            capabilities=list(parsed.capabilities or ())
            + ([parsed.security_profile] if parsed.security_profile else []),
            requires_profiles=item.profiles_needed,
            success_when=parsed.success_when,
            score=parsed.score,
            verification=dict(parsed.verification),
            adaptive_rules=[dict(rule.value) for rule in parsed.adaptive_rules],
            published_by=self.user,
            published_via=self.via,
            published_at=self.now,
            provenance=self.provenance,
            warnings_count=len(document.problems),
        )

    def _edges(
        self, item: ReadPattern, row: PatternVersion, document: StoredDocument, before: PatternVersion | None
    ) -> None:
        """Where the new text comes from; what the document claims may dangle, a cycle of its claims is refused."""
        if item.script_number:
            detail = {"n": item.script_number}
            lineage.add_edge(
                child=row.digest,
                parent=document.digest,
                op=LineageEdge.Op.EXTRACTED_FROM,
                label=document.name,
                detail=detail,
                now=self.now,
            )
        for parent, op in self.parents:
            lineage.add_edge(child=row.digest, parent=parent, op=op, now=self.now)
        for claimed in item.document.lineage[: lineage.MAX_PARENTS]:
            lineage.add_edge(
                child=row.digest,
                parent=lineage.reference_digest(claimed.reference),
                op=claimed.op,
                label=claimed.reference,
                detail={"reason": claimed.reason, "author": claimed.author, "at": claimed.at, "claimed": True},
                now=self.now,
            )
        origin, op = before, LineageEdge.Op.REVISION
        if before is None or before.digest == getattr(row.pattern.forked_from, "digest", None):
            origin, op = row.pattern.forked_from, LineageEdge.Op.FORK
        if origin is not None and origin.digest != row.digest:
            try:
                lineage.add_edge(child=row.digest, parent=origin.digest, op=op, now=self.now)
            except LineageCycle:
                return  # the text of an ancestor was published again here: nothing new was derived

    def _describe(self, pattern: Pattern, item: ReadPattern, row: PatternVersion) -> None:
        """Take over title, description and tags of the highest version, unless people edited them."""
        pattern.updated_at = self.now
        fields = ["updated_at"]
        if pattern.newest_id == row.pk:
            pattern.mode, pattern.category = item.mode, item.category
            fields += ["mode", "category"]
            if not pattern.description_edited:
                pattern.title, pattern.description = item.title, item.document.description
                fields += ["title", "description"]
                set_tags(pattern, item.tags)
        pattern.save(update_fields=fields)
        index.update(pattern, words=item.search_words)

    def _tell(self, row: PatternVersion) -> None:
        audit.record(
            actor=self.user,
            action="version.published",
            subject=str(row),
            owner=self.owner.name,
            via=self.via,
            now=self.now,
            detail={"digest": row.digest},
        )
        webhooks.enqueue(
            owner=self.owner,
            event="version.published",
            data={"pattern": str(row.pattern), "version": row.version, "digest": row.digest, "mode": row.mode},
            now=self.now,
        )

    def _profile(
        self, name: str, value: Mapping[str, Any], prompt: str, document: StoredDocument, reading: Reading
    ) -> Profile:
        """Store a profile the document defines; the same document again gives the same row."""
        legal = name_from(name.rsplit("/", 1)[-1]) or name_from(document.name) or f"profile-{document.digest[:8]}"
        rows = Profile.objects.filter(owner=self.owner, name=legal)
        same = rows.filter(document=document).first()
        if same is not None:
            return same
        highest = rows.newest_first().first()
        version = self.version or (bumped(highest.version, "minor") if highest else FIRST_VERSION)
        taken = rows.filter(version=version).select_related("document").first()
        if taken is not None:
            raise VersionTaken(f"profile {self.owner}/{legal}", version, taken.document.digest)
        parsed = reading.document
        return Profile.objects.create(
            owner=self.owner,
            name=legal,
            version=version,
            component_type=str(value.get("component_type") or "profile")[:32],
            document=document,
            value={**value, "body": prompt} if prompt else dict(value),
            description=parsed.description if parsed else "",
            visibility=self.visibility or Pattern.Visibility.PUBLIC,
            published_by=self.user,
            published_at=self.now,
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def visibility_of_derived(version: PatternVersion) -> str:
    """What a pattern made from ``version`` starts with: nobody publishes a private text by copying it."""
    is_public = version.pattern.visibility == Pattern.Visibility.PUBLIC
    return Pattern.Visibility.PUBLIC if is_public else Pattern.Visibility.PRIVATE


def digest_of(source: bytes) -> str:
    """The digest a source is known by: its sha256, hex."""
    return hashlib.sha256(source).hexdigest()
