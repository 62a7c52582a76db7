"""POST /patterns and /check: three ways in, every problem with its place."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from registry.models import IdempotencyRecord, PatternVersion, User
from tests.registry.api.conftest import as_user
from tests.registry.factories import COMPONENT, make_organisation, make_version, opl

pytestmark = pytest.mark.django_db
URL = "/api/v1/patterns"


class TestPublish:
    def test_takes_json(self, ada: User) -> None:
        answer = as_user(ada).post(URL, {"source": opl().decode()})

        assert answer.status_code == 201, answer.content
        assert answer["Location"] == "/api/v1/patterns/ada/vote/versions/1.0.0"
        body = answer.json()
        assert body["patterns"][0]["version"] == "1.0.0"
        assert body["patterns"][0]["published_by"] == "ada"
        assert body["patterns"][0]["created"] is True

    @pytest.mark.parametrize("kind", ["application/yaml", "text/plain", "application/octet-stream"])
    def test_takes_the_raw_body_byte_for_byte(self, ada: User, kind: str) -> None:
        source = opl() + b"# the end\n\n"

        answer = as_user(ada).generic("POST", f"{URL}?name=renamed", source, content_type=kind)

        assert answer.status_code == 201, answer.content
        assert PatternVersion.objects.get(pattern__name="renamed").source_bytes == source

    def test_takes_an_upload(self, ada: User) -> None:
        upload = SimpleUploadedFile("teamwork.md", COMPONENT, content_type="text/markdown")

        answer = as_user(ada).post(URL, {"file": upload}, format="multipart")

        assert answer.status_code == 201, answer.content
        assert [item["pattern"] for item in answer.json()["patterns"]] == ["ada/relay", "ada/poll"]
        assert PatternVersion.objects.first().provenance["file"] == "teamwork.md"

    def test_answers_the_same_bytes_with_200(self, ada: User) -> None:
        client = as_user(ada)
        client.post(URL, {"source": opl().decode()})

        again = client.post(URL, {"source": opl().decode()})

        assert again.status_code == 200
        assert again.json()["patterns"][0]["created"] is False

    def test_refuses_another_text_for_a_version_with_409(self, ada: User) -> None:
        make_version(user=ada)

        answer = as_user(ada).post(URL, {"source": opl(description="other").decode()})

        assert answer.status_code == 409
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "registry.version-taken"
        assert answer.json()["suggested_version"] == "1.0.1"

    def test_says_where_every_problem_is(self, ada: User) -> None:
        source = "type: orchestration_pattern\nname: vote\ndsl: |\n  STATE a =\n  STATE b = (1\n"

        answer = as_user(ada).post(URL, {"source": source})

        assert answer.status_code == 422
        body = answer.json()
        errors = [problem for problem in body["problems"] if problem["severity"] == "error"]
        assert body["code"] == "registry.document-invalid"
        assert [problem["line"] for problem in errors] == [4, 5]
        assert all(problem["column"] > 0 and problem["message"] and problem["code"] for problem in errors)

    def test_refuses_a_disagreeing_version_with_422(self, ada: User) -> None:
        answer = as_user(ada).post(URL, {"source": opl().decode(), "version": "3.0.0"})

        assert (answer.status_code, answer.json()["code"]) == (422, "registry.version-disagrees")
        assert "version" in answer.json()["fields"]

    def test_asks_who_is_calling(self, api: APIClient) -> None:
        answer = api.post(URL, {"source": opl().decode()})

        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_refuses_a_token_without_the_scope(self, ada: User) -> None:
        answer = as_user(ada, "read").post(URL, {"source": opl().decode()})

        assert answer.status_code == 403
        assert "publish" in answer.json()["detail"]

    def test_refuses_a_stranger_s_owner(self, ada: User, eve: User) -> None:
        answer = as_user(eve).post(URL, {"source": opl().decode(), "owner": "ada"})

        assert (answer.status_code, answer.json()["code"]) == (403, "registry.not-allowed")

    def test_publishes_for_an_organisation(self, ada: User) -> None:
        make_organisation("lab", publisher=ada)

        answer = as_user(ada).post(URL, {"source": opl().decode(), "owner": "lab", "visibility": "org"})

        assert answer.json()["patterns"][0]["pattern"] == "lab/vote"

    @pytest.mark.parametrize(
        "source",
        [
            b"",
            b"\x00",
            b"\xff\xfe\xfd",
            b"[" * 25_000,
            b"a: &a [x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
            b"type: orchestration_pattern\ntype: orchestration_pattern\n",
            b"just words",
            b"type: orchestration_pattern\nname: ../../etc\ndsl: 'RETURN 1'\nversion: " + b"9" * 400,
            b"---\nname: [\n---\n",
        ],
        ids=["empty", "nul", "no-utf8", "brackets", "aliases", "duplicate-key", "prose", "odd-names", "front-matter"],
    )
    def test_refuses_hostile_input_with_an_error_of_ours(self, ada: User, source: bytes) -> None:
        answer = as_user(ada).generic("POST", URL, source, content_type="application/yaml")

        assert answer.status_code in (400, 422), answer.content
        assert answer.json()["code"].startswith("registry.") or not source

    @pytest.mark.parametrize(
        "body", ["[]", "3", '"x"', "{}", '{"source": 3}', '{"source": "a", "owner": "\\u0000"}', "{"]
    )
    def test_refuses_odd_json(self, ada: User, body: str) -> None:
        answer = as_user(ada).generic("POST", URL, body, content_type="application/json")

        assert answer.status_code in (400, 422), answer.content
        assert answer["Content-Type"] == "application/problem+json"

    def test_refuses_more_than_a_megabyte(self, ada: User) -> None:
        answer = as_user(ada).generic("POST", URL, b"# " + b"x" * 2_000_000, content_type="application/yaml")

        assert answer.status_code == 422


class TestIdempotency:
    def test_answers_a_repeated_request_as_the_first_time(self, ada: User) -> None:
        client = as_user(ada)
        first = client.post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})

        second = client.post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})

        assert (first.status_code, second.status_code) == (201, 201)
        assert second.json() == first.json()
        assert second["Idempotency-Replayed"] == "true"
        assert second["Location"] == first["Location"]

    def test_refuses_a_key_that_comes_with_another_request(self, ada: User) -> None:
        client = as_user(ada)
        client.post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})

        other = client.post(URL, {"source": opl("other").decode()}, headers={"Idempotency-Key": "k1"})

        assert (other.status_code, other.json()["code"]) == (409, "registry.idempotency-key-reused")

    def test_forgets_a_request_that_failed(self, ada: User) -> None:
        client = as_user(ada)
        client.post(URL, {"source": "no pattern"}, headers={"Idempotency-Key": "k1"})

        assert not IdempotencyRecord.objects.exists()
        fixed = client.post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})
        assert fixed.status_code == 201

    def test_keeps_the_keys_of_two_people_apart(self, ada: User, eve: User) -> None:
        as_user(ada).post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})

        answer = as_user(eve).post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "k1"})

        assert answer.json()["patterns"][0]["pattern"] == "eve/vote"

    def test_refuses_a_key_that_is_none(self, ada: User) -> None:
        answer = as_user(ada).post(URL, {"source": opl().decode()}, headers={"Idempotency-Key": "x" * 201})

        assert answer.status_code == 422


class TestCheck:
    def test_stores_nothing_and_needs_nobody(self, api: APIClient) -> None:
        answer = api.post("/api/v1/check", {"source": opl().decode()})

        assert answer.status_code == 200
        body = answer.json()
        assert body["ok"] is True
        assert body["patterns"][0]["inputs"][0]["name"] == "rounds"
        assert not PatternVersion.objects.exists()

    def test_lists_the_problems_of_a_bad_text(self, api: APIClient) -> None:
        answer = api.post("/api/v1/check", {"source": "dsl: |\n  STATE\n"})

        assert answer.status_code == 200
        assert answer.json()["ok"] is False
        assert answer.json()["problems"]

    def test_offers_a_bump_against_the_owner_s_pattern(self, ada: User) -> None:
        make_version(user=ada)

        answer = as_user(ada).post("/api/v1/check", {"source": opl(version="", description="w").decode()})

        item = answer.json()["patterns"][0]
        assert (item["bump"], item["suggested_version"], item["newest"]) == ("patch", "1.0.1", "1.0.0")

    def test_does_not_show_near_duplicates_that_are_private(self, ada: User, api: APIClient) -> None:
        make_version(user=ada, visibility="private")

        answer = api.post("/api/v1/check", {"source": opl().decode() + "# comment\n"})

        assert answer.json()["patterns"][0]["near_duplicates"] == []
