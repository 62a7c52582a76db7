"""
Every error a client can get, as RFC 9457 problem details.

``problem(error)`` knows the HTTP answer of each error tree of the house; one
test walks those trees and fails for an error that has no answer here. A body:

    {"type": "https://opl.dev/problems/<code>", "title": …, "status": 422, "detail": …,
     "code": "registry.invalid", "problems": [{"code", "message", "line", "column", …}]}
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from opl.errors import DocumentError, LimitExceeded, OplError

log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "https://opl.dev/problems/"
NON_FIELD = "non_field_errors"  # DRF's word for a body that is no object at all


def body(*, status: int, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """One problem object; ``extra`` members are left out where they are None."""
    return {
        "type": TYPE_PREFIX + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **{name: value for name, value in extra.items() if value is not None},
    }


def status_of(error: BaseException) -> int:
    """The HTTP status of one of our errors; its class names it as ``status``, the language's do not."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status
    if isinstance(error, DocumentError):
        return 422
    if isinstance(error, LimitExceeded):
        return 413
    return 422 if isinstance(error, OplError) else 500


def from_error(error: Exception) -> dict[str, Any]:
    """The problem object for an error of ours."""
    problems = getattr(error, "problems", None)
    listed = [problem.to_json() for problem in problems] if problems is not None else None
    return body(
        status=status_of(error),
        code=str(getattr(error, "code", "internal-error")),
        detail=str(error),
        problems=listed,
        retry_after=getattr(error, "retry_after", None),
        **(getattr(error, "members", None) or {}),
    )


def is_ours(error: Exception) -> bool:
    """Whether the house raised it on purpose, so that its text is meant for the client."""
    return isinstance(error, OplError) or (
        hasattr(error, "code")
        and isinstance(getattr(error, "status", None), int)
        and type(error).__module__.split(".")[0] in {"registry", "execution", "federation", "hub"}
    )


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: our errors, DRF's own, and Django's become problems; the rest stays a fault of ours."""
    if is_ours(error):
        set_rollback()
        return _response(from_error(error))
    if isinstance(error, Http404):
        return _response(body(status=404, code="not-found", detail="there is nothing here that you may see"))
    if isinstance(error, PermissionDenied):
        return _response(body(status=403, code="forbidden", detail=str(error) or "you may not do this"))
    if isinstance(error, RequestDataTooBig):
        return _response(body(status=413, code="too-large", detail="the request is larger than 5 MiB"))
    if isinstance(error, exceptions.APIException):
        set_rollback()
        return _from_drf(error, getattr(context.get("view"), "allowed_methods", ()))
    return None


def _response(problem: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    if "retry_after" in problem:
        headers = {**(headers or {}), "Retry-After": str(problem["retry_after"])}
    return Response(problem, status=problem["status"], headers=headers, content_type=CONTENT_TYPE)


def _from_drf(error: exceptions.APIException, allowed: Sequence[str] = ()) -> Response:
    fields: Any = None
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"": error.detail}
        if NON_FIELD in fields:
            fields = {"": ["send a JSON object"]}
        detail = "; ".join(
            f"{name}: {' '.join(map(str, _flat(text)))}" if name else " ".join(map(str, _flat(text)))
            for name, text in fields.items()
        )
    elif isinstance(error, exceptions.MethodNotAllowed) and allowed:
        detail = f"this address takes {', '.join(allowed)}"
    else:
        detail = str(error.detail)
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    wait = getattr(error, "wait", None)
    code = error.default_code.replace("_", "-")
    problem = body(
        status=error.status_code,
        code=code,
        detail=detail,
        fields=fields,
        retry_after=int(wait) if wait else None,
    )
    return _response(problem, headers)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [f"{name}: {part}" for name, inner in value.items() for part in _flat(inner)]
    return [part for inner in value for part in _flat(inner)] if isinstance(value, list) else [value]


def json_problem(request: HttpRequest, *, status: int, code: str, detail: str) -> JsonResponse:
    """A problem for views outside DRF."""
    return JsonResponse(body(status=status, code=code, detail=detail), status=status, content_type=CONTENT_TYPE)
