"""
The check of what a request holds, before any service is called.

A body is an object of known members; one that nobody reads is refused rather
than passed over, so that ``{"days": 3}`` never makes a token for ever.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from opl.document.reading import is_storable
from registry.errors import InvalidRequest

SHOWN = 12  # names of known members in a message


@extend_schema_field({"type": ["string", "number", "boolean", "object", "array"]})
class AnyJson(serializers.JSONField):
    """
    Any JSON value, null included.

    The description of a plain nullable JSONField, ``oneOf [{}, null]``, is one that null itself does not fit.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_null": True, **options})


class Body(serializers.Serializer[Any]):
    """The base of the shapes of requests."""

    def to_internal_value(self, data: Any) -> Any:
        """As DRF does; raises ValidationError for members that this shape does not name."""
        if isinstance(data, Mapping):
            unknown = {str(name): [self._advice(str(name))] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)

    def _advice(self, name: str) -> str:
        known = list(self.fields)
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            return f"is not known here; did you mean {near[0]!r}?"
        listed = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
        return f"is not known here; use {listed}" if known else "is not known here; send an empty object"


class _Closed(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Says in the OpenAPI description that a body takes no other members."""

    target_class = Body
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The schema of the serializer, closed."""
        drawn = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return {**drawn, "additionalProperties": False}


def read_body(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's body, checked; raises DRF's ValidationError, which names the fields."""
    checked = shape(data=request.data)
    checked.is_valid(raise_exception=True)
    values = dict(checked.validated_data)
    for name, value in values.items():
        if name != "source" and not is_storable(value):
            raise InvalidRequest(name, "no text in it may hold the character NUL or half of a surrogate pair")
    return values


def read_query(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's query parameters, checked."""
    checked = shape(data=request.query_params)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)
