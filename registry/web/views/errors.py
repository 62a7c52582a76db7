"""
The answers to requests that went wrong: a page for people, a problem for programs.

Below ``/api/`` the body is RFC 9457 problem details, since that is what the
caller can read; everywhere else it is a page that says what to do next.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

PROBLEM = "application/problem+json"


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the request itself cannot be read."""
    return _answer(request, 400, "the request cannot be read; check its encoding and its form")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: known, and not allowed."""
    return _answer(request, 403, str(exception or "") or "you may not do this")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose secret does not fit: its page was open for long, or cookies are off."""
    text = "the form had expired, or cookies are switched off; go back, reload the page and send it again"
    return _answer(request, 403, text)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: nothing here, or nothing that this person may see."""
    return _answer(request, 404, "there is nothing here that you may see")


def server_error(request: HttpRequest) -> HttpResponse:
    """500: our fault. The page asks nothing of the database or of context processors, which may be the fault."""
    if _is_api(request):
        return _problem(500, "the hub failed; the failure is logged, try again later")
    from django.template.loader import render_to_string

    return HttpResponse(render_to_string("500.html"), status=500)


def _answer(request: HttpRequest, status: int, reason: str) -> HttpResponse:
    if _is_api(request):
        return _problem(status, reason)
    return render(request, f"{status}.html", {"reason": reason}, status=status)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/federation/v1/", "/live/", "/mcp"))


def _problem(status: int, detail: str) -> HttpResponse:
    phrase = HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "-")
    body = {
        "type": f"https://opl.dev/problems/{code}",
        "title": phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return HttpResponse(json.dumps(body), status=status, content_type=PROBLEM)
