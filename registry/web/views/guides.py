"""Pages that explain: the language, and how every number is counted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString

from registry.web.prose import Heading, prose

# (address, file below docs/): what of the documentation is shown in the hub itself.
GUIDES = {"language": "language.md"}


def language(request: HttpRequest) -> HttpResponse:
    """The language's manual, from docs/language.md."""
    html, headings = _guide("language", _changed("language"))
    return render(request, "registry/guide.html", {"html": html, "headings": headings, "found": bool(html)})


def counting(request: HttpRequest) -> HttpResponse:
    """How each number on the pages comes to be."""
    return render(request, "registry/counting.html")


def _path(name: str) -> Path:
    return Path(settings.BASE_DIR) / "docs" / GUIDES[name]


def _changed(name: str) -> float:
    path = _path(name)
    return path.stat().st_mtime if path.exists() else 0.0


@lru_cache(maxsize=8)
def _guide(name: str, changed: float) -> tuple[SafeString | str, list[Heading]]:
    """A guide as HTML, rendered again when its file has changed."""
    return prose(_path(name).read_text(encoding="utf-8")) if changed else ("", [])
