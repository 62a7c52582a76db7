"""Accounts: signing up, tokens that are shown once, and a theme without scripts."""

from __future__ import annotations

import re

import pytest
from django.test import Client, override_settings

from registry.models import Rating, Token, User, Webhook
from tests.registry.web.conftest import World

PASSWORDS = {"password1": "a-long-enough-secret", "password2": "a-long-enough-secret"}


class TestSignUp:
    def test_makes_an_account_and_signs_in(self, client: Client, db: None) -> None:
        answer = client.post("/accounts/new/", {"username": "emmy", **PASSWORDS, "next": "/publish/"})

        assert answer.headers["Location"] == "/publish/"
        assert User.objects.get().own_owner.name == "emmy"
        assert client.get("/settings/tokens/").status_code == 200

    def test_a_taken_name_is_said_at_its_field(self, client: Client, world: World) -> None:
        answer = client.post("/accounts/new/", {"username": "lab", **PASSWORDS})

        assert answer.status_code == 422
        assert b"Somebody has this name already" in answer.content

    def test_a_closed_hub_has_no_such_page(self, client: Client, db: None) -> None:
        with override_settings(REGISTRATION_OPEN=False):
            assert client.get("/accounts/new/").status_code == 404

    @pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_leads_nowhere_else_afterwards(self, client: Client, db: None, wanted: str) -> None:
        answer = client.post("/accounts/new/", {"username": "emmy", **PASSWORDS, "next": wanted})

        assert answer.headers["Location"] == "/"


class TestTheme:
    def test_is_remembered_without_scripts(self, client: Client, db: None) -> None:
        answer = client.post("/theme/", {"theme": "dark", "next": "/help/counting/"})

        assert answer.headers["Location"] == "/help/counting/"
        assert b'data-theme="dark"' in client.get("/").content

    def test_as_the_system_forgets_the_choice(self, client: Client, db: None) -> None:
        client.post("/theme/", {"theme": "dark"})
        client.post("/theme/", {"theme": "auto"})

        assert b"data-theme" not in client.get("/").content

    def test_takes_nothing_else(self, client: Client, db: None) -> None:
        client.post("/theme/", {"theme": '"><script>'})

        assert b"<script>" not in client.get("/").content


class TestTokens:
    def test_shows_the_secret_once_and_keeps_it_out_of_caches(self, as_owner: Client) -> None:
        answer = as_owner.post("/settings/tokens/", {"name": "ci", "scopes": ["read", "publish"], "days": "90"})
        secret = re.search(rb"oplt_[\w-]{43}", answer.content)

        assert secret is not None
        assert answer.headers["Cache-Control"] == "no-store"
        assert secret[0] not in as_owner.get("/settings/tokens/").content

    def test_revokes_ones_own(self, as_owner: Client) -> None:
        as_owner.post("/settings/tokens/", {"name": "ci", "scopes": ["read"], "days": "0"})
        token = Token.objects.get()

        as_owner.post(f"/settings/tokens/{token.pk}/revoke/")

        token.refresh_from_db()
        assert token.revoked_at is not None

    def test_somebody_elses_is_not_there(self, as_owner: Client, client: Client, world: World) -> None:
        as_owner.post("/settings/tokens/", {"name": "ci", "scopes": ["read"], "days": "0"})
        client.force_login(world.stranger)

        assert client.post(f"/settings/tokens/{Token.objects.get().pk}/revoke/").status_code == 404

    def test_admin_is_offered_to_administrators_only(self, as_owner: Client) -> None:
        assert as_owner.post("/settings/tokens/", {"name": "x", "scopes": ["admin"], "days": "0"}).status_code == 422


class TestWebhooks:
    def test_shows_the_secret_once(self, as_owner: Client) -> None:
        sent = {"owner": "ada", "url": "https://hooks.example.org/in", "events": ["version.published"]}

        answer = as_owner.post("/settings/webhooks/", sent)

        secret = Webhook.objects.get().secret
        assert secret.encode() in answer.content
        assert secret.encode() not in as_owner.get("/settings/webhooks/").content

    def test_an_address_inside_is_refused_at_its_field(self, as_owner: Client) -> None:
        answer = as_owner.post("/settings/webhooks/", {"owner": "ada", "url": "https://127.0.0.1/"})

        assert answer.status_code == 422
        assert b'id="id_url_error"' in answer.content


class TestRating:
    def test_counts_once_a_person_and_is_marked_when_they_ran_it(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        client.post("/patterns/ada/vote/rate/", {"stars": "2", "words": "less", "version": "1.1.0"})

        rating = Rating.objects.get(user=world.stranger)
        assert (rating.stars, rating.ran_it) == (2, True)
        assert b"ran it" in client.get("/patterns/ada/vote/discussion/").content

    def test_no_stars_are_asked_for_again(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        answer = client.post("/patterns/ada/vote/rate/", {"words": "less"})

        assert answer.status_code == 422
        assert b"less" in answer.content

    def test_comments_are_prose_of_their_author_and_never_markup(self, as_owner: Client) -> None:
        as_owner.post("/patterns/ada/vote/comment/", {"text": "<script>x</script> **bold**", "version": "1.1.0"})

        page = as_owner.get("/patterns/ada/vote/discussion/").content.decode()
        assert "<script>x" not in page
        assert "<strong>bold</strong>" in page
