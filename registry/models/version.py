"""
What was published, exactly: documents, the versions made of them, profiles and channels.

A version is immutable: after it is made, only the yank columns change. Its
``source`` is kept and served byte for byte; ``digest`` is the sha256 of it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from registry.models.fields import JsonText
from registry.models.names import validate_name, version_sort_key
from registry.models.pattern import HEAVY_VERSION_FIELDS, Mode, Pattern
from registry.models.people import Owner


class Envelope(models.TextChoices):
    """The three ways in which a document is written, and a script without one."""

    OPL = "opl", "orchestration pattern (OPL)"
    KSI = "ksi", "composition (KSI)"
    COMPONENT = "component", "component (Markdown)"
    SCRIPT = "script", "script"


class Via(models.TextChoices):
    """The door through which a version came."""

    WEB = "web", "the publish page"
    API = "api", "the API"
    CLI = "cli", "the command line"
    PEER = "peer", "a peer"
    EXPORT = "export", "an export from runs"
    LIBRARY = "library", "the shipped library"
    MCP = "mcp", "an agent (MCP)"


class StoredDocument(models.Model):
    """The exact bytes of one document; equal bytes are stored once."""

    digest = models.CharField(max_length=64, unique=True, help_text="sha256 of the bytes, hex.")
    semantic_digest = models.CharField(max_length=64, db_index=True, help_text="sha256 of the RFC 8785 form, hex.")
    source = models.BinaryField()
    size_bytes = models.PositiveIntegerField()
    envelope = models.CharField(max_length=16, choices=Envelope)
    name = models.CharField(max_length=200, blank=True, help_text="The name that the document gives itself.")
    version = models.CharField(max_length=64, blank=True, help_text="The version it gives itself, or was given.")
    value = JsonText(default=dict, help_text="The parsed document (for a component its front matter).")
    problems = JsonText(default=list, help_text="Warnings found when it was published.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name or 'document'} {self.digest[:12]}"


class VersionQuerySet(models.QuerySet["PatternVersion"]):
    """Sets of versions."""

    def light(self) -> VersionQuerySet:
        """Without the columns that only one version's own page needs."""
        return self.defer(*HEAVY_VERSION_FIELDS)

    def usable(self) -> VersionQuerySet:
        """Not yanked."""
        return self.filter(yanked_at__isnull=True)

    def visible_to(self, user: Any) -> VersionQuerySet:
        """Versions of patterns that ``user`` may know of."""
        return self.filter(pattern__in=Pattern.objects.visible_to(user).values("pk"))

    def in_order(self) -> VersionQuerySet:
        """Highest version first, as semver orders."""
        return self.order_by("-sort_key")


