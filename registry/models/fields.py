"""
JSON that keeps its order: exact text instead of ``jsonb``.

PostgreSQL's binary form reorders the keys of objects and refuses U+0000. A
document must be shown as its author wrote it, and a program whose constants
change their order is another program, so such values stand as text. What the
database itself searches in stays a ``JSONField``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField

_slow = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _fast() -> Callable[[Any], str]:
    """The C encoder, made once instead of at every call; Python's own where there is none."""
    make, escape = json.encoder.c_make_encoder, json.encoder.encode_basestring_ascii
    if make is None:
        return _slow.encode
    # No marks of what was visited: values of the machine and of documents hold no cycles.
    chunks = make(None, _slow.default, escape, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_encode = _fast()


def dumps(value: Any) -> str:
    """Compact JSON; lone surrogates and U+0000 stay escaped, so that every database keeps them."""
    return _encode(value)


class JsonText(TextField):
    """A JSON value in a text column, loaded when it is read; keys stay in the order they were given."""

    # What django-stubs reads: any JSON may be set, and is got back.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any
    _pyi_lookup_exact_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None or value == "" else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return dumps(self.value_from_object(obj))

    def formfield(self, **kwargs: Any) -> Any:
        """JSON text in a form, as for a ``JSONField``."""
        return super().formfield(**{"form_class": forms.JSONField, **kwargs})
