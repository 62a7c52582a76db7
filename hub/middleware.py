"""What every request passes through before the house sees it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

REPLACEMENT = "\ufffd"


def readable_addresses(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """
    U+0000 in an address becomes U+FFFD: nothing is called so, and PostgreSQL refuses to look for the former.

    Forms and bodies need no such thing: the fields of Django and DRF refuse U+0000 with a message.
    """

    def answered(request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            request.path_info = request.path_info.replace("\x00", REPLACEMENT)
            request.path = request.path.replace("\x00", REPLACEMENT)
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query:
            request.META["QUERY_STRING"] = query.replace("%00", "%EF%BF%BD")
        return answer(request)

    return answered
