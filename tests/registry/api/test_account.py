"""Tokens, drafts, owners, webhooks, audit: over HTTP, each for whom it is."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from registry.models import Draft, IdempotencyRecord, Token, User, Webhook
from tests.registry.api.conftest import as_user
from tests.registry.factories import make_admin, make_version, opl

pytestmark = pytest.mark.django_db


def signed_in(user: User, *, checks_csrf: bool = False) -> APIClient:
    """A browser with a session."""
    client = APIClient(enforce_csrf_checks=checks_csrf)
    client.force_login(user)
    return client


class TestAuthentication:
    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer x", "Bearer oplt_" + "x" * 43, "Token oplt_\xff", "Bearer " + "y" * 5000]
    )
    def test_refuses_a_token_it_does_not_know(self, api: APIClient, db: object, header: str) -> None:
        answer = api.get("/api/v1/me", headers={"Authorization": header})

        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"

    def test_takes_both_spellings(self, api: APIClient, ada: User) -> None:
        secret = as_user(ada)._credentials["HTTP_AUTHORIZATION"].split()[1]

        for scheme in ("Bearer", "token"):
            assert api.get("/api/v1/me", headers={"Authorization": f"{scheme} {secret}"}).json()["user"] == "ada"

    def test_of_a_session_asks_for_the_csrf_token(self, ada: User) -> None:
        answer = signed_in(ada, checks_csrf=True).post("/api/v1/patterns", {"source": opl().decode()})

        assert answer.status_code == 403

    def test_of_a_session_may_do_what_its_person_may(self, ada: User) -> None:
        assert signed_in(ada).post("/api/v1/patterns", {"source": opl().decode()}).status_code == 201


class TestTokens:
    def test_are_made_with_a_secret_shown_once(self, ada: User) -> None:
        client = signed_in(ada)

        made = client.post("/api/v1/tokens", {"name": "ci", "scopes": ["publish"]})
        listed = client.get("/api/v1/tokens")

        assert made.status_code == 201
        assert made.json()["token"].startswith("oplt_")
        assert made.json()["token"] not in listed.content.decode()

    def test_work_until_they_are_revoked(self, api: APIClient, ada: User) -> None:
        client = signed_in(ada)
        made = client.post("/api/v1/tokens", {"name": "ci", "scopes": ["read"]}).json()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {made['token']}")
        before = api.get("/api/v1/me").status_code

        client.delete(f"/api/v1/tokens/{made['id']}")

        assert (before, api.get("/api/v1/me").status_code) == (200, 401)

    def test_cannot_make_others_without_the_admin_scope(self, ada: User) -> None:
        answer = as_user(ada, "publish").post("/api/v1/tokens", {"name": "more", "scopes": ["publish"]})

        assert answer.status_code == 403
        assert Token.objects.count() == 1

    def test_of_somebody_else_are_not_there(self, ada: User, eve: User) -> None:
        number = signed_in(ada).post("/api/v1/tokens", {"name": "ci", "scopes": ["read"]}).json()["id"]

        assert signed_in(eve).delete(f"/api/v1/tokens/{number}").status_code == 404

    def test_are_never_kept_as_an_answer(self, ada: User) -> None:
        signed_in(ada).post("/api/v1/tokens", {"name": "ci", "scopes": ["read"]}, headers={"Idempotency-Key": "k"})

        assert not IdempotencyRecord.objects.exists()

    @pytest.mark.parametrize("body", [{}, {"name": "x", "scopes": ["root"]}, {"name": "", "scopes": ["read"]}])
    def test_refuse_odd_wishes(self, ada: User, body: dict[str, object]) -> None:
        assert signed_in(ada).post("/api/v1/tokens", body).status_code in (400, 422)


class TestDrafts:
    def test_are_kept_changed_and_published(self, ada: User) -> None:
        client = as_user(ada)
        draft = client.post("/api/v1/drafts", {"source": "half", "title": "Vote"}).json()
        url = f"/api/v1/drafts/{draft['id']}"

        refused = client.post(f"{url}/publish")
        saved = client.put(url, {"source": opl().decode(), "expected_revision": 0})
        stale = client.put(url, {"source": "x", "expected_revision": 0})
        published = client.post(f"{url}/publish")

        assert (refused.status_code, saved.status_code, stale.status_code) == (422, 200, 409)
        assert published.status_code == 201
        assert not Draft.objects.exists()

    def test_are_nobody_else_s_business(self, ada: User, eve: User, api: APIClient) -> None:
        number = as_user(ada).post("/api/v1/drafts", {"source": "half"}).json()["id"]
        url = f"/api/v1/drafts/{number}"

        assert as_user(eve).get(url).status_code == 404
        assert as_user(eve).put(url, {"source": ""}).status_code == 404
        assert as_user(eve).delete(url).status_code == 404
        assert as_user(eve).post(f"{url}/publish").status_code == 404
        assert as_user(eve).get("/api/v1/drafts").json()["results"] == []
        assert api.get("/api/v1/drafts").status_code == 401


class TestOwners:
    def test_organisations_have_members(self, api: APIClient, ada: User, eve: User) -> None:
        client = as_user(ada)
        client.post("/api/v1/owners", {"name": "lab", "title": "The lab"})

        put = client.put("/api/v1/owners/lab/members/eve", {"role": "publisher"})

        assert put.json() == {"user": "eve", "role": "publisher"}
        assert [row["user"] for row in as_user(eve).get("/api/v1/owners/lab").json()["members"]] == ["ada", "eve"]
        assert "members" not in api.get("/api/v1/owners/lab").json()
        assert client.delete("/api/v1/owners/lab/members/eve").status_code == 204
        assert client.delete("/api/v1/owners/lab/members/ada").status_code == 409

    def test_that_are_not_there_are_404(self, api: APIClient, db: object) -> None:
        for name in ("none", "%00", "x" * 300):
            assert api.get(f"/api/v1/owners/{name}").status_code == 404


class TestWebhooks:
    def test_are_registered_with_a_secret_shown_once(self, ada: User) -> None:
        client = as_user(ada)

        made = client.post(
            "/api/v1/owners/ada/webhooks", {"url": "https://hooks.example/x", "events": ["version.published"]}
        )
        listed = client.get("/api/v1/owners/ada/webhooks").json()["results"]

        assert made.status_code == 201, made.content
        assert len(made.json()["secret"]) == 64
        assert "secret" not in listed[0]
        assert listed[0]["approved"] is False

    def test_show_their_deliveries_and_replay_them(self, ada: User) -> None:
        client = as_user(ada)
        number = client.post("/api/v1/owners/ada/webhooks", {"url": "https://hooks.example/x"}).json()["id"]
        as_user(make_admin(), "admin").post(f"/api/v1/webhooks/{number}/approve")
        make_version(user=ada)

        rows = client.get(f"/api/v1/webhooks/{number}/deliveries").json()["results"]
        replayed = client.post(f"/api/v1/deliveries/{rows[0]['id']}/replay")

        assert rows[0]["event"] == "version.published"
        assert replayed.json()["replay_of"] == rows[0]["id"]

    def test_are_not_for_strangers(self, ada: User, eve: User) -> None:
        number = as_user(ada).post("/api/v1/owners/ada/webhooks", {"url": "https://hooks.example/x"}).json()["id"]
        client = as_user(eve)

        assert client.get("/api/v1/owners/ada/webhooks").status_code == 404
        assert client.post("/api/v1/owners/ada/webhooks", {"url": "https://x.example/"}).status_code == 403
        assert client.get(f"/api/v1/webhooks/{number}/deliveries").status_code == 404
        assert client.delete(f"/api/v1/webhooks/{number}").status_code == 404
        assert client.post(f"/api/v1/webhooks/{number}/approve").status_code == 403
        assert Webhook.objects.count() == 1


class TestAudit:
    def test_is_read_by_those_it_concerns(self, api: APIClient, ada: User, eve: User) -> None:
        make_version(user=ada)

        rows = as_user(ada).get("/api/v1/audit?action=version.published").json()["results"]

        assert [row["subject"] for row in rows] == ["ada/vote@1.0.0"]
        assert [row["action"] for row in as_user(eve).get("/api/v1/audit").json()["results"]] == ["token.created"]
        assert api.get("/api/v1/audit").status_code == 401

    def test_is_verified_by_administrators(self, ada: User) -> None:
        assert as_user(make_admin(), "admin").get("/api/v1/audit/verify").json() == {"whole": True, "broken_at": None}
        assert signed_in(ada).get("/api/v1/audit/verify").status_code == 404
