"""
Pages by cursor: an opaque word in ``next``, never a page number.

Lists of rows go on behind the last id shown; ranked lists go on at a place in
the ranking, which is capped at 1,000.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from registry.errors import InvalidRequest

T = TypeVar("T", bound=Model)
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def limit_of(request: Request) -> int:
    """``?limit=`` from 1 to 100; raises InvalidRequest for anything else."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequest("limit", f"give a number from 1 to {MAX_LIMIT}")
    return int(text)


def position_of(request: Request) -> int:
    """The number in ``?cursor=``, 0 without one; raises InvalidRequest for a cursor that is not ours."""
    text = request.query_params.get("cursor", "")
    if not text:
        return 0
    try:
        number = base64.urlsafe_b64decode(text.encode("ascii") + b"==").decode("ascii")
    except (binascii.Error, ValueError):
        number = ""
    if not (number[1:].isascii() and number[1:].isdigit()) or number[0] != "p" or len(number) > 19:
        raise InvalidRequest("cursor", "use the `next` of an earlier answer as it is")
    return int(number[1:])


def cursor_for(position: int | None) -> str | None:
    """The opaque cursor for a position."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(f"p{position}".encode()).decode().rstrip("=")


def page(
    request: Request, rows: QuerySet[T], render: Callable[[T], Any], *, newest_first: bool = True, key: str = "pk"
) -> dict[str, Any]:
    """One page of ``rows`` in order of ``key`` (an integer column), rendered, with the cursor of the next."""
    limit, position = limit_of(request), position_of(request)
    if position:
        rows = rows.filter(**{f"{key}__lt" if newest_first else f"{key}__gt": position})
    found: Sequence[T] = list(rows.order_by(f"-{key}" if newest_first else key)[: limit + 1])
    shown = found[:limit]
    last = getattr(shown[-1], key) if len(found) > limit else None
    return {"results": [render(row) for row in shown], "next": cursor_for(last)}
