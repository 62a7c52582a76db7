"""
A pattern: a name under an owner, with what may be edited and what is summed up.

The columns from ``measured_runs`` on are sums kept for lists, so that a page
of any size costs one query; ``registry.services.analytics`` rewrites them from
the roll-ups and the ratings, and nothing else does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from registry.models.names import validate_name
from registry.models.people import Membership, Owner

if TYPE_CHECKING:
    from registry.models.version import Channel, PatternVersion


class Mode(models.TextChoices):
    """How a pattern runs: by its script, or by an orchestrator that reads its prose."""

    EXECUTABLE = "executable", "executable"
    GUIDED = "guided", "guided"


class PatternQuerySet(models.QuerySet["Pattern"]):
    """Sets of patterns, chainable: ``Pattern.objects.published().visible_to(user)``."""

    def published(self) -> PatternQuerySet:
        """Patterns with at least one version."""
        return self.filter(newest__isnull=False)

    def visible_to(self, user: Any) -> PatternQuerySet:
        """What ``user`` (a person, an AnonymousUser or None) may know of."""
        if user is None or not user.is_authenticated:
            return self.filter(visibility=Pattern.Visibility.PUBLIC)
        if user.is_superuser:
            return self
        mine = Membership.objects.filter(user=user)
        publishing = mine.filter(role__in=(Membership.Role.ADMIN, Membership.Role.PUBLISHER))
        return self.filter(
            Q(visibility=Pattern.Visibility.PUBLIC)
            | Q(visibility=Pattern.Visibility.ORGANISATION, owner__in=mine.values("owner"))
            | Q(owner__in=publishing.values("owner"))
        )

    def for_list(self) -> PatternQuerySet:
        """With all that a row of a list shows, in the same query."""
        return self.select_related("owner", "newest", "shown").defer(
            *(f"{which}__{heavy}" for which in ("newest", "shown") for heavy in HEAVY_VERSION_FIELDS)
        )

    def named(self, owner: str, name: str) -> PatternQuerySet:
        """The pattern ``owner/name``."""
        return self.filter(owner__name=owner, name=name)


# Columns of a version that lists never show; fetching them would move megabytes.
HEAVY_VERSION_FIELDS = ("source", "program", "value", "claims", "verification", "adaptive_rules", "inputs")


class Pattern(models.Model):
    """``owner/name``: what people search for, rate and fork."""

    class Visibility(models.TextChoices):
        PRIVATE = "private", "only its publishers"
        ORGANISATION = "org", "the organisation"
        PUBLIC = "public", "everyone"

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="patterns")
    name = models.CharField(max_length=64, validators=[validate_name])
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.PUBLIC)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    description_edited = models.BooleanField(
        default=False, help_text="Edited by hand: a new version no longer overwrites title and description."
    )
    category = models.CharField(max_length=64, blank=True)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.EXECUTABLE)
    newest = models.ForeignKey(
        "PatternVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Highest, not yanked.",
    )
    shown = models.ForeignKey(
        "PatternVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Stable, else newest.",
    )
    forked_from = models.ForeignKey(
        "PatternVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="forks",
        help_text="The version it was copied from; the digests carry the lineage from there.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="Last publish; freshness in rankings.")
    revision = models.PositiveIntegerField(default=0)

    measured_runs = models.PositiveIntegerField(default=0)
    measured_successes = models.PositiveIntegerField(default=0)
    simulated_runs = models.PositiveIntegerField(default=0)
    simulated_successes = models.PositiveIntegerField(default=0)
    ranked_runs = models.PositiveIntegerField(default=0, help_text="Capped per reporter, the owner's own left out.")
    ranked_successes = models.PositiveIntegerField(default=0)
    success_floor = models.FloatField(default=0.0, help_text="Shrunk lower 10 % quantile; what lists sort by, 0 to 1.")
    ratings_count = models.PositiveIntegerField(default=0, help_text="Ratings that rank: not the owner's own.")
    ratings_sum = models.PositiveIntegerField(default=0)
    rating_shrunk = models.FloatField(default=0.0, help_text="Shrunk mean of the stars, 1 to 5; 0 without ratings.")
    emerging_score = models.FloatField(default=0.0, help_text="Evidence that use grows; flagged from 1000.")
    is_emerging = models.BooleanField(default=False)
    forks_count = models.PositiveIntegerField(default=0)
    last_run_at = models.DateTimeField(null=True, blank=True)

    objects = PatternQuerySet.as_manager()

    class Meta:
        ordering = ["owner__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="registry_pattern_name_taken"),
            models.CheckConstraint(
                condition=Q(measured_successes__lte=models.F("measured_runs")),
                name="registry_pattern_more_successes_than_runs",
            ),
        ]
        indexes = [
            models.Index(fields=["visibility", "-updated_at", "-id"], name="registry_pattern_fresh"),
            models.Index(fields=["visibility", "-success_floor", "-id"], name="registry_pattern_success"),
            models.Index(fields=["visibility", "-rating_shrunk", "-id"], name="registry_pattern_rating"),
            models.Index(fields=["visibility", "-emerging_score", "-id"], name="registry_pattern_emerging"),
            models.Index(fields=["visibility", "-measured_runs", "-id"], name="registry_pattern_used"),
            models.Index(fields=["visibility", "category", "mode"], name="registry_pattern_facets"),
            models.Index(fields=["name"], name="registry_pattern_name"),
        ]

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}"

    def get_absolute_url(self) -> str:
        return reverse("registry:pattern", args=[self.owner.name, self.name])

    @property
    def tags(self) -> list[str]:
        """Its tags, sorted; uses the prefetched rows where there are any."""
        return sorted(row.tag for row in self.tag_rows.all())

    def is_visible_to(self, user: Any) -> bool:
        """Whether ``user`` may know that this pattern exists."""
        return Pattern.objects.filter(pk=self.pk).visible_to(user).exists()

    def channel(self, name: str) -> Channel | None:
        """The channel of that name, or None."""
        return self.channels.select_related("version").filter(name=name).first()

    def version_named(self, wanted: str) -> PatternVersion | None:
        """
        The version that ``wanted`` names: ``1.2.0``, a channel, ``""`` (stable,
        else the newest), or a full digest; None when there is no such version.
        """
        versions = self.versions.select_related("pattern__owner")
        if not wanted:
            return versions.filter(pk=self.shown_id or 0).first()
        if len(wanted) == 64:
            return versions.filter(digest=wanted).first()
        found = versions.filter(version=wanted).first()
        return found or versions.filter(channels__name=wanted).first()


class PatternTag(models.Model):
    """One tag of one pattern; a row, so that facets are counted by the database."""

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="tag_rows")
    tag = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pattern", "tag"], name="registry_tag_not_twice")]
        indexes = [models.Index(fields=["tag", "pattern"], name="registry_tag_patterns")]

    def __str__(self) -> str:
        return f"{self.tag} on {self.pattern_id}"


class Draft(models.Model):
    """A source text that its author has not published; nobody else sees it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drafts")
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="drafts")
    title = models.CharField(max_length=200, blank=True)
    source = models.BinaryField()
    file_name = models.CharField(max_length=200, blank=True)
    parent_digest = models.CharField(max_length=64, blank=True, help_text="What it was forked or adapted from.")
    parent_op = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    revision = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return f"draft {self.pk}: {self.title or 'untitled'}"

    def get_absolute_url(self) -> str:
        return reverse("registry:draft", args=[self.pk])

    @property
    def text(self) -> str:
        """The source for an editor; bytes that are no UTF-8 show as replacement characters."""
        return bytes(self.source).decode("utf-8", errors="replace")
