"""
AGGREGATE {data, method, options} of the wider dialect, said with the builtins.

=============================  =====================================================
``vote`` ``majority``          ``VOTE(data)``
``ranked`` ``ranked_choice``   ``RANKED_CHOICE(data)``
``borda``                      points by place, ``{winner, scores}``
``consensus``                  ``CONSENSUS(data, threshold)``; with ``weights`` each voice weighs so much
``mean`` ``median`` ``sum``    the builtin; ``statistical`` takes its name from ``options.metric``
``trimmed_mean``               ``TRIMMED_MEAN(data, trim)``
``weighted_mean``              ``WEIGHTED_MEAN`` with ``weights`` or ``weight_by``
=============================  =====================================================

``options``: ``field`` (or ``extract_field``, ``key``) names the field of each
element, ``group_by`` another one by which elements are grouped; then the
result is an object of results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opl.errors import BadArgument, TypeMismatch
from opl.script.builtins import BUILTINS, Context
from opl.script.values import get_field, is_number, to_text, with_article

_MEASURES = {
    "mean": "AVERAGE",
    "average": "AVERAGE",
    "avg": "AVERAGE",
    "median": "MEDIAN",
    "sum": "SUM",
    "min": "MIN",
    "max": "MAX",
    "variance": "VARIANCE",
    "stdev": "STDEV",
    "std_dev": "STDEV",
}


def aggregate(context: Context, given: Any) -> Any:
    """
    Carry out an AGGREGATE.

    Raises:
        TypeMismatch: the data are no list or object, or do not suit the method.
        BadArgument: the method is unknown.
    """
    if type(given) is not dict:
        raise TypeMismatch(f"AGGREGATE takes an object, not {with_article(given)}")
    options = given.get("options")
    options = {**given, **(options if type(options) is dict else {})}
    data = next((given[name] for name in ("data", "values", "input", "from", "votes") if name in given), None)
    data = list(data.values()) if type(data) is dict else [] if data is None else data
    if type(data) is not list:
        raise TypeMismatch(f"AGGREGATE needs a list, not {with_article(data)}")
    combine = _method(context, given.get("method", "mean"), options)
    field = options.get("group_by")
    if type(field) is not str:
        return combine(data)
    groups: dict[str, list[Any]] = {}
    for element in data:
        groups.setdefault(to_text(_deep(element, field)), []).append(element)
    return {name: combine(group) for name, group in groups.items()}


def _method(context: Context, name: Any, options: dict[str, Any]) -> Callable[[list[Any]], Any]:
    """What is done with one list."""
    word = to_text(name).lower().replace("-", "_").replace(" ", "_")
    if word == "statistical":
        word = to_text(options.get("metric", "mean")).lower()
    field = next((options[key] for key in ("extract_field", "field", "key") if type(options.get(key)) is str), None)

    def read(data: list[Any]) -> list[Any]:
        return data if field is None else [_deep(element, field) for element in data]

    def call(builtin: str, *args: Any) -> Callable[[list[Any]], Any]:
        return lambda data: BUILTINS[builtin].call(context, read(data), *args)

    if word in _MEASURES:
        return call(_MEASURES[word])
    if word in ("vote", "voting", "majority", "majority_vote", "plurality"):
        return call("VOTE")
    if word in ("ranked", "ranked_choice", "instant_runoff"):
        return call("RANKED_CHOICE")
    if word == "trimmed_mean":
        trim = next((options[key] for key in ("trim", "trim_percent", "fraction") if key in options), 0.1)
        return call("TRIMMED_MEAN", trim)
    if word in ("borda", "borda_count"):
        return lambda data: _borda(read(data))
    if word in ("weighted_mean", "weighted"):
        return lambda data: _weighted_mean(context, data, read(data), options)
    if word in ("consensus", "weighted_consensus"):
        return lambda data: _consensus(context, data, read(data), options)
    raise BadArgument(
        f"AGGREGATE has no method '{word[:40]}'; write vote, ranked, borda, mean, median, trimmed_mean, "
        "weighted_mean or consensus"
    )


def _deep(element: Any, path: str) -> Any:
    """``a.b`` of an element, null where it is missing."""
    found = element
    for part in path.split("."):
        found = get_field(found, part) if type(found) is dict else None
    return found


def _weights(data: list[Any], options: dict[str, Any]) -> list[Any]:
    """A weight for each element: by position, by agent, or a field of its own; 1 otherwise."""
    weights = options.get("weights")
    field = options.get("weight_by")
    if type(weights) is list:
        found = [weights[i] if i < len(weights) else 1 for i in range(len(data))]
    elif type(weights) is dict:
        found = [weights.get(to_text(_deep(element, "agent_id")), 1) for element in data]
    else:
        found = [_deep(element, field if type(field) is str else "weight") for element in data]
    return [weight if is_number(weight) else 1 for weight in found]


def _weighted_mean(context: Context, data: list[Any], values: list[Any], options: dict[str, Any]) -> Any:
    pairs = zip(values, _weights(data, options), strict=True)
    return BUILTINS["WEIGHTED_MEAN"].call(context, [{"value": value, "weight": weight} for value, weight in pairs])


def _consensus(context: Context, data: list[Any], values: list[Any], options: dict[str, Any]) -> Any:
    threshold = options.get("threshold", 0.5)
    if type(options.get("weights")) not in (list, dict) and type(options.get("weight_by")) is not str:
        return BUILTINS["CONSENSUS"].call(context, values, threshold)
    if not is_number(threshold):
        raise TypeMismatch(f"the threshold of a consensus is a number, not {with_article(threshold)}")
    voices: dict[str, list[Any]] = {}
    for value, weight in zip(values, _weights(data, options), strict=True):
        voice = voices.setdefault(BUILTINS["JSON.STRINGIFY"].call(context, value), [value, 0])
        voice[1] += weight
    total = sum(weight for _, weight in voices.values())
    value, most = max(voices.values(), key=lambda voice: voice[1], default=[None, 0])
    share = most / total if total else 0
    return {"reached": bool(total) and share >= threshold, "value": value, "share": share}


def _borda(ballots: list[Any]) -> dict[str, Any]:
    """The last of a ballot gets no point, each before it one more; ties go to the one named first."""
    scores: dict[str, int] = {}
    for ballot in ballots:
        if type(ballot) is not list:
            raise TypeMismatch(f"a ballot is a list in order of preference, not {with_article(ballot)}")
        for place, choice in enumerate(ballot):
            name = to_text(choice)
            scores[name] = scores.get(name, 0) + len(ballot) - 1 - place
    winner = max(scores, key=lambda name: scores[name], default=None)
    return {"winner": winner, "scores": scores}
