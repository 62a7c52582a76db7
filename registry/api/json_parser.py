"""
The JSON of a request, where it has one reading.

Any bytes are a value or a 400: what the standard parser cannot follow (nesting
that is too deep) or would decide silently (a key twice in one object) is
refused like any other fault of spelling. It stands apart from the other
parsers because DRF imports it from the settings before its own views exist.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class OneReadingParser(JSONParser):
    """
    JSON in UTF-8, with or without a byte order mark.

    Raises:
        ParseError: with the place, where it is no JSON or has two readings.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The one value that the body holds."""
        try:
            text = stream.read().decode("utf-8-sig")
            return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError("this is nested too deeply to be read") from None
        except UnicodeDecodeError as error:
            raise ParseError(f"this is no UTF-8: the byte at position {error.start} does not fit") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise ParseError(f"this is no JSON: {error.msg} ({where})") from None
        except ValueError as error:  # a number of more digits than Python converts
            raise ParseError(f"this is no JSON that can be read: {str(error).partition(';')[0]}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ParseError(f"the key {json.dumps(name)[:80]} stands twice in one object; leave one of them out")
        seen.add(name)
    raise AssertionError("a shorter object has a key twice")


def _refuse_constant(text: str) -> NoReturn:
    raise ParseError(f"JSON has no {text}; send null, or a number")
