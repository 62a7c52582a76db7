"""
Time, chance and work: what depends on the run and not on the arguments alone.

All of it comes from the context, whose clock and seed are recorded, so that a
replay sees the same. Times are milliseconds since the epoch, durations too,
except for ELAPSED, which counts seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opl.errors import BadArgument, NumberOutOfRange, TypeMismatch
from opl.script.builtins.base import (
    Context,
    Registry,
    integer_argument,
    items,
    list_argument,
    number_argument,
)
from opl.script.values import normal_number, subtract, to_text, with_article

_MAX_TASKS = 10_000  # of one GENERATE_TASKS; more would not fit into a state

registry = Registry("Time, chance and work")
builtin = registry.builtin


def iso(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds: ``2025-01-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


@builtin("TIMESTAMP", pure=False)
def timestamp(context: Context) -> int:
    """Milliseconds since the epoch; larger at each call of a run, so that no difference is 0."""
    return context.timestamp()


@builtin("NOW", pure=False)
def now(context: Context) -> str:
    """The time as ISO 8601 text in UTC."""
    return iso(context.now_ms)


@builtin("ELAPSED", pure=False)
def elapsed(context: Context) -> int | float:
    """Seconds since the run started."""
    return normal_number(float(context.elapsed()))


@builtin("DURATION", pure=False)
def duration(context: Context, from_: Any, to: Any = None) -> int | float:
    """Milliseconds from one time to another, or to now; times are timestamps or ISO 8601 text."""
    end = context.now_ms if to is None else moment("DURATION", to)
    return subtract(end, moment("DURATION", from_))


@builtin("ELAPSED_TIME", pure=False)
def elapsed_time(context: Context, from_: Any) -> int | float:
    """Milliseconds from a timestamp to now."""
    return subtract(context.now_ms, moment("ELAPSED_TIME", from_))


def moment(name: str, value: Any) -> int | float:
    """
    A time in milliseconds since the epoch, of a number, its digits as text, or ISO 8601 text.

    Raises:
        TypeMismatch: neither number nor string.
        BadArgument: text that is no time.
    """
    if type(value) is not str:
        return number_argument(name, value)
    try:
        return normal_number(float(value))
    except (ValueError, NumberOutOfRange):
        pass
    try:
        when = datetime.fromisoformat(value)
        return normal_number(round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000, 0))
    except (ValueError, OverflowError):
        raise BadArgument(f"{name} needs a timestamp or ISO 8601 text, not '{value[:40]}'") from None


# ---------------------------------------------------------------- chance


@builtin("RANDOM", pure=False)
def random(context: Context, low: Any = None, high: Any = None) -> int | float:
    """In [0, 1); or between two bounds, both included and whole where they are, else uniform."""
    if low is None and high is None:
        return normal_number(context.chance.fraction())
    bounds = (0, low) if high is None else (low, high)
    least, most = (number_argument("RANDOM", each) for each in bounds)
    if least > most:
        least, most = most, least
    if type(least) is int and type(most) is int:
        return context.chance.integer(least, most)
    return normal_number(float(context.chance.uniform(least, most)))


@builtin("RANDOM_CHOICE", pure=False)
def random_choice(context: Context, list_: Any) -> Any:
    """One element by chance; null of an empty list."""
    pool = items(context, "RANDOM_CHOICE", list_)
    return context.chance.choice(pool) if pool else None


@builtin("SHUFFLE", pure=False)
def shuffle(context: Context, list_: Any) -> list[Any]:
    """The elements in an order of chance."""
    return context.chance.shuffled(list_argument(context, "SHUFFLE", list_))


@builtin("SAMPLE", pure=False)
def sample(context: Context, list_: Any, count: Any = 1) -> list[Any]:
    """`count` different elements in an order of chance, or all if there are fewer."""
    taken = integer_argument("SAMPLE", count, least=0)
    return context.chance.sample(items(context, "SAMPLE", list_), taken)


@builtin("GAUSSIAN", pure=False)
def gaussian(context: Context, mean: Any = 0, deviation: Any = 1) -> int | float:
    """A normally distributed number."""
    spread = number_argument("GAUSSIAN", deviation)
    if spread < 0:
        raise BadArgument("GAUSSIAN needs a deviation of at least 0")
    return normal_number(context.chance.gaussian(number_argument("GAUSSIAN", mean), spread))


@builtin("UUID", pure=False)
def uuid(context: Context) -> str:
    """A version 4 UUID."""
    return context.chance.uuid()


# ---------------------------------------------------------------- work


@builtin("GENERATE_TASKS", pure=False)
def generate_tasks(context: Context, topic: Any, count: Any = None) -> list[Any]:
    """
    `GENERATE_TASKS([topic,] n)`: n tasks of the input `tasks`, from the start again when it has fewer.

    Without that input, objects `{id, description}`.
    """
    subject, wanted = (None, topic) if count is None else (topic, count)
    number = integer_argument("GENERATE_TASKS", wanted, least=0)
    if number > _MAX_TASKS:
        raise BadArgument(f"GENERATE_TASKS makes at most {_MAX_TASKS} tasks, not {number}")
    given = context.inputs.get("tasks")
    if given is not None and type(given) is not list:
        raise TypeMismatch(f"the input 'tasks' is a list, not {with_article(given)}")
    if given:
        return [given[place % len(given)] for place in range(number)]
    about = f" of {to_text(subject)}" if subject is not None else ""
    return [{"id": f"task_{place}", "description": f"Task {place}{about}"} for place in range(1, number + 1)]
