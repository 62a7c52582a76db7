"""
Who publishes: people, and owners under whose names patterns stand.

Every person has an owner of the same name, made with the person; an
organisation is an owner with members. A remote owner stands for an author of
another node and is keyed by ``authority``, so equal names never collide.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import Q
from django.urls import reverse

from registry.models.names import name_from, validate_name


class User(AbstractUser):
    """A person who can sign in."""

    username_validator = validate_name  # type: ignore[assignment]  # any validator serves
    username = models.CharField(
        "username",
        max_length=64,
        unique=True,
        validators=[validate_name],
        help_text="2 to 64 of a-z, 0-9, _ and -, beginning with a letter; also the name you publish under.",
        error_messages={"unique": "Somebody has this name already."},
    )

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the person, and their own owner with them the first time."""
        is_new = self.pk is None
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_new:
                owner = Owner.objects.create(name=name_from(self.username) or f"person-{self.pk}", kind=Owner.Kind.USER)
                Membership.objects.create(owner=owner, user=self, role=Membership.Role.ADMIN)

    @property
    def own_owner(self) -> Owner:
        """The owner of this person's own name."""
        return Owner.objects.get(kind=Owner.Kind.USER, memberships__user=self)


class OwnerQuerySet(models.QuerySet["Owner"]):
    """Sets of owners."""

    def publishable_by(self, user: Any) -> OwnerQuerySet:
        """Owners under whose name ``user`` may publish."""
        if not user.is_authenticated:
            return self.none()
        if user.is_superuser:
            return self
        roles = (Membership.Role.ADMIN, Membership.Role.PUBLISHER)
        return self.filter(pk__in=Membership.objects.filter(user=user, role__in=roles).values("owner"))


class Owner(models.Model):
    """A name that patterns stand under: a person, an organisation, or an author of another node."""

    class Kind(models.TextChoices):
        USER = "user", "person"
        ORGANISATION = "organisation", "organisation"
        REMOTE = "remote", "author of another node"

    name = models.CharField(max_length=64, unique=True, validators=[validate_name])
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.USER)
    title = models.CharField(max_length=200, blank=True, help_text="What people read; the name stays the key.")
    authority = models.CharField(
        max_length=64, null=True, blank=True, unique=True, help_text="Author id (opla1…) of a remote owner."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(User, through="Membership", related_name="owners")

    objects = OwnerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="remote", authority__isnull=False) | (~Q(kind="remote") & Q(authority__isnull=True)),
                name="registry_owner_authority_only_of_remote",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("registry:owner", args=[self.name])

    def role_of(self, user: Any) -> str:
        """``admin``, ``publisher``, ``member`` or "" for somebody outside."""
        if not user.is_authenticated:
            return ""
        if user.is_superuser:
            return Membership.Role.ADMIN
        return self.role_of_member(user)

    def role_of_member(self, user: Any) -> str:
        """As ``role_of``, but an administrator of the hub is no member by that alone."""
        row = Membership.objects.filter(owner=self, user_id=user.pk).values_list("role", flat=True).first()
        return row or ""

    def can_publish(self, user: Any) -> bool:
        """Whether ``user`` may publish under this name."""
        return self.role_of(user) in (Membership.Role.ADMIN, Membership.Role.PUBLISHER)

    def can_administer(self, user: Any) -> bool:
        """Whether ``user`` may change members, protected channels and webhooks."""
        return self.role_of(user) == Membership.Role.ADMIN


class Membership(models.Model):
    """A person's role in an owner."""

    class Role(models.TextChoices):
        ADMIN = "admin", "administers"
        PUBLISHER = "publisher", "publishes"
        MEMBER = "member", "reads"

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "user"], name="registry_membership_not_twice"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.owner}: {self.role}"
