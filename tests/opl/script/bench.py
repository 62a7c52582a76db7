"""A run without a machine, for tests of builtins: call them by name and read what they warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opl.script.builtins import BUILTINS, METHODS
from opl.script.chance import Chance
from opl.script.effects import completion_result
from opl.script.values import Function

START_MS = 1_700_000_000_000


class Bench:
    """Implements ``Context``; the clock stands at 1,500 ms after the start."""

    def __init__(self, seed: int = 1, **inputs: Any) -> None:
        self.chance = Chance(seed)
        self.inputs = inputs
        self.now_ms = START_MS + 1500
        self.warnings: list[str] = []
        self._last = self.now_ms - 1

    def timestamp(self) -> int:
        self._last = max(self.now_ms, self._last + 1)
        return self._last

    def elapsed(self) -> float:
        return (self.now_ms - START_MS) / 1000

    def warn(self, code: str, message: str) -> None:
        self.warnings.append(code)

    def call(self, name: str, *arguments: Any) -> Any:
        """A builtin by its name; Python functions are lambdas of the language."""
        return BUILTINS[name].call(self, *map(_lambda, arguments))

    def method(self, name: str, receiver: Any, *arguments: Any) -> Any:
        """A method by its name."""
        return METHODS[name].call(self, receiver, *map(_lambda, arguments))


def _lambda(argument: Any) -> Any:
    if not callable(argument) or isinstance(argument, Function):
        return argument
    function: Callable[..., Any] = argument
    return Function(function.__code__.co_argcount, function)


def reply(answer: Any = None, agent_id: str = "a", **fields: Any) -> dict[str, Any]:
    """A completion result."""
    return completion_result(agent_id=agent_id, answer=fields or answer)


def failure() -> dict[str, Any]:
    """The completion result of an agent that failed."""
    return completion_result(agent_id="a", error={"type": "agent_error", "message": "overloaded"})
