"""
Plausible values of a JSON Schema: what an agent without a model answers with.

Shared by rehearsal and by the hub's simulated agents. Values are plausible
rather than random: what sounds like a score lies between 0 and 1, a string
that the script compares with words is mostly the first of them. Any mapping
is taken for a schema; keywords of the wrong kind count as absent::

    fill({"type": "object", "properties": {"score": {"type": "number"}}}, Chance(1))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opl.script.chance import Chance
from opl.script.values import SAFE, normal_number, to_text

Schema = Mapping[str, Any]
Score = Callable[[Chance], float]

MAX_DEPTH = 8
_MOST_ELEMENTS = 50
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How whoever answers tends to answer."""

    good: float = 0.75  # chance of the hopeful word or boolean, and the middle of numbers
    spread: float = 0.12  # standard deviation of numbers between 0 and 1
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # field → at least one value to choose from
    score: Score | None = None  # where the question is a test: draws what the answer is worth, 0 to 1

    def unit(self, draw: Chance) -> float:
        """A number between 0 and 1."""
        if self.score is not None:
            return self.score(draw)
        return min(max(draw.gaussian(self.good, self.spread), 0.0), 1.0)


USUAL = Manner()


def fill(schema: Any, draw: Chance, name: str = "", manner: Manner = USUAL, depth: int = 0) -> Any:
    """
    A value that fits ``schema``.

    Args:
        name: the field it stands in, which says what would be plausible.
        depth: of nesting; below ``MAX_DEPTH`` no structure grows any more.
    """
    if name in manner.answers:
        return draw.choice(manner.answers[name])
    if not isinstance(schema, Mapping) or not schema:
        return phrase(name, draw)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list | tuple) and choices:
        return choices[0] if draw.fraction() < manner.good else draw.choice(choices)
    option = _useful_option(schema)
    if option is not None and depth <= MAX_DEPTH:
        described = {**option, "description": option.get("description") or schema.get("description", "")}
        return fill(described, draw, name, manner, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return _KINDS.get(str(kind), _string)(schema, draw, name, manner, depth)


def is_described(shape: Schema | None) -> bool:
    """Whether a script reads something of an answer, so that a sentence would not do."""
    return bool(shape) and bool(shape and (shape.get("properties") or shape.get("type") not in (None, "object")))


def _useful_option(schema: Schema) -> Schema | None:
    """The first alternative of a union that is not null."""
    for union in ("anyOf", "oneOf"):
        parts = schema.get(union)
        options = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list | tuple) else []
        if options:
            return next((part for part in options if part.get("type") != "null"), options[0])
    return None


def _bound(schema: Schema, name: str) -> float | None:
    """A numeric keyword of the schema, None where it is none."""
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(schema: Schema, draw: Chance, _name: str, manner: Manner, depth: int) -> dict[str, Any]:
    fields = schema.get("properties")
    if not isinstance(fields, Mapping) or depth > MAX_DEPTH:
        return {}
    return {key: fill(inner, draw, key, manner, depth + 1) for key, inner in fields.items()}


def _array(schema: Schema, draw: Chance, name: str, manner: Manner, depth: int) -> list[Any]:
    least, most = _bound(schema, "minItems"), _bound(schema, "maxItems")
    count = int(min(max(2 if least is None else least, 1), _MOST_ELEMENTS if most is None else most, _MOST_ELEMENTS))
    if depth > MAX_DEPTH:
        return []
    singular = name.removesuffix("s")
    return [fill(schema.get("items"), draw, singular, manner, depth + 1) for _ in range(count)]


def _number(schema: Schema, draw: Chance, name: str, manner: Manner, _depth: int) -> int | float:
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    if low is None and high is None:
        word = name.lower()
        if any(part in word for part in _COUNTS):
            return draw.integer(1, 10)
        if any(part in word for part in _SECONDS):
            return draw.integer(30, 120)
        if any(part in word for part in _RATINGS):
            return draw.integer(1300, 1700)
    least = 0.0 if low is None else low
    most = max(least, least + 1.0 if high is None else high)
    return normal_number(round(least + (most - least) * manner.unit(draw), 3))


def _integer(schema: Schema, draw: Chance, _name: str, _manner: Manner, _depth: int) -> int:
    least, most = _bound(schema, "minimum"), _bound(schema, "maximum")
    low = 1 if least is None else int(least)
    high = low + 9 if most is None else int(most)
    return draw.integer(max(low, 1 - SAFE), max(low, min(high, SAFE - 1)))


def _boolean(_schema: Schema, draw: Chance, name: str, manner: Manner, _depth: int) -> bool:
    good = draw.fraction() < manner.good
    return not good if any(part in name.lower() for part in _BAD) else good


def _string(schema: Schema, draw: Chance, name: str, manner: Manner, _depth: int) -> str:
    if any(name.endswith(part) for part in _MOMENTS):
        return f"2025-01-01T00:{draw.integer(10, 59)}:00.000Z"
    words = words_of(to_text(schema.get("description")))
    if words:
        # The first word that a script asks about is nearly always the hopeful one.
        return words[0] if len(words) == 1 or draw.fraction() < manner.good else draw.choice(words[1:])
    return phrase(name, draw)


def _null(_schema: Schema, _draw: Chance, _name: str, _manner: Manner, _depth: int) -> None:
    return None


_KINDS: Mapping[str, Callable[[Schema, Chance, str, Manner, int], Any]] = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "null": _null,
}


def words_of(description: str) -> list[str]:
    """The words that a description offers: the quoted ones, else those after "for example"."""
    quoted: list[str] = [word for word in _QUOTED.findall(description) if word.strip()]
    examples = _EXAMPLES.search(description)
    if quoted or examples is None:
        return quoted
    return [word.strip() for word in re.split(r",| or ", examples[1]) if word.strip()]


def phrase(name: str, draw: Chance) -> str:
    """Words that say they are simulated, and for which field."""
    return f"simulated {name.replace('_', ' ') or 'answer'} {draw.integer(1, 999)}"


_PARAMETER_FIELDS = ("parameters", "params", "current_params", "current_parameters", "config")


def optimization(data: Mapping[str, Any], shape: Schema | None, draw: Chance) -> dict[str, Any]:
    """``{success, optimized_params, improvement, method}``: a small step from the parameters that were given."""
    current = next((data[name] for name in _PARAMETER_FIELDS if data.get(name) is not None), None)
    if current is None:
        fields = (shape or {}).get("properties")
        wanted = fields.get("optimized_params") if isinstance(fields, Mapping) else None
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
