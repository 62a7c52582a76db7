"""
Make the first account of a new hub and its identity as a node.

The account's password is kept where only its owner can read it, until it is changed.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.utils import timezone

from federation.services import identities
from hub.management.commands.serve import FIRST_LOGIN_FILE, new_password

NAME = "admin"


class Command(BaseCommand):
    help = "Make an administrator on a hub that has no people yet; forget its note once the password was changed."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.KEY_ENCRYPTION_KEY and not identities.has_node():
            identities.create_node(now=timezone.now())
            self.stdout.write("Made this node's keys; `manage.py node` shows its fingerprint.")
        self.account()

    def account(self) -> None:
        """The administrator of a hub that has none."""
        note = settings.ENVIRONMENT.data_dir / FIRST_LOGIN_FILE
        people = get_user_model().objects
        if note.is_file():
            name, password = note.read_text("utf-8").split()
            person = people.filter(username=name).first()
            if person is not None and person.check_password(password):
                return
            note.unlink()
        if people.filter(is_superuser=True).exists():
            return
        password = new_password()
        people.create_superuser(username=NAME, password=password)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch(mode=0o600)
        note.write_text(f"{NAME} {password}\n", "utf-8")
        self.stdout.write(f"Made the account {NAME}.")
