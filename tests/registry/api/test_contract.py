"""The API keeps its own description: whatever a client sends, no fault of ours, and answers as described."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import schemathesis
from django.conf import settings as django_settings
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from jsonschema import Draft202012Validator
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIClient

from registry.api import pinned
from tests.registry.api.conftest import as_user
from tests.registry.factories import make_admin, make_version, record_runs


def described() -> dict[str, Any]:
    """The OpenAPI description of the registry's own addresses."""
    raw = SchemaGenerator().get_schema(request=None, public=True)
    schema = json.loads(JSONRenderer().render(raw))
    schema["paths"] = {
        path: item for path, item in schema["paths"].items() if not path.startswith(("/api/v1/runs", "/api/v1/trials"))
    }
    return schema  # type: ignore[no-any-return]


DESCRIBED = described()
COMPONENTS = DESCRIBED["components"]
SCHEMA = schemathesis.openapi.from_dict(DESCRIBED)
OPERATIONS = [operation.ok() for operation in SCHEMA.get_all_operations() if operation.ok().path.startswith("/api/v1/")]


class TestDescription:
    def test_names_every_operation_once(self) -> None:
        names = [operation.definition.raw["operationId"] for operation in OPERATIONS]

        assert len(names) == len(set(names))
        assert {"patterns_publish", "version_read", "version_source", "search", "check"} <= set(names)

    def test_is_openapi_3_1_with_a_bearer_token(self) -> None:
        schema = described()

        assert schema["openapi"].startswith("3.1")
        assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert django_settings.SPECTACULAR_SETTINGS["OAS_VERSION"] == schema["openapi"]


class TestAnyRequest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        pinned.KEPT.clear()
        root = make_admin()
        self.version = make_version(user=root)
        record_runs(self.version, 2, 1)
        self.client_of_root = as_user(root, "admin")

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def test_is_answered_as_described(self, data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(OPERATIONS))
        case = data.draw(operation.as_strategy())
        known = {"owner": "root", "name": "vote", "version": "1.0.0", "other": "1.0.0"}
        if data.draw(st.booleans()):
            case.path_parameters = {
                **(case.path_parameters or {}),
                **{key: value for key, value in known.items() if key in (case.path_parameters or {})},
            }

        answer = send(self.client_of_root, case)

        assert answer.status_code < 500, (case.method, case.formatted_path, case.body, answer.content)
        if answer.status_code >= 400:
            assert answer["Content-Type"] in ("application/problem+json", "text/html; charset=utf-8")
            return
        check_shape(operation, answer)


def send(client: APIClient, case: Any) -> Any:
    """Send a generated case through Django's own client."""
    body, kind = case.body, case.media_type or "application/json"
    if isinstance(body, bytes):
        content = body
    elif isinstance(body, str) and kind != "application/json":
        content = body.encode("utf-8", "surrogatepass")
    else:
        try:
            content = json.dumps(body).encode() if body.__class__.__name__ != "NotSet" else b""
        except TypeError:
            content = b"{}"
    query = {key: value for key, value in (case.query or {}).items() if value is not None}
    return client.generic(
        case.method, f"{case.formatted_path}?{urlencode(query, doseq=True)}", content, content_type=kind
    )


def check_shape(operation: Any, answer: Any) -> None:
    """A JSON answer validates against the shape that the description gives for its status."""
    described_answer = operation.definition.raw["responses"].get(str(answer.status_code))
    assert described_answer is not None or answer.status_code in (200, 304), answer.status_code
    if not answer["Content-Type"].startswith("application/json") or described_answer is None:
        return
    shape = described_answer.get("content", {}).get("application/json", {}).get("schema")
    if shape:
        root = {**shape, "components": COMPONENTS}
        Draft202012Validator(root).validate(json.loads(answer.content))
