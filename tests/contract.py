"""What the API's description says, and sending whatever fits it: shared by the contract tests of the apps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIClient


def described() -> dict[str, Any]:
    """The OpenAPI description of the whole API."""
    raw = SchemaGenerator().get_schema(request=None, public=True)
    return json.loads(JSONRenderer().render(raw))  # type: ignore[no-any-return]


DESCRIBED = described()
COMPONENTS = DESCRIBED["components"]


def operations(belongs: Callable[[str], bool]) -> list[Any]:
    """The operations whose path belongs to an app."""
    listed = schemathesis.openapi.from_dict(DESCRIBED).get_all_operations()
    found = [operation.ok() for operation in listed]
    return [operation for operation in found if operation.path.startswith("/api/v1/") and belongs(operation.path)]


def is_of_execution(path: str) -> bool:
    """Whether an address is about runs or trials."""
    return path.startswith(("/api/v1/runs", "/api/v1/trials", "/api/v1/backends")) or path.endswith("/estimate")


def is_of_federation(path: str) -> bool:
    """Whether an address is about peers and what they bring."""
    return path.startswith(("/api/v1/peers", "/api/v1/quarantine", "/api/v1/blocked-authors"))


def answered_as_described(client: APIClient, data: st.DataObject, listed: list[Any], known: dict[str, Any]) -> None:
    """
    Draw one request and hold its answer to the description.

    Args:
        known: path parameters of things that are there; half of the requests are about them.
    """
    operation = data.draw(st.sampled_from(listed))
    case = data.draw(operation.as_strategy())
    if data.draw(st.booleans()):
        given = case.path_parameters or {}
        case.path_parameters = {**given, **{key: value for key, value in known.items() if key in given}}

    answer = send(client, case)

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
