"""
How values stand in rows: exact JSON text, and blobs for what is large.

Text and not ``jsonb``: PostgreSQL's binary form reorders the keys of objects
and refuses U+0000, and a run replayed from it would not be the same run. A
*stored value* is either its JSON text, or ``@`` and the sha256 hex of the blob
that holds the text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def dumps(value: Any) -> str:
    """Compact JSON; lone surrogates and U+0000 stay escaped, so that every database keeps them."""
    return _encode(value)


class JsonText(TextField):
    """A JSON value in a text column, loaded when it is read."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None or value == "" else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return dumps(self.value_from_object(obj))
