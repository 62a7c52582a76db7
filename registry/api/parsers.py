"""
How a document may arrive: as JSON with ``source``, as the raw body, or as an uploaded file.

A raw body takes its options from the query: ``POST /patterns?owner=ada`` with
``Content-Type: application/yaml``. The bytes are kept as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from registry.api.bodies import read_body
from registry.api.json_parser import OneReadingParser
from registry.api.shapes import PublishBody
from registry.errors import InvalidRequest

OPTIONS = ("owner", "name", "version", "visibility", "file")


class RawParser(BaseParser):
    """Leaves the bytes alone."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The body."""
        return bytes(stream.read())


SOURCE_PARSERS = [OneReadingParser, MultiPartParser, RawParser]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A source and the options it came with."""

    source: bytes  # exactly
    options: dict[str, str]  # those of OPTIONS that were given


def source_of(request: Request) -> Arrived:
    """The source of a request in any of the three forms."""
    data = request.data
    if isinstance(data, bytes):
        return Arrived(source=data, options=_options(request.query_params))
    upload = request.FILES.get("file") if request.FILES else None
    if upload is not None:
        options = _options(request.query_params) | _options(request.POST)
        return Arrived(source=upload.read(), options={"file": upload.name or "", **options})
    if not isinstance(data, dict):
        raise InvalidRequest("source", "send an object with `source`, the raw text, or a file")
    body = read_body(PublishBody, request)
    source = body.pop("source").encode("utf-8", "surrogatepass")
    return Arrived(source=source, options=_options(request.query_params) | body)


def _options(given: Any) -> dict[str, str]:
    found = {name: str(given[name]) for name in OPTIONS if name in given and isinstance(given[name], str)}
    for name, value in found.items():
        if len(value) > 200 or "\0" in value:
            raise InvalidRequest(name, "at most 200 characters, and no NUL")
    return found
