"""
Agents that nobody wrote lines for: they answer the shape that the script reads.

The same seed, agent and question give the same answer, in whatever order the
questions come. Values are plausible rather than random: what sounds like a
score lies between 0 and 1, and a string that the script compares with words
is mostly the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opl.script.chance import Chance
from opl.script.values import SAFE, copy, normal_number, to_text

Schema = Mapping[str, Any]

_GOOD = 0.75  # chance of the hopeful answer, and the middle of scores
_SPREAD = 0.12  # standard deviation of scores
_MAX_DEPTH = 8
_COUNTS = (
    *("count", "number", "total", "size", "round", "token", "iteration", "index", "parallel", "limit", "worker"),
    *("max", "min_", "depth", "attempt", "retries", "batch", "length", "priority", "level", "steps"),
)
_SECONDS = ("timeout", "seconds", "duration", "delay", "interval")
_RATINGS = ("elo", "rating")
_MOMENTS = ("timestamp", "_at", "_time", "date")
_BAD = ("error", "fail", "timeout", "reject", "conflict", "abort", "problem")
_QUOTED = re.compile(r"[\"'“‘]([^\"'“”‘’]{1,80})[\"'”’]")
_EXAMPLES = re.compile(r"for example (.+)", re.DOTALL)


def fill(schema: Schema | None, draw: Chance, name: str = "", depth: int = 0) -> Any:
    """A value of a JSON Schema; ``name`` is the field's, which says what would be plausible."""
    if not schema or depth > _MAX_DEPTH:
        return _phrase(name, draw)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and choices and not isinstance(choices, str):
        return choices[0] if draw.fraction() < _GOOD else draw.choice(choices)
    for several in ("anyOf", "oneOf"):
        options = schema.get(several)
        if isinstance(options, Sequence) and options:
            return fill(_first_useful(options), draw, name, depth)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return _KINDS.get(kind, _string)(schema, draw, name, depth)


def _first_useful(options: Sequence[Schema]) -> Schema:
    return next((each for each in options if each.get("type") != "null"), options[0])


def _object(schema: Schema, draw: Chance, _name: str, depth: int) -> dict[str, Any]:
    fields = schema.get("properties") or {}
    return {key: fill(inner, draw, key, depth + 1) for key, inner in fields.items()}


def _array(schema: Schema, draw: Chance, name: str, depth: int) -> list[Any]:
    count = min(max(int(schema.get("minItems", 2)), 1), int(schema.get("maxItems", 50)), 50)
    inner = schema.get("items")
    singular = name[:-1] if name.endswith("s") else name
    return [fill(inner if isinstance(inner, Mapping) else None, draw, singular, depth + 1) for _ in range(count)]


def _number(schema: Schema, draw: Chance, name: str, _depth: int) -> int | float:
    low, high = schema.get("minimum"), schema.get("maximum")
    word = name.lower()
    if low is None and high is None:
        if any(part in word for part in _COUNTS):
            return draw.integer(1, 10)
        if any(part in word for part in _SECONDS):
            return draw.integer(30, 120)
        if any(part in word for part in _RATINGS):
            return draw.integer(1300, 1700)
    unit = min(max(draw.gaussian(_GOOD, _SPREAD), 0.0), 1.0)
    least = 0.0 if low is None else float(low)
    most = max(least, float(high)) if high is not None else least + 1.0
    return normal_number(round(least + (most - least) * unit, 2))


def _integer(schema: Schema, draw: Chance, _name: str, _depth: int) -> int:
    low = int(schema.get("minimum", 1))
    high = int(schema.get("maximum", low + 9))
    return draw.integer(max(low, 1 - SAFE), max(low, min(high, SAFE - 1)))


def _boolean(_schema: Schema, draw: Chance, name: str, _depth: int) -> bool:
    good = draw.fraction() < _GOOD
    return not good if any(part in name.lower() for part in _BAD) else good


def _string(schema: Schema, draw: Chance, name: str, _depth: int) -> str:
    if any(name.endswith(part) for part in _MOMENTS):
        return f"2025-01-01T00:{draw.integer(10, 59)}:00.000Z"
    words = words_of(to_text(schema.get("description")))
    if words:
        # The first word that a script asks about is nearly always the hopeful one.
        return words[0] if len(words) == 1 or draw.fraction() < _GOOD else draw.choice(words[1:])
    return _phrase(name, draw)


def words_of(description: str) -> list[str]:
    """The words that a description offers: the quoted ones, else those after "for example"."""
    quoted: list[str] = [word for word in _QUOTED.findall(description) if word.strip()]
    examples = _EXAMPLES.search(description)
    if quoted or examples is None:
        return quoted
    return [word.strip() for word in re.split(r",| or ", examples[1]) if word.strip()]