class PatternVersion(models.Model):
    """One published version of a pattern."""

    pattern = models.ForeignKey(Pattern, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=64)
    sort_key = models.CharField(max_length=512, editable=False)
    source = models.BinaryField(help_text="The pattern's own text: the document, or what stands between the fences.")
    digest = models.CharField(max_length=64, db_index=True, help_text="sha256 of source, hex.")
    semantic_digest = models.CharField(max_length=64, db_index=True)
    size_bytes = models.PositiveIntegerField()
    document = models.ForeignKey(StoredDocument, on_delete=models.PROTECT, related_name="versions")
    script_number = models.PositiveIntegerField(default=0, help_text="n-th script of a component, from 1; else 0.")
    envelope = models.CharField(max_length=16, choices=Envelope)
    mode = models.CharField(max_length=16, choices=Mode)
    program = JsonText(null=True, help_text="The compiled script; null for a guided pattern.")
    program_hash = models.CharField(max_length=64, blank=True)
    value = JsonText(default=dict, help_text="The parsed document; unknown keys included.")
    inputs = JsonText(default=list, help_text="[{name, type, default, required, description, …}]")
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    author_name = models.CharField(max_length=200, blank=True, help_text="Named in the document; a claim.")
    license = models.CharField(max_length=64, blank=True)
    claims = JsonText(default=dict, help_text="What the author claims: {learned_from, performance, …}.")
    claim_flags = JsonText(default=list, help_text="Why a claim cannot be right, in words.")
    events = JsonText(default=list, help_text="Event names the script may emit, sorted.")
    capabilities = JsonText(default=list, help_text="Capabilities and security profile it declares.")
    requires_profiles = JsonText(default=list)
    success_when = models.TextField(blank=True)
    score = models.TextField(blank=True)
    verification = JsonText(default=dict)
    adaptive_rules = JsonText(default=list)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="published_versions"
    )
    published_via = models.CharField(max_length=16, choices=Via)
    published_at = models.DateTimeField()
    provenance = models.JSONField(default=dict, help_text="From what: {file, run_ids, peer, statement, …}.")
    warnings_count = models.PositiveIntegerField(default=0)
    yanked_at = models.DateTimeField(null=True, blank=True)
    yanked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    yank_reason = models.TextField(blank=True)
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-sort_key"]
        constraints = [
            models.UniqueConstraint(fields=["pattern", "version"], name="registry_version_taken"),
            models.UniqueConstraint(fields=["pattern", "digest"], name="registry_version_digest_twice"),
            models.CheckConstraint(
                condition=Q(yanked_at__isnull=True) | ~Q(yank_reason=""),
                name="registry_version_yank_needs_reason",
            ),
        ]
        indexes = [models.Index(fields=["pattern", "-sort_key"], name="registry_version_order")]

    def __str__(self) -> str:
        return f"{self.pattern}@{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store with its order and digest computed, so that neither can disagree with the row."""
        if self.pk is None:
            self.sort_key = version_sort_key(self.version)
            self.digest = hashlib.sha256(bytes(self.source)).hexdigest()
            self.size_bytes = len(self.source)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("registry:version", args=[self.pattern.owner.name, self.pattern.name, self.version])

    @property
    def source_bytes(self) -> bytes:
        """The exact text, as published."""
        return bytes(self.source)

    @property
    def text(self) -> str:
        """The source for a page; published sources are UTF-8."""
        return self.source_bytes.decode("utf-8", errors="replace")

    @property
    def is_yanked(self) -> bool:
        """Whether it was withdrawn; it can still be fetched by its number."""
        return self.yanked_at is not None

    @property
    def is_executable(self) -> bool:
        """Whether a compiled script is there to be run."""
        return self.mode == Mode.EXECUTABLE


class ProfileQuerySet(models.QuerySet["Profile"]):
    """Sets of stored profiles."""

    def newest_first(self) -> ProfileQuerySet:
        """Highest version first."""
        return self.order_by("-sort_key")

    def called(self, name: str) -> ProfileQuerySet:
        """Profiles that a reference names: ``core/base_agent`` finds ``base_agent`` of any owner."""
        return self.filter(name=name.rsplit("/", 1)[-1].removesuffix(".md").removesuffix(".yaml"))


class Profile(models.Model):
    """One version of a profile, agent or behaviour: what an agent is told about itself."""

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="profiles")
    name = models.CharField(max_length=64, validators=[validate_name])
    version = models.CharField(max_length=64)
    sort_key = models.CharField(max_length=512, editable=False)
    component_type = models.CharField(max_length=32)
    document = models.ForeignKey(StoredDocument, on_delete=models.PROTECT, related_name="profiles")
    value = JsonText(default=dict, help_text="The parsed document; for Markdown also `body`.")
    description = models.TextField(blank=True)
    visibility = models.CharField(max_length=8, choices=Pattern.Visibility, default=Pattern.Visibility.PUBLIC)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    published_at = models.DateTimeField()

    objects = ProfileQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-sort_key"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name", "version"], name="registry_profile_version_taken")
        ]
        indexes = [models.Index(fields=["name", "-sort_key"], name="registry_profile_lookup")]

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}@{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store with its order computed."""
        self.sort_key = version_sort_key(self.version)
        super().save(*args, **kwargs)


class Channel(models.Model):
    """A name that points to a version and may move: stable, candidate, latest, or an own one."""

    STABLE, CANDIDATE, LATEST = "stable", "candidate", "latest"

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=64, validators=[validate_name])
    version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="channels")
    is_protected = models.BooleanField(default=False, help_text="Moves only by a verdict or an owner.")
    revision = models.PositiveIntegerField(default=0)
    moved_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["pattern", "name"], name="registry_channel_not_twice")]

    def __str__(self) -> str:
        return f"{self.pattern}:{self.name}"


class ChannelMove(models.Model):
    """One move of a channel; history is only added to."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="moves")
    from_version = models.ForeignKey(PatternVersion, null=True, on_delete=models.PROTECT, related_name="+")
    to_version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="+")
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    via = models.CharField(max_length=16, help_text="web, api, cli, publish, yank or verdict.")
    reason = models.TextField(blank=True)
    moved_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"move {self.pk} of {self.channel_id}"
