"""
Who answers in a rehearsal where nobody wrote lines: agents, oracles, people.

The same seed, agent and question give the same answer, in whatever order the
questions come. What a value of a shape looks like, ``plausible`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opl.script.chance import Chance
from opl.script.rehearse.plausible import USUAL, Schema, fill, is_described, phrase
from opl.script.values import copy


def completion(shape: Schema | None, draw: Chance, agent_id: str, count: int) -> Any:
    """The answer of an agent: the shape that is read of it, else a sentence."""
    if is_described(shape):
        return fill(shape, draw)
    return f"Simulated answer {count} of {agent_id}"


_NUMBER_WORDS = ("COUNT", "SCORE", "CALCULATE", "COMPUTE", "MEASURE", "RATE", "ASSESS", "EVALUATE", "PREVIOUS")
_CHOOSING_WORDS = ("SELECT", "CHOOSE", "PICK", "TOP", "FILTER", "RANK", "MERGE", "UPDATE", "APPEND")
_LIST_WORDS = ("EXTRACT", "LIST", "SELECT", "IDENTIFY", "FIND", "GENERATE", "ANALYZE")
_BOOLEAN_WORDS = ("IS", "HAS", "SHOULD", "CAN", "NEEDS")


def judgement(name: str, shape: Schema | None, draw: Chance, arguments: Any = None) -> Any:
    """
    What an oracle might say: of the shape that is read, else of the kind that the name suggests.

    Who is asked to select or change something answers with (part of) what it was given.
    """
    if is_described(shape):
        return fill(shape, draw, name.lower())
    words = name.upper().split("_")
    given = arguments if type(arguments) is list else []
    if words[0] in _CHOOSING_WORDS and given and type(given[0]) in (list, dict):
        return _part(given[0], given[1:])
    if words[0] in _BOOLEAN_WORDS:
        return draw.fraction() < USUAL.good
    if words[0] in _NUMBER_WORDS:
        return fill({"type": "number"}, draw, name)
    if words[0] in _LIST_WORDS:
        return [phrase(name.lower(), draw) for _ in range(2)]
    return phrase(name.lower(), draw)


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