def _phrase(name: str, draw: Chance) -> str:
    return f"simulated {name.replace('_', ' ') or 'answer'} {draw.integer(1, 999)}"


def _null(_schema: Schema, _draw: Chance, _name: str, _depth: int) -> None:
    return None


_KINDS: Mapping[str, Callable[[Schema, Chance, str, int], Any]] = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "null": _null,
}


def completion(shape: Schema | None, draw: Chance, agent_id: str, count: int) -> Any:
    """The answer of an agent: the shape that is read of it, else a sentence."""
    if shape and (shape.get("properties") or shape.get("type") not in (None, "object")):
        return fill(shape, draw)
    return f"Simulated answer {count} of {agent_id}"


_PARAMETER_FIELDS = ("parameters", "params", "current_params", "current_parameters", "config")


def optimization(data: Mapping[str, Any], shape: Schema | None, draw: Chance) -> dict[str, Any]:
    """``{success, optimized_params, improvement, method}``: a small step from the parameters that were given."""
    current = next((data[name] for name in _PARAMETER_FIELDS if data.get(name) is not None), None)
    if current is None:
        wanted = ((shape or {}).get("properties") or {}).get("optimized_params")
        described = isinstance(wanted, Mapping) and wanted.get("properties")
        current = fill(wanted, draw, "params") if described else {}
    found = {
        "success": True,
        "optimized_params": nudged(current, draw),
        "improvement": normal_number(round(0.2 * draw.fraction(), 3)),
        "method": data.get("method") or "local_search",
    }
    read = fill(shape, draw) if shape and shape.get("properties") else {}
    return {**read, **found} if isinstance(read, dict) else found


def nudged(value: Any, draw: Chance) -> Any:
    """The same structure, its numbers moved by up to a quarter and whole ones by at least one."""
    if type(value) is int:
        step = max(1, abs(value) // 4)
        moved = value + draw.choice((-step, step))
        return max(1, moved) if value > 0 else moved
    if type(value) is float:
        return normal_number(round(value * (1 + 0.25 * (2 * draw.fraction() - 1)), 4))
    if type(value) is list:
        return [nudged(item, draw) for item in value]
    if type(value) is dict:
        return {key: nudged(item, draw) for key, item in value.items()}
    return value


_NUMBER_WORDS = ("COUNT", "SCORE", "CALCULATE", "COMPUTE", "MEASURE", "RATE", "ASSESS", "EVALUATE", "PREVIOUS")
_CHOOSING_WORDS = ("SELECT", "CHOOSE", "PICK", "TOP", "FILTER", "RANK", "MERGE", "UPDATE", "APPEND")
_LIST_WORDS = ("EXTRACT", "LIST", "SELECT", "IDENTIFY", "FIND", "GENERATE", "ANALYZE")
_BOOLEAN_WORDS = ("IS", "HAS", "SHOULD", "CAN", "NEEDS")


def judgement(name: str, shape: Schema | None, draw: Chance, arguments: Any = None) -> Any:
    """
    What an oracle might say: of the shape that is read, else of the kind that the name suggests.

    Who is asked to select or change something answers with (part of) what it was given.
    """
    if shape and (shape.get("properties") or shape.get("type") not in (None, "object")):
        return fill(shape, draw, name.lower())
    words = name.upper().split("_")
    given = arguments if type(arguments) is list else []
    if words[0] in _CHOOSING_WORDS and given and type(given[0]) in (list, dict):
        return _part(given[0], given[1:])
    if words[0] in _BOOLEAN_WORDS:
        return draw.fraction() < _GOOD
    if words[0] in _NUMBER_WORDS:
        return _number({}, draw, name, 0)
    if words[0] in _LIST_WORDS:
        return [_phrase(name.lower(), draw) for _ in range(2)]
    return _phrase(name.lower(), draw)


def _part(given: Any, more: Sequence[Any]) -> Any:
    """As many elements as the next argument says, else all."""
    count = more[0] if more and type(more[0]) is int and more[0] >= 0 else None
    return copy(given[:count] if type(given) is list else given)


def human(data: Mapping[str, Any], shape: Schema | None, draw: Chance) -> Any:
    """A person's answer: one of the choices, the shape that was asked for, or a word."""
    choices = data.get("choices")
    if isinstance(choices, list) and choices:
        return draw.choice(choices)
    schema = data.get("schema") if isinstance(data.get("schema"), Mapping) else shape
    return fill(schema, draw) if schema else "simulated answer of a person"
