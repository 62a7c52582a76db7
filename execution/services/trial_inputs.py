"""
The inputs of a trial: from a file, from earlier runs, or a pattern's own defaults.

A file is a JSON array, one JSON object per line, or a YAML list. An item is an
object of input names and values, or ``{inputs: {…}, stratum: "long"}`` where
groups of inputs are to be looked at apart. The same input twice is one input:
several runs of it would be one observation, never two pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.errors import InputsRefused, NotExecutable, TrialRefused
from execution.models import Run
from execution.services import guiding
from opl.document.load import LoadLimits, load
from registry.models import PatternVersion
from registry.models.pattern import Mode

MOST_INPUTS = 20_000
MOST_BYTES = 32 * 2**20
WRAPPED = frozenset({"inputs", "stratum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """One input."""

    values: Mapping[str, Any] = field(default_factory=dict)  # input name → JSON value
    stratum: str = ""  # group of inputs that may veto a promotion, "" for none
    source_run: int | None = None  # the run it was recorded in


def read_inputs(data: bytes) -> list[GivenInput]:
    """
    The inputs in a file.

    Raises:
        TrialRefused: says in which line or item what is wrong.
    """
    if len(data) > MOST_BYTES:
        raise TrialRefused("inputs", f"the file is larger than {MOST_BYTES // 2**20} MiB; give fewer inputs")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TrialRefused("inputs", "this is not UTF-8 text") from None
    return from_items(_items(text))


def _items(text: str) -> list[Any]:
    stripped = text.strip()
    if not stripped:
        raise TrialRefused("inputs", "there is nothing in it; give a list of objects, or one object per line")
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        value = _lines(stripped) if stripped[0] == "{" and "\n" in stripped else _yaml(stripped)
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list):
        raise TrialRefused("inputs", "give a list of objects, or one object per line")
    return value


def _lines(text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise TrialRefused("inputs", f"line {number} is no JSON: {error}") from None
    return found


def _yaml(text: str) -> Any:
    loaded = load(text.encode(), limits=LoadLimits(source_bytes=MOST_BYTES, nodes=1_000_000, characters=MOST_BYTES))
    if not loaded.ok:
        reason = str(loaded.problems[0]) if loaded.problems else "it cannot be read"
        raise TrialRefused("inputs", f"this is neither JSON nor YAML: {reason}")
    return loaded.value


def from_items(items: Iterable[Any]) -> list[GivenInput]:
    """Parsed items as inputs, each once. Raises TrialRefused."""
    found: dict[str, GivenInput] = {}
    for number, item in enumerate(items, 1):
        if not isinstance(item, Mapping) or not all(isinstance(name, str) for name in item):
            raise TrialRefused("inputs", f"item {number} is no object of input names and values")
        values, stratum = item, ""
        if item.keys() <= WRAPPED and isinstance(item.get("inputs"), Mapping):
            values, stratum = item["inputs"], item.get("stratum", "")
        if not isinstance(stratum, str) or len(stratum) > 64:
            raise TrialRefused("inputs", f"the stratum of item {number} is a name of at most 64 characters")
        try:
            found.setdefault(canonical(values), GivenInput(values=dict(values), stratum=stratum))
        except (TypeError, ValueError):
            raise TrialRefused("inputs", f"item {number} holds something that JSON cannot say") from None
        if len(found) > MOST_INPUTS:
            raise TrialRefused("inputs", f"there are more than {MOST_INPUTS} inputs")
    if not found:
        raise TrialRefused("inputs", "the list is empty; give at least one input")
    return list(found.values())


def canonical(values: Mapping[str, Any]) -> str:
    """One spelling of an input's values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def recorded(*, version: PatternVersion, user: Any, limit: int = 400) -> list[GivenInput]:
    """
    The inputs of runs of the version's pattern that ``user`` may see, newest first, each once.

    They come with the run they were recorded in, whose answers a trial may use again.
    """
    runs = Run.objects.visible_to(user).ended().of_callers().filter(version__pattern=version.pattern, parent=None)
    found: dict[str, GivenInput] = {}
    latest = runs.exclude(status="cancelled").select_related("version").defer("version__program", "version__value")
    for run in latest.order_by("-pk")[: limit * 4]:
        values = guiding.given_of(run)
        found.setdefault(canonical(values), GivenInput(values=values, source_run=run.pk))
        if len(found) == limit:
            break
    return list(found.values())


def check_fit(versions: Sequence[PatternVersion], inputs: Sequence[GivenInput]) -> bool:
    """
    Whether a version needs agents that can use tools.

    Raises:
        TrialRefused: the first input that one of the versions does not take.
        NotExecutable: a version that cannot be run at all.
    """
    for version in dict.fromkeys(versions):
        if version.program is None and version.mode != Mode.GUIDED:
            raise NotExecutable(str(version))
    for number, given in enumerate(inputs, 1):
        for version in dict.fromkeys(versions):
            try:
                guiding.plan(version, guiding.fitting(version, given.values))
            except InputsRefused as error:
                raise TrialRefused("inputs", f"item {number} does not fit {version}: {error}") from None
    return any(version.mode == Mode.GUIDED for version in versions)
