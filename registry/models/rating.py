"""What people say: ratings, comments, and reports about either."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from registry.models.pattern import Pattern
from registry.models.version import PatternVersion


class Rating(models.Model):
    """One person's stars for one pattern, given to the version they saw."""

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="ratings")
    version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="ratings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ratings")
    stars = models.PositiveSmallIntegerField()
    words = models.TextField(blank=True)
    ran_it = models.BooleanField(default=False, help_text="A recorded run of this person backs it.")
    ranks = models.BooleanField(default=True, help_text="False for the owner's own people.")
    is_hidden = models.BooleanField(default=False, help_text="Hidden by a moderator.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(fields=["pattern", "user"], name="registry_rating_twice"),
            models.CheckConstraint(condition=Q(stars__gte=1, stars__lte=5), name="registry_rating_out_of_range"),
        ]

    def __str__(self) -> str:
        return f"{self.stars} stars by {self.user_id} for {self.pattern_id}"


class Comment(models.Model):
    """One contribution to a pattern's discussion."""

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="comments")
    version = models.ForeignKey(PatternVersion, null=True, on_delete=models.PROTECT, related_name="comments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="comments")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="replies")
    text = models.TextField()
    is_hidden = models.BooleanField(default=False, help_text="Hidden by a moderator.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["pattern", "id"], name="registry_comment_thread")]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.pattern_id}"


class Report(models.Model):
    """Somebody asks the moderators to look at a pattern, a rating or a comment."""

    class Status(models.TextChoices):
        OPEN = "open", "open"
        UPHELD = "upheld", "upheld"
        DISMISSED = "dismissed", "dismissed"

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="reports")
    rating = models.ForeignKey(Rating, null=True, blank=True, on_delete=models.CASCADE, related_name="reports")
    comment = models.ForeignKey(Comment, null=True, blank=True, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="reports")
    reason = models.TextField()
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["status", "id"], name="registry_report_queue")]

    def __str__(self) -> str:
        return f"report {self.pk}: {self.status}"
